"""Questions of evaluation samples and of training records in one shape."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bimedix2.evaluate.schema import Sample
from bimedix2.images.prints import Picture
from bimedix2.records.schema import ImageRef, Language, Record
from bimedix2.text.canonical import canonical

OTHER: dict[Language, Language] = {"en": "ar", "ar": "en"}


@dataclass(frozen=True, slots=True)
class Item:
    """One question with its answer.

    Attributes:
        key: what reports call it.
        language: of the question.
        texts: canonical forms of the question, the bare one first, then the whole prompt where it says more.
        answers: canonical forms of the right answer.
        pictures: images that it is about.
        ids: names under which a translation may refer to it.
    """

    key: str
    language: Language
    texts: tuple[str, ...]
    answers: frozenset[str]
    pictures: tuple[Picture, ...] = ()
    ids: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Asked:
    """An evaluation item.

    Attributes:
        item: the question.
        sample: where it comes from.
        split: of its task.
        counterpart: the same item in the other language, if there is one.
        translations: further canonical translations of its question, from tables.
    """

    item: Item
    sample: Sample
    split: str
    counterpart: Item | None = None
    translations: tuple[str, ...] = ()

    @property
    def other_texts(self) -> tuple[str, ...]:
        """The question in the other language, in every wording that is known."""
        own = self.counterpart.texts if self.counterpart is not None else ()
        return tuple(dict.fromkeys([*own, *self.translations]))


def sample_item(sample: Sample, split: str, root: Path) -> Item:
    """A sample as an item; of multiple choice, the right option's text is the answer, with or without its letter."""
    return Item(
        key=f"{sample.task}:{split}/{sample.language}/{sample.id}",
        language=sample.language,
        texts=_distinct((sample.question, sample.prompt)),
        answers=_answers(sample),
        pictures=tuple(Picture((root / path).resolve()) for path in sample.images),
        ids=frozenset(_names(sample)),
    )


def record_items(record: Record, root: Path) -> Iterator[Item]:
    """One item for every answer of a conversation; an image counts for its turn and all after it."""
    ids = frozenset(
        name
        for name in (
            record.id,
            record.parent,
            record.pair_id,
            f"{record.source}:{record.source_id}" if record.source_id else None,
        )
        if name
    )
    pictures: list[Picture] = []
    question, number = record.turns[0], 0
    for turn in record.turns:
        if turn.role == "user":
            question = turn
            pictures += [_picture(record.images[index], root) for index in turn.images]
        elif turn.role == "assistant":
            yield Item(
                key=f"{record.id}#{number}" if number else record.id,
                language=question.language,
                texts=_distinct((question.text,)),
                answers=frozenset(_distinct((turn.text,))),
                pictures=tuple(pictures),
                ids=ids,
            )
            number += 1


def _picture(reference: ImageRef, root: Path) -> Picture:
    return Picture((root / reference.path).resolve(), reference.frame, reference.window)


def _distinct(texts: Iterable[str]) -> tuple[str, ...]:
    """Canonical forms, each once, without empty ones."""
    return tuple(dict.fromkeys(form for form in map(canonical, texts) if form))


def _answers(sample: Sample) -> frozenset[str]:
    if sample.reference not in sample.letters or len(sample.letters) != len(sample.options):
        return frozenset(_distinct((sample.reference,)))
    option = sample.options[sample.letters.index(sample.reference)]
    return frozenset(_distinct((option, f"{sample.reference}. {option}")))


def _names(sample: Sample) -> Iterator[str]:
    """Names that records may have for the sample: its task or the set that the task belongs to, and its id.

    ``rocov2_modality`` is a task of the set ``rocov2``. Ids of some sets are row numbers of a split, so a name is
    only a hint: see :func:`bimedix2.evaluate.overlap.check.check`.
    """
    parts = sample.task.split("_")
    for end in range(1, len(parts) + 1):
        name = f"{'_'.join(parts[:end])}:{sample.id}"
        yield from (name, f"{name}:en", f"{name}:ar")
