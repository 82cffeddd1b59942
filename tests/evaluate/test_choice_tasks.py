"""The adapters of the multiple-choice sets on files of their original formats, in both languages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bimedix2.data.sources._common import asset
from bimedix2.errors import RecordError
from bimedix2.evaluate.registry import all_tasks
from bimedix2.evaluate.schema import Sample
from bimedix2.records.schema import Language


def write(path: Path, *rows: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(r if isinstance(r, str) else json.dumps(r) for r in rows) + "\n", encoding="utf-8")


def read(name: str, root: Path, language: Language, bad: list[RecordError] | None = None) -> list[Sample]:
    task = all_tasks()[name]
    return list(task.samples(root, language, task.splits[0], bad))


def test_mmlu_in_both_languages_with_a_bad_row_left_out(tmp_path: Path) -> None:
    write(tmp_path / "mmlu" / "anatomy_test.csv", '"Which, of these?",Liver,Kidney,Lung,Spleen,C', "Broken?,a,b,c,d,X")
    bad: list[RecordError] = []
    (sample,) = read("mmlu_anatomy", tmp_path, "en", bad)
    assert sample.prompt.endswith("Which, of these?\nA. Liver\nB. Kidney\nC. Lung\nD. Spleen")
    assert (sample.reference, sample.letters) == ("C", ("A", "B", "C", "D"))
    assert str(bad[0]).endswith("anatomy_test.csv, row 2, field key: 'X' names none of 4 options")
    with pytest.raises(RecordError, match="row 2, field key"):
        read("mmlu_anatomy", tmp_path, "en")
    row = {"id": 1, "question": "أي مما يلي؟", "options": ["الكبد", "الكلية", "الرئة", "الطحال"]}
    write(tmp_path / "mmlu_ar" / "anatomy_test.jsonl", row)
    (arabic,) = read("mmlu_anatomy", tmp_path, "ar", [])
    assert (arabic.id, arabic.reference) == (sample.id, "ج")
    assert arabic.prompt.startswith("أجب بحرف الخيار الصحيح.\nأي مما يلي؟\nأ. الكبد")


def test_medmcqa_leaves_out_what_training_uses(tmp_path: Path) -> None:
    row = {"question": "q", "opa": "w", "opb": "x", "opc": "y", "opd": "z", "cop": 2, "subject_name": "Surgery"}
    trained = asset("medmcqa_ar.jsonl")[0]["id"]
    write(tmp_path / "medmcqa" / "dev.json", {**row, "id": "new"}, {**row, "id": trained}, {**row, "id": "b", "cop": 0})
    bad: list[RecordError] = []
    (sample,) = read("medmcqa", tmp_path, "en", bad)
    assert (sample.id, sample.reference, sample.group) == ("new", "B", {"subject": "Surgery"})
    assert "row 3, field cop" in str(bad[0])


def test_medqa_and_usmle_share_a_reader(tmp_path: Path) -> None:
    options: dict[str, str | None] = {"A": "w", "B": "x", "C": "y", "D": "z"}
    write(
        tmp_path / "medqa" / "phrases_no_exclude_test.jsonl", {"question": "q", "options": options, "answer_idx": "B"}
    )
    assert read("medqa", tmp_path, "en")[0].reference == "B"
    table = pa.Table.from_pylist(
        [{"question": "q", "options": options | {"E": None}, "answer": "z", "answer_idx": "D"}]
    )
    (tmp_path / "usmle" / "data").mkdir(parents=True)
    pq.write_table(table, tmp_path / "usmle" / "data" / "train-00000-of-00001.parquet")
    (sample,) = read("usmle", tmp_path, "en")
    assert (sample.options, sample.reference) == (("w", "x", "y", "z"), "D")
    with pytest.raises(RecordError, match=r"usmle_ar.test\.jsonl.*Arabic needs this file"):
        read("usmle", tmp_path, "ar")


def test_pubmedqa_takes_the_official_test_items(tmp_path: Path) -> None:
    item = {"QUESTION": "Does it?", "CONTEXTS": ["One.", "Two."], "final_decision": "maybe"}
    write(tmp_path / "pubmedqa" / "ori_pqal.json", {"1": item, "2": item})
    write(tmp_path / "pubmedqa" / "test_ground_truth.json", {"2": "maybe"})
    write(tmp_path / "pubmedqa_ar" / "test.jsonl", {"id": "2", "question": "هل؟", "context": "نص."})
    (english,), (arabic,) = (read("pubmedqa", tmp_path, language) for language in ("en", "ar"))  # type: ignore[arg-type]
    assert english.prompt == "Abstract: One. Two.\nQuestion: Does it?\nAnswer with yes, no or maybe."
    assert (english.id, english.reference, arabic.id, arabic.reference) == ("2", "maybe", "2", "ربما")


def test_medarabench_rows_have_four_to_six_options_and_keys_in_either_case(tmp_path: Path) -> None:
    header = "Question Number,Question,Option A,Option B,Option C,Option D,Option E,Option F,Correct Answer,Level,"
    write(
        tmp_path / "medarabench" / "medarabench-test_split.csv",
        header + "Medical Specialty,Group,umbrella_specialty",
        "1,أي عضو؟,الكبد,الكلية,الرئة,الطحال,المعدة,,e,Y1,Anatomy,ABCDE,Anatomy",
        "1,سؤال آخر؟,نعم,لا,,,,,C,Y1,Anatomy,ABCD,Anatomy",
    )
    bad: list[RecordError] = []
    (sample,) = read("medarabench", tmp_path, "ar", bad)
    assert (sample.reference, sample.letters[-1], sample.group["level"]) == ("هـ", "هـ", "Y1")
    assert "row 2, field Correct Answer: 'C' names none of 2 options" in str(bad[0])


def test_medarabiq_options_stand_in_the_lines_of_the_question(tmp_path: Path) -> None:
    write(
        tmp_path / "medarabiq" / "datasets" / "multiple-choice-questions.csv",
        "Question,Answer,Category",
        '"من علامات الأذية: أ. فقدان حركة\nب.شلل\nتام\nهـ. هبوط","ب. شلل تام\n",Neuro',
        '"بلا خيارات",أ. شيء,Neuro',
    )
    bad: list[RecordError] = []
    (sample,) = read("medarabiq_mcq", tmp_path, "ar", bad)
    assert sample.question == "من علامات الأذية:"
    assert (sample.options, sample.reference) == (("فقدان حركة", "شلل تام", "هبوط"), "ب")
    assert "row 2, field Question: holds no labelled options" in str(bad[0])
    write(
        tmp_path / "medarabiq" / "datasets" / "fill-in-the-blank-choices.csv",
        "Question - Arabic,Answer - Arabic,Question - English,Answer - English,Category",
        '"املأ ____\nأ. س\nب. ص",أ. س,"Fill ____\nA. x\nB. y","A. x\n",OBGYN',
    )
    (english,), (arabic,) = (read("medarabiq_blanks", tmp_path, language) for language in ("en", "ar"))  # type: ignore[arg-type]
    assert (english.id, english.reference, arabic.reference) == (arabic.id, "A", "أ")


def test_the_local_sets_have_their_published_sizes(data_root: Path) -> None:
    sizes = {"anatomy": 135, "clinical_knowledge": 265, "college_biology": 144, "college_medicine": 173,
             "medical_genetics": 100, "professional_medicine": 272}  # fmt: skip
    assert {name: len(read(f"mmlu_{name}", data_root, "en")) for name in sizes} == sizes
    assert len(read("medqa", data_root, "en")) == 1273
    assert len(read("medmcqa", data_root, "en")) == 4183 - len(asset("medmcqa_ar.jsonl"))
    answers = [sample.reference for sample in read("pubmedqa", data_root, "en")]
    assert [answers.count(label) for label in ("yes", "no", "maybe")] == [276, 169, 55]
