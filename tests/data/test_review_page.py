"""The page's server over real sockets: who gets in, what is answered, what never leaves."""

from __future__ import annotations

import io
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import review_files as rf
from PIL import Image

from bimedix2.data.review.errors import ReviewError
from bimedix2.data.review.findings import FindingRow
from bimedix2.data.review.intake import Sources, start
from bimedix2.data.review.server import ReviewServer
from bimedix2.data.review.store import Found, Workspace
from bimedix2.data.review.view import block, item_view
from bimedix2.errors import ConfigError
from bimedix2.records import ImageRef
from bimedix2.text import strip_bidi_controls


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ReviewServer]:
    outside = tmp_path / "secret.png"
    Image.new("L", (20, 20)).save(outside)
    data = tmp_path / "data"
    data.mkdir()
    images = (rf.picture(data), ImageRef(path="missing.png"), ImageRef(path="../secret.png"))
    start(tmp_path / "ws", Sources([rf.write_pairs(tmp_path, 2, images=images)]), rf.TWO_READERS)
    with ReviewServer(tmp_path / "ws", {"amal": "reviewer", "basim": "reviewer"}, data) as running:
        yield running


def test_only_a_link_opens_the_page_and_it_leaves_the_address(server: ReviewServer) -> None:
    amal = rf.Reader(server, "amal")
    for path in ("/", "/api/next", "/api/words", "/page/app.js", "/image?item=1&image=0"):
        for cookie in ("", f"{server.site.cookie}=wrong", "x"):
            status, _, body = amal.send("GET", path, Cookie=cookie)
            assert status == 403
            assert b"bimedix2 data review serve" in body
            assert "رابطك".encode() in body
    assert amal.send("GET", "/?token=wrong")[0] == 403
    _, headers, _ = amal.send("GET", f"/?token={server.site.tokens['amal']}", Cookie="")
    assert headers["Location"] == "/"
    assert "HttpOnly" in headers["Set-Cookie"]
    assert "SameSite=Strict" in headers["Set-Cookie"]
    status, headers, body = amal.send("GET", "/")
    assert status == 200
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    assert b"http" not in body.replace(b"http-equiv", b"")


def test_other_hosts_origins_and_kinds_of_requests_are_refused(server: ReviewServer) -> None:
    amal = rf.Reader(server, "amal")
    item = amal.next()["number"]
    said = {"item": item, "action": "accept", "key": "k"}
    assert amal.send("GET", "/api/next", Host="evil.example:80")[0] == 403  # a name that was pointed at 127.0.0.1
    assert amal.send("POST", "/api/verdict", said, Origin="http://evil.example")[0] == 403
    assert amal.send("POST", "/api/verdict", said, **{"Content-Type": "text/plain"})[0] == 415
    assert amal.send("POST", "/api/verdict", b"x", **{"Content-Length": str(1 << 21)})[0] == 413
    assert amal.send("PUT", "/api/verdict", said)[0] in (405, 501)
    for body in (b"{", b"[]", b'{"item": "1"}', b"\xff", b'{"item": 1, "action": "accept", "key": "k", "more": 1}'):
        status, _, answer = amal.send("POST", "/api/verdict", body)
        assert status == 400
        assert json.loads(answer)["error"]["ar"]
    assert len(server.workspace.entries()) == 1
    assert amal.send("POST", "/api/verdict", said, Origin=f"http://127.0.0.1:{server.port}")[0] == 200
    assert server.http.server_address[0] == "127.0.0.1"


def test_a_reviewer_sees_own_items_alone_and_no_verdict_of_others(server: ReviewServer) -> None:
    amal, basim = rf.Reader(server, "amal"), rf.Reader(server, "basim")
    first = amal.next()
    other = 3 - first["number"]
    assert amal.send("GET", f"/api/item?item={other}")[0] == 404
    assert amal.send("GET", f"/image?item={other}&image=0")[0] == 404
    for query in ("item=999", "item=-1", "item=x", "item=" + "9" * 40, ""):
        assert amal.send("GET", f"/api/item?{query}")[0] == 404
    assert amal.say(other, "accept", "k")["error"]["code"] == "not_yours"
    amal.say(first["number"], "reject", "k1", reason="side", note="wrong side")
    seen = json.dumps(basim.get("/api/next"))
    while (item := basim.next()) is not None:
        seen += json.dumps(item)
        basim.say(item["number"], "accept", f"b{item['number']}")
    assert "wrong side" not in seen
    assert "amal" not in seen
    board = server.site.desk.board
    assert {board.final(row).state for row in board.queue()} == {"disputed", "waiting"}


