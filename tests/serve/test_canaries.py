"""A marked string in every place of a request: nothing but the answer to its own sender ever holds it again.

And the other way round: with keys, no route answers anybody without one but those that are listed here.
"""

from __future__ import annotations

import json
import re
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from api_server import CHAT, asked, png, running, uri
from bad_answers import LIMITS, Whole, bearer, logged, raw, whole
from test_api_routes import walk

from bimedix2.serve.engines.echo import EchoEngine
from bimedix2.serve.engines.protocol import Job

sys.path.insert(0, str(Path(__file__).parents[1] / "images"))
warnings.simplefilter("ignore", UserWarning)
from image_builders import dicom_bytes, png_chunk  # noqa: E402

OPEN = {"/health", "/api/session", "/", "/assets/{version}/{name:path}"}
"""Routes that need no key; /api/session tells a stranger the sign-in's address alone, where there is one."""


class Failing(EchoEngine):
    """Fails with everything of its job in the exception, as libraries do."""

    async def generate(self, job: Job) -> Any:
        raise RuntimeError(f"cannot answer {job!r}")
        yield


class Planted:
    """Sends requests, and collects what may hold no canary: errors, and the headers of every answer."""

    def __init__(self, server: Whole) -> None:
        self.server = server
        self.count = self.refused = 0
        self.held: list[str] = []

    def mark(self, place: str) -> str:
        """A string to be looked for; digits and letters, so that it survives any coding."""
        self.count += 1
        return f"kanarienvogel{place}{self.count}"

    def send(self, method: str, address: str, **more: Any) -> httpx.Response:
        names = ("user-agent", "referer", "x-any", "x-forwarded-for", "x-request-id", "if-none-match", "from")
        headers = {name: self.mark("header") for name in names} | {"cookie": f"a={self.mark('cookie')}"}
        answer = self.server.send(method, address, headers={**headers, **more.pop("headers", {})}, **more)
        self.held.append(str(answer.headers))
        if answer.status_code >= 400:
            self.refused += 1
            self.held.append(answer.text)
        return answer


def plant(found: Planted) -> None:
    """Canaries in every field that a client can fill."""
    mark = found.mark
    for stream in (False, True):
        messages = [
            {"role": "system", "content": mark("system"), "name": mark("speaker")},
            {"role": "user", "content": mark("first")},
            {"role": "assistant", "content": mark("answer")},
            {"role": "user", "content": asked(uri(png()), mark("question"))},
        ]
        fields = {"stop": [mark("stop")], "user": mark("user"), "metadata": {mark("key"): mark("value")}}
        found.send(
            "POST", f"{CHAT}?q={mark('query')}#{mark('part')}", json={"messages": messages, "stream": stream, **fields}
        )
    for body in (
        {"messages": mark("messages")}, {"messages": [{"role": mark("role"), "content": "x"}]},
        {"messages": messages, "model": mark("model")}, {"messages": messages, "adapter": mark("adapter")},
        {"messages": messages, "language": mark("language")}, {"messages": messages, "temperature": mark("number")},
        {"messages": messages, "logit_bias": {mark("bias"): mark("bias")}}, {mark("field"): mark("value")},
        {"messages": [{"role": "user", "content": asked(mark("address"))}]},
        {"messages": [{"role": "user", "content": asked(f"data:image/png;base64,{mark('data')}")}]},
        {"messages": [{"role": "user", "content": asked(f"upload:{mark('upload')}?{mark('view')}=1")}]},
        {"messages": [{"role": "user", "content": asked(f"http://{mark('host')}/")}]},
        {"messages": [{"role": "user", "content": [{"type": mark("type")}]}]},
    ):  # fmt: skip
        assert found.send("POST", CHAT, json=body).status_code in (400, 404, 422)
    for address in (CHAT, "/v1/conversations", "/v1/export/pdf"):
        found.send("POST", address, content=mark("json"), headers={"content-type": "application/json"})
        found.send("POST", address, content="{}", headers={"content-type": f"text/{mark('kind')}"})
    plant_pictures(found)
    plant_kept(found)


