"""Predictions that another harness wrote: which format a file has, its samples and replies, our form of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bimedix2.errors import ConfigError, RecordError

from .importers._base import Importer, head_of
from .judge.given import given_columns
from .predictions import PredictionRow, paired
from .registry import all_importers, unknown
from .schema import Family, Mode, Reply, Sample
from .store import write_lines

AUTO = "auto"


def find_importer(path: Path, name: str = AUTO) -> Importer:
    """The importer of a format by its name, or by how the file begins.

    Raises:
        ConfigError: there is no such format, or the file begins like none of them.
        RecordError: the file cannot be read.
    """
    known = all_importers()
    if name != AUTO:
        if name not in known:
            raise unknown("format", "الصيغة", name, [AUTO, *known])
        return known[name]
    head = head_of(path)
    fitting = [importer for importer in known.values() if importer.recognises(head)]
    if len(fitting) == 1:
        return fitting[0]
    if not head.objects and not head.array:
        return known["jsonl"]  # empty, or no row is JSON: its errors say so
    titles = "; ".join(f"{importer.name}: {importer.title}" for importer in known.values())
    raise ConfigError(
        f"{path} begins like no known predictions file. Give --format; the formats are: {titles}.",
        f"بداية الملف {path} لا تشبه أي ملف إجابات معروف. حدد --format، والصيغ هي: {titles}.",
    )


def import_predictions(
    path: Path, importer: Importer, bad: list[RecordError] | None = None
) -> tuple[list[Sample], list[Reply]]:
    """Samples and replies of a file.

    Args:
        path: written by the importer's harness.
        importer: from :func:`find_importer`.
        bad: receives the errors of bad rows, and the good ones are returned; without it the first one is raised.

    Raises:
        RecordError: the file as a whole cannot be read or no row is good; without ``bad`` any row is bad.
    """
    return paired(path, importer.rows(path), bad)


def check_option_texts(family: Family, mode: Mode, samples: Sequence[Sample], path: Path) -> None:
    """Refuse a mode that compares replies with the options' texts where the file does not hold them.

    Raises:
        ConfigError: it does not.
    """
    if family.name != "choice" or mode != "multimedeval":
        return
    if any(sample.letters and not any(sample.options) for sample in samples):
        raise ConfigError(
            f"{path} holds no option texts, which mode multimedeval needs. Use --mode lenient or strict.",
            f"لا يحتوي {path} على نصوص الخيارات التي يحتاجها النمط multimedeval. استخدم --mode lenient أو strict.",
        )


def save_predictions(path: Path, samples: Sequence[Sample], replies: Sequence[Reply]) -> None:
    """Write samples and replies as our JSON lines, which score the same; the file appears whole or not at all."""
    write_lines(path, [_row(sample, reply) for sample, reply in zip(samples, replies, strict=True)])


def _row(sample: Sample, reply: Reply) -> PredictionRow:
    named = len(sample.letters) == len(sample.options)
    return PredictionRow(
        id=sample.id,
        prediction=reply.text,
        reference=sample.reference,
        question=sample.question,
        language=sample.language,
        options=dict(zip(sample.letters, sample.options, strict=True)) if named else list(sample.options),
        option_logprobs=list(reply.option_logprobs),
        answer_type=sample.group.get("answer_type", ""),
        image=sample.cluster if sample.cluster != sample.id else "",
        prompt=sample.prompt if sample.prompt != sample.question else "",
        group={name: value for name, value in sample.group.items() if name != "answer_type"},
        context=sample.context,
        **given_columns(reply.verdicts),
    )
