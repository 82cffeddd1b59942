from __future__ import annotations

from pathlib import Path

import pytest

from bimedix2.data.splits import VqaRow, rephrasings, vqa_rad_rows, vqa_rad_splits
from bimedix2.errors import RecordError


def row(qid: int, image: str, question: str, answer: str, organ: str = "HEAD") -> VqaRow:
    return VqaRow(
        qid=qid, image=image, organ=organ, question=question, answer=answer, question_ar="س", answer_ar="ج",
        question_ar_second=None, closed=answer in ("yes", "no"),
    )  # fmt: skip


@pytest.fixture
def rows() -> list[VqaRow]:
    organs = ("HEAD", "CHEST", "ABD")
    words = [f"finding{n}" for n in range(30)]
    return [
        row(image * 100 + number, f"{image}.jpg", f"Is there {words[number % 30]}?", "yes", organs[image % 3])
        for image in range(60)
        for number in range(12)
    ]


def test_every_row_once_and_images_of_dev_image_nowhere_else(rows: list[VqaRow]) -> None:
    splits = vqa_rad_splits(rows)
    assert sorted(r.qid for part in splits.values() for r in part) == sorted(r.qid for r in rows)
    held = {r.image for r in splits["dev_image"]}
    assert held
    assert not held & {r.image for part in ("train", "dev_question") for r in splits[part]}  # type: ignore[index]
    assert {r.organ for r in splits["dev_image"]} == {"HEAD", "CHEST", "ABD"}


def test_row_order_does_not_matter(rows: list[VqaRow]) -> None:
    assert vqa_rad_splits(rows) == vqa_rad_splits(rows[::-1])


def test_copies_of_a_picture_stay_together(rows: list[VqaRow]) -> None:
    pairs = [(f"{image}.jpg", f"{image + 3}.jpg") for image in range(0, 60, 6)]
    splits = vqa_rad_splits(rows, pairs)
    held = {r.image for r in splits["dev_image"]}
    for first, second in pairs:
        assert (first in held) == (second in held)


def test_rephrasings_are_grouped() -> None:
    rows = [
        row(1, "a", "Where is the lesion located?", "left lobe"),
        row(2, "a", "What is the location of the lesion?", "left lobe"),
        row(3, "a", "Is the heart enlarged?", "no"),
        row(4, "a", "Is there cardiomegaly?", "no"),
    ]
    groups = {frozenset(r.qid for r in group) for group in rephrasings(rows)}
    assert groups == {frozenset({1, 2}), frozenset({3}), frozenset({4})}


def test_bad_row_names_file_row_and_field(tmp_path: Path) -> None:
    (tmp_path / "vqa_rad").mkdir()
    (tmp_path / "vqa_rad_ar").mkdir()
    good = '{"qid": 1, "image_name": "a.jpg", "image_organ": "HEAD", "question": "Q  one?", "answer": "Yes"}'
    arabic = '{"questions": {"Q one?": "س"}, "answers": {"Yes": "نعم"}}'
    (tmp_path / "vqa_rad_ar" / "train_ar.json").write_text(arabic, encoding="utf-8")
    (tmp_path / "vqa_rad_ar" / "train_ar_second.json").write_text('{"questions": {}}', encoding="utf-8")
    path = tmp_path / "vqa_rad" / "trainset.json"
    path.write_text(f"[{good}]", encoding="utf-8")
    (only,) = vqa_rad_rows(tmp_path)
    assert only.question_ar == "س"
    path.write_text(f"[{good}, {good.replace('Yes', '')}]", encoding="utf-8")
    with pytest.raises(RecordError, match=r"trainset.json, row 2, field answer"):
        vqa_rad_rows(tmp_path)
    path.write_text(f"[{good.replace('Yes', 'Perhaps')}]", encoding="utf-8")
    with pytest.raises(RecordError, match="no Arabic translation"):
        vqa_rad_rows(tmp_path)
    path.write_text("[", encoding="utf-8")
    with pytest.raises(RecordError, match="JSON"):
        vqa_rad_rows(tmp_path)


@pytest.mark.data
def test_real_splits(data_root: Path) -> None:
    from bimedix2.data.sources.vqa_rad import split_rows

    splits = split_rows(data_root)
    # Counts that the published figures are about; a change here changes what they mean.
    assert {name: len(part) for name, part in splits.items()} == {
        "train": 2620,
        "dev_question": 219,
        "dev_image": 225,
    }