def test_verdict_undo_previous_and_progress(server: ReviewServer) -> None:
    amal = rf.Reader(server, "amal")
    first = amal.next()
    assert amal.get("/api/next")["progress"] == {"mine": 0, "left": 2, "decided": 0, "total": 2}
    amal.say(first["number"], "edit", "e1", reason="number", turns=["س", "ج"], seconds=4.2)
    state = amal.get("/api/next")
    assert state["previous"] == first["number"]
    assert state["progress"] == {"mine": 1, "left": 1, "decided": 0, "total": 2}
    again = amal.get(f"/api/item?item={first['number']}")["item"]
    assert again["mine"]["texts"] == ["س", "ج"]
    assert again["texts"] != ["س", "ج"]  # the record stays as it was
    back = json.loads(amal.send("POST", "/api/undo", {"key": "u1"})[2])
    assert back["item"]["number"] == first["number"]
    assert back["item"]["mine"] is None
    assert json.loads(amal.send("POST", "/api/undo", {"key": "u1"})[2])["item"]["number"] == first["number"]
    error = json.loads(amal.send("POST", "/api/undo", {"key": "u2"})[2])["error"]
    assert (error["code"], bool(error["en"]), bool(error["ar"])) == ("nothing_to_undo", True, True)
    assert [entry.action for entry in server.workspace.entries()] == ["start", "edit", "undo"]


def test_images_are_encoded_anew_and_faults_are_told_in_both_languages(server: ReviewServer, tmp_path: Path) -> None:
    amal = rf.Reader(server, "amal")
    number = amal.next()["number"]
    status, headers, body = amal.send("GET", f"/image?item={number}&image=0")
    assert (status, headers["Content-Type"]) == (200, "image/png")
    assert body != (tmp_path / "data" / "scan.png").read_bytes()
    with Image.open(io.BytesIO(body)) as shown, Image.open(tmp_path / "data" / "scan.png") as original:
        assert shown.size == (90, 60)
        assert shown.tobytes() == original.tobytes()
    for index, code in ((1, "image_not_found"), (2, "image_outside")):
        status, _, body = amal.send("GET", f"/image?item={number}&image={index}")
        error = json.loads(body)["error"]
        assert (status, error["code"]) == (404, code)
        assert error["en"] != error["ar"]
        assert str(tmp_path) not in body.decode()
    assert amal.send("GET", f"/image?item={number}&image=3")[0] == 404


@pytest.mark.parametrize("name", ["", "owner", "a b", "a@b.c", "x" * 41, "<b>"])
def test_bad_pseudonyms_are_refused(tmp_path: Path, name: str) -> None:
    folder = rf.workspace(tmp_path, 1)
    with pytest.raises(ConfigError) as caught:
        ReviewServer(folder, {name: "reviewer"}, tmp_path)
    assert caught.value.message != caught.value.message_ar
    ReviewServer(folder, {"د.أمل": "reviewer"}, tmp_path).close()  # and the lock is free


def text_of(shown: dict) -> str:  # type: ignore[type-arg]
    """The text of a block, without what is shown for controls."""
    lines = (
        "".join(part["text"] for run in line["runs"] for part in run["parts"] if "control" not in part)
        for line in shown["lines"]
    )
    return "\n".join(lines)


def test_a_block_keeps_its_text_and_isolates_measurements() -> None:
    text = "قياس الآفة 12 x 8 mm في الصورة.\nIt is normal.\n\nضغط 120/80 mmHg"
    shown = block(text, "ar")
    assert text_of(shown) == text
    assert (shown["lang"], shown["dir"]) == ("ar", "rtl")
    assert [line["dir"] for line in shown["lines"]] == ["rtl", "ltr", "rtl", "rtl"]
    isolated = [
        "".join(part["text"] for part in run["parts"])
        for line in shown["lines"] for run in line["runs"] if run["isolate"]
    ]  # fmt: skip
    assert isolated == ["12 x 8 mm", "120/80 mmHg"]
    hidden = block("سليم \u202eabc\u202c", "ar")
    assert text_of(hidden) == strip_bidi_controls("سليم \u202eabc\u202c")
    names = [part["text"] for run in hidden["lines"][0]["runs"] for part in run["parts"] if part.get("control")]
    assert names == ["RLO", "PDF"]


def test_findings_are_highlighted_at_their_place_on_both_sides() -> None:
    english, arabic = rf.pair(5)
    joined = "\n".join(turn.text for turn in arabic.turns)
    start_at = joined.index("5 x 8 mm")
    rows = (
        FindingRow(check="numbers", turn=1, source=((12, 20),), english="E", arabic="ع"),
        FindingRow(check="side", translation=((start_at, start_at + 8),), english="only English"),
    )
    found = Found(("numbers", "side", "length"), msgspec.json.encode(rows).decode(), ("note",), 71.0)
    view = item_view(1, arabic, english, found, [], None)

    def marked(side: str) -> list[tuple[str, list[int]]]:
        return [
            (part["text"], part["marks"])
            for turn in view[side]["turns"] for line in turn["lines"] for run in line["runs"]
            for part in run["parts"] if part["marks"]
        ]  # fmt: skip

    assert "".join(text for text, _ in marked("original")) == english.turns[1].text[12:20]
    assert marked("translation") == [("5 x 8 mm", [2])]
    assert view["findings"][1]["text"] == {"en": "only English", "ar": "only English"}
    assert view["failed"] == ["numbers", "side", "length"]


def test_a_busy_port_is_told(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ReviewError) as caught:
            ReviewServer(rf.workspace(tmp_path, 1), {"amal": "reviewer"}, tmp_path, taken.getsockname()[1])
    assert caught.value.code == "port_taken"
    with Workspace(tmp_path / "ws", write=True):
        pass