def plant_pictures(found: Planted) -> None:
    mark = found.mark
    names = {name: mark(name) for name in (
        "PatientName", "PatientID", "PatientBirthDate", "OtherPatientIDs", "AccessionNumber", "InstitutionName",
        "ReferringPhysicianName", "StudyDescription", "SeriesDescription", "StudyID", "ImageComments",
        "PatientComments", "OperatorsName", "StationName", "ProtocolName", "WindowCenterWidthExplanation",
        "BodyPartExamined", "PatientAddress",
    )}  # fmt: skip
    whole_file = dicom_bytes(np.arange(64, dtype=np.int16).reshape(8, 8), WindowCenter=40, WindowWidth=400, **names)
    commented = png()[:33] + png_chunk(b"tEXt", f"Comment\0{mark('chunk')}".encode()) + png()[33:]
    for data in (whole_file, commented):
        kept = found.send(
            "POST", "/v1/uploads", files={"file": (f"../{mark('name')}.dcm", data, f"image/{mark('mime')}")}
        )
        shown = found.send("GET", f"/v1/uploads/{kept.json()['id']}")
        picture = found.send("GET", f"/v1/uploads/{kept.json()['id']}/image?{mark('odd')}={mark('query')}")
        assert (kept.status_code, shown.status_code, picture.status_code) == (200, 200, 200)
        facts = {name: value for name, value in kept.json().items() if name != "name"}  # the sender's own, for the page
        found.held += [json.dumps(facts), shown.text, picture.content.decode("latin-1")]
    for data in (mark("bytes").encode(), whole_file[:600], b"\x89PNG\r\n\x1a\n" + mark("png").encode()):
        assert found.send("POST", "/v1/uploads", files={"file": (mark("name"), data)}).status_code in (415, 422)
    found.send("POST", "/v1/uploads", files={mark("field"): (mark("name"), png())})
    found.send(
        "POST",
        "/v1/uploads",
        content=mark("form"),
        headers={"content-type": f"multipart/form-data; boundary={mark('b')}"},
    )
    for query in (f"frame={mark('frame')}", f"center={mark('center')}&width=1"):
        assert found.send("GET", f"/v1/uploads/{mark('upload')}/image?{query}").status_code in (404, 422)


def plant_kept(found: Planted) -> None:
    mark = found.mark
    messages = [{"role": "user", "content": mark("kept")}]
    kept = found.send("POST", "/v1/conversations", json={"title": mark("title"), "messages": messages}).json()["id"]
    found.send("PUT", f"/v1/conversations/{kept}", json={"title": mark("title"), "messages": messages})
    for body in ({"title": 5, "messages": messages}, {"mode": mark("mode")}, {"messages": [{"role": mark("role")}]}):
        found.send("POST", "/v1/conversations", json=body)
    found.send("GET", f"/v1/conversations/{mark('conversation')}?{mark('query')}")
    for form in ("markdown", "docx", "pdf", "fhir", mark("form")):
        report = {"text": mark("report"), "title": mark("title"), "subject": f"Patient/{mark('patient')}"}
        found.send("POST", f"/v1/export/{form}", json={"report": report})
        found.send("POST", f"/v1/export/{form}", json={"report": {**report, "subject": mark("subject")}})
        found.send("POST", f"/v1/export/{form}", json={"conversation": {"messages": [{"role": mark("role")}]}})
    found.send("DELETE", f"/v1/conversations/{kept}")
    for method, address in (
        ("GET", f"/{mark('path')}"),
        ("BREW", f"/v1/{mark('path')}"),
        ("GET", f"/assets/{mark('asset')}/x.js"),
    ):
        found.send(method, address)
    found.send("GET", "/v1/models", key=mark("secret"))
    found.send("GET", "/health", headers={"host": mark("host")})
    found.send("POST", CHAT, json={}, headers={"origin": f"http://{mark('origin')}.example"})
    raw(
        found.server.server.port,
        f"GET /{mark('line')} HTTP/1.1\r\nHost: {mark('host')}\r\n{mark('bad')}\r\n\r\n".encode(),
    )
    raw(found.server.server.port, mark("garbage").encode() + b"\r\n\r\n")


