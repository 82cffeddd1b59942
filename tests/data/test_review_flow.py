"""Verdicts back into the data, the report, Argilla and Label Studio, and the commands in both languages."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from itertools import islice
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import msgspec
import pytest
import review_files as rf

from bimedix2.data.review.desk import Desk, Said
from bimedix2.data.review.errors import ReviewError
from bimedix2.data.review.exchange.common import as_text, pseudonym, turns_of
from bimedix2.data.review.exchange.files import REFUSED, take_answers, tool_of, write_tasks
from bimedix2.data.review.export import SIDES, export, side_file
from bimedix2.data.review.intake import Sources, start
from bimedix2.data.review.plan import Plan, Zero
from bimedix2.data.review.reasons import REASONS
from bimedix2.data.review.report import review_report
from bimedix2.data.review.store import Workspace
from bimedix2.data.review.summary import summary_lines
from bimedix2.data.sources import vqa_rad
from bimedix2.errors import ConfigError
from bimedix2.records import read_records, write_jsonl

EDIT = ("ما حجم الآفة؟", "يبلغ قياسها 9 x 8 mm في الصورة.\nالرئة اليسرى سليمة.")


def judge(desk: Desk, reviewer: str, number: int, action: str, **more: Any) -> None:
    said = {"item": rf.item_of(desk.workspace, number), "action": action, "key": f"{reviewer}{number}{action}", **more}
    desk.submit(reviewer, msgspec.convert(said, Said), origin="test", at="2026-01-02T03:04:05+00:00")


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def reviewed(tmp_path: Path) -> Workspace:
    """Two readers a row: 1 accepted, 2 edited alike, 3 rejected, 4 disputed, 5 read once, 6 unread."""
    folder = rf.workspace(tmp_path, 6, rf.TWO_READERS)
    with Workspace(folder, write=True) as store:
        desk = Desk(store, {"amal": "reviewer", "basim": "reviewer"})
        for name in ("amal", "basim"):
            judge(desk, name, 1, "accept")
            judge(desk, name, 2, "edit", reason="number", turns=EDIT)
        judge(desk, "amal", 3, "reject", reason="style", note="stiff")
        judge(desk, "basim", 3, "reject", reason="side")
        judge(desk, "amal", 4, "accept")
        judge(desk, "basim", 4, "reject", reason="negation")
        judge(desk, "amal", 5, "accept")
    return Workspace(folder)


def test_every_record_goes_to_exactly_one_file_with_its_provenance(reviewed: Workspace, tmp_path: Path) -> None:
    out = tmp_path / "out" / "reviewed.jsonl"
    counts = export(reviewed, out)
    assert counts == {"records": 8, "rejected": 1, "adjudicate": 1, "pending": 2, "retranslate": 0, "audit": 10}
    kept = {record.id: record for record in read_records(out)}
    before = {record.id: record for record in read_records(tmp_path / "set.jsonl")}
    aside = [row["id"] for name in SIDES[:-1] for row in lines(side_file(out, name))]
    assert sorted([*kept, *aside]) == sorted(before)
    assert all(kept[f"set:{n}:en"] == before[f"set:{n}:en"] for n in range(1, 7))  # originals are untouched
    accepted, edited = kept["set:1:ar"], kept["set:2:ar"]
    assert accepted.turns == before["set:1:ar"].turns
    assert tuple(turn.text for turn in edited.turns) == EDIT
    step = edited.provenance[-1]
    assert (step.name, step.tool, step.date) == ("review", "bimedix2", "2026-01-02")
    assert step.note == "edited by amal, basim; reason number; log 3,5"
    assert accepted.provenance[-1].note == "accepted by amal, basim; log 2,4"
    (rejected,) = lines(side_file(out, "rejected"))
    assert (rejected["id"], rejected["reasons"]) == ("set:3:ar", ["side", "style"])  # the graver reason first
    assert rejected["verdicts"][0]["note"] == "stiff"
    assert rejected["record"]["turns"][0]["text"] == before["set:3:ar"].turns[0].text
    (disputed,) = lines(side_file(out, "adjudicate"))
    assert [verdict["action"] for verdict in disputed["verdicts"]] == ["accept", "reject"]
    assert {row["id"]: row["state"] for row in lines(side_file(out, "pending"))} == {
        "set:5:ar": "waiting",
        "set:6:ar": "open",
    }
    first = out.read_bytes()
    export(reviewed, out)
    assert out.read_bytes() == first
    with pytest.raises(ConfigError):
        export(reviewed, tmp_path / "out.csv")


def test_lots_carry_their_unread_rows_along_or_send_them_back(tmp_path: Path) -> None:
    for verdict, on_fail, expected in (
        ("accept", "review_all", {"records": 60, "rejected": 0, "pending": 0, "retranslate": 0}),
        ("reject", "review_all", {"records": 30, "rejected": 14, "pending": 16, "retranslate": 0}),
        ("reject", "retranslate", {"records": 30, "rejected": 1, "pending": 0, "retranslate": 29}),
    ):
        folder = tmp_path / f"{verdict}-{on_fail}"
        folder.mkdir()
        workspace = rf.workspace(folder, 30, Plan(double=0.0, critical=Zero(at_most=0.2), on_fail=on_fail))
        with Workspace(workspace, write=True) as store:
            desk = Desk(store, {"amal": "reviewer"})
            for index in range(14):
                item = desk.next_item("amal")
                if item is not None:
                    reason = {"reason": "side"} if verdict == "reject" else {}
                    said = {"item": item, "action": verdict, "key": str(index), **reason}
                    desk.submit("amal", msgspec.convert(said, Said))
            counts = export(store, folder / "out.jsonl")
        assert {name: counts[name] for name in expected} == expected
        if verdict == "accept":
            notes = [record.provenance[-1].note for record in read_records(folder / "out.jsonl") if record.parent]
            assert sum(note.startswith("accepted by amal") for note in notes) == 14
            assert sum("lot passed: set/vqa/xray: with 95 % confidence at most 19.26 %" in note for note in notes) == 16


def test_the_report_states_confidence_agreement_and_what_failed(reviewed: Workspace) -> None:
    report = review_report(reviewed)
    (stratum,) = report["strata"]
    # Critical: row 2 (number), row 3 (side is the graver reason), and row 4, on which they differ: 3 of 4.
    assert (stratum["bounds"]["critical"]["n"], stratum["bounds"]["critical"]["defects"]) == (4, 3)
    assert stratum["state"] == "failed"
    scipy = pytest.importorskip("scipy.stats")
    upper = scipy.binomtest(3, 4, alternative="less").proportion_ci(0.95, method="exact").high
    assert stratum["bounds"]["critical"]["at_most"] == pytest.approx(upper)
    assert f"{100 * upper:.2f} %" in stratum["statement"]["en"]
    assert f"{100 * upper:.2f}%" in stratum["statement"]["ar"]
    assert "all of its 6 rows" in stratum["trigger"]["en"]
    # Pairs: aa, ee, rr, ar. By hand: observed 3/4; chance (2*1 + 1*1 + 1*2) / 16.
    agreement = report["agreement"]
    assert (agreement["items"], agreement["equal"]) == (4, 0.75)
    (pair,) = agreement["pairs"]
    assert pair["kappa"] == pytest.approx((3 / 4 - 5 / 16) / (1 - 5 / 16))
    # Of 8 ratings 3 accept, 2 edit, 3 reject: alpha = 1 - 7 * 2 / (64 - 22).
    assert agreement["alpha"] == pytest.approx(1 - 7 * 2 / 42)
    assert agreement["table"]["accept/reject"] == 1
    assert report["log"] == {"lines": 10, "broken_at": None}
    english, arabic = ("\n".join(summary_lines(report, language)) for language in ("en", "ar"))
    assert "Cohen’s kappa 0.636" in english
    assert "كابا كوهين 0.636" in arabic
    assert len(english.splitlines()) == len(arabic.splitlines())


def test_a_lot_without_a_fault_gets_the_known_statement_and_whole_lots_an_exact_one(tmp_path: Path) -> None:
    for count, expected in ((30, "with 95 % confidence at most 19.26 %"), (10, "all 10 rows were read; 0 (0.00 %)")):
        folder = tmp_path / str(count)
        folder.mkdir()
        workspace = rf.workspace(folder, count, rf.SMALL_LOT)
        with Workspace(workspace, write=True) as store:
            desk = Desk(store, {"amal": "reviewer"})
            while (item := desk.next_item("amal")) is not None:
                desk.submit("amal", Said(item=item, action="accept", key=str(item)))
            (stratum,) = review_report(store)["strata"]
        assert stratum["state"] == "passed"
        assert expected in stratum["statement"]["en"]


def test_the_report_says_how_often_a_check_was_right(tmp_path: Path) -> None:
    checks = tmp_path / "c.jsonl"
    checks.write_text("\n".join(json.dumps({"id": f"set:{n}:ar", "failed": ["numbers"]}) for n in (1, 2, 3)))
    start(tmp_path / "ws", Sources([rf.write_pairs(tmp_path, 4)], (), [checks]), rf.ONE_READER)
    with Workspace(tmp_path / "ws", write=True) as store:
        desk = Desk(store, {"amal": "reviewer"})
        judge(desk, "amal", 1, "reject", reason="number")
        judge(desk, "amal", 2, "accept")
        judge(desk, "amal", 4, "accept")
        flagged = review_report(store)["flagged"]
    assert flagged == {"items": 3, "read": 2, "faulty": 1, "checks": {"numbers": {"read": 2, "faulty": 1}}}


# Argilla and Label Studio


def argilla_row(number: int, **questions: str) -> dict[str, Any]:
    """A record as Argilla's to_json writes it after somebody answered."""
    user = "1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed"
    responses = {name: [{"value": value, "user_id": user}] for name, value in questions.items()}
    return {"id": f"set:{number}:ar", "fields": {"original": "x"}, "metadata": {}, "suggestions": {},
            "responses": responses, "vectors": {}, "status": "completed", "_server_id": "x"}  # fmt: skip


