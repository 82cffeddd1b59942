"""Stored predictions of any system: one JSON object a line, with what is needed to score it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from bimedix2.errors import RecordError
from bimedix2.records.schema import Language
from bimedix2.text import language_of

from .metrics.choice import ARABIC, LATIN
from .schema import Reply, Sample

Text = str | int | float


class PredictionRow(msgspec.Struct, frozen=True):
    """A row of a predictions file.

    Attributes:
        id: unique in the file within a language.
        prediction: the raw reply; empty or null is a wrong answer, not an error.
        reference: the right answer; for multiple choice the option's letter.
        question: the bare question.
        language: ``en`` or ``ar``; by the script of question and reference if absent.
        options: texts of the choices, or letter -> text.
        option_logprobs: log-probability of each option, in the order of the options.
        answer_type: ``open`` or ``closed`` as the data set says.
        image: what rows about one image share; they are resampled together.
    """

    id: Text
    prediction: Text | None
    reference: Text
    question: str = ""
    language: Language | None = None
    options: list[str] | dict[str, str] = []
    option_logprobs: list[float] = []
    answer_type: str = ""
    image: str = ""


def read_predictions(path: Path, *, bad: list[RecordError] | None = None) -> tuple[list[Sample], list[Reply]]:
    """Samples and replies of a file, in its order.

    Args:
        path: JSON lines; other fields are ignored.
        bad: receives the errors of bad rows, and the good ones are returned; without it the first one is raised.

    Raises:
        RecordError: the file is missing or has no rows; a row is no such object, or its id comes twice in a
            language. Names file, row and field.
    """
    samples: list[Sample] = []
    replies: list[Reply] = []
    seen: set[tuple[str, Language]] = set()
    for number, line in _lines(path):
        try:
            sample, reply = _row(path, number, line)
            if (sample.id, sample.language) in seen:
                raise RecordError(path, number, "id", f"{sample.id!r} comes twice", f"المعرف {sample.id!r} مكرر")
        except RecordError as error:
            if bad is None:
                raise
            bad.append(error)
            continue
        seen.add((sample.id, sample.language))
        samples.append(sample)
        replies.append(reply)
    if not samples:
        raise RecordError(path, 0, "row", "the file holds no predictions", "لا يحتوي الملف على إجابات")
    return samples, replies


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    try:
        content = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    except OSError as error:
        raise RecordError(path, 0, "file", f"cannot be read ({error.strerror})", "تعذرت قراءة الملف") from error
    return ((number, line) for number, line in enumerate(content.split(b"\n"), 1) if line.strip())


_DECODER = msgspec.json.Decoder(PredictionRow)


def _row(path: Path, number: int, line: bytes) -> tuple[Sample, Reply]:
    try:
        row = _DECODER.decode(line)
    except msgspec.DecodeError as error:
        raise RecordError(path, number, _field_of(error), str(error), "الصف غير صالح") from error
    reference, prediction = str(row.reference), "" if row.prediction is None else str(row.prediction)
    language: Language = row.language or language_of(row.question or reference)
    options, letters = _options(row.options, language)
    if row.option_logprobs and len(row.option_logprobs) != len(options):
        problem = f"{len(row.option_logprobs)} values for {len(options)} options"
        raise RecordError(path, number, "option_logprobs", problem, "عدد القيم لا يساوي عدد الخيارات")
    name = str(row.id)
    group = {"answer_type": row.answer_type.strip().lower()} if row.answer_type else {}
    sample = Sample(
        id=name,
        task=path.stem,
        language=language,
        prompt=row.question,
        question=row.question,
        reference=reference,
        options=options,
        letters=letters,
        cluster=row.image or name,
        group=group,
    )
    return sample, Reply(id=name, text=prediction, option_logprobs=tuple(row.option_logprobs))


def _options(options: list[str] | dict[str, str], language: Language) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if isinstance(options, dict):
        return tuple(options.values()), tuple(options)
    return tuple(options), (ARABIC if language == "ar" else LATIN)[: len(options)]


def _field_of(error: msgspec.DecodeError) -> str:
    """Field named by a decoding error: "… - at `$.reference`", "missing required field `id`"."""
    text = str(error)
    place = text.rpartition("`$.")[2].rstrip("`") if "`$." in text else text.rpartition("field `")[2].rstrip("`")
    return place if place and " " not in place else "row"
