"""Whose an upload is, how long it stays, and what a request for one may look like."""

from __future__ import annotations

import asyncio
import shutil
import stat
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image
from upload_app import Clock, pixels_of, send, upload_client

from bimedix2.images import DecodeLimits
from bimedix2.serve.errors import ServeError
from bimedix2.serve.settings import Limits
from bimedix2.serve.uploads import store
from bimedix2.serve.uploads.intake import read_file, shown_name
from bimedix2.serve.uploads.reference import UploadReference, parse_reference


def png(size: int = 8) -> bytes:
    import io

    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(size).integers(0, 255, (size, size), np.uint8)).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def client(tmp_path, clock):
    with upload_client(tmp_path / "data", clock, retention_hours=2.0) as found:
        yield found


def code_of(answer) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def files(client) -> list[str]:
    return sorted(path.name for path in client.app.state.uploads.store.folder.iterdir())


def test_2_another_owners_upload_is_not_there(client):
    name = send(client, png()).json()["id"]
    berta = {"x-owner": "berta"}
    answers = [client.get(f"/v1/uploads/{name}{rest}", headers=berta) for rest in ("", "/image", "/pixels")]
    answers.append(client.delete(f"/v1/uploads/{name}", headers=berta))
    answers += [client.get(f"/v1/uploads/{other}/image") for other in ("x" * 32, "x", "a.b", "%2e%2e", "é" * 32)]
    assert {code_of(answer) for answer in answers} == {(404, "upload_not_found")}
    assert client.get(f"/v1/uploads/{name}").status_code == 200


def test_delete_now(client):
    name = send(client, png()).json()["id"]
    assert client.delete(f"/v1/uploads/{name}").status_code == 204
    assert files(client) == []
    assert code_of(client.get(f"/v1/uploads/{name}")) == code_of(client.delete(f"/v1/uploads/{name}"))


def test_45_delete_while_it_is_shown(client):
    names = [send(client, png(400)).json()["id"] for _ in range(4)]
    with ThreadPoolExecutor(8) as threads:
        shows = [threads.submit(client.get, f"/v1/uploads/{name}/image") for name in names for _ in range(3)]
        gone = [threads.submit(client.delete, f"/v1/uploads/{name}") for name in names]
        assert {answer.result().status_code for answer in gone} == {204}
        for answer in (show.result() for show in shows):
            assert answer.status_code == 404 or pixels_of(answer).shape == (400, 400, 3)
    assert files(client) == []


def test_a_file_that_is_gone_is_404(client):
    name = send(client, png()).json()["id"]
    (client.app.state.uploads.store.folder / name).unlink()
    assert code_of(client.get(f"/v1/uploads/{name}/image")) == (404, "upload_not_found")


def test_retention_counts_from_the_last_use(client, clock):
    old, used = (send(client, png(size)).json()["id"] for size in (8, 9))
    clock.now += 3600
    assert client.get(f"/v1/uploads/{used}/image").status_code == 200
    clock.now += 3601
    assert client.app.state.uploads.store.purge(clock.now - 7200) == 1
    assert files(client) == [used]
    assert client.get(f"/v1/uploads/{used}").json()["expires"] == int(clock.now - 3601 + 7200)
    assert code_of(client.get(f"/v1/uploads/{old}")) == (404, "upload_not_found")


def test_nothing_in_use_is_purged_however_short_retention_is(client, clock):
    send(client, png())
    assert client.app.state.uploads.store.purge(clock.now) == 0
    clock.now += store.IN_USE + 1
    assert client.app.state.uploads.store.purge(clock.now) == 1 and files(client) == []


def test_files_without_a_row_are_swept(client, clock):
    orphan = client.app.state.uploads.store.folder / ("o" * 32)
    orphan.write_bytes(b"left by a crash")
    client.app.state.uploads.store.purge(0)
    assert files(client) == [orphan.name]  # may be about to get its row
    clock.now += store.IN_USE + 60
    client.app.state.uploads.store.purge(0)
    assert files(client) == []


def test_forget_takes_one_owners_files_from_the_disk(client):
    for owner in ("anna", "anna", "berta"):
        send(client, png(), **{"x-owner": owner})
    assert client.app.state.uploads.store.forget("anna") == 2
    assert len(files(client)) == 1


def test_50_a_disk_that_takes_nothing_is_503(client):
    folder = client.app.state.uploads.store.folder
    shutil.rmtree(folder)
    folder.write_bytes(b"no folder")
    answer = send(client, png())
    assert code_of(answer) == (503, "storage_unavailable")
    rows = client.app.state.uploads.store._names("1 = ?", 1)
    assert rows == []


def test_share_of_one_owner(client, monkeypatch):
    monkeypatch.setattr(store, "PER_OWNER", 2)
    answers = [send(client, png()).status_code for _ in range(3)]
    assert answers == [200, 200, 409] and len(files(client)) == 2
    assert send(client, png(), **{"x-owner": "berta"}).status_code == 200
    monkeypatch.setattr(store, "BYTES_PER_OWNER", 300)
    assert code_of(send(client, png(30), **{"x-owner": "clara"})) == (409, "too_many_uploads")