def label_studio_row(number: int, **questions: str) -> dict[str, Any]:
    """A task as Label Studio's JSON export writes it after somebody answered."""
    result = [
        {"id": name, "from_name": name, "to_name": "translation", "origin": "manual"}
        | (
            {"type": "textarea", "value": {"text": [value]}}
            if name in ("edit", "note")
            else {"type": "choices", "value": {"choices": [value]}}
        )
        for name, value in questions.items()
    ]
    annotation = {"id": 7, "completed_by": 3, "result": result, "was_cancelled": False, "ground_truth": False,
                  "created_at": "2026-01-02T03:04:05.000000Z", "lead_time": 12.5}  # fmt: skip
    cancelled = {"id": 8, "completed_by": 4, "result": [], "was_cancelled": True}
    return {"id": number, "data": {"record_id": f"set:{number}:ar"}, "annotations": [annotation, cancelled]}


ROWS = {"argilla": argilla_row, "label-studio": label_studio_row}


@pytest.mark.parametrize("tool", ["argilla", "label-studio"])
def test_answers_of_other_tools_become_verdicts_once(tmp_path: Path, tool: Any) -> None:
    folder = rf.workspace(tmp_path, 3)
    text = as_text(rf.pair(2)[1]).replace("2 x 8", "3 x 8")
    row = ROWS[tool]
    rows = [row(1, verdict="accept"), row(2, verdict="edit", reason="number", edit=text),
            row(3, verdict="reject", reason="other", note="why")]  # fmt: skip
    path = tmp_path / "answers.json"
    path.write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
    assert tool_of(path) == tool
    with Workspace(folder, write=True) as store:
        assert take_answers(store, path, tool)[:2] == (3, 0)
        assert take_answers(store, path, tool)[:2] == (0, 3)
        entries = store.entries()[1:]
        assert [(entry.action, entry.reason, entry.origin) for entry in entries] == [
            ("accept", "", tool), ("edit", "number", tool), ("reject", "other", tool),
        ]  # fmt: skip
        assert entries[1].turns is not None
        assert "3 x 8 mm" in entries[1].turns[1]
        assert re.fullmatch(rf"{tool}-[0-9a-f]{{8}}", entries[0].reviewer)
        assert "1b9d6bcd" not in entries[0].reviewer
        if tool == "label-studio":
            assert (entries[0].at, entries[0].seconds) == ("2026-01-02T03:04:05.000000Z", 12.5)
        counts = export(store, tmp_path / "out.jsonl")
    assert (counts["records"], counts["rejected"]) == (5, 1)


