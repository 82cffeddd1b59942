"""``bimedix2 data check`` as a user runs it: bad rows, standard input, records, glossary, both languages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bimedix2.records import Record, Turn, write_jsonl


def record(id: str, texts: list[str], language: str, parent: str | None = None) -> Record:  # noqa: A002
    turns = tuple(
        Turn(role="user" if at % 2 == 0 else "assistant", text=text, language=language)  # type: ignore[arg-type]
        for at, text in enumerate(texts)
    )
    return Record(id=id, turns=turns, task="vqa", modality="xray", source="hand", licence="CC0-1.0", parent=parent)


ORIGINAL = record("r", ["Is there a left effusion?", "No."], "en")


LINES: list[Any] = [
    b"\xef\xbb\xbf"
    + json.dumps({"id": "1", "source": "Give 5 mg of the drug.", "translation": "أعط 50 ملغ من الدواء."}).encode(),
    b"not json",
    b'{"id": "2", "source": "x"}',
    b'{"id": "3", "source": 7, "translation": "x"}',
    b"[1, 2]",
    b"",
    b'{"id": "4", "source": "\xff\xfe", "translation": "x"}',
    json.dumps({"id": "1", "source": "Liver", "translation": "كبد"}).encode(),
    json.dumps({"id": "5", "source": "\ud800", "translation": "x"}).encode(),
    json.dumps({"id": 6, "source": "Liver", "translation": "كبد", "other": 1}).encode(),
]


def read(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_the_command_reports_bad_rows_and_goes_on(run, tmp_path: Path) -> None:
    path, kept = tmp_path / "pairs.jsonl", tmp_path / "bad.jsonl"
    path.write_bytes(b"\n".join(LINES))
    result = run("data", "check", "--pairs", str(path), "--json", "--quarantine", str(kept))
    assert result.returncode == 0, result.stderr
    rows = read(result.stdout)
    assert rows[0]["id"] == "1"
    assert "numbers" in rows[0]["failed"]  # other checks may doubt so short a pair too
    assert [(row["id"], row["failed"]) for row in rows[1:]] == [
        (None, ["malformed"]),
        ("2", ["malformed"]),
        ("3", ["malformed"]),
        (None, ["malformed"]),
        (None, ["malformed"]),
        ("1", ["malformed"]),
        ("5", ["malformed"]),
        ("6", []),
    ]
    assert all({"scores", "findings"} <= row.keys() for row in rows)
    bad = [row for row in rows if row["failed"] == ["malformed"]]
    assert [row["row"] for row in bad] == [2, 3, 4, 5, 7, 8, 9]
    assert all(row["error"] and row["error_ar"] for row in bad)
    assert [row["row"] for row in read(kept.read_text(encoding="utf-8"))] == [2, 3, 4, 5, 7, 8, 9]
    assert "2 checked, 1 failed (50.0%), 7 bad rows" in result.stderr


def test_the_command_reads_standard_input_and_reports_in_both_languages(run) -> None:
    line = json.dumps({"id": "1", "source": "No left effusion", "translation": "انصباب أيمن"}) + "\n"
    english = run("data", "check", "--pairs", "-", stdin=line, BIMEDIX2_LANG="en")
    assert english.returncode == 0
    assert "⟦No⟧ ⟦left⟧ effusion" in english.stdout
    assert "انصباب ⟦أيمن⟧" in english.stdout
    assert "'no' has no counterpart in Arabic." in english.stdout
    arabic = run("data", "check", "--pairs", "-", stdin=line, BIMEDIX2_LANG="ar")
    assert "النفي «no» بلا مقابل" in arabic.stdout
    assert "الأصل" in arabic.stdout


def test_the_command_checks_records_against_their_originals(run, tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    translated = record("r-ar", ["هل يوجد انصباب أيمن؟", "لا."], "ar", "r")
    orphan = record("o-ar", ["هل يوجد انصباب أيسر؟", "لا."], "ar", "gone")
    rewritten = record("r-2", ["Is there an effusion on the left?", "No, there is none."], "en", "r")
    write_jsonl(path, [ORIGINAL, translated, orphan, rewritten])
    result = run("data", "check", "--records", str(path), "--json")
    rows = read(result.stdout)
    assert [(row["id"], row["failed"]) for row in rows] == [("r-ar", ["laterality"]), ("o-ar", ["malformed"])]
    assert "'gone'" in rows[1]["error"]
    assert "'gone'" in rows[1]["error_ar"]


def test_the_command_uses_a_glossary(run, tmp_path: Path) -> None:
    glossary = tmp_path / "g.tsv"
    glossary.write_text("english\tarabic\neffusion\tانصباب\n", encoding="utf-8")
    line = json.dumps({"id": "1", "source": "A pleural effusion", "translation": "سائل جنبي"}) + "\n"
    result = run("data", "check", "--pairs", "-", "--json", "--glossary", str(glossary), stdin=line)
    assert "glossary" in read(result.stdout)[0]["failed"]


def test_wrong_options_are_refused(run, tmp_path: Path) -> None:
    for options in (
        ["--pairs", str(tmp_path / "none.jsonl")],
        [],
        ["--pairs", "-", "--direction", "fr-ar"],
        ["--pairs", "-", "--min", "labse"],
        ["--pairs", "-", "--scorer", "no.such.module:x"],
    ):
        result = run("data", "check", *options)
        assert (result.returncode, "[bad_config]" in result.stderr) == (2, True), options
        assert "Traceback" not in result.stderr
