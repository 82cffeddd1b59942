"""VQA-RAD's training file with its Arabic, and two development sets that never move.

``dev_image`` holds out whole images (every question about them); ``dev_question`` holds out questions about
images that stay in training. Choices are made by hash, so they depend on neither row order nor library
versions. Rephrasings of one question about one image, and the two languages of a question, stay together.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from bimedix2.errors import RecordError
from bimedix2.records import CUT_OFF, OnError, bad_row, json_rows

DevSplit = Literal["train", "dev_question", "dev_image"]
IMAGE_SHARE = 0.08
QUESTION_SHARE = 0.08
SEED = "vqa-rad-dev-1"
# Words that carry no finding: two questions that share only these are not rephrasings of each other.
_STOP = frozenset(
    [
        "a",
        "an",
        "the",
        "is",
        "are",
        "was",
        "were",
        "be",
        "do",
        "does",
        "did",
        "there",
        "this",
        "that",
        "these",
        "those",
        "it",
        "its",
        "in",
        "on",
        "of",
        "at",
        "to",
        "for",
        "from",
        "by",
        "with",
        "and",
        "or",
        "what",
        "which",
        "where",
        "how",
        "who",
        "any",
        "evidence",
        "see",
        "seen",
        "show",
        "shown",
        "shows",
        "visible",
        "image",
        "picture",
        "pictured",
        "present",
        "presence",
        "located",
        "find",
        "found",
        "have",
        "has",
        "patient",
        "you",
        "can",
        "could",
    ]
)
_SAME = 0.5


class VqaRow(msgspec.Struct, frozen=True, kw_only=True):
    """One question of VQA-RAD in both languages.

    Attributes:
        qid: the set's own id.
        image: file name.
        organ: HEAD, CHEST or ABD.
        question, answer: English, white space collapsed.
        question_ar, answer_ar: Arabic.
        question_ar_second: an independent second translation, where there is one.
        closed: whether the English answer is exactly yes or no.
        answer_type: ``open`` or ``closed`` as the file says; closed ones are not all yes or no.
        number: row of the file, from 1.
    """

    qid: int
    image: str
    organ: str
    question: str
    answer: str
    question_ar: str
    answer_ar: str
    question_ar_second: str | None
    closed: bool
    answer_type: str = ""
    number: int = 0


def vqa_rad_rows(root: Path, on_error: OnError | None = None) -> list[VqaRow]:
    """Read ``vqa_rad/trainset.json`` and its translations.

    Args:
        root: folder that holds ``vqa_rad/`` and ``vqa_rad_ar/``.
        on_error: takes the error of each bad row, which is left out, and of each missing translation, whose row has
            its Arabic empty; then ``vqa_rad_ar/`` need not be there either. ``None`` raises the first error.

    Raises:
        RecordError: a file, field or translation is missing; names file, row and field.
    """
    path = root / "vqa_rad" / "trainset.json"
    arabic = _translations(root / "vqa_rad_ar" / "train_ar.json", on_error)
    second = _translations(root / "vqa_rad_ar" / "train_ar_second.json", on_error)["questions"]
    if on_error is None:
        return [_row(path, number, row, arabic, second) for number, row in enumerate(_load(path), start=1)]
    rows = []
    for number, raw in json_rows(path):
        if raw == CUT_OFF:
            problem = "the file ends in the middle: it was cut off; get it again"
            raise RecordError(path, number, "file", problem, "ينتهي الملف في وسطه: نزله من جديد")
        try:
            rows.append(_row(path, number, _decoded(path, number, raw), arabic, second, on_error))
        except RecordError as error:
            on_error(error)
    return rows


def _translations(path: Path, on_error: OnError | None) -> dict[str, dict[str, str]]:
    if on_error is not None and not path.exists():
        return {"questions": {}, "answers": {}}
    found: dict[str, dict[str, str]] = _load(path)
    return found


def _decoded(path: Path, number: int, raw: bytes) -> dict[str, object]:
    try:
        found: dict[str, object] = msgspec.json.decode(raw, type=dict[str, object])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise bad_row(path, number, error) from error
    return found


def _load(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RecordError(path, 0, "file", f"cannot be read as JSON ({error})", "تعذرت قراءته كملف JSON") from error


def _row(
    path: Path,
    number: int,
    row: dict[str, object],
    arabic: dict[str, dict[str, str]],
    second: dict[str, str],
    on_error: OnError | None = None,
) -> VqaRow:
    for field in ("qid", "image_name", "image_organ", "question", "answer"):
        if row.get(field) in (None, ""):
            raise RecordError(path, number, field, "missing or empty", "مفقود أو فارغ")
    question, answer = _collapse(row["question"]), _collapse(row["answer"])
    complete = True
    for field, text, table in (("question", question, "questions"), ("answer", answer, "answers")):
        if text not in arabic[table]:
            error = RecordError(path, number, field, f"has no Arabic translation: {text!r}", "لا توجد له ترجمة عربية")
            if on_error is None:
                raise error
            if arabic[table]:
                on_error(error)
            complete = False
    return VqaRow(
        qid=int(str(row["qid"])),
        image=str(row["image_name"]),
        organ=str(row["image_organ"]),
        question=question,
        answer=answer,
        question_ar=arabic["questions"][question] if complete else "",
        answer_ar=arabic["answers"][answer] if complete else "",
        question_ar_second=second.get(question) if complete else None,
        closed=answer.lower() in ("yes", "no"),
        answer_type=str(row.get("answer_type", "")).strip().lower(),
        number=number,
    )


def _collapse(value: object) -> str:
    return " ".join(str(value).split())


def _rank(key: str) -> str:
    return hashlib.sha256(f"{SEED}|{key}".encode()).hexdigest()


def vqa_rad_splits(rows: Sequence[VqaRow], same_image: Iterable[Iterable[str]] = ()) -> dict[DevSplit, list[VqaRow]]:
    """Divide rows into train, dev_question and dev_image.

    Args:
        rows: from :func:`vqa_rad_rows`.
        same_image: sets of file names that hold the same picture; they stay on one side.
    """
    alias = {name: min(group) for group in map(list, same_image) for name in group}
    organ_of = {alias.get(row.image, row.image): row.organ for row in rows}
    by_organ: dict[str, list[str]] = defaultdict(list)
    for image, organ in organ_of.items():
        by_organ[organ].append(image)
    held: set[str] = set()
    for images in by_organ.values():
        held.update(sorted(images, key=_rank)[: max(1, round(IMAGE_SHARE * len(images)))])
    splits: dict[DevSplit, list[VqaRow]] = {"train": [], "dev_question": [], "dev_image": []}
    by_image: dict[str, list[VqaRow]] = defaultdict(list)
    for row in rows:
        image = alias.get(row.image, row.image)
        if image in held:
            splits["dev_image"].append(row)
        else:
            by_image[image].append(row)
    for image, members in by_image.items():
        for group in rephrasings(members):
            share = int(_rank(f"{image}|{min(row.qid for row in group)}")[:8], 16) / 2**32
            splits["dev_question" if share < QUESTION_SHARE else "train"].extend(group)
    for part in splits.values():
        part.sort(key=lambda row: row.qid)
    return splits


def rephrasings(rows: Sequence[VqaRow]) -> list[list[VqaRow]]:
    """Group the questions about one image that ask the same thing.

    The file has no link between a question and its rephrasings. Two rows are linked when they share an answer
    and at least half of the smaller set of content words; links chain. Linking too much only makes held-out
    groups larger, linking too little would leak.
    """
    words = [frozenset(re.findall(r"[a-z0-9]+", row.question.lower())) - _STOP for row in rows]
    parent = list(range(len(rows)))

    def root(index: int) -> int:
        while parent[index] != index:
            index = parent[index]
        return index

    for i, first in enumerate(rows):
        for j in range(i):
            same_answer = first.answer.lower() == rows[j].answer.lower()
            smaller = min(len(words[i]), len(words[j]))
            if same_answer and (smaller == 0 or len(words[i] & words[j]) >= _SAME * smaller):
                parent[root(i)] = root(j)
    groups: dict[int, list[VqaRow]] = defaultdict(list)
    for index, row in enumerate(rows):
        groups[root(index)].append(row)
    return list(groups.values())


def identical_images(folder: Path, names: Iterable[str]) -> list[list[str]]:
    """File names that decode to the same pixels, as groups of two or more."""
    import numpy as np
    from PIL import Image

    groups: dict[str, list[str]] = defaultdict(list)
    for name in sorted(set(names)):
        if not (folder / name).is_file():
            continue  # told where its records are made
        with Image.open(folder / name, formats=("JPEG", "PNG")) as image:
            groups[hashlib.sha256(np.asarray(image.convert("L")).tobytes()).hexdigest()].append(name)
    return [group for group in groups.values() if len(group) > 1]