def test_uploads_outlive_the_server(tmp_path):
    with upload_client(tmp_path / "data") as first:
        name = send(first, png()).json()["id"]
        before = pixels_of(first.get(f"/v1/uploads/{name}/image"))
    with upload_client(tmp_path / "data") as second:
        assert (pixels_of(second.get(f"/v1/uploads/{name}/image")) == before).all()
        database = second.app.state.uploads.store.folder.parent / "server.sqlite"
        assert stat.S_IMODE(database.stat().st_mode) == 0o600


def test_5_too_many_bytes(tmp_path):
    limits = Limits(image=DecodeLimits(max_bytes=5000))
    with upload_client(tmp_path / "data", limits=limits) as client:
        assert code_of(send(client, b"\x89PNG\r\n\x1a\n" + bytes(5000))) == (413, "upload_too_large")
        assert code_of(send(client, bytes(5001))) == (413, "upload_too_large")
        assert code_of(send(client, bytes(5000))) == (415, "unsupported_image_type")


HEAD = b'--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n'
TYPE = {"content-type": "multipart/form-data; boundary=b"}


def read(*blocks: bytes, headers=TYPE, most=100, seconds=5.0, pause=0.0):
    async def stream():
        for block in blocks:
            await asyncio.sleep(pause)
            yield block

    async def run():
        return await read_file(headers, stream(), most=most, seconds=seconds)

    try:
        return asyncio.run(run())
    except ServeError as error:
        return error.status, error.code


def test_a_form_in_any_pieces():
    body = HEAD + b"\r\n-- --b\r\n tricky \r\n--" + b"\r\n--b--\r\n"
    expected = (b"\r\n-- --b\r\n tricky \r\n--", b"x")
    assert read(body) == expected
    assert read(*(body[at : at + 1] for at in range(len(body)))) == expected
    other = b'--b\r\nContent-Disposition: form-data; name="note"\r\n\r\nhello\r\n'
    assert read(other + body) == expected


def test_streams_without_an_end_are_cut():
    endless = [HEAD, *[bytes(60)] * 1000]
    assert read(*endless) == (413, "upload_too_large")
    other = b'--b\r\nContent-Disposition: form-data; name="note"\r\n\r\n'
    assert read(other, *[bytes(6000)] * 1000) == (413, "upload_too_large")
    assert read(HEAD, headers={**TYPE, "content-length": "99999999"}) == (413, "upload_too_large")


def test_slow_streams_are_cut():
    assert read(*[b"-"] * 100, seconds=0.05, pause=0.02) == (408, "upload_too_slow")


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"", TYPE),
        (b"hello", TYPE),
        (HEAD + b"x", TYPE),
        (HEAD + b"x\r\n--b--\r\n", {"content-type": "application/json"}),
        (HEAD + b"x\r\n--b--\r\n", {}),
        (HEAD + b"x\r\n--b--\r\n", {"content-type": "multipart/form-data"}),
        (HEAD + b"x\r\n--b--\r\n", {"content-type": "multipart/form-data; boundary=" + "x" * 300}),
        (HEAD.replace(b'"file"', b'"other"') + b"x\r\n--b--\r\n", TYPE),
        (HEAD + b"x\r\n" + HEAD + b"y\r\n--b--\r\n", TYPE),
        (b"".join(HEAD.replace(b"file", b"n") + b"x\r\n" for _ in range(20)) + b"--b--\r\n", TYPE),
        (b"--b\r\n" + b"X-A: b\r\n" * 100 + b"\r\nx\r\n--b--\r\n", TYPE),
        (b"--b\r\nX-A: " + b"b" * 9000 + b"\r\n\r\nx\r\n--b--\r\n", TYPE),
        (b"--b\r\nContent-Disposition: \xff\xfe; name=\r\n\r\nx\r\n--b--\r\n", TYPE),
    ],
)
def test_what_is_no_form(body, headers):
    assert read(body, headers=headers, most=1000) == (400, "bad_upload")


def test_names_to_show():
    assert shown_name(b"") == "" and shown_name(b"/a/b/") == ""
    assert shown_name("تقرير\u202e.png".encode()) == "تقرير.png"
    assert shown_name(b"\xff\x00\x1b[31m.png") == "[31m.png"
    assert len(shown_name(b"x" * 100_000)) == 81


def test_references():
    name = "A" * 32
    assert parse_reference(f"upload:{name}") == UploadReference(name)
    full = UploadReference(name, 3, (-600.0, 1500.0))
    assert parse_reference(f"upload:{name}?frame=3&center=-600&width=1500") == full
    for query in (
        "frame=x",
        "center=1",
        "frame=1&frame=2",
        "other=1",
        "frame",
        "a=1&b=2&c=3&d=4",
        "frame=1#",
        "frame=١",
    ):
        with pytest.raises(ServeError) as caught:
            parse_reference(f"upload:{name}?{query}", "messages[0]")
        assert (caught.value.status, caught.value.param) == (400, "messages[0]")
    for url in ("upload:", "upload:../../etc/passwd", f"upload:{name}/x", f"xupload:{name}", "upload:" + "a" * 500):
        with pytest.raises(ServeError):
            parse_reference(url)
