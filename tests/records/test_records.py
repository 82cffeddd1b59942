from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bimedix2.errors import RecordError
from bimedix2.records import (
    ImageRef,
    LlavaDefaults,
    Record,
    Step,
    Turn,
    missing_images,
    read_jsonl,
    read_llava,
    read_parquet,
    read_records,
    write_jsonl,
    write_llava,
    write_parquet,
    write_records,
)

DEFAULTS = LlavaDefaults(source="set", licence="CC0-1.0")


def record(name: str = "a", **changes: Any) -> Record:
    values: dict[str, Any] = {
        "id": name,
        "turns": (
            Turn(role="user", text="ماذا يظهر؟ CT", language="ar", images=(0,)),
            Turn(role="assistant", text="الرئة اليسرى", language="ar"),
        ),
        "images": (ImageRef(path="a.png", sha256="0" * 64, frame=2, window=(40.0, 400.0)),),
        "task": "vqa",
        "modality": "ct",
        "source": "set",
        "licence": "CC0-1.0",
        "parent": "p",
        "pair_id": "q",
        "split": "dev",
        "provenance": (Step(name="ingest", tool="t", version="1", date="2026-11", note="n"),),
    }
    return Record(**(values | changes))


@pytest.mark.parametrize(("suffix"), [".jsonl", ".parquet"])
def test_round_trip_keeps_every_field(tmp_path: Path, suffix: str) -> None:
    rows = [record(), record("b", images=(), turns=_text_only(), parent=None, provenance=())]
    path = tmp_path / f"records{suffix}"
    assert write_records(path, rows) == 2
    assert list(read_records(path)) == rows
    assert [item.name for item in tmp_path.iterdir()] == [path.name]


def _text_only() -> tuple[Turn, ...]:
    return (
        Turn(role="system", text="s", language="en"),
        Turn(role="user", text="u", language="en"),
        Turn(role="assistant", text="a", language="en"),
    )


text = st.text(st.characters(blacklist_categories=("Cs",)), min_size=1).filter(str.strip)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(text, text, st.sampled_from(["en", "ar"])), min_size=1, max_size=4))
def test_any_text_survives_both_formats(tmp_path: Path, exchanges: list[tuple[str, str, Any]]) -> None:
    turns: list[Turn] = []
    for question, answer, language in exchanges:
        turns += [
            Turn(role="user", text=question, language=language),
            Turn(role="assistant", text=answer, language=language),
        ]
    row = record(images=(), turns=tuple(turns))
    write_jsonl(tmp_path / "x.jsonl", [row])
    write_parquet(tmp_path / "x.parquet", [row])
    assert list(read_jsonl(tmp_path / "x.jsonl")) == list(read_parquet(tmp_path / "x.parquet")) == [row]


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        (("turns", 1, "language"), "fr", "turns[1].language"),
        (("turns", 0, "text"), 7, "turns[0].text"),
        (("turns", 1, "role"), "user", "turns[1].role"),
        (("turns", 1, "text"), " ", "turns[1].text"),
        (("turns", 0, "images"), [3], "turns[0].images"),
        (("turns", 0, "images"), [], "images[0]"),
        (("images", 0, "sha256"), "abc", "images[0].sha256"),
        (("images", 0, "window"), [40, 0], "images[0].window"),
        (("modality",), "xray2", "modality"),
        (("licence",), None, "licence"),
        (("id",), "", "id"),
        (("turns",), [], "turns"),
    ],
)
@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_errors_name_file_row_and_field(
    tmp_path: Path, path: tuple[Any, ...], value: Any, field: str, suffix: str
) -> None:
    rows = [
        msgspec.to_builtins(record("a")),
        msgspec.to_builtins(record("b")),
        msgspec.to_builtins(record("c")),
    ]
    target: Any = rows[1]
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = value
    file = tmp_path / f"bad{suffix}"
    if suffix == ".jsonl":
        file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    else:
        import pyarrow as pa
        import pyarrow.parquet as pq

        if isinstance(value, int):
            pytest.skip("Arrow columns are typed: a number cannot stand in a text column")
        from bimedix2.records.parquet import arrow_schema

        pq.write_table(pa.Table.from_pylist(rows, schema=arrow_schema()), file)
    with pytest.raises(RecordError) as caught:
        list(read_records(file))
    assert (caught.value.row, caught.value.field) == (2, field)
    assert file.name in str(caught.value)
    assert any(letter > "\u0600" for letter in caught.value.message_ar)
    errors: list[RecordError] = []
    kept = list(read_records(file, on_error=errors.append))
    assert [row.id for row in kept] == ["a", "c"]
    assert [error.row for error in errors] == [2]