@pytest.mark.parametrize("tool", ["argilla", "label-studio"])
def test_bad_answers_are_named_by_file_row_and_field_and_the_others_count(tmp_path: Path, tool: Any) -> None:
    folder = rf.workspace(tmp_path, 9)
    row = ROWS[tool]
    good = as_text(rf.pair(6)[1])
    rows = [
        row(1, verdict="accept"),
        row(99, verdict="accept"),
        row(2, verdict="perhaps"),
        row(3, verdict="reject"),
        row(4, verdict="reject", reason="ugly"),
        row(5, verdict="edit", reason="side", edit="no marks"),
        row(6, verdict="edit", reason="side", edit=good),
        row(7, reason="side"),
        row(8, verdict="reject", reason="other"),
        {**row(9, verdict="accept"), "id": 5, "data": {}},
        row(9, verdict="accept"),
    ]
    place = "responses." if tool == "argilla" else "annotations[0].result."
    text = json.dumps(rows, ensure_ascii=False)
    path = tmp_path / "answers.json"
    path.write_text(text[:-1] + ', {"id": }]', encoding="utf-8")
    with Workspace(folder, write=True) as store:
        taken = take_answers(store, path, tool)
    assert taken.taken == 2
    no_id = "id" if tool == "argilla" else "data.record_id"
    no_verdict = "responses.verdict" if tool == "argilla" else "annotations[0].result"
    assert [(error.row, error.field) for error in taken.refused] == [
        (2, "id"), (3, f"{place}verdict"), (4, f"{place}reason"), (5, f"{place}reason"), (6, f"{place}edit"),
        (7, f"{place}edit"), (8, no_verdict), (9, f"{place}note"), (10, no_id), (12, "row"),
    ]  # fmt: skip
    assert all(str(path) in error.message and error.message != error.message_ar for error in taken.refused)
    assert len(lines(folder / REFUSED)) == 10


