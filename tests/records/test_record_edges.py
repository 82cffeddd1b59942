"""Rows that are damaged, hostile or ambiguous: none is misread, and none takes another row with it."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bimedix2.errors import RecordError
from bimedix2.records import (
    ImageRef,
    LlavaDefaults,
    Record,
    Turn,
    read_jsonl,
    read_llava,
    read_parquet,
    read_records,
    write_jsonl,
    write_llava,
    write_parquet,
)
from bimedix2.records._json_array import array_elements

DEFAULTS = LlavaDefaults(source="set", licence="CC0-1.0")
ASKED = [{"from": "human", "value": "<image>\nما هذا؟"}, {"from": "gpt", "value": "ورم"}]


def record(name: str = "a", **changes: Any) -> Record:
    turns = (
        Turn(role="user", text="ما هذا؟", language="ar", images=(0,)),
        Turn(role="assistant", text="ورم", language="ar"),
    )
    values: dict[str, Any] = {"id": name, "turns": turns, "images": (ImageRef(path="a.png"),)}
    values |= {"task": "vqa", "modality": "ct", "source": "set", "licence": "CC0-1.0"}
    return Record(**(values | changes))


def with_turn(**changes: Any) -> Record:
    values: dict[str, Any] = {"role": "user", "text": "x", "language": "en", "images": (0,)}
    return record(turns=(Turn(**(values | changes)), record().turns[1]))


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        (record(images=(ImageRef(path="a", window=(float("nan"), 1.0)),)), "images[0].window"),
        (record(images=(ImageRef(path="a", window=(1.0, float("inf"))),)), "images[0].window"),
        (record(images=(ImageRef(path="a", frame=2**70),)), "images[0].frame"),
        (record(images=(ImageRef(path="a", frame=-1),)), "images[0].frame"),
        (with_turn(language="fr"), "turns[0].language"),
        (with_turn(images=(0, 0)), "turns[0].images"),
        (record(id=5), "id"),
        (record(source="\ud800"), "row"),
    ],
)
@pytest.mark.parametrize("write", [write_jsonl, write_parquet, write_llava])
def test_nothing_is_written_that_could_not_be_read(tmp_path: Path, bad: Record, field: str, write: Any) -> None:
    with pytest.raises(RecordError) as caught:
        write(tmp_path / "x", [record("good"), bad])
    assert (caught.value.row, caught.value.field) == (2, field)
    assert list(tmp_path.iterdir()) == []


def test_bad_bytes_cost_one_line(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    write_jsonl(path, [record("a"), record("b"), record("c")])
    lines = path.read_bytes().splitlines()
    path.write_bytes(b"\r\n".join([lines[0], b"", lines[1].replace("ورم".encode(), b"\xd9"), lines[2]]))
    errors: list[RecordError] = []
    assert [row.id for row in read_jsonl(path, on_error=errors.append)] == ["a", "c"]
    assert [error.row for error in errors] == [3]


def test_an_empty_file_has_no_rows(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").touch()
    assert list(read_records(tmp_path / "x.jsonl")) == []
    assert list(read_llava(tmp_path / "x.jsonl", DEFAULTS)) == []


def test_damaged_parquet_pages_cost_their_row_group(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    path = tmp_path / "x.parquet"
    write_parquet(path, (record(f"id-{number}") for number in range(3000)))
    metadata = pq.ParquetFile(path).metadata
    sizes = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
    assert len(sizes) == 3
    column = metadata.row_group(1).column(0)
    begin = column.dictionary_page_offset or column.data_page_offset
    content = bytearray(path.read_bytes())
    content[begin : begin + column.total_compressed_size] = b"\xff" * column.total_compressed_size
    path.write_bytes(content)
    errors: list[RecordError] = []
    kept = [row.id for row in read_parquet(path, on_error=errors.append)]
    assert kept == [f"id-{number}" for number in range(3000) if not sizes[0] <= number < sizes[0] + sizes[1]]
    assert [error.row for error in errors] == [sizes[0] + 1]


def test_bad_text_in_parquet_costs_one_row(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    path = tmp_path / "x.parquet"
    write_parquet(path, [record("a"), record("b"), record("c")])
    table = pq.read_table(path)
    import pyarrow as pa

    sources = pa.array([b"set", b"\xff", b"set"]).view(pa.string())
    column = table.schema.get_field_index("source")
    pq.write_table(table.set_column(column, "source", sources), path)
    errors: list[RecordError] = []
    assert [row.id for row in read_parquet(path, on_error=errors.append)] == ["a", "c"]
    assert [error.row for error in errors] == [2]


def llava(tmp_path: Path, content: object, **defaults: Any) -> tuple[list[Record], list[RecordError]]:
    path = tmp_path / "x.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    errors: list[RecordError] = []
    rows = read_llava(path, LlavaDefaults("set", "CC0-1.0", **defaults), on_error=errors.append)
    return list(rows), errors


def test_a_malformed_element_costs_no_other(tmp_path: Path) -> None:
    good = json.dumps({"image": "a", "conversations": ASKED})
    rows, errors = llava(tmp_path, f'\n [{good}, {{"id": tru}}, {good}, "]", [1, {{}}], {good}\n] ')
    assert [row.id for row in rows] == ["set-1", "set-3", "set-6"]
    assert [error.row for error in errors] == [2, 4, 5]


@pytest.mark.parametrize(("ending", "row"), [("", 2), (', {"id": "b', 2), ("] x", 2), (", {}}", 2)])
def test_a_cut_off_array_is_reported(tmp_path: Path, ending: str, row: int) -> None:
    rows, errors = llava(tmp_path, "[" + json.dumps({"id": "a", "image": "a", "conversations": ASKED}) + ending)
    assert [row.id for row in rows] == ["a"]
    assert errors[0].row == row


def test_repeated_ids_can_be_numbered(tmp_path: Path) -> None:
    content = [{"id": "same", "image": "a", "conversations": ASKED}] * 2
    rows, errors = llava(tmp_path, content)
    assert (len(rows), errors[0].field) == (1, "id")
    rows, errors = llava(tmp_path, content, number_ids=True)
    assert [(row.id, row.source_id) for row in rows] == [("set-1", "same"), ("set-2", "same")]
    assert not errors


def test_images_without_placeholder_go_to_the_first_user_turn(tmp_path: Path) -> None:
    said = [{"from": "system", "value": "s"}, {"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]
    (row,), _ = llava(tmp_path, [{"id": "1", "image": ["a", "b"], "conversations": said}])
    assert [turn.images for turn in row.turns] == [(), (0, 1), ()]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("<image>\nWhat is it?", "What is it?"),
        ("What is it?\n<image>", "What is it?"),
        ("Compare <image> with <image>.", "Compare image 1 with image 2."),
        ("قارن <image> مع <image>", "قارن الصورة 1 مع الصورة 2"),
        ("<image>", ""),
    ],
)
def test_placeholders_inside_a_sentence_keep_their_sense(tmp_path: Path, value: str, text: str) -> None:
    said = [{"from": "human", "value": value}, {"from": "gpt", "value": "a"}]
    (row,), errors = llava(tmp_path, [{"id": "1", "image": ["a", "b"][: value.count("<")], "conversations": said}])
    assert not errors
    assert row.turns[0].text == text
    assert row.turns[0].images == tuple(range(value.count("<")))


def test_faults_name_the_field_of_the_file(tmp_path: Path) -> None:
    said = [{"from": "human", "value": "q"}, {"from": "gpt", "value": " "}]
    _, (error,) = llava(tmp_path, [{"id": "1", "conversations": said}])
    assert error.field == "conversations[1].value"
    _, (error,) = llava(tmp_path, [{"id": "1", "conversations": [said[0], said[0]]}])
    assert error.field == "conversations[1].from"


def test_llava_meds_spelling(tmp_path: Path) -> None:
    rows, errors = llava(tmp_path, json.dumps({"id": "1", "image": "a", "conversatons": ASKED}))
    assert (len(rows), errors) == (1, [])
    assert next(iter(read_records(tmp_path / "x.json"))).turns[1].text == "ورم"


def test_llava_keeps_each_image_with_its_turn(tmp_path: Path) -> None:
    turns = (
        Turn(role="user", text="first", language="en", images=(1,)),
        Turn(role="assistant", text="a", language="en"),
        Turn(role="user", text="second", language="en", images=(0,)),
        Turn(role="assistant", text="b", language="en"),
    )
    write_llava(tmp_path / "x.jsonl", [record(turns=turns, images=(ImageRef(path="0"), ImageRef(path="1")))])
    (row,) = read_llava(tmp_path / "x.jsonl", DEFAULTS)
    assert [row.images[turn.images[0]].path for turn in row.turns[::2]] == ["1", "0"]


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        (record(images=(ImageRef(path="a.dcm", frame=3),)), "images[0].frame"),
        (with_turn(text="what does <image> mean?"), "turns[0].text"),
    ],
)
def test_llava_refuses_what_it_would_change(tmp_path: Path, changed: Record, field: str) -> None:
    with pytest.raises(RecordError) as caught:
        write_llava(tmp_path / "x.jsonl", [changed])
    assert caught.value.field == field
    assert list(tmp_path.iterdir()) == []


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.sampled_from('a"\\[]{},: ا\n'), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text('"\\,]', max_size=3), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(VALUES, max_size=6), st.booleans(), st.sampled_from([None, 1]))
def test_elements_are_those_of_a_whole_file_decoder(
    tmp_path: Path, values: list[Any], ascii_only: bool, indent: int | None
) -> None:
    path = tmp_path / "x.json"
    path.write_text(json.dumps(values, ensure_ascii=ascii_only, indent=indent), encoding="utf-8")
    assert [json.loads(raw) for _, raw in array_elements(path)] == values


def test_a_long_array_needs_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    row = json.dumps({"image": "a", "conversations": [ASKED[0], {"from": "gpt", "value": "م" * 2000}]})
    path.write_text("[" + ",".join([row] * 300) + "]", encoding="utf-8")
    assert path.stat().st_size > 3_500_000
    tracemalloc.start()
    assert sum(1 for _ in read_llava(path, DEFAULTS)) == 300
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000