def test_unknown_field_missing_field_and_bad_json(tmp_path: Path) -> None:
    good = msgspec.to_builtins(record())
    lines = [
        json.dumps(good | {"colour": 1}),
        json.dumps({key: value for key, value in good.items() if key != "licence"}),
        "{",
        "[" * 100_000,
        b"\xff\xfe".decode("latin-1"),
        json.dumps(good),
        "",
        json.dumps(good),
    ]
    path = tmp_path / "x.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + "\n".join(lines).encode())
    errors: list[RecordError] = []
    assert len(list(read_jsonl(path, on_error=errors.append))) == 1
    assert [error.row for error in errors] == [1, 2, 3, 4, 5, 8]
    assert errors[1].field == "licence"
    assert errors[5].field == "id"
    assert "row 6" in errors[5].message


def test_missing_and_foreign_files(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="does not exist"):
        list(read_jsonl(tmp_path / "none.jsonl"))
    (tmp_path / "x.parquet").write_text("no")
    with pytest.raises(RecordError, match="not a Parquet file"):
        list(read_parquet(tmp_path / "x.parquet"))
    with pytest.raises(RecordError, match=r"\.jsonl or \.parquet"):
        write_records(tmp_path / "x.csv", [])


def test_failed_write_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    write_jsonl(path, [record()])
    with pytest.raises(RecordError, match="row 2"):
        write_jsonl(path, [record("b"), record("c", turns=())])
    assert [row.id for row in read_jsonl(path)] == ["a"]
    assert [item.name for item in tmp_path.iterdir()] == ["x.jsonl"]


def test_missing_images(tmp_path: Path) -> None:
    assert missing_images(record(), tmp_path) == ["a.png"]
    (tmp_path / "a.png").touch()
    assert missing_images(record(), tmp_path) == []


LLAVA = [
    {
        "id": "1",
        "image": "x.jpg",
        "conversations": [
            {"from": "human", "value": "<image>\nWhat is it?"},
            {"from": "gpt", "value": "A <image> tag is text here"},
            {"from": "human", "value": "ماذا أيضا؟"},
            {"from": "gpt", "value": "لا شيء"},
        ],
    },
    {
        "id": 2,
        "image": ["a.jpg", "b.jpg"],
        "conversations": [
            {"from": "human", "value": "<image><image> Compare."},
            {"from": "gpt", "value": "Same"},
        ],
    },
    {"id": "3", "conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}]},
]


@pytest.mark.parametrize("lines", [False, True])
def test_llava_array_and_lines(tmp_path: Path, lines: bool) -> None:
    path = tmp_path / "data.json"
    path.write_text("\n".join(map(json.dumps, LLAVA)) if lines else json.dumps(LLAVA), encoding="utf-8")
    rows = list(read_llava(path, DEFAULTS))
    assert [row.id for row in rows] == ["1", "2", "3"]
    assert [turn.images for turn in rows[0].turns] == [(0,), (), (), ()]
    assert [turn.language for turn in rows[0].turns] == ["en", "en", "ar", "ar"]
    assert rows[0].turns[0].text == "What is it?"
    assert rows[0].turns[1].text == "A <image> tag is text here"
    assert rows[1].turns[0].images == (0, 1)
    assert next(iter(read_records(path))).source == "data"
    again = tmp_path / "again.jsonl"
    write_llava(again, rows)
    assert [row.turns for row in read_llava(again, DEFAULTS)] == [row.turns for row in rows]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"image": ["a.jpg", "b.jpg"]}, "conversations"),
        ({"image": 5}, "image"),
        ({"conversations": None}, "conversations"),
        ({"conversations": [{"from": "bot", "value": "x"}]}, "conversations[0].from"),
        ({"conversations": [{"from": "human"}]}, "conversations[0].value"),
    ],
)
def test_llava_faults(tmp_path: Path, change: dict[str, Any], field: str) -> None:
    path = tmp_path / "bad.json"
    path.write_text(json.dumps([LLAVA[2], LLAVA[0] | change]), encoding="utf-8")
    with pytest.raises(RecordError, match="row 2") as caught:
        list(read_llava(path, DEFAULTS))
    assert caught.value.field == field
    errors: list[RecordError] = []
    assert len(list(read_llava(path, DEFAULTS, on_error=errors.append))) == 1