def test_tasks_for_argilla_are_what_its_own_library_reads(tmp_path: Path) -> None:
    folder = rf.workspace(tmp_path, 3)
    with Workspace(folder) as store:
        count, beside = write_tasks(store, tmp_path / "queue.json", "argilla")
    rows = json.loads((tmp_path / "queue.json").read_text(encoding="utf-8"))
    settings = json.loads(beside.read_text(encoding="utf-8"))
    assert count == len(rows) == 3
    assert {name for row in rows for name in row["fields"]} == {field["name"] for field in settings["fields"]}
    assert {name for row in rows for name in row["metadata"]} == {field["name"] for field in settings["metadata"]}
    reasons = settings["questions"][1]["settings"]["options"]
    assert [option["value"] for option in reasons] == list(REASONS)
    argilla = pytest.importorskip("argilla", reason="argilla is not installed")
    record = argilla.Record.from_dict(rows[0])
    assert record.to_dict()["fields"] == rows[0]["fields"]


def test_tasks_for_label_studio_fit_their_interface(tmp_path: Path) -> None:
    folder = rf.workspace(tmp_path, 3)
    with Workspace(folder) as store:
        count, beside = write_tasks(store, tmp_path / "queue.json", "label-studio")
    rows = json.loads((tmp_path / "queue.json").read_text(encoding="utf-8"))
    root = ElementTree.fromstring(beside.read_text(encoding="utf-8"))
    shown = {node.get("value", "")[1:] for node in root.iter("Text")}
    controls = {node.get("name") for tag in ("Choices", "TextArea") for node in root.iter(tag)}
    assert count == len(rows) == 3
    assert all(shown <= set(row["data"]) for row in rows)
    assert controls == {"verdict", "reason", "edit", "note"}
    assert {region["from_name"] for row in rows for region in row["predictions"][0]["result"]} <= controls
    sdk = pytest.importorskip("label_studio_sdk.label_interface", reason="label-studio-sdk is not installed")
    interface = sdk.LabelInterface(beside.read_text(encoding="utf-8"))
    assert all(interface.validate_prediction(row["predictions"][0]) for row in rows)


def test_a_conversation_survives_the_way_through_a_text_box() -> None:
    record = rf.pair(1)[1]
    assert turns_of(as_text(record), record) == tuple(turn.text for turn in record.turns)
    assert turns_of(as_text(record).replace("\n", "\r\n") + "\r\n", record) == tuple(turn.text for turn in record.turns)
    for broken in ("", "[[1 user]]\nx", as_text(record).replace("[[2", "[[3"), as_text(record) + "\n[[3 user]]\nx"):
        with pytest.raises(ReviewError):
            turns_of(broken, record)
    assert pseudonym("argilla", "a") != pseudonym("argilla", "b") != pseudonym("label-studio", "b")


