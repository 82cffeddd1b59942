"""Which samples of a task are asked: the readable ones, each id once, and of those as many as were asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from bimedix2.errors import BiMediX2Error, ConfigError, RecordError
from bimedix2.records.schema import Language

from .schema import Sample, Task


def readable(task: Task, root: Path, language: Language, split: str, bad: list[RecordError] | None) -> list[Sample]:
    """The samples of a split.

    Args:
        task, root, language, split: whose, and from where.
        bad: receives the errors of rows that are left out; without it the first one is raised.

    Raises:
        ConfigError: the split is empty, or an id comes twice and ``bad`` is not given.
        RecordError: the file is missing or damaged, no row is readable, or one is not and ``bad`` is not given.
    """
    samples = list(_unique(task.samples(root, language, split, bad), task, split, bad))
    if not samples and bad:
        first = bad[0]
        raise RecordError(
            first.path, first.row, first.field,
            f"{first.problem} (and no other row can be read: {len(bad)} of {len(bad)} are bad)",
            f"{first.problem_ar} (ولا يمكن قراءة أي صف آخر: المعيب {len(bad)} من {len(bad)})",
        )  # fmt: skip
    if not samples:
        raise ConfigError(
            f"{task.name}: split {split} is empty. Choose another split, or check the data.",
            f"{task.name}: القسم {split} فارغ. اختر قسما آخر أو تحقق من البيانات.",
        )
    return samples


def _unique(samples: Iterator[Sample], task: Task, split: str, bad: list[RecordError] | None) -> Iterator[Sample]:
    """Every id once; of two samples with one id the first stays."""
    seen: dict[str, int] = {}
    for number, sample in enumerate(samples, 1):
        if sample.id not in seen:
            seen[sample.id] = number
            yield sample
            continue
        error = RecordError(
            f"{task.name}:{split} ({sample.language})", number, "id",
            f"samples {seen[sample.id]} and {number} have the id {sample.id!r}. Give the second one an id of its own.",
            f"للعينتين {seen[sample.id]} و{number} المعرف نفسه {sample.id!r}. أعط الثانية معرفا خاصا بها.",
        )  # fmt: skip
        if bad is None:
            raise ConfigError(error.message, error.message_ar)
        bad.append(error)


def shared_ids(task: Task, root: Path, languages: Sequence[Language], split: str) -> frozenset[str]:
    """Ids that the split has in every one of the languages; none where it is asked in one, or one cannot be read."""
    asked = [language for language in languages if language in task.languages]
    if len(asked) < 2:
        return frozenset()
    try:
        found = [{sample.id for sample in task.samples(root, language, split, [])} for language in asked]
    except BiMediX2Error:
        return frozenset()  # told when that language's turn comes
    return frozenset(set.intersection(*found))


def limited(samples: list[Sample], limit: int | None, seed: int, first: Collection[str] = ()) -> list[Sample]:
    """So many of them, drawn by the hash of seed and id, so the same in every language; in their order.

    Args:
        samples: to draw from.
        limit: how many; all if ``None``.
        seed: of the draw.
        first: ids that are drawn before any other, so that languages of which one lacks items can be compared.
    """
    if limit is None or limit >= len(samples):
        return samples

    def place(sample: Sample) -> tuple[bool, bytes]:
        return sample.id not in first, hashlib.sha256(f"{seed}|{sample.id}".encode()).digest()

    kept = {sample.id for sample in sorted(samples, key=place)[:limit]}
    return [sample for sample in samples if sample.id in kept]
