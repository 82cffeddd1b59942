"""Translations find their originals wherever these stand, and memory does not grow with the file."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from bimedix2.cli.app import app
from bimedix2.data.check.originals import with_originals
from bimedix2.data.check.rows import BadRow
from bimedix2.records import Record, Turn, write_jsonl, write_parquet
from bimedix2.records.schema import Language


def record(name: str, language: Language, text: str, parent: str | None = None) -> Record:
    turns = tuple(Turn(role=role, text=text, language=language) for role in ("user", "assistant"))  # type: ignore[arg-type]
    return Record(
        id=name, turns=turns, images=(), task="qa", modality="text", source="test", licence="CC0-1.0", parent=parent
    )


RECORDS = [
    record("t1", "ar", "كتلة 12 mm", "o1"),  # before its original
    record("o1", "en", "A mass of 12 mm"),
    record("t2", "ar", "كتلة", "nowhere"),
    record("rewritten", "en", "The mass measures 12 mm", "o1"),  # the same language: no translation
    record("o2", "ar", "الرئة اليسرى"),
    record("t3", "en", "The right lung", "o2"),
]


def found(path: Path) -> list[tuple[str, ...]]:
    return [
        (f"row {one.number}", one.english) if isinstance(one, BadRow) else (one[0].id, one[1].id)
        for one in with_originals(path)
    ]


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_pairs_in_both_directions_and_what_is_left(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"records.{kind}"
    (write_jsonl if kind == "jsonl" else write_parquet)(path, RECORDS)
    assert found(path) == [
        ("o1", "t1"),
        ("row 3", "the original 'nowhere' of 't2' is not in the file"),
        ("o2", "t3"),
    ]


def test_bad_rows_stand_where_they_are_and_rows_are_numbered_with_them(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    lines = [msgspec.json.encode(one) for one in RECORDS]
    path.write_bytes(b"\n".join([b'{"id": "half', *lines[:2], b"[]", *lines[2:], b"{}"]) + b"\n")
    rows = [one[0] for one in found(path)]
    assert rows == ["row 1", "o1", "row 4", "row 5", "o2", "row 9"]


def test_a_repeated_id_is_a_bad_row_and_the_first_one_counts(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    write_jsonl(path, [record("o1", "en", "left"), record("t1", "ar", "يسار", "o1"), record("t1", "ar", "يمين", "o1")])
    assert found(path) == [("o1", "t1"), ("row 3", "id 't1' came before")]


def test_the_command_finds_the_wrong_side(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "records.jsonl", RECORDS)
    command = ["data", "check", "--records", str(tmp_path / "records.jsonl"), "--json", "--no-encoder"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    rows = [msgspec.json.decode(line) for line in done.stdout.splitlines() if line.startswith("{")]
    failed = {row["id"]: row["failed"] for row in rows}
    assert failed["t1"] == []
    assert failed["t2"] == ["malformed"]
    assert "laterality" in failed["t3"]
    assert "ليس في الملف" in rows[1]["error_ar"]


def test_memory_does_not_grow_with_the_number_of_records(tmp_path: Path) -> None:
    def many(count: int) -> Iterator[Record]:
        for number in range(count):
            yield record(f"t{number}", "ar", f"كتلة {number} mm " * 20, f"o{number}")
            yield record(f"o{number}", "en", f"A mass of {number} mm " * 20)

    def peak(count: int) -> int:
        path = tmp_path / f"{count}.jsonl"
        write_jsonl(path, many(count))
        tracemalloc.start()
        try:
            assert sum(1 for _ in with_originals(path)) == count
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(50)  # what is imported and cached once
    small, large = peak(300), peak(3000)
    # The texts of 3,000 originals would take 2.7 MB more than those of 300.
    assert large - small < 100_000, (small, large)
