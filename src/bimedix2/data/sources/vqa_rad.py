"""VQA-RAD (Lau et al. 2018, CC0): radiology questions in English and Arabic."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from bimedix2.data.splits import DevSplit, VqaRow, identical_images, vqa_rad_rows, vqa_rad_splits
from bimedix2.records.schema import Language, Modality, Record, Step
from bimedix2.text.answer_language import ASK_FOR

from ._common import exchange, stable_fraction

SOURCE, LICENCE = "vqa_rad", "CC0-1.0"
TRANSLATION = Step(name="translate", tool="large language model", note="not verified by a clinician")
# The file names the organ, not the modality; chest images are films but for a few CTs, the others are mixed.
MODALITIES: dict[str, Modality] = {"CHEST": "xray"}
CROSS_LANGUAGE_SHARE = 0.06


def split_rows(root: Path) -> dict[DevSplit, list[VqaRow]]:
    """Rows of each part; copies of one picture under several names stay on one side."""
    rows = vqa_rad_rows(root)
    return vqa_rad_splits(rows, identical_images(root / SOURCE / "images", [row.image for row in rows]))


def answer_style(answer: str) -> str:
    """An answer with its first letter in upper case: the file writes both ``Yes`` and ``yes``."""
    return answer[:1].upper() + answer[1:]


def records(root: Path, parts: Collection[str] = ("train",)) -> Iterator[Record]:
    """Each question in both languages, second translations as phrasings of the first, a few cross-language.

    Args:
        root: data root that holds ``vqa_rad/`` and ``vqa_rad_ar/``.
        parts: which of ``train``, ``dev_question``, ``dev_image``.
    """
    for part, rows in split_rows(root).items():
        if part not in parts:
            continue
        for row in rows:
            yield from _row_records(row, part)


def _row_records(row: VqaRow, part: DevSplit) -> Iterator[Record]:
    base = f"{SOURCE}:{row.qid}"
    questions: list[tuple[str, Language, str, str]] = [
        ("en", "en", row.question, answer_style(row.answer)),
        ("ar", "ar", row.question_ar, row.answer_ar),
    ]
    if part == "train" and row.question_ar_second:
        questions.append(("ar2", "ar", row.question_ar_second, row.answer_ar))
    if part == "train" and stable_fraction(f"{base}:cross") < CROSS_LANGUAGE_SHARE:
        questions.append(("en-ar", "en", f"{row.question}\n{ASK_FOR['ar']}", row.answer_ar))
        questions.append(("ar-en", "ar", f"{row.question_ar}\n{ASK_FOR['en']}", answer_style(row.answer)))
    for suffix, language, question, answer in questions:
        cross = "-" in suffix
        record = exchange(
            f"{base}:{suffix}",
            question,
            answer,
            language,
            task="vqa",
            modality=MODALITIES.get(row.organ, "other"),
            source=SOURCE,
            licence=LICENCE,
            image=f"{SOURCE}/images/{row.image}",
            pair_id=f"{base}:cross" if cross else base,
            parent=None if suffix == "en" else f"{base}:en",
            split="train" if part == "train" else "dev",
            steps=() if suffix == "en" else (TRANSLATION,),
        )
        yield _answered_in(record, suffix[-2:]) if cross else record


def _answered_in(record: Record, language: str) -> Record:
    import msgspec

    answer = msgspec.structs.replace(record.turns[1], language=language)
    return msgspec.structs.replace(record, turns=(record.turns[0], answer))
