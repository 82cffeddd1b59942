"""Stored predictions of any system: one JSON object a line, with what is needed to score it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from bimedix2.errors import RecordError
from bimedix2.records.schema import Language
from bimedix2.text import language_of

from .judge.given import given_verdicts
from .metrics.choice import ARABIC, LATIN
from .schema import Reply, Sample

Text = str | int | float


class PredictionRow(msgspec.Struct, frozen=True, omit_defaults=True):
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
        prompt: the whole text that the model read; the question if absent.
        group: further categories, such as ``{"type": "conversation"}`` or ``{"level": "Neutral"}``.
        context: what a judge reads besides: the caption, or the claim (whose id is ``image`` then).
        judge_reply: a judge's raw reply in the protocol's ``original`` form.
        scores, scores_swapped: of the reference and the model, from a judge that read the reference first, and from
            one that read the model's answer first.
        label: ``agree``, ``disagree`` or ``neutral`` from a judge; empty where its reply had none.
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
    prompt: str = ""
    group: dict[str, str] = {}
    context: str = ""
    judge_reply: str | None = None
    scores: tuple[float, float] | None = None
    scores_swapped: tuple[float, float] | None = None
    label: str | None = None


Rows = Iterable[tuple[int, PredictionRow | RecordError]]
"""(row number from 1, row); in place of a bad row its error."""


def read_predictions(path: Path, *, bad: list[RecordError] | None = None) -> tuple[list[Sample], list[Reply]]:
    """Samples and replies of a file, in its order.

    Args:
        path: JSON lines; other fields are ignored.
        bad: receives the errors of bad rows, and the good ones are returned; without it the first one is raised.

    Raises:
        RecordError: the file is missing or has no rows; a row is no such object, or its id comes twice in a
            language. Names file, row and field.
    """
    return paired(path, prediction_rows(path), bad)


def paired(path: Path, rows: Rows, bad: list[RecordError] | None = None) -> tuple[list[Sample], list[Reply]]:
    """Samples and replies of rows that came from ``path``, in their order.

    Args:
        path: for errors; its stem is the samples' task.
        rows: converted rows.
        bad: as for :func:`read_predictions`.

    Raises:
        RecordError: as :func:`read_predictions`.
    """
    samples: list[Sample] = []
    replies: list[Reply] = []
    seen: set[tuple[str, Language]] = set()
    for number, row in rows:
        try:
            if isinstance(row, RecordError):
                raise row
            sample, reply = _pair(path, number, row)
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
        problem = "the file holds no predictions. Give JSON lines with id, prediction and reference."
        problem_ar = "لا يحتوي الملف على إجابات. أعط أسطر JSON فيها id وprediction وreference."
        empty = RecordError(path, 0, "row", problem, problem_ar)
        raise bad[0] if bad else empty
    return samples, replies


def lines_of(path: Path) -> Iterator[tuple[int, bytes]]:
    """(line number from 1, line) of a file, read as it is used; blank lines and a byte-order mark are left out.

    Raises:
        RecordError: it cannot be read, or a line is longer than 64 MiB.
    """
    try:
        with path.open("rb") as file:
            for number, line in enumerate(iter(lambda: file.readline(_MAX_LINE + 1), b""), 1):
                if len(line) > _MAX_LINE:
                    problem = f"longer than {_MAX_LINE >> 20} MiB"
                    raise RecordError(path, number, "row", problem, f"أطول من {_MAX_LINE >> 20} ميبيبايت")
                text = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
                if text.strip():
                    yield number, text
    except OSError as error:
        raise RecordError(path, 0, "file", f"cannot be read ({error.strerror})", "تعذرت قراءة الملف") from error


_MAX_LINE = 64 << 20
_DECODER = msgspec.json.Decoder(PredictionRow)


def prediction_rows(path: Path) -> Rows:
    """Rows of our own JSON lines; in place of a bad one its error."""
    for number, line in lines_of(path):
        try:
            yield number, _DECODER.decode(line)
        except msgspec.DecodeError as error:
            yield number, RecordError(path, number, _field_of(error), str(error), "الصف غير صالح")
        except UnicodeDecodeError as error:
            yield number, RecordError(path, number, "row", f"not UTF-8 ({error.reason})", "ليس بترميز UTF-8")


def _pair(path: Path, number: int, row: PredictionRow) -> tuple[Sample, Reply]:
    reference, prediction = str(row.reference), "" if row.prediction is None else str(row.prediction)
    language: Language = row.language or language_of(row.question or reference)
    options, letters = _options(row.options, language)
    if row.option_logprobs and len(row.option_logprobs) != len(options):
        problem = f"{len(row.option_logprobs)} values for {len(options)} options"
        raise RecordError(path, number, "option_logprobs", problem, "عدد القيم لا يساوي عدد الخيارات")
    name = str(row.id)
    group = {"answer_type": row.answer_type.strip().lower()} if row.answer_type else {}
    verdicts = tuple(given_verdicts(path, number, row.judge_reply, row.scores, row.scores_swapped, row.label))
    sample = Sample(
        id=name,
        task=path.stem,
        language=language,
        prompt=row.prompt or row.question,
        question=row.question,
        reference=reference,
        options=options,
        letters=letters,
        cluster=row.image or name,
        group=group | row.group,
        context=row.context,
    )
    return sample, Reply(id=name, text=prediction, option_logprobs=tuple(row.option_logprobs), verdicts=verdicts)


def _options(options: list[str] | dict[str, str], language: Language) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if isinstance(options, dict):
        return tuple(options.values()), tuple(options)
    return tuple(options), (ARABIC if language == "ar" else LATIN)[: len(options)]


def _field_of(error: msgspec.DecodeError) -> str:
    """Field named by a decoding error: "… - at `$.reference`", "missing required field `id`"."""
    text = str(error)
    place = text.rpartition("`$.")[2].rstrip("`") if "`$." in text else text.rpartition("field `")[2].rstrip("`")
    return place if place and " " not in place else "row"