@pytest.mark.parametrize("engine", [EchoEngine, Failing])
def test_a_canary_in_every_field_is_seen_nowhere_else(tmp_path: Path, engine: type[EchoEngine]) -> None:
    with logged() as log, whole(tmp_path, engine()) as server:
        found = Planted(server)
        plant(found)
        name = found.mark("keyname")
        secret = server.keys.create(name, scopes=("chat", "admin"))[0]
        assert server.ask(found.mark("question"), headers=bearer(secret)).status_code in (200, 500)
        metrics = server.send("GET", "/metrics").text
        health = server.send("GET", "/health", key=None).text
    audit = (tmp_path / "data" / "audit.jsonl").read_text()
    assert found.count > 250 and found.refused > 35, "the test has not reached what it is about"
    ours = [
        line
        for line in log.getvalue().splitlines()
        if json.loads(line)["logger"].split(".")[0] not in ("httpx", "httpcore")
    ]
    assert len(ours) > 60 and len(audit.splitlines()) > 8 and "bimedix2_requests_total" in metrics
    for text in ("\n".join(ours), audit, metrics, health, *found.held):
        assert "kanarienvogel" not in text, text[max(0, text.index("kanarienvogel") - 300) :][:400]
        assert secret not in text and server.admin not in text


def test_deleting_everything_leaves_no_canary_on_the_disk(tmp_path: Path) -> None:
    with whole(tmp_path) as server:
        found = Planted(server)
        plant(found)
        server.send("POST", "/v1/conversations", json={"title": found.mark("title"), "messages": []})
        before = [path for path in server.folder.rglob("*") if path.is_file() and b"kanarienvogel" in path.read_bytes()]
        assert before, "something must have been kept for the test to say something"
        assert server.send("DELETE", "/v1/data").status_code == 200
        after = [path for path in server.folder.rglob("*") if path.is_file() and b"kanarienvogel" in path.read_bytes()]
        assert after == []
        assert list((server.folder / "uploads").iterdir()) == []


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    with whole(tmp_path_factory.mktemp("locked")) as found:
        yield found


def test_no_route_answers_without_a_key_but_those_listed(locked: Whole) -> None:
    routes = {(method, path) for method, path in walk(locked.server.app.routes)}
    assert len(routes) > 18 and {path for _, path in routes} >= OPEN
    for method, path in sorted(routes):
        address = re.sub(r"\{[^}]*\}", "x", path)
        for headers in (
            {},
            bearer("bmx_wrong"),
            {"authorization": f"Basic {locked.admin}"},
            {"x-api-key": locked.admin},
        ):
            answer = locked.send(method, f"{address}?key={locked.admin}", key=None, headers=headers)
            if path in OPEN - {"/api/session"}:
                assert answer.status_code in (200, 404), (method, path)
            else:
                assert answer.status_code == 401, (method, path, answer.status_code)
        if path not in OPEN:
            assert locked.send(method, address).status_code != 401, (method, path)


def test_the_page_and_its_files_hold_nothing_of_anybody(locked: Whole) -> None:
    locked.send("POST", "/v1/conversations", json={"title": "kanarienvogel"})
    page = locked.send("GET", "/", key=None).text
    files = re.findall(r'(?:src|href)="(/assets/[^"]+)"', page)
    assert files
    for address in ("/", *files):
        answer = locked.send("GET", address, key=None)
        assert answer.status_code == 200 and b"kanarienvogel" not in answer.content


def test_a_server_without_keys_is_for_this_machine_alone(tmp_path: Path) -> None:
    """Until the first key is made; from then on nobody gets in without one, without a restart."""
    with running(tmp_path / "data", EchoEngine(), limits=LIMITS) as server:
        assert server.chat("hello").status_code == 200
        secret = server.app.state.parts.guard.keys.create("first")[0]
        assert server.chat("hello").status_code == 401
        assert server.chat("hello", headers=bearer(secret)).status_code == 200
