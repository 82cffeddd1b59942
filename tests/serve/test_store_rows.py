"""Rows 36, 45 and 50 of the table of bad inputs, on the whole server with real pictures."""

from __future__ import annotations

import io
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from security_tools import canary, serving

from bimedix2.serve.engines.echo import EchoEngine
from bimedix2.serve.store.audit import verify


def png() -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.linspace(0, 255, 64 * 64, dtype=np.uint8).reshape(64, 64)).save(out, "PNG")
    return out.getvalue()


def upload(server: Any, data: bytes, name: str = "x.png") -> dict[str, Any]:
    reply = server.client.post("/v1/uploads", files={"file": (name, data)})
    assert reply.status_code == 200, reply.text
    return dict(reply.json())


def showing(name: str) -> list[dict[str, Any]]:
    picture = {"type": "image_url", "image_url": {"url": f"upload:{name}"}}
    return [{"role": "user", "content": [{"type": "text", "text": "one two three four five six seven"}, picture]}]


@pytest.mark.parametrize("charset", ["ISO_IR 192", "ISO_IR 127"])
def test_tags_of_a_dicom_file_are_shown_to_nobody(tmp_path: Path, charset: str, capsys) -> None:
    """Row 36: Arabic names in both character sets."""
    import pydicom
    from pydicom.data import get_testdata_file

    found = pydicom.dcmread(str(get_testdata_file("CT_small.dcm")))
    found.SpecificCharacterSet = charset
    arabic = "أحمد^مريض"
    found.PatientName, found.PatientID = arabic, canary("id")
    found.StudyDescription = canary("study")
    out = io.BytesIO()
    found.save_as(out)
    raw = arabic.split("^")[0].encode("utf-8" if charset == "ISO_IR 192" else "iso8859_6")
    assert raw in out.getvalue(), "the file must hold the name for the test to say something"
    with serving(tmp_path / "d") as server:
        told = upload(server, out.getvalue(), "x.dcm")
        answer = server.chat(messages=showing(told["id"]))
        assert answer.status_code == 200
        shown = str(told) + answer.text + server.client.get(f"/v1/uploads/{told['id']}").text
        picture = server.client.get(f"/v1/uploads/{told['id']}/image").content
    logged = "".join(capsys.readouterr())
    audit = (tmp_path / "d" / "audit.jsonl").read_text()
    for text in (shown, logged, audit):
        assert "أحمد" not in text and "CANARY" not in text and str(found.StudyInstanceUID) not in text
    assert raw not in picture and b"CANARY" not in picture


def test_one_upload_in_two_conversations_and_its_end(tmp_path: Path) -> None:
    """Row 45."""
    with serving(tmp_path / "d") as server:
        name = upload(server, png())["id"]
        made = [
            server.client.post("/v1/conversations", json={"title": title, "messages": showing(name)}).json()
            for title in "ab"
        ]
        server.client.delete(f"/v1/conversations/{made[0]['id']}")
        assert server.chat(messages=showing(name)).status_code == 200, "the other conversation still shows it"
        assert server.client.delete(f"/v1/uploads/{name}").status_code == 204
        kept = server.client.get(f"/v1/conversations/{made[1]['id']}").json()
        assert kept["messages"][0]["content"][1]["image_url"]["url"] == f"upload:{name}"
        reply = server.chat(messages=showing(name))
        assert reply.status_code == 404 and server.client.delete(f"/v1/uploads/{name}").status_code == 404


def test_an_upload_deleted_while_its_answer_is_written(tmp_path: Path) -> None:
    """Row 45: the picture was decoded already, so the answer comes to its end."""
    with serving(tmp_path / "d", engine=EchoEngine(delay=0.05)) as server:
        name = upload(server, png())["id"]
        answers: list[Any] = []
        thread = threading.Thread(target=lambda: answers.append(server.chat(messages=showing(name), stream=True)))
        thread.start()
        while not (server.data / "audit.jsonl").read_text().count('"begun"'):
            thread.join(0.005)
        assert server.client.delete(f"/v1/uploads/{name}").status_code == 204
        thread.join(30)
        assert answers[0].status_code == 200 and answers[0].text.endswith("data: [DONE]\n\n")
        assert "seven" in answers[0].text and '"error"' not in answers[0].text
    assert verify(tmp_path / "d" / "audit.jsonl").sound


def test_pictures_of_a_conversation_in_use_outlive_the_timer(tmp_path: Path) -> None:
    with serving(tmp_path / "d") as server:
        kept, alone = (upload(server, png())["id"] for _ in range(2))
        made = server.client.post("/v1/conversations", json={"messages": showing(kept)}).json()
        store = server.parts.uploads.store
        with store._database.write() as connection:
            connection.execute("UPDATE uploads SET used = 1000")  # 1970: long out of time
        assert server.client.get(f"/v1/conversations/{made['id']}").status_code == 200
        assert store.purge(2000.0) == 1
        codes = [server.client.get(f"/v1/uploads/{name}").status_code for name in (kept, alone)]
        assert codes == [200, 404]


def test_a_data_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """Row 50: SQLite itself refuses to write; reading goes on, and nothing is half done."""
    with serving(tmp_path / "d") as server:
        made = server.client.post("/v1/conversations", json={"title": "kept"}).json()
        database = server.parts.guard.keys._database
        real = database._connection

        def read_only() -> Any:
            connection = real()
            connection.execute("PRAGMA query_only=ON")
            return connection

        database._connection = read_only
        for method, address, body in (
            ("POST", "/v1/conversations", {}),
            ("PUT", f"/v1/conversations/{made['id']}", {"title": "lost"}),
            ("DELETE", f"/v1/conversations/{made['id']}", None),
        ):
            reply = server.client.request(method, address, json=body, headers={"Accept-Language": "ar"})
            assert reply.status_code == 503 and "القرص" in reply.json()["error"]["message"]
        assert server.client.get(f"/v1/conversations/{made['id']}").json()["title"] == "kept"


def test_a_data_folder_that_is_a_file(tmp_path: Path) -> None:
    from bimedix2.errors import ConfigError

    (tmp_path / "d").write_text("x")
    with pytest.raises(ConfigError) as caught, serving(tmp_path / "d"):
        pass
    assert caught.value.code == "data_folder"


def test_health_tells_of_a_disk_without_room(tmp_path: Path, monkeypatch) -> None:
    import os

    with serving(tmp_path / "d") as server:
        assert server.client.get("/health").json()["ready"] is True
        real = os.statvfs

        def full(path: Any) -> os.statvfs_result:
            values = list(real(path))
            values[4] = 0  # f_bavail
            return os.statvfs_result(values)

        monkeypatch.setattr(os, "statvfs", full)
        reply = server.client.get("/health")
        assert reply.status_code == 503 and reply.json()["ready"] is False
        assert reply.json()["problem"]["ar"] != reply.json()["problem"]["en"] and str(tmp_path) not in reply.text
