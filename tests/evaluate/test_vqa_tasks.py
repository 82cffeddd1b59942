"""The adapters of the three VQA sets on files of their original formats."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from bimedix2.errors import ConfigError, RecordError
from bimedix2.evaluate.registry import all_tasks, find_family, find_tasks

QUESTION, ANSWER = "Is the heart enlarged?", "Yes"
ARABIC = {"questions": {QUESTION: "هل القلب متضخم؟"}, "answers": {ANSWER: "نعم"}}


def write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


def test_slake_reads_english_rows_and_translations(tmp_path: Path) -> None:
    row = {"img_name": "x/source.jpg", "question": QUESTION, "answer": ANSWER, "q_lang": "en", "qid": 7,
           "answer_type": "CLOSED", "modality": "X-Ray", "content_type": "Size"}  # fmt: skip
    write(tmp_path / "slake" / "test.json", [row, {**row, "q_lang": "zh", "question": "心脏?", "qid": 8}])
    write(tmp_path / "slake_ar" / "test_ar.json", ARABIC)
    task = all_tasks()["slake"]
    (english,), (arabic,) = (list(task.samples(tmp_path, language, "test")) for language in task.languages)
    assert (english.id, english.reference, english.images) == ("7", "Yes", ("slake/imgs/x/source.jpg",))
    assert (arabic.id, arabic.prompt, arabic.reference) == ("7", "هل القلب متضخم؟", "نعم")
    assert arabic.group["answer_type"] == "closed"
    with pytest.raises(RecordError, match=r"validate\.json.*not found"):
        list(task.samples(tmp_path, "en", "validate"))
    write(tmp_path / "slake" / "test.json", [row, {**row, "question": ""}])
    with pytest.raises(RecordError, match=r"test\.json, row 2, field question: missing"):
        list(task.samples(tmp_path, "en", "test"))
    write(tmp_path / "slake" / "test.json", [{**row, "answer": "No"}])
    with pytest.raises(RecordError, match="row 1, field answer: has no Arabic translation"):
        list(task.samples(tmp_path, "ar", "test"))


def test_path_vqa_reads_parquet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIMEDIX2_CACHE", str(tmp_path / "cache"))
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (200, 100, 150)).save(buffer, "PNG")
    image = {"bytes": buffer.getvalue(), "path": None}
    rows = [
        {"image": image, "question": QUESTION, "answer": "yes"},
        {"image": image, "question": "what?", "answer": "mucosa"},
    ]
    (tmp_path / "path_vqa" / "data").mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "path_vqa" / "data" / "test-00000-of-00001.parquet")
    first, second = all_tasks()["path_vqa"].samples(tmp_path, "en", "test")
    assert [sample.group["answer_type"] for sample in (first, second)] == ["closed", "open"]
    assert first.cluster == second.cluster
    assert Path(first.images[0]).read_bytes() == buffer.getvalue()
    with pytest.raises(RecordError, match=r"no train-\*\.parquet"):
        list(all_tasks()["path_vqa"].samples(tmp_path, "en", "train"))


def test_vqa_rad_official_test_file(tmp_path: Path) -> None:
    row = {"qid": 3, "image_name": "a.jpg", "image_organ": "CHEST", "answer": ANSWER, "answer_type": "CLOSED ",
           "question": QUESTION}  # fmt: skip
    write(tmp_path / "vqa_rad" / "testset.json", [row])
    write(tmp_path / "vqa_rad_ar" / "test_ar.json", ARABIC)
    (arabic,) = all_tasks()["vqa_rad"].samples(tmp_path, "ar", "test")
    assert arabic.group == {"answer_type": "closed", "organ": "chest"}
    assert arabic.images == ("vqa_rad/images/a.jpg",)
    with pytest.raises(RecordError, match="use --split dev_question"):
        list(all_tasks()["vqa_rad"].samples(tmp_path / "elsewhere", "en", "test"))


@pytest.mark.data
def test_vqa_rad_development_splits(data_root: Path) -> None:
    task = all_tasks()["vqa_rad"]
    for split, count in (("dev_question", 219), ("dev_image", 225)):
        english, arabic = (list(task.samples(data_root, language, split)) for language in task.languages)
        assert len(english) == len(arabic) == count
        assert all((data_root / sample.images[0]).is_file() for sample in english)


@pytest.mark.data
def test_slake_original_file(data_root: Path) -> None:
    samples = list(all_tasks()["slake"].samples(data_root, "en", "validate"))
    rows = json.loads((data_root / "slake" / "validate.json").read_text(encoding="utf-8"))
    assert len(samples) == sum(row["q_lang"] == "en" for row in rows)


def test_names_of_tasks() -> None:
    assert {"rocov2_modality", "rocov2_region"} == {task.name for task in find_tasks(["rocov2_*"])}
    assert len(find_tasks(["all"])) == len(all_tasks())
    assert all(task.family == find_family(task.name).name for task in all_tasks().values())
    with pytest.raises(ConfigError, match=r"task 'vqa-rad' is not known\. Choose one of: vqa_rad"):
        find_tasks(["vqa-rad"])
