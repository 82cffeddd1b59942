"""VQA-RAD (Lau et al. 2018, CC0): radiology questions in English and Arabic."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import partial
from pathlib import Path

from bimedix2.data.splits import DevSplit, VqaRow, identical_images, vqa_rad_rows, vqa_rad_splits
from bimedix2.records import OnError
from bimedix2.records.schema import Language, Modality, Record, Step
from bimedix2.text.answer_language import ASK_FOR

from ._common import answered_in, exchange, stable_fraction
from ._files import Values, json_objects, line
from ._reading import Reading, Source, SourceInfo, each, files_of

SOURCE, LICENCE = "vqa_rad", "CC0-1.0"
TRANSLATION = Step(name="translate", tool="large language model", note="not verified by a clinician")
# The file names the organ, not the modality; chest images are films but for a few CTs, the others are mixed.
MODALITIES: dict[str, Modality] = {"CHEST": "xray"}
CROSS_LANGUAGE_SHARE = 0.06


def split_rows(root: Path, on_error: OnError | None = None) -> dict[DevSplit, list[VqaRow]]:
    """Rows of each part; copies of one picture under several names stay on one side.

    Args:
        root: data root.
        on_error: as for ``vqa_rad_rows``.
    """
    rows = vqa_rad_rows(root, on_error)
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
    ]
    if row.question_ar:
        questions.append(("ar", "ar", row.question_ar, row.answer_ar))
    if part == "train" and row.question_ar_second:
        questions.append(("ar2", "ar", row.question_ar_second, row.answer_ar))
    if part == "train" and row.question_ar and stable_fraction(f"{base}:cross") < CROSS_LANGUAGE_SHARE:
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
        yield answered_in(record, "ar" if suffix.endswith("ar") else "en") if cross else record


INFO = SourceInfo(
    name=SOURCE,
    licence=LICENCE,
    languages=("en", "ar"),
    tasks=("vqa",),
    splits=("train", "dev", "test"),
    files=(
        "vqa_rad/trainset.json",
        "vqa_rad/testset.json",
        "vqa_rad/images/",
        "vqa_rad_ar/train_ar.json (optional)",
        "vqa_rad_ar/train_ar_second.json (optional)",
    ),
    notes="The official files share images. Of trainset.json some images, and some questions on the others, are dev, "
    "chosen by hash with all their rephrasings. Arabic where the translation files are there.",
    notes_ar="تشترك الملفات الرسمية في صور. بعض صور trainset.json وبعض أسئلة غيرها قسم تطوير باختيار ثابت مع كل إعادات "
    "صياغتها. العربية إن وجدت ملفات الترجمة.",
)


def read(reading: Reading) -> Iterator[Record]:
    """The records of :func:`records`, and the English ones of the test file.

    The file is read at once: rephrasings are found by comparing rows, and it has 3,064 of them.
    """
    train = (f"{SOURCE}/trainset.json",)
    files = files_of(reading, INFO, {"train": train, "dev": train, "test": (f"{SOURCE}/testset.json",)})
    paths = dict(files)
    if "train" in paths or "dev" in paths:
        path = reading.root / train[0]
        parts = split_rows(reading.root, reading.refuse)
        rows = ((row.number, (part, row)) for part, members in parts.items() for row in members)
        yield from each(reading, path, rows, lambda _, item: _row_records(item[1], item[0]))
    if "test" in paths:
        path = paths["test"]
        yield from each(reading, path, json_objects(reading, path), partial(_test_record, path))


def _test_record(path: Path, number: int, row: Values) -> list[Record]:
    return [
        exchange(
            f"{SOURCE}:test-{line(path, number, row, 'qid')}:en",
            line(path, number, row, "question"),
            answer_style(line(path, number, row, "answer")),
            "en",
            task="vqa",
            modality=MODALITIES.get(str(row.get("image_organ")), "other"),
            source=SOURCE,
            licence=LICENCE,
            image=f"{SOURCE}/images/{line(path, number, row, 'image_name')}",
            split="test",
        )
    ]


SOURCES = (Source(INFO, read),)
