"""The workspace: what start reads, the append-only log, blind double reading, lots, and that nothing is lost."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
import review_files as rf

from bimedix2.data.review.desk import Desk, Said
from bimedix2.data.review.entry import Entry
from bimedix2.data.review.errors import ReviewError, WorkspaceBusyError
from bimedix2.data.review.intake import QUARANTINE, Sources, start
from bimedix2.data.review.plan import Plan, Zero
from bimedix2.data.review.server import ReviewServer
from bimedix2.data.review.store import DATABASE, Workspace
from bimedix2.errors import RecordError
from bimedix2.records import read_records, write_jsonl


def say(desk: Desk, reviewer: str, number: int, action: str, **more: object) -> Entry:
    """A verdict on the pair with a number, whoever has it."""
    item = rf.item_of(desk.workspace, number)
    key = more.pop("key", f"{reviewer}-{item}-{time.monotonic_ns()}")
    said = msgspec.convert({"item": item, "action": action, "key": key, **more}, Said)
    return desk.submit(reviewer, said, origin="test")


def open_desk(folder: Path, *reviewers: str, **others: str) -> Desk:
    roles = {**dict.fromkeys(reviewers, "reviewer"), **others}
    return Desk(Workspace(folder, write=True), roles)  # type: ignore[arg-type]


EDIT = ("ما حجم الآفة؟", "يبلغ قياسها 9 x 8 mm في الصورة.\nالرئة اليسرى سليمة.")


def test_start_pairs_translations_with_their_originals_and_stays_out_of_its_own_way(tmp_path: Path) -> None:
    english, arabic = rf.pair(1)
    by_pair = [msgspec.structs.replace(r, id=r.id + "x", parent=None, pair_id="p1") for r in (arabic, english)]
    alone = msgspec.structs.replace(english, id="alone")
    write_jsonl(tmp_path / "a.jsonl", [english, *by_pair, alone])
    write_jsonl(tmp_path / "b.jsonl", [arabic, english])  # the same record in two files is one
    started = start(tmp_path / "ws", Sources([tmp_path / "a.jsonl", tmp_path / "b.jsonl"]), rf.ONE_READER)
    assert (started.records, started.items, started.refused) == (5, 2, 0)
    with Workspace(tmp_path / "ws") as store:
        pairs = {record.id: original and original.id for record, original in map(store.pair, (1, 2))}
    assert pairs == {"set:1:ar": "set:1:en", "set:1:arx": "set:1:enx"}
    with pytest.raises(ReviewError) as caught:
        start(tmp_path / "ws", Sources([tmp_path / "a.jsonl"]), rf.ONE_READER)
    assert caught.value.code == "already_started"
    whole = start(tmp_path / "all", Sources([tmp_path / "a.jsonl", tmp_path / "b.jsonl"]), rf.ONE_READER, unpaired=True)
    assert whole.items == 3


def test_bad_rows_are_quarantined_by_file_row_and_field_and_cost_nothing_else(tmp_path: Path) -> None:
    records = rf.write_pairs(tmp_path, 2)
    lines = records.read_text(encoding="utf-8").splitlines()
    records.write_text(
        "\n".join([lines[0], "{not json", lines[1], '{"id": "x"}', lines[2], lines[3]]), encoding="utf-8"
    )
    checks = tmp_path / "checks.jsonl"
    rows = [
        {"id": "set:1:ar", "failed": ["numbers"], "findings": [rf.finding()]},
        {"id": "nobody", "failed": []},
        {"id": "set:2:ar", "failed": ["numbers"], "findings": [rf.finding(translation=[[5, 900]])]},
        {"id": "set:2:ar", "failed": "numbers"},
        {"id": "set:2:ar", "findings": [rf.finding(turn=7)]},
    ]
    checks.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    changed = msgspec.structs.replace(rf.pair(1)[1], source="changed")
    queue = tmp_path / "review.jsonl"
    queue.write_bytes(msgspec.json.encode({"record": changed, "reason": "audit"}))
    started = start(tmp_path / "ws", Sources([records], [queue], [checks]), rf.ONE_READER)
    assert (started.items, started.refused) == (2, 7)
    left_out = [json.loads(line) for line in (tmp_path / "ws" / QUARANTINE).read_text(encoding="utf-8").splitlines()]
    assert [(Path(row["file"]).name, row["row"], row["field"]) for row in left_out] == [
        ("set.jsonl", 2, "row"),
        ("set.jsonl", 4, "turns"),
        ("review.jsonl", 1, "id"),
        ("checks.jsonl", 2, "id"),
        ("checks.jsonl", 3, "findings[0].translation[0]"),
        ("checks.jsonl", 4, "failed"),
        ("checks.jsonl", 5, "findings[0].turn"),
    ]
    assert all(row["en"] and row["ar"] for row in left_out)


def test_nothing_to_review_and_missing_files_say_what_to_do_in_both_languages(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "en.jsonl", [rf.pair(1)[0]])
    with pytest.raises(ReviewError, match="--unpaired") as caught:
        start(tmp_path / "ws", Sources([tmp_path / "en.jsonl"]), rf.ONE_READER)
    assert "--unpaired" in caught.value.message_ar
    with pytest.raises(RecordError, match=r"missing\.jsonl"):
        start(tmp_path / "ws", Sources([tmp_path / "missing.jsonl"]), rf.ONE_READER)
    with pytest.raises(ReviewError, match="start"):
        Desk(Workspace(tmp_path / "ws", write=True), {})  # a start that failed left no half a queue
    with pytest.raises(ReviewError, match="review start") as caught:
        Workspace(tmp_path / "nowhere")
    assert "review start" in caught.value.message_ar
    start(tmp_path / "ws2", Sources([rf.write_pairs(tmp_path, 1)]), rf.ONE_READER)


def test_the_log_refuses_every_change_and_shows_tampering(tmp_path: Path) -> None:
    desk = open_desk(rf.workspace(tmp_path, 2), "amal")
    say(desk, "amal", 1, "accept")
    say(desk, "amal", 2, "reject", reason="side")
    desk.workspace.close()
    database = sqlite3.connect(tmp_path / "ws" / DATABASE)
    for sql in (
        "UPDATE log SET action = 'accept'",
        "DELETE FROM log",
        "INSERT OR REPLACE INTO log SELECT * FROM log WHERE seq = 3",
        "INSERT OR REPLACE INTO log SELECT 9, at, reviewer, role, 'accept', item, reason, note, turns, seconds, "
        "undoes, origin, key, previous, hash FROM log WHERE seq = 3",
        "UPDATE records SET body = ''",
        "DELETE FROM items",
    ):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            database.execute(sql)
    database.rollback()
    with Workspace(tmp_path / "ws") as store:
        assert store.broken_at() is None
        assert [entry.action for entry in store.entries()] == ["start", "accept", "reject"]
    database.executescript("DROP TRIGGER log_update; UPDATE log SET action = 'accept' WHERE seq = 3;")
    database.close()
    with Workspace(tmp_path / "ws") as store:
        assert store.broken_at() == 3


def test_two_edits_by_one_reviewer_are_both_kept_and_the_newer_counts(tmp_path: Path) -> None:
    desk = open_desk(rf.workspace(tmp_path, 1), "amal")
    other = (EDIT[0], "جواب آخر")
    say(desk, "amal", 1, "edit", reason="style", turns=EDIT)
    say(desk, "amal", 1, "edit", reason="number", turns=other)
    edits = [entry for entry in desk.workspace.entries() if entry.action == "edit"]
    assert [entry.turns for entry in edits] == [EDIT, other]
    final = desk.board.final(desk.board.queue()[0])
    assert (final.state, final.deciding.turns, final.deciding.reason) == ("edit", other, "number")
    desk.undo("amal", "u1")
    assert desk.board.final(desk.board.queue()[0]).deciding.turns == EDIT
    assert len(desk.workspace.entries()) == 4  # an undo is a line of its own
    assert desk.board.final(desk.board.queue()[0]) == Desk(desk.workspace, {}).board.final(desk.board.queue()[0])


def test_a_verdict_sent_twice_is_one_and_an_incomplete_one_is_refused_in_both_languages(tmp_path: Path) -> None:
    desk = open_desk(rf.workspace(tmp_path, 1), "amal", "basim")
    first = say(desk, "amal", 1, "accept", key="k")
    assert say(desk, "amal", 1, "accept", key="k") == first
    assert len(desk.board.judged(1)) == 1
    for code, verdict in {
        "key_used": {"action": "reject", "reason": "side", "key": "k"},
        "no_reason": {"action": "reject"},
        "no_note": {"action": "edit", "reason": "other", "turns": EDIT},
        "bad_turns": {"action": "edit", "reason": "side", "turns": EDIT[:1]},
        "bad_edit": {"action": "edit", "reason": "side", "turns": (EDIT[0], "  ")},
        "no_change": {"action": "edit", "reason": "side", "turns": tuple(t.text for t in rf.pair(1)[1].turns)},
        "bad_action": {"action": "undo"},
        "bad_text": {"action": "accept", "note": "\ud800"},
    }.items():
        said = Said(item=1, **{"key": "new", **verdict})  # type: ignore[arg-type]
        with pytest.raises(ReviewError) as caught:
            desk.submit("amal", said, origin="test")
        assert caught.value.code == code
        assert caught.value.message != caught.value.message_ar
    with pytest.raises(ReviewError) as caught:
        desk.submit("basim", Said(item=1, action="accept", key="b"))  # on the page only one's own item
    assert caught.value.code == "not_yours"
    assert len(desk.workspace.entries()) == 2


def test_two_blind_readers_then_a_third_who_decides(tmp_path: Path) -> None:
    desk = open_desk(rf.workspace(tmp_path, 3, rf.TWO_READERS), "amal", "basim", "chadi", dalia="adjudicator")
    assert desk.next_item("dalia") is None
    say(desk, "amal", 1, "accept")
    say(desk, "basim", 1, "reject", reason="negation")
    say(desk, "amal", 2, "accept")
    say(desk, "basim", 2, "accept")
    say(desk, "amal", 3, "accept")
    states = {n: desk.board.final(desk.workspace.row(rf.item_of(desk.workspace, n))).state for n in (1, 2, 3)}
    assert states == {1: "disputed", 2: "accept", 3: "waiting"}
    assert desk.others("basim", 1) == []  # a reader never sees what others said
    item = desk.next_item("dalia")
    assert item == rf.item_of(desk.workspace, 1)
    assert sorted(entry.action for entry in desk.others("dalia", item)) == ["accept", "reject"]
    assert desk.next_item("chadi") == rf.item_of(desk.workspace, 3)  # the others were read by two
    desk.submit("dalia", Said(item=item, action="reject", key="d", reason="side"))
    final = desk.board.final(desk.workspace.row(item))
    assert (final.state, final.deciding.reason) == ("reject", "side")
    assert desk.next_item("dalia") is None


def test_readers_at_the_same_time_get_different_items_and_lose_none(tmp_path: Path) -> None:
    names = [f"r{number}" for number in range(6)]
    desk = open_desk(rf.workspace(tmp_path, 60), *names)

    def work(name: str) -> list[int]:
        done = []
        while (item := desk.next_item(name)) is not None:
            desk.submit(name, Said(item=item, action="accept", key=f"{name}-{item}"))
            done.append(item)
        return done

    with ThreadPoolExecutor(6) as pool:
        done = [item for items in pool.map(work, names) for item in items]
    assert sorted(done) == list(range(1, 61))  # each read once, by one
    assert desk.progress("r0").decided == 60
    assert desk.workspace.broken_at() is None
    assert len(desk.workspace.entries()) == 61


def test_an_item_that_one_cannot_judge_goes_to_another(tmp_path: Path) -> None:
    desk = open_desk(rf.workspace(tmp_path, 1), "amal", "basim")
    item = desk.next_item("amal")
    assert item is not None
    assert desk.next_item("basim") is None  # it is on the other's screen
    desk.submit("amal", Said(item=item, action="skip", key="s", note="no knowledge of it"))
    assert desk.next_item("amal") is None
    assert desk.next_item("basim") == item


def test_a_failed_lot_is_read_whole_or_translated_anew(tmp_path: Path) -> None:
    zero = Zero(at_most=0.2)  # n = 14
    for on_fail, left in (("review_all", 40), ("retranslate", 0)):
        folder = tmp_path / on_fail
        folder.mkdir()
        desk = open_desk(rf.workspace(folder, 40, Plan(double=0.0, critical=zero, on_fail=on_fail)), "amal")
        assert len(desk.board.queue()) == 14
        for index in range(14):
            item = desk.next_item("amal")
            assert item is not None
            verdict = Said(item=item, action="reject", reason="style", key=str(index))
            if index == 13:
                verdict = msgspec.structs.replace(verdict, reason="number")
            desk.submit("amal", verdict)
        assert desk.board.lots["set/vqa/xray"].state == "failed"
        assert len(desk.board.queue()) == left
        desk.undo("amal", "u")  # a slip of the finger must not cost a lot
        assert desk.board.lots["set/vqa/xray"].state == "open"
        assert len(desk.board.queue()) == 14
        desk.workspace.close()


def test_a_double_plan_draws_its_second_sample_only_when_it_must(tmp_path: Path) -> None:
    desk = open_desk(rf.workspace(tmp_path, 30, rf.DOUBLE_PLAN), "amal")
    for index in range(8):
        assert len(desk.board.queue()) == (4 if index < 4 else 8)
        item = desk.next_item("amal")
        assert item is not None
        action = {"action": "reject", "reason": "side"} if index == 0 else {"action": "accept"}
        desk.submit("amal", msgspec.convert({"item": item, "key": str(index), **action}, Said))
    lot = desk.board.lots["set/vqa/xray"]
    assert (lot.state, len(lot.rows)) == ("passed", 8)


def test_the_random_order_depends_on_the_seed_and_flagged_rows_are_apart(tmp_path: Path) -> None:
    queues = []
    checks = tmp_path / "checks.jsonl"
    checks.write_text("\n".join(json.dumps({"id": f"set:{n}:ar", "failed": ["numbers"]}) for n in range(1, 41)))
    for name, plan in (
        ("a", Plan(double=0.3, critical=Zero(at_most=0.2), flagged=0.0)),
        ("b", Plan(double=0.3, critical=Zero(at_most=0.2), flagged=0.0)),
        ("c", Plan(double=0.3, critical=Zero(at_most=0.2), flagged=0.0, seed=1)),
        ("d", Plan(double=0.3, critical=Zero(at_most=0.2), flagged=1.0)),
    ):
        start(tmp_path / name, Sources([rf.write_pairs(tmp_path, 60)], (), [checks]), plan)
        with Workspace(tmp_path / name) as store:
            desk = Desk(store, {"amal": "reviewer"})
            queues.append([row.number for row in desk.board.queue()])
            assert len(desk.board.lots["set/vqa/xray"].rows) == 14
    assert queues[0] == queues[1] != queues[2]
    assert queues[0] != sorted(queues[0])
    assert set(queues[0]) <= set(queues[3]) >= set(range(1, 41))


def test_a_second_server_is_refused_clearly_while_reading_goes_on(tmp_path: Path) -> None:
    folder = rf.workspace(tmp_path, 1)
    with ReviewServer(folder, {"amal": "reviewer"}, tmp_path):
        with pytest.raises(WorkspaceBusyError) as caught:
            ReviewServer(folder, {"basim": "reviewer"}, tmp_path)
        assert "another process" in caught.value.message
        assert "عملية أخرى" in caught.value.message_ar
        with Workspace(folder) as store:
            assert len(store.entries()) == 1
    with ReviewServer(folder, {"basim": "reviewer"}, tmp_path):
        pass


_KILLED = """
import sys
from pathlib import Path
from bimedix2.data.review.server import ReviewServer
server = ReviewServer(Path(sys.argv[1]), {"amal": "reviewer"}, Path(sys.argv[1]))
print(server.links()["amal"], flush=True)
server.run()
"""


def test_kill_9_between_verdicts_loses_nothing(tmp_path: Path) -> None:
    """Five servers in a row are killed right after an answer; the last request of each is sent again with its key."""
    folder = rf.workspace(tmp_path, 40)
    answered: list[str] = []
    for life in range(5):
        process = subprocess.Popen([sys.executable, "-c", _KILLED, str(folder)], stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            link = process.stdout.readline().strip()
            reader = _reader(link)
            if answered:  # the client does not know whether its last verdict arrived
                item, key = answered[-1].split("|")
                assert "seq" in reader.say(int(item), "accept", key)
            for index in range(3):
                item = reader.next()
                key = f"{life}-{index}"
                assert "seq" in reader.say(item["number"], "accept", key)
                answered.append(f"{item['number']}|{key}")
        finally:
            process.kill()
            process.wait()
            process.stdout.close()  # type: ignore[union-attr]
    with Workspace(folder) as store:
        kept = [f"{entry.item}|{entry.key}" for entry in store.entries() if entry.action == "accept"]
        assert kept == answered
        assert len({answer.partition("|")[0] for answer in kept}) == 15
        assert store.broken_at() is None


def _reader(link: str) -> rf.Reader:
    from types import SimpleNamespace
    from urllib.parse import urlsplit

    return rf.Reader(SimpleNamespace(port=urlsplit(link).port, links=lambda: {"amal": link}), "amal")  # type: ignore[arg-type]


def test_kill_9_while_starting_leaves_nothing_half_done(tmp_path: Path) -> None:
    records = rf.write_pairs(tmp_path, 4000)
    code = (
        "import sys; from pathlib import Path; from bimedix2.data.review.intake import Sources, start; "
        "from bimedix2.data.review.plan import Plan; print('go', flush=True); "
        "start(Path(sys.argv[1]), Sources([Path(sys.argv[2])]), Plan())"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "ws"), str(records)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(0.1)
    process.kill()
    process.wait()
    process.stdout.close()
    if not (tmp_path / "ws" / DATABASE).is_file() or not _ready(tmp_path / "ws"):
        start(tmp_path / "ws", Sources([records]), Plan())
    with Workspace(tmp_path / "ws") as store:
        assert store.select("SELECT count(*) FROM records")[0][0] == sum(1 for _ in read_records(records)) == 8000
        assert store.select("SELECT count(*) FROM items")[0][0] == 4000
        assert [entry.action for entry in store.entries()] == ["start"]


def _ready(folder: Path) -> bool:
    with Workspace(folder) as store:
        return store.ready
