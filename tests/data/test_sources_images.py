"""Image sources: hand-made files of the published formats, known counts on the real ones."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from source_files import JPEG, Taken, put, put_lines

from bimedix2.data.sources import bccd, rocov2, vqa_rad
from bimedix2.errors import RecordError

SLAKE = {"img_name": "xmlab1/source.jpg", "question": "Which?  one", "answer": "MRI", "q_lang": "en", "modality": "MRI"}


def test_slake_takes_english_rows_and_counts_chinese_ones(tmp_path: Path) -> None:
    rows = [{**SLAKE, "qid": 0}, {**SLAKE, "qid": 1, "q_lang": "zh"}, {**SLAKE, "qid": 2, "answer": " "}]
    put(tmp_path / "slake" / "train.json", json.dumps(rows, ensure_ascii=False))
    put(tmp_path / "slake" / "validation.json", json.dumps([{**SLAKE, "qid": 3, "modality": "X-Ray"}]))
    taken = Taken("slake", tmp_path)
    train, dev = taken.records
    assert (train.id, train.split, train.modality, train.turns[0].text) == ("slake:0:en", "train", "mri", "Which? one")
    assert train.images[0].path == "slake/imgs/xmlab1/source.jpg"
    assert (dev.id, dev.split, dev.modality) == ("slake:3:en", "dev", "xray")
    assert {said.en: count for said, count in taken.reading.skipped.items()} == {"question in Chinese": 1}
    assert [(error.row, error.field) for error in taken.errors] == [(3, "answer")]
    assert train.provenance[0].note == "slake/train.json row 1"


def test_path_vqa_writes_each_picture_once(tmp_path: Path) -> None:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    folder = tmp_path / "path_vqa" / "data"
    folder.mkdir(parents=True)
    rows = [
        {"image": {"bytes": JPEG, "path": None}, "question": "what is this?", "answer": "fat"},
        {"image": {"bytes": JPEG, "path": None}, "question": "is it?", "answer": "yes"},
        {"image": {"bytes": b"GIF89a", "path": None}, "question": "is it?", "answer": "no"},
    ]
    path = folder / "train-00000-of-00001-abc.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path)
    taken = Taken("path_vqa", tmp_path)
    assert taken.ids() == ["path_vqa:train-00000-1:en", "path_vqa:train-00000-2:en"]
    (name,) = {image.path for record in taken.records for image in record.images}
    assert (tmp_path / name).read_bytes() == JPEG
    assert [(error.row, error.field) for error in taken.errors] == [(3, "image")]
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(RecordError, match="cannot be read as Parquet"):
        Taken("path_vqa", tmp_path)


def test_pmc_oa_layouts_and_alignment_score(tmp_path: Path) -> None:
    row = {"image": "PMC1_Fig1_0.jpg", "caption": "A  cell.", "alignment_type": "x", "alignment_score": 0.4}
    put_lines(tmp_path / "pmc_oa" / "pmc_oa.jsonl", [row, {**row, "image": "PMC2_Fig1_0.jpg", "alignment_score": 0.9}])
    taken = Taken("pmc_oa", tmp_path, min_alignment="0.5")
    record = taken.only()
    assert (record.id, record.turns[1].text) == ("pmc_oa:PMC2_Fig1_0:caption:en", "A cell.")
    assert record.images[0].path == "pmc_oa/caption_T060_filtered_top4_sep_v0_subfigures/PMC2_Fig1_0.jpg"
    assert sum(taken.reading.skipped.values()) == 1
    put_lines(tmp_path / "pmc_oa" / "valid.jsonl", [{**row, "pmcid": "PMC1", "url_name": "u"}, {"image": "x.jpg"}])
    dev = Taken("pmc_oa", tmp_path, ["dev"])
    assert dev.ids() == ["pmc_oa:PMC1_Fig1_0:caption:en"]
    assert dev.errors[0].field == "caption"


def llava_med_row(name: str, **domain: bool) -> dict[str, object]:
    talk = [{"from": "human", "value": "What is shown?\n<image>"}, {"from": "gpt", "value": "A film."}]
    marks = dict.fromkeys(("chest_xray", "mri", "histology", "gross", "ct_scan"), False) | domain
    return {"id": name, "image": f"{name}.jpg", "domain": marks, "conversatons": talk}  # the published spelling


def test_llava_med_knows_domain_and_place_of_the_figure(tmp_path: Path) -> None:
    base = tmp_path / "llava_med"
    rows = [llava_med_row("1_F1", ct_scan=True), llava_med_row("2_F1", mri=True, gross=True), {"id": "3"}]
    put(base / "alignment" / "llava_med_alignment_500k.json", json.dumps(rows))
    dialogue = llava_med_row("1_F1", histology=True)
    dialogue["conversatons"] = [*dialogue["conversatons"], {"from": "human", "value": "And?"},  # type: ignore[misc]
                                {"from": "gpt", "value": "No."}]  # fmt: skip
    del dialogue["image"]
    put(base / "instruct" / "llava_med_instruct_60k_inline_mention.json", json.dumps([dialogue]))
    url = {"pair_id": "1_F1", "pmc_tar_url": "https://x/PMC1.tar.gz", "image_file_path": "PMC1/f1.jpg"}
    put_lines(base / "llava_med_image_urls.jsonl", [url, {"pair_id": "9"}])
    taken = Taken("llava_med_alignment", tmp_path)
    first, second = taken.records
    assert (first.id, first.task, first.modality) == ("llava_med_alignment:1_F1", "caption", "ct")
    assert first.images[0].path == "llava_med/images/1_F1.jpg"
    assert first.provenance[1].note == "https://x/PMC1.tar.gz PMC1/f1.jpg"
    assert (second.modality, len(second.provenance)) == ("other", 1)
    assert [(Path(error.path).name, error.row) for error in taken.errors] == [
        ("llava_med_image_urls.jsonl", 2), ("llava_med_alignment_500k.json", 3),
    ]  # fmt: skip
    spoken = Taken("llava_med_instruct", tmp_path).only()
    assert (spoken.task, spoken.modality, len(spoken.turns)) == ("dialogue", "microscopy", 4)
    assert spoken.images[0].path == "llava_med/images/1_F1.jpg"


def test_vqa_rad_without_translations_and_with_a_test_file(tmp_path: Path) -> None:
    base = tmp_path / "vqa_rad"
    row = {"qid": 1, "image_name": "a.jpg", "image_organ": "CHEST", "answer": "yes", "question": "Is it  clear?"}
    put(base / "trainset.json", json.dumps([row, {**row, "qid": 2, "answer": 3, "question": "How many?"}, {"qid": 4}]))
    put(base / "testset.json", json.dumps([{**row, "question": "Is it big?"}]))
    (base / "images").mkdir()
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(base / "images" / "a.jpg")
    taken = Taken("vqa_rad", tmp_path)
    assert {record.turns[1].text for record in taken.records if record.split != "test"} == {"Yes", "3"}
    assert all(record.turns[0].language == "en" for record in taken.records)
    assert taken.ids("test") == ["vqa_rad:test-1:en"]
    assert [(error.row, error.field) for error in taken.errors] == [(3, "image_name")]
    table = {"questions": {"How many?": "كم العدد؟"}, "answers": {"3": "3", "yes": "نعم"}}
    put(tmp_path / "vqa_rad_ar" / "train_ar.json", json.dumps(table))
    both = Taken("vqa_rad", tmp_path)
    assert {record.id for record in both.records} >= {"vqa_rad:2:en", "vqa_rad:2:ar", "vqa_rad:1:en"}
    assert [(error.row, error.field) for error in both.errors] == [(1, "question"), (3, "image_name")]


def test_rocov2_refuses_a_row_and_goes_on(tmp_path: Path) -> None:
    base = tmp_path / "rocov2"
    put(base / "valid_captions.csv", "ID,Caption\nR1,Chest film.\nR2,\nR3,CT\n")
    put(base / "valid_concepts_manual.csv", "ID,CUIs\nR1,C1306645;C0817096\nR3,C0040405\n")
    taken = Taken("rocov2", tmp_path, ["dev"])
    assert {record.source_id for record in taken.records} == {"R1", "R3"}
    assert {record.split for record in taken.records} == {"dev"}
    assert [(error.row, error.field) for error in taken.errors] == [(2, "Caption")]


def test_bccd_sets_a_broken_annotation_aside(tmp_path: Path) -> None:
    base = tmp_path / "bccd" / "BCCD"
    put(base / "ImageSets" / "Main" / "val.txt", "I1\nI2\n")
    put(base / "Annotations" / "I1.xml", "<annotation><object><name>WBC</name></object></annotation>")
    put(base / "Annotations" / "I2.xml", "<annotation><object>")
    taken = Taken("bccd", tmp_path, ["dev"])
    assert {record.source_id for record in taken.records} == {"I1"}
    assert (taken.errors[0].row, taken.errors[0].field) == (2, "annotation")


def test_pneumoniamnist_parts(tmp_path: Path) -> None:
    path = tmp_path / "pneumoniamnist" / "pneumoniamnist.npz"
    path.parent.mkdir()
    arrays = {f"{part}_images": np.zeros((2, 28, 28), np.uint8) for part in ("train", "val", "test")}
    labels = {f"{part}_labels": np.array([[1], [7]], np.uint8) for part in ("train", "val", "test")}
    np.savez(path, **arrays, **labels)
    taken = Taken("pneumoniamnist", tmp_path, ["train", "dev"])
    assert {record.split for record in taken.records} == {"train", "dev"}
    assert {record.source_id for record in taken.records} == {"0", "val-0"}
    assert [error.row for error in taken.errors] == [2, 2]
    with Image.open(tmp_path / taken.records[0].images[0].path) as picture:
        assert picture.size == (28, 28)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(RecordError, match="get it again"):
        Taken("pneumoniamnist", tmp_path)


@pytest.mark.data
def test_real_slake(data_root: Path) -> None:
    rows = [
        row for name in ("train", "validate") for row in json.loads((data_root / f"slake/{name}.json").read_bytes())
    ]
    chinese = sum(row["q_lang"] == "zh" for row in rows)
    empty = sum(row["q_lang"] == "en" and not row["answer"].strip() for row in rows)
    taken = Taken("slake", data_root)
    assert len(taken.records) == len(rows) - chinese - empty == 5971
    assert sum(taken.reading.skipped.values()) == chinese
    assert len(taken.errors) == empty == 1


@pytest.mark.data
def test_real_image_sets_agree_with_the_mix_of_nano(data_root: Path) -> None:
    for name, made in (
        ("vqa_rad", vqa_rad.records(data_root)),
        ("rocov2", rocov2.records(data_root)),
        ("bccd", bccd.records(data_root)),
    ):
        taken = Taken(name, data_root, ["train"])
        assert [(r.id, r.turns, r.images) for r in taken.records] == [(r.id, r.turns, r.images) for r in made]
        assert not taken.errors


@pytest.mark.data
def test_known_counts_of_images(data_root: Path) -> None:
    questions = {r.source_id for r in Taken("vqa_rad", data_root).records}
    assert len(questions) == 3064
    images = {record.split: set() for record in Taken("rocov2", data_root).records}  # type: ignore[var-annotated]
    for record in Taken("rocov2", data_root).records:
        images[record.split].add(record.images[0].path)
    assert {split: len(paths) for split, paths in images.items()} == {"train": 600, "dev": 100, "test": 100}
    assert len({record.images[0].path for record in Taken("bccd", data_root).records}) == 364
