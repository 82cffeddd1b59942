"""A user's own tables and LLaVA files, encodings, and the registry."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from source_files import Taken, put, put_lines

from bimedix2.data.sources.registry import MODULES, all_sources, find_source, records
from bimedix2.errors import ConfigError, RecordError


def test_every_source_says_what_it_is_in_both_languages() -> None:
    found = all_sources()
    assert [info.name for info in found] == list(MODULES)
    for info in found:
        assert info.files
        assert info.splits
        assert any("\u0600" <= letter <= "\u06ff" for letter in info.notes_ar)
        assert not any("\u0600" <= letter <= "\u06ff" for letter in info.notes)
        assert all(option.meaning and option.meaning_ar for option in info.options)


def test_unknown_source_and_option_name_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean: slake"):
        find_source("slak")
    with pytest.raises(ConfigError, match="slake has no such option"):
        Taken("slake", tmp_path, colour="red")


@pytest.mark.parametrize("name", [name for name in MODULES if name not in ("llava", "table")])
def test_missing_files_are_told_in_both_languages(tmp_path: Path, name: str) -> None:
    with pytest.raises(RecordError) as told:
        Taken(name, tmp_path)
    assert name in told.value.message
    assert "غير موجود" in told.value.message_ar


def test_records_is_the_common_interface(tmp_path: Path) -> None:
    put(tmp_path / "slake" / "train.json", json.dumps([
        {"qid": 1, "img_name": "a.jpg", "question": "Q?", "answer": "A", "q_lang": "en"}, {"q_lang": "zh"}, {"qid": 2},
    ]))  # fmt: skip
    with pytest.raises(RecordError, match="row 3, field question"):
        list(records("slake", tmp_path))
    skipped: Counter[str] = Counter()
    (only,) = records("slake", tmp_path, on_error=lambda error: None, skipped=skipped)
    assert (only.id, dict(skipped)) == ("slake:1:en", {"question in Chinese": 1})


def test_table_maps_columns_of_csv_and_tells_languages(tmp_path: Path) -> None:
    put(
        tmp_path / "my.csv",
        '\ufeffFrage,Antwort,bild,nr\n"هل هي ""طبيعية""؟",نعم,a.jpg,7\nIs it?,yes,b.jpg,8\n,no,c.jpg,9\n',
    )
    columns = {"question": "Frage", "answer": "Antwort", "image": "bild", "id": "nr"}
    settings = {"file": "my.csv", "task": "vqa", "modality": "xray", "licence": "MIT", "part": "dev", "images": "pics"}
    taken = Taken("table", tmp_path, **columns, **settings)
    arabic, english = taken.records
    assert (arabic.id, arabic.turns[0].text, arabic.turns[0].language) == ("my:7", 'هل هي "طبيعية"؟', "ar")
    assert (english.task, english.modality, english.licence, english.split) == ("vqa", "xray", "MIT", "dev")
    assert english.images[0].path == "pics/b.jpg"
    assert [(error.row, error.field) for error in taken.errors] == [(3, "Frage")]
    assert not Taken("table", tmp_path, ["train"], **columns, **settings).records


def test_table_reads_options_from_columns_or_a_list(tmp_path: Path) -> None:
    put(tmp_path / "my.tsv", "question\ta\tb\tanswer\nWhich?\tone\ttwo\tB\n")
    assert Taken("table", tmp_path, file="my.tsv", options="a,b").only().turns[1].text == "B. two"
    put_lines(tmp_path / "my.jsonl", [{"question": "أي؟", "opts": ["واحد", "اثنان"], "answer": "ب", "p": 1}])
    record = Taken("table", tmp_path, file="my.jsonl", options="opts", pair="p", name="mine").only()
    assert (record.turns[1].text, record.pair_id, record.source) == ("ب. اثنان", "mine:1", "mine")


@pytest.mark.parametrize(
    ("settings", "told"),
    [({}, "needs --set file"), ({"file": "a.csv", "task": "song"}, "task=song"), ({"file": "a.txt"}, "must end in")],
)
def test_table_refuses_settings_without_meaning(tmp_path: Path, settings: dict[str, str], told: str) -> None:
    put(tmp_path / "a.txt", "x")
    with pytest.raises(ConfigError, match=told):
        Taken("table", tmp_path, **settings)


@pytest.mark.parametrize("as_array", [True, False])
def test_llava_as_array_and_as_lines(tmp_path: Path, as_array: bool) -> None:
    talk = [{"from": "human", "value": "<image>\nما هذا؟"}, {"from": "gpt", "value": "صدر"}]
    rows = [
        {"id": "a", "image": "x.jpg", "conversations": talk},
        {"id": "b", "image": "y.jpg", "conversations": talk[:1]},
    ]
    path = tmp_path / "sets" / "mix.json"
    put(path, json.dumps(rows)) if as_array else put_lines(path, rows)
    taken = Taken("llava", tmp_path, file="sets/mix.json", task="vqa", modality="xray", licence="MIT")
    record = taken.only()
    assert (record.id, record.images[0].path, record.turns[0].language) == ("mix:a", "sets/x.jpg", "ar")
    assert (taken.errors[0].row, taken.errors[0].field) == (2, "conversations")


# --- encodings -------------------------------------------------------------------------------------------------


def test_windows_arabic_is_recognised_by_row_and_read_on_request(tmp_path: Path) -> None:
    line = json.dumps({"question": "ما التشخيص؟", "answer": "التهاب رئوي"}, ensure_ascii=False)
    put(tmp_path / "a.jsonl", line.encode() + b"\n" + line.encode("cp1256") + b"\n")
    taken = Taken("table", tmp_path, file="a.jsonl")
    assert len(taken.records) == 1
    assert taken.errors[0].row == 2
    assert "--encoding cp1256" in taken.errors[0].message
    assert "--encoding cp1256" in taken.errors[0].message_ar
    put(tmp_path / "b.csv", "question,answer\nما التشخيص؟,سليم\n".encode("cp1256"))
    refused = Taken("table", tmp_path, file="b.csv")
    assert (refused.records, refused.errors[0].row, refused.errors[0].field) == ([], 1, "question")
    assert "--encoding cp1256" in refused.errors[0].message


def test_a_single_bad_byte_costs_its_row_only(tmp_path: Path) -> None:
    put(tmp_path / "a.csv", b"question,answer\nIs it?,yes\nIs \xff it?,no\nIs it not?,no\n")
    taken = Taken("table", tmp_path, file="a.csv")
    assert [record.turns[1].text for record in taken.records] == ["yes", "no"]
    assert "row 2, field question: byte 0xFF at position 3 is not utf-8" in taken.errors[0].message


def test_files_that_cannot_be_split_into_rows_are_told_whole(tmp_path: Path) -> None:
    put(tmp_path / "empty.jsonl", b"\n")
    with pytest.raises(RecordError, match="is empty"):
        Taken("table", tmp_path, file="empty.jsonl")
    put(tmp_path / "wide.jsonl", '{"question": "a", "answer": "b"}'.encode("utf-16"))
    with pytest.raises(RecordError, match="UTF-16"):
        Taken("table", tmp_path, file="wide.jsonl")
    put(tmp_path / "cut.json", '[{"question": "a", "answer": "b"}, {"question": "c", "ans')
    with pytest.raises(RecordError, match="cut off"):
        Taken("table", tmp_path, file="cut.json")


def test_malformed_json_in_row_n_costs_that_row(tmp_path: Path) -> None:
    good = '{"question": "a", "answer": "b"}'
    for name, content in (
        ("a.jsonl", f"{good}\n{{broken\n[1]\n{good}\n"),
        ("a.json", f"[{good}, {{broken}}, [1], {good}]"),
    ):
        put(tmp_path / name, content)
        taken = Taken("table", tmp_path, file=name)
        assert [record.source_id for record in taken.records] == ["1", "4"]
        assert [error.row for error in taken.errors] == [2, 3]
        assert "is not a JSON object" in taken.errors[0].message
