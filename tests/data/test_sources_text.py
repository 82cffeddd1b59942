"""Text sources: hand-made files of the published formats, known counts on the real ones, agreement with evaluation."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path

import pytest
from source_files import Taken, put, put_lines

from bimedix2.data.sources import text_sets
from bimedix2.data.sources.mimic import sections
from bimedix2.errors import ConfigError, RecordError


def test_medqa_has_four_or_five_options(tmp_path: Path) -> None:
    row = {"question": "Which drug?", "answer": "b", "options": {"A": "a", "B": "b"}, "answer_idx": "B"}
    put_lines(tmp_path / "medqa" / "phrases_no_exclude_train.jsonl", [row, {**row, "answer_idx": "E"}])
    put_lines(tmp_path / "medqa" / "US" / "test.jsonl", [{**row, "options": dict(zip("ABCDE", "vwxyz", strict=True))}])
    taken = Taken("medqa", tmp_path)
    assert taken.ids() == ["medqa:train-1:mcq:en", "medqa:test-1:mcq:en"]
    train, test = taken.records
    assert train.turns[0].text.endswith("Which drug?\nA. a\nB. b")
    assert train.turns[1].text == "B. b"
    assert test.turns[0].text.endswith("E. z")
    assert [error.field for error in taken.errors] == ["answer_idx"]
    assert taken.reading.absent == [tmp_path / "medqa" / "phrases_no_exclude_dev.jsonl"]


def medmcqa_row(name: str, **changes: object) -> dict[str, object]:
    options = {"opa": "one", "opb": "two", "opc": "three", "opd": "four"}
    return {"id": name, "question": "How many?", "cop": 3, "exp": "Because.", **options, **changes}


def test_medmcqa_counts_the_key_from_one_and_dev_is_test(tmp_path: Path) -> None:
    kept = text_sets.asset("medmcqa_ar.jsonl")[0]
    put_lines(tmp_path / "medmcqa" / "train.json", [medmcqa_row("t"), medmcqa_row("bad", cop=0)])
    put_lines(tmp_path / "medmcqa" / "dev.json", [medmcqa_row("d"), medmcqa_row(kept["id"])])
    taken = Taken("medmcqa", tmp_path, explanations="yes")
    assert taken.ids("test") == ["medmcqa:d:mcq:en"]
    assert taken.ids("train") == [f"medmcqa:{n}" for n in ("t:mcq:en", f"{kept['id']}:mcq:en", f"{kept['id']}:mcq:ar")]
    assert taken.records[0].turns[1].text == "C. three\n\nBecause."
    assert taken.records[-1].turns[1].text == f"ج. {kept['options'][2]}"
    assert taken.records[-1].parent == f"medmcqa:{kept['id']}:mcq:en"
    assert "row 2, field cop: 0 is not 1 to 4" in taken.errors[0].message
    without_test = Taken("medmcqa", tmp_path, ["train"])
    assert "medmcqa:d:mcq:en" not in without_test.ids()
    with pytest.raises(ConfigError, match="explanations=perhaps"):
        Taken("medmcqa", tmp_path, explanations="perhaps")


def test_pubmedqa_keeps_the_official_test_apart(tmp_path: Path) -> None:
    item = {"QUESTION": "Does it?", "CONTEXTS": ["One.", "Two."], "final_decision": "yes", "LONG_ANSWER": "It does."}
    broken = {**item, "final_decision": "perhaps"}
    put(tmp_path / "pubmedqa" / "ori_pqal.json", json.dumps({"1": item, "2": item, "3": broken}, indent=4))
    with pytest.raises(RecordError, match=r"test_ground_truth\.json.*names the 500 test items"):
        Taken("pubmedqa", tmp_path)
    put(tmp_path / "pubmedqa" / "test_ground_truth.json", json.dumps({"2": "yes"}))
    taken = Taken("pubmedqa", tmp_path, answer="long")
    assert (taken.ids("train"), taken.ids("test")) == (["pubmedqa:1:en"], ["pubmedqa:2:en"])
    assert taken.records[0].turns[0].text.startswith("Abstract: One.\nTwo.\nQuestion: Does it?\n")
    assert taken.records[0].turns[1].text == "Yes. It does."
    assert [(error.row, error.field) for error in taken.errors] == [(3, "final_decision")]
    put(tmp_path / "pubmedqa" / "ori_pqaa.json", json.dumps({"9": item}))
    assert "pubmedqa:9:en" in Taken("pubmedqa", tmp_path, artificial="yes").ids("train")


def test_mmlu_has_no_header(tmp_path: Path) -> None:
    put(tmp_path / "mmlu" / "anatomy_test.csv", 'Which?,a,b,"c, d",e,C\nWhich?,a,b,c,D\n')
    put(tmp_path / "mmlu" / "val" / "anatomy_val.csv", "What?,a,b,c,d,A\n")
    taken = Taken("mmlu", tmp_path)
    assert taken.ids("test") == ["mmlu:anatomy_test-1:mcq:en"]
    assert taken.ids("dev") == ["mmlu:anatomy_val-1:mcq:en"]
    assert {record.turns[1].text for record in taken.records} == {"C. c, d", "A. a"}
    assert "row 2, field row: has 5 cells, expected 6" in taken.errors[0].message


def test_tico19_gives_both_directions(tmp_path: Path) -> None:
    unit = '<tu tuid="D:{0}"><tuv xml:lang="en"><seg>fever {0}</seg></tuv><tuv xml:lang="ar"><seg>{1}</seg></tuv></tu>'
    body = unit.format(1, "حمى") + unit.format(2, "")
    path = put(tmp_path / "tico19" / "all.en-ar.tmx", f'<?xml version="1.0"?><tmx><body>{body}</body></tmx>')
    taken = Taken("tico19", tmp_path)
    assert taken.ids("test") == ["tico19:D:1:en-ar", "tico19:D:1:ar-en"]
    forth, back = taken.records
    assert (forth.turns[0].language, forth.turns[1].language, forth.turns[1].text) == ("en", "ar", "حمى")
    assert (back.turns[0].language, back.turns[1].text) == ("ar", "fever 1")
    assert forth.pair_id == back.pair_id == "tico19:D:1"
    assert forth.source_id == "D:1"
    assert [(error.row, error.field) for error in taken.errors] == [(2, "targetString")]
    path.write_text(path.read_text(encoding="utf-8")[:-20], encoding="utf-8")
    with pytest.raises(RecordError, match="damaged or cut off after row 1"):
        Taken("tico19", tmp_path)
    header = "sourceLang\ttargetLang\tsourceString\ttargetString\tstringID\turl\tlicense\ttranslatorId\n"
    put(tmp_path / "tico19" / "dev" / "dev.en-ar.tsv", f'{header}en\tar\ta "cold\tزكام\t7\tu\tpublic\t1\n')
    assert Taken("tico19", tmp_path, ["dev"]).ids() == ["tico19:7:en-ar", "tico19:7:ar-en"]


REPORT = "EXAM: CHEST\nFINDINGS:  The lungs\n are [**Last Name**] clear.\nIMPRESSION: Normal.\n"


def test_mimic_iii_reads_radiology_notes(tmp_path: Path) -> None:
    rows = [
        ["1", "10", "Radiology", "", REPORT],
        ["2", "10", "Nursing", "", REPORT],
        ["3", "10", "Radiology", "", "FINDINGS: only."],
        ["4", "11", "Radiology", "", REPORT],
    ]
    buffer = io.StringIO()
    csv.writer(buffer).writerows([["ROW_ID", "SUBJECT_ID", "CATEGORY", "ISERROR", "TEXT"], *rows])
    put(tmp_path / "mimic_iii" / "NOTEEVENTS.csv.gz", gzip.compress(buffer.getvalue().encode()))
    put(tmp_path / "mimic_iii" / "test_ids.txt", "4\n")
    taken = Taken("mimic_iii", tmp_path)
    assert (taken.ids("train"), taken.ids("test")) == (["mimic_iii:1:impression:en"], ["mimic_iii:4:impression:en"])
    assert taken.records[0].turns[0].text.endswith("\nThe lungs are clear.")
    assert taken.records[0].turns[1].text == "Normal."
    assert sum(taken.reading.skipped.values()) == 2


def test_mimic_iii_holds_out_the_patients_that_evaluation_asks(tmp_path: Path) -> None:
    from bimedix2.evaluate.registry import find_tasks

    buffer = io.StringIO()
    rows = [[str(n), str(1000 + n // 2), "Radiology", "", REPORT] for n in range(120)]
    csv.writer(buffer).writerows([["ROW_ID", "SUBJECT_ID", "CATEGORY", "ISERROR", "TEXT"], *rows])
    put(tmp_path / "mimic_iii" / "NOTEEVENTS.csv", buffer.getvalue())
    (task,) = find_tasks(["mimic_iii"])
    asked = {sample.id for sample in task.read(tmp_path, "en", "test")}
    held = {record.source_id for record in Taken("mimic_iii", tmp_path).records if record.split == "test"}
    assert 0 < len(asked) < 40
    assert held == asked


def test_mimic_cxr_groups_images_by_study(tmp_path: Path) -> None:
    folder = tmp_path / "mimic_cxr"
    rows = "".join(f"{image},{study},{subject},{split}\n" for image, study, subject, split in (
        ("a", "50", "10000032", "train"), ("b", "50", "10000032", "train"),
        ("c", "51", "10000032", "validate"), ("d", "52", "10000033", "test"), ("e", "53", "10000033", "other"),
    ))  # fmt: skip
    put(folder / "mimic-cxr-2.0.0-split.csv", f"dicom_id,study_id,subject_id,split\n{rows}")
    put(folder / "files/p10/p10000032/s50.txt", REPORT)
    put(folder / "files/p10/p10000032/s51.txt", "IMPRESSION: Normal.")
    taken = Taken("mimic_cxr", tmp_path)
    record = taken.only()
    assert [image.path for image in record.images] == [
        f"mimic_cxr/files/p10/p10000032/s50/{name}.jpg" for name in ("a", "b")
    ]
    assert (record.split, record.turns[0].images, record.turns[1].text) == ("train", (0, 1), "The lungs are clear.")
    assert {(error.row, error.field) for error in taken.errors} == {(4, "study_id"), (5, "split")}
    assert "The lungs" not in " ".join(error.message for error in taken.errors)


def test_sections_agree_with_the_evaluation_reader() -> None:
    from bimedix2.evaluate.tasks.mimic import sections as theirs

    assert sections(REPORT) == theirs(REPORT)
    assert sections(REPORT)["findings"] == "The lungs are clear."


def test_bimed_rows_by_shape(tmp_path: Path) -> None:
    def said(*texts: str) -> list[dict[str, str]]:
        return [{"from": ("human", "gpt")[i % 2], "value": text} for i, text in enumerate(texts)]

    rows = [
        {"id": "m", "question": "أيها؟", "options": {"A": "نعم", "B": "لا"}, "answer": "B", "pair_id": "p"},
        {"question": "What is a fever?", "answer": "A raised temperature."},
        {"id": "c", "conversations": said("مرحبا", "أهلا", "عندي حمى", "منذ متى؟")},
        {"id": "x", "conversations": said("Hello")},
    ]
    put_lines(tmp_path / "bimed" / "part.jsonl", rows)
    taken = Taken("bimed", tmp_path)
    assert [(r.id, r.task, r.turns[-1].language) for r in taken.records] == [
        ("bimed:m", "mcq", "ar"), ("bimed:part-2", "qa", "en"), ("bimed:c", "dialogue", "ar"),
    ]  # fmt: skip
    assert taken.records[0].turns[1].text == "ب. لا"
    assert taken.records[0].pair_id == "bimed:p"
    assert [(error.row, error.field) for error in taken.errors] == [(4, "conversations")]


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "per_row", "rows"),
    [("medqa", 1, 1273), ("mmlu", 1, 1089), ("pubmedqa", 1, 1000), ("tico19", 2, 3071)],
)
def test_known_counts(data_root: Path, name: str, per_row: int, rows: int) -> None:
    taken = Taken(name, data_root)
    assert len(taken.records) == per_row * rows
    assert len(set(taken.ids())) == len(taken.records)
    assert not taken.errors


@pytest.mark.data
def test_known_counts_of_sets_with_arabic_or_blanks(data_root: Path) -> None:
    english = [record for record in Taken("medmcqa", data_root).records if record.id.endswith(":en")]
    assert len(english) == 4183
    taken = Taken("indiana", data_root)
    assert len(taken.records) + sum(taken.reading.skipped.values()) == 2000
    meqsum = Taken("meqsum", data_root).records
    assert sum(record.turns[0].language == "en" for record in meqsum) == 1000
    assert len(Taken("pubmedqa", data_root, ["test"]).records) == 500


@pytest.mark.data
def test_full_sets_hold_what_nano_was_trained_on(data_root: Path) -> None:
    import msgspec

    for name, make in (
        ("indiana", text_sets.indiana),
        ("medmcqa", text_sets.medmcqa),
        ("meqsum", text_sets.meqsum),
    ):
        whole = {record.id: record for record in Taken(name, data_root, ["train"]).records}
        for record in make(data_root):
            assert record.turns == whole[record.id].turns
            assert record.pair_id == whole[record.id].pair_id
            assert msgspec.structs.replace(whole[record.id], provenance=record.provenance) == record


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "task"), [("indiana", "indiana_summary"), ("medmcqa", "medmcqa"), ("pubmedqa", "pubmedqa")]
)
def test_test_split_is_what_evaluation_asks(data_root: Path, name: str, task: str) -> None:
    from bimedix2.evaluate.registry import find_tasks

    (found,) = find_tasks([task])
    asked = {sample.id for sample in found.read(data_root, "en", found.splits[0]) if hasattr(sample, "id")}
    ours = {record.source_id for record in Taken(name, data_root).records if record.split == "test"}
    assert asked == ours
