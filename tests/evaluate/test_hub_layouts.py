"""The same items read from the original files and from the Hub's layout, in English and Arabic."""

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

QUESTION, OPTIONS = "Which, of these?", ["Liver", "Kidney", "Lung", "Spleen"]
ARABIC = {"question": "أي مما يلي؟", "options": ["الكبد", "الكلية", "الرئة", "الطحال"]}
ENGLISH_AND_ARABIC: tuple[Language, ...] = ("en", "ar")


def lines(path: Path, *rows: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    texts = (row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows)
    path.write_text("\n".join(texts) + "\n", encoding="utf-8")


def parquet(path: Path, *rows: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(list(rows)), path)


def read(
    name: str, root: Path, language: Language = "en", split: str = "", bad: list[RecordError] | None = None
) -> list[Sample]:
    task = all_tasks()[name]
    return list(task.samples(root, language, split or task.splits[0], bad))


def same_in_both(name: str, original: Path, hub: Path, *splits: str) -> list[Sample]:
    for split in splits or ("",):
        for language in ENGLISH_AND_ARABIC:
            expected = {sample.id: sample for sample in read(name, original, language, split)}
            assert {sample.id: sample for sample in read(name, hub, language, split)} == expected
            assert expected
    return read(name, hub)


@pytest.fixture
def roots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    monkeypatch.setenv("BIMEDIX2_CACHE", str(tmp_path / "cache"))
    return tmp_path / "original", tmp_path / "hub"


def test_mmlu(roots: tuple[Path, Path]) -> None:
    original, hub = roots
    lines(original / "mmlu" / "anatomy_test.csv", '"Which, of these?",Liver,Kidney,Lung,Spleen,C', "Q2?,a,b,c,d,A")
    rows = [
        {"question": QUESTION, "subject": "anatomy", "choices": OPTIONS, "answer": 2},
        {"question": "Q2?", "subject": "anatomy", "choices": ["a", "b", "c", "d"], "answer": 0},
    ]
    parquet(hub / "mmlu" / "anatomy" / "test-00000-of-00001.parquet", *rows)
    for root in roots:
        lines(root / "mmlu_ar" / "anatomy_test.jsonl", {"id": 1, **ARABIC}, {"id": 2, **ARABIC})
    assert [sample.reference for sample in same_in_both("mmlu_anatomy", original, hub)] == ["C", "A"]
    lines(hub / "mmlu" / "anatomy_test.csv", "Mine?,a,b,c,d,D")
    assert read("mmlu_anatomy", hub)[0].question == "Mine?"
    wrong = [{**rows[0], "answer": 4}, {**rows[0], "choices": ["a"]}, rows[1]]
    parquet(hub / "mmlu" / "college_biology" / "test-00000-of-00001.parquet", *wrong)
    bad: list[RecordError] = []
    assert [sample.id for sample in read("mmlu_college_biology", hub, bad=bad)] == ["3"]
    assert [str(error).split("parquet, ")[1] for error in bad] == [
        "row 1, field answer: 4 is not 0 to 3",
        "row 2, field choices: is not a list of 4 texts",
    ]


def test_medmcqa_counts_the_right_option_from_0_on_the_hub(roots: tuple[Path, Path]) -> None:
    original, hub = roots
    row = {"question": QUESTION, "opa": "Liver", "opb": "Kidney", "opc": "Lung", "opd": "Spleen",
           "subject_name": "Anatomy", "exp": None, "topic_name": None, "choice_type": "single"}  # fmt: skip
    trained = asset("medmcqa_ar.jsonl")[0]["id"]
    rows = [{**row, "id": name, "cop": place} for name, place in (("a", 0), ("b", 3), (trained, 1))]
    parquet(hub / "medmcqa" / "data" / "validation-00000-of-00001.parquet", *rows)
    lines(original / "medmcqa" / "dev.json", *({**row, "cop": row["cop"] + 1} for row in rows))
    for root in roots:
        lines(root / "medmcqa_ar" / "dev.jsonl", {"id": "a", **ARABIC})
    assert [(sample.id, sample.reference) for sample in same_in_both("medmcqa", original, hub)] == [
        ("a", "A"),
        ("b", "D"),
    ]
    assert read("medmcqa", hub, "ar")[0].reference == "أ"
    for root, wrong, place in ((original, 0, "1 to 4"), (hub, -1, "0 to 3"), (hub, 4, "0 to 3")):
        if root == hub:
            parquet(hub / "medmcqa" / "data" / "validation-00000-of-00001.parquet", {**rows[0], "cop": wrong})
        else:
            lines(original / "medmcqa" / "dev.json", {**rows[0], "cop": wrong})
        with pytest.raises(RecordError, match=f"row 1, field cop: {wrong} is not {place}"):
            read("medmcqa", root)


def test_medqa_and_usmle(roots: tuple[Path, Path]) -> None:
    original, hub = roots
    row = {"question": QUESTION, "answer": "Kidney", "options": dict(zip("ABCD", OPTIONS, strict=True)),
           "meta_info": "step1", "answer_idx": "B", "metamap_phrases": ["x"]}  # fmt: skip
    lines(hub / "medqa" / "phrases_no_exclude_test.jsonl", row)
    lines(original / "medqa" / "test.jsonl", row)
    first, second = [{**row, "options": {**row["options"], "E": None}, "question": text} for text in ("1?", "2?")]
    lines(original / "usmle" / "train.jsonl", first, second)
    for number, item in enumerate((first, second)):
        parquet(hub / "usmle" / "data" / f"train-0000{number}-of-00002-ab12.parquet", item)
    for root in roots:
        lines(root / "medqa_ar" / "test.jsonl", {"id": "1", **ARABIC})
        lines(root / "usmle_ar" / "test.jsonl", {"id": "2", **ARABIC})
    assert same_in_both("medqa", original, hub)[0].reference == "B"
    assert [sample.id for sample in same_in_both("usmle", original, hub)] == ["1", "2"]


def pubmedqa_item(answer: str) -> dict[str, Any]:
    return {"QUESTION": f"Is it {answer}?", "CONTEXTS": ["One.", "Two."], "final_decision": answer}


def test_pubmedqa_takes_exactly_the_official_test_items(roots: tuple[Path, Path]) -> None:
    original, archive = roots
    parquets = archive.with_name("parquet")
    items = {str(number): pubmedqa_item(answer) for number, answer in enumerate(("yes", "no", "maybe", "yes"), 1)}
    truth = {"3": "maybe", "1": "yes"}
    lines(original / "pubmedqa" / "ori_pqal.json", items)
    lines(original / "pubmedqa" / "test_ground_truth.json", truth)
    lines(archive / "pubmedqa" / "pqal_test_set.json", {name: items[name] for name in truth})
    lines(archive / "pubmedqa" / "pqal_fold0" / "train_set.json", {"2": items["2"]})
    lines(archive / "pubmedqa" / "pqal_fold0" / "dev_set.json", {"4": items["4"]})
    rows = [
        {"pubid": int(name), "question": item["QUESTION"], "final_decision": item["final_decision"],
         "context": {"contexts": item["CONTEXTS"], "labels": ["A", "B"]}, "long_answer": "x"}
        for name, item in items.items()
    ]  # fmt: skip
    parquet(parquets / "pubmedqa" / "pqa_labeled" / "train-00000-of-00001.parquet", *rows)
    for root in (original, archive, parquets):
        for split, name in (("test", "1"), ("train", "4")):
            lines(root / "pubmedqa_ar" / f"{split}.jsonl", {"id": name, "question": "هل؟", "context": "نص."})
    with pytest.raises(RecordError, match=r"test_ground_truth\.json.*official 500.*data fetch pubmedqa") as caught:
        read("pubmedqa", parquets)
    assert "الرسمية" in caught.value.message_ar
    lines(parquets / "pubmedqa" / "test_ground_truth.json", truth)
    for root in (archive, parquets):
        found = same_in_both("pubmedqa", original, root, "test", "train")
        assert {sample.id for sample in found} == set(truth)
    (archive / "pubmedqa" / "pqal_fold0" / "dev_set.json").unlink()
    with pytest.raises(RecordError, match=r"dev_set\.json.*not found"):
        read("pubmedqa", archive, split="train")


def test_slake_calls_its_second_split_validation_on_the_hub(roots: tuple[Path, Path]) -> None:
    original, hub = roots
    row = {"img_name": "x/source.jpg", "question": "Is it big?", "answer": "Yes", "q_lang": "en", "qid": 7,
           "answer_type": "CLOSED", "modality": "X-Ray", "content_type": "Size"}  # fmt: skip
    for name in ("train", "test"):
        for root in roots:
            lines(root / "slake" / f"{name}.json", [row])
    lines(original / "slake" / "validate.json", [row])
    lines(hub / "slake" / "validation.json", [row])
    for root in roots:
        for split in ("train", "validate", "test"):
            tables = {"questions": {"Is it big?": "هل هو كبير؟"}, "answers": {"Yes": "نعم"}}
            lines(root / "slake_ar" / f"{split}_ar.json", tables)
    same_in_both("slake", original, hub, "test", "validate", "train")
    lines(hub / "slake" / "validate.json", [{**row, "qid": 8}])
    assert read("slake", hub, split="validate")[0].id == "8"


def test_vqa_rad(roots: tuple[Path, Path]) -> None:
    original, hub = roots
    asked = [("Is the heart  enlarged ?", "Yes", "CLOSED "), ("Left or right?", "Left", "CLOSED"), ("What?", 3, "OPEN")]
    rows = [
        {"qid": number, "image_name": f"{name}.jpg", "image_organ": "CHEST", "question": question, "answer": answer,
         "answer_type": kind}
        for number, (name, (question, answer, kind)) in enumerate(zip("aab", asked, strict=True), 11)
    ]  # fmt: skip
    lines(original / "vqa_rad" / "testset.json", rows)
    # As the Hub's processing script writes them: lower case, single spaces, none before the question mark.
    normal = [("is the heart enlarged?", "yes"), ("left or right?", "left"), ("what?", "3")]
    images = [{"bytes": content, "path": f"synpic{place}.jpg"} for place, content in enumerate((b"a", b"a", b"b"))]
    for split in ("test", "train"):
        path = hub / "vqa_rad" / "data" / f"{split}-00000-of-00001-e5bc3d208bb4deeb.parquet"
        parquet(path, *({"image": image, "question": question, "answer": answer}
                        for image, (question, answer) in zip(images, normal, strict=True)))  # fmt: skip
    tables = {
        "questions": {"Is the heart enlarged ?": "هل القلب متضخم؟", "Left or right?": "أيسر أم أيمن؟", "What?": "ما؟"},
        "answers": {"Yes": "نعم", "Left": "أيسر", "3": "3"},
    }
    for root in roots:
        lines(root / "vqa_rad_ar" / "test_ar.json", tables)
    lines(hub / "vqa_rad_ar" / "train_ar.json", tables)
    for language in ENGLISH_AND_ARABIC:
        there, here = read("vqa_rad", original, language), read("vqa_rad", hub, language)
        shown = [(sample.prompt.lower(), sample.reference.lower()) for sample in there]
        assert [(sample.prompt, sample.reference) for sample in here] == (
            [(question.replace(" ?", "?"), answer) for question, answer in shown]
        )
        assert [sample.id for sample in here] == ["test-1", "test-2", "test-3"]
        # Closed is derived there, so a choice between two words counts as open.
        assert [sample.group["answer_type"] for sample in there] == ["closed", "closed", "open"]
        assert [sample.group["answer_type"] for sample in here] == ["closed", "open", "open"]
        assert here[0].cluster == here[1].cluster != here[2].cluster
        assert Path(here[2].images[0]).read_bytes() == b"b"
        assert len(read("vqa_rad", hub, language, "train")) == 3
    lines(hub / "vqa_rad" / "testset.json", rows[:1])
    assert [sample.id for sample in read("vqa_rad", hub)] == ["11"]


def test_rocov2_reads_the_concepts_that_were_checked(roots: tuple[Path, Path]) -> None:
    original, hub = roots
    manual = {"F1": "C1306645;C0817096", "F2": "C0040405", "F3": "", "F4": "C1306645"}
    found = {"F1": ["C1306645", "C0817096", "C0018792"], "F2": ["C0040405", "C0817096"], "F3": ["C0018792"],
             "F4": ["C1306645"]}  # fmt: skip
    base = original / "rocov2"
    lines(base / "test_captions.csv", "ID,Caption", *(f'{name},"A  scan, {name}."' for name in manual))
    lines(base / "test_concepts_manual.csv", "ID,CUIs", *(f"{name},{codes}" for name, codes in manual.items()))
    for split in ("test", "validation"):
        parquet(hub / "rocov2" / "data" / f"{split}-00000-of-00001.parquet", *(
            {"image": {"bytes": name.encode(), "path": None}, "image_id": name, "caption": f"A  scan, {name}.",
             "cui": codes} for name, codes in found.items()))  # fmt: skip
    for fact, ids in (("modality", ["F1", "F2", "F4"]), ("region", ["F1"])):
        for language in ENGLISH_AND_ARABIC:
            there, here = (read(f"rocov2_{fact}", root, language) for root in roots)
            assert [sample.id for sample in here] == ids
            # All but where the image is kept.
            assert [(s.id, s.prompt, s.reference, s.options, s.group) for s in here] == [
                (s.id, s.prompt, s.reference, s.options, s.group) for s in there
            ]
            assert Path(here[0].images[0]).read_bytes() == b"F1"
            assert len(read(f"rocov2_{fact}", hub, language, "dev")) == len(ids)
    with pytest.raises(RecordError, match="data fetch rocov2_region"):
        read("rocov2_region", hub.with_name("nothing"))


def test_missing_data_say_how_to_fetch_them(tmp_path: Path) -> None:
    for name, task in all_tasks().items():
        if not task.hub:
            continue
        with pytest.raises(RecordError) as caught:
            read(name, tmp_path)
        hint = f"bimedix2 data fetch {name.split('_')[0]}"
        assert hint in caught.value.message
        assert hint in caught.value.message_ar


@pytest.mark.data
def test_real_items_and_their_packaged_arabic_are_the_same_from_both_layouts(data_root: Path, tmp_path: Path) -> None:
    import csv

    path = data_root / "mmlu" / "anatomy_test.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = [
            {"question": question, "subject": "anatomy", "choices": choices, "answer": "ABCD".index(key)}
            for question, *choices, key in csv.reader(file)
        ]
    parquet(tmp_path / "mmlu" / "anatomy" / "test-00000-of-00001.parquet", *rows)
    same_in_both("mmlu_anatomy", data_root, tmp_path)
    items = [json.loads(line) for line in (data_root / "medmcqa" / "dev.json").read_text(encoding="utf-8").splitlines()]
    parquet(
        tmp_path / "medmcqa" / "data" / "validation-00000-of-00001.parquet",
        *({**item, "cop": item["cop"] - 1} for item in items),
    )
    assert len(same_in_both("medmcqa", data_root, tmp_path)) == 4183 - len(asset("medmcqa_ar.jsonl"))