def test_a_file_of_neither_tool_is_refused(tmp_path: Path) -> None:
    for content in ("[]", "", '[{"a": 1}]', "nonsense"):
        path = tmp_path / "x.json"
        path.write_text(content)
        with pytest.raises(ConfigError) as caught:
            tool_of(path)
        assert "--format" in caught.value.message
        assert "--format" in caught.value.message_ar


# The commands


def run(*arguments: str, language: str = "en") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bimedix2.cli", "data", "review", *arguments],
        capture_output=True, text=True, check=False, env={**os.environ, "BIMEDIX2_LANG": language},
    )  # fmt: skip


def test_the_commands_from_start_to_export_in_both_languages(tmp_path: Path) -> None:
    records, workspace = rf.write_pairs(tmp_path, 20), str(tmp_path / "ws")
    plan = tmp_path / "plan.yaml"
    plan.write_text("double: 0\ncritical: {at_most: 0.2}\nminor: {aql: 4}\n")
    started = run("start", workspace, "--records", str(records), "--plan", str(plan))
    assert started.returncode == 0, started.stderr
    assert "set/vqa/xray  (critical 14 minor 3)" in started.stdout
    assert "holds a review already" in run("start", workspace, "--records", str(records)).stderr
    assert "يحتوي" in run("start", workspace, "--records", str(records), language="ar").stderr
    assert "لا توجد مراجعة" in run("report", str(tmp_path / "none"), language="ar").stderr
    answers = tmp_path / "answers.json"
    answers.write_text(json.dumps([argilla_row(1, verdict="accept"), argilla_row(77, verdict="accept")]))
    imported = run("import", workspace, str(answers))
    assert imported.returncode == 1
    assert f"{answers}, row 2, field id" in imported.stderr
    assert "مرفوضة: 1" in run("import", workspace, str(answers), language="ar").stderr
    assert "audit log: 2 lines, chain intact" in run("report", workspace).stdout
    assert "سجل التدقيق سليم" in run("report", workspace, language="ar").stdout
    assert json.loads(run("report", workspace, "--json").stdout)["items"] == 20
    exported = run("export", workspace, "--out", str(tmp_path / "out.jsonl"))
    assert exported.returncode == 0, exported.stderr
    assert (tmp_path / "out.audit.jsonl").is_file()
    for tool in ("argilla", "label-studio"):
        assert run("export", workspace, "--out", str(tmp_path / f"{tool}.json"), "--format", tool).returncode == 0


def test_serve_prints_links_refuses_a_second_server_and_ends_with_ctrl_c(tmp_path: Path) -> None:
    folder = rf.workspace(tmp_path, 1)
    process = subprocess.Popen(
        [sys.executable, "-m", "bimedix2.cli", "data", "review", "serve", str(folder), "--reviewer", "amal",
         "--adjudicator", "dalia"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "BIMEDIX2_LANG": "ar"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    try:
        assert process.stdout is not None
        links = [process.stdout.readline().split() for _ in range(2)]
        assert [name for name, _ in links] == ["amal", "dalia"]
        assert all(link.startswith("http://127.0.0.1:") for _, link in links)
        second = run("serve", str(folder), language="en")
        assert second.returncode == 1
        assert "[workspace_busy]" in second.stderr
        assert str(process.pid) in second.stderr
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
        assert process.returncode == 0
        assert "كل الأحكام محفوظة" in errors
        assert "Traceback" not in errors
    finally:
        process.kill()
        process.wait()


def test_real_translations_can_be_queued(data_root: Path, tmp_path: Path) -> None:
    """VQA-RAD and its Arabic: every Arabic row finds its English original."""
    if not (data_root / "vqa_rad_ar").is_dir():
        pytest.skip(f"{data_root} has no vqa_rad_ar")
    records = list(islice(vqa_rad.records(data_root), 400))
    write_jsonl(tmp_path / "r.jsonl", records)
    started = start(tmp_path / "ws", Sources([tmp_path / "r.jsonl"]), Plan())
    present = {record.id for record in records}
    arabic = [record for record in records if any(turn.language == "ar" for turn in record.turns)]
    assert started.items == len(arabic) > 100
    assert {record.parent for record in arabic} <= present
