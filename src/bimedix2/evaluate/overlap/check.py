"""For every evaluation item what of it is in training: image, question, answer, translation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import msgspec

from bimedix2.errors import ImageError
from bimedix2.images.prints import Picture, PrintStore, Say
from bimedix2.records.schema import Language

from .images import KINDS, MAX_BITS, Match, match_images
from .items import OTHER, Asked
from .questions import COVERED, GRAM, SIMILAR, Coverage, Near, nearest
from .training import Held, Training


class Overlap(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What of one evaluation item is in training; a row of ``overlap-items.jsonl``.

    Attributes:
        id, task, language, split: the item.
        image: how surely its image is in training: ``file``, ``pixels``, ``near``, ``path`` or ``""``.
        image_train, image_bits: that training image, and the different bits of the perceptual hashes.
        image_error: why an image of the item could not be compared.
        similarity, nearest, nearest_text: cosine of the most similar training question, its item and its words.
        exact: the same question, word for word.
        similar: a training item with a similar question.
        same_answer: one with a similar question and the same answer.
        same_image: one with a similar question about the same image.
        same_all: one with a similar question about the same image and the same answer.
        covered: share of the question's words that lie in runs of eight words of training texts.
        same_item: a training item made from this very item, in its language.
        translated: a training item that is this one in the other language; ``translated_by`` says whether it was
            found by its ``text``, by its ``id`` and content, or by its ``id alone``.
        other_similarity: as ``similarity``, for the item's wording in the other language.
        duplicate: whether a model may have learnt this answer by heart, see :func:`check`.
    """

    id: str
    task: str
    language: Language
    split: str
    image: str = ""
    image_train: str = ""
    image_bits: int = 0
    image_error: str = ""
    similarity: float = 0.0
    nearest: str = ""
    nearest_text: str = ""
    exact: bool = False
    similar: str = ""
    same_answer: str = ""
    same_image: str = ""
    same_all: str = ""
    covered: float = 0.0
    same_item: str = ""
    translated: str = ""
    translated_by: str = ""
    other_similarity: float = 0.0
    duplicate: bool = False

    def meets(self, criterion: str) -> bool:
        """Whether the item overlaps in the way that one of :data:`CRITERIA` names."""
        return self.covered > COVERED if criterion == "covered" else bool(getattr(self, criterion))


CRITERIA = (
    *("duplicate", "image", "exact", "similar", "same_answer", "same_image", "same_all"),
    *("covered", "same_item", "translated"),
)
"""Ways to overlap, the one that stands for all first."""


@dataclass(frozen=True)
class Checked:
    """Result of a check.

    Attributes:
        items: one per evaluation item, in order.
        bad_images: (side, error) of every image that could not be decoded.
        decoded: images that had no print yet.
    """

    items: list[Overlap]
    bad_images: list[tuple[str, ImageError]]
    decoded: int


@dataclass(frozen=True)
class _Found:
    """Matches of all texts and images of the evaluation side."""

    near: Mapping[Language, Mapping[str, Near]]
    images: Mapping[Picture, Sequence[Match]]
    errors: Mapping[Picture, ImageError]


def check(
    asked: Sequence[Asked],
    training: Training,
    coverage: Coverage,
    store: PrintStore | None,
    *,
    threshold: float = SIMILAR,
    max_bits: int = MAX_BITS,
    say: Say = lambda _: None,
) -> Checked:
    """Compare evaluation items with training.

    An item is a ``duplicate`` if training has a similar question about the same image or, for an item without an
    image, a similar question with the same answer or the same question of eight words or more, word for word; in
    either language, or under the item's own name. A name alone proves nothing, for many sets number the rows of
    every split from 1: it counts if image or question agree too, or if neither can be compared.

    Args:
        asked: evaluation items.
        training: all that the model was trained on.
        coverage: has seen the same training items.
        store: makes prints of images; without it images are not compared.
        threshold: least cosine of similar questions.
        max_bits: most different bits of two hashes of one image.
        say: receives progress lines.
    """
    images, errors, bad = _images(asked, training, store, max_bits, say)
    found = _Found(_texts(asked, training, threshold, say), images, errors)
    places = list(training.pictures)
    names = {language: list(table) for language, table in training.texts.items()}
    rows = [_row(item, training, coverage, found, places, names) for item in asked]
    return Checked(rows, bad, store.decoded if store else 0)


def _images(
    asked: Sequence[Asked], training: Training, store: PrintStore | None, max_bits: int, say: Say
) -> tuple[dict[Picture, list[Match]], dict[Picture, ImageError], list[tuple[str, ImageError]]]:
    pictures = list(dict.fromkeys(picture for own in asked for picture in own.item.pictures))
    known = list(training.pictures)
    if store is None or not pictures or not known:
        return {}, {}, []
    own, others = store.prints(pictures, crops=True, say=say), store.prints(known, crops=False, say=say)
    matches = match_images((pictures, own), (known, others), store, max_bits=max_bits, say=say)
    bad = [("evaluation", item) for item in own if isinstance(item, ImageError)]
    bad += [("training", item) for item in others if isinstance(item, ImageError)]
    errors = {picture: item for picture, item in zip(pictures, own, strict=True) if isinstance(item, ImageError)}
    return dict(zip(pictures, matches, strict=True)), errors, bad


def _texts(asked: Sequence[Asked], training: Training, threshold: float, say: Say) -> dict[Language, dict[str, Near]]:
    wanted: dict[Language, dict[str, None]] = {"en": {}, "ar": {}}
    for own in asked:
        wanted[own.item.language] |= dict.fromkeys(own.item.texts)
        wanted[OTHER[own.item.language]] |= dict.fromkeys(own.other_texts)
    return {
        language: dict(zip(texts, nearest(list(texts), list(training.texts[language]), threshold, say), strict=True))
        for language, texts in wanted.items()
    }


def _row(
    asked: Asked,
    training: Training,
    coverage: Coverage,
    found: _Found,
    places: Sequence[Picture],
    names: Mapping[Language, Sequence[str]],
) -> Overlap:
    item, other = asked.item, OTHER[asked.item.language]
    near = max((found.near[item.language][text] for text in item.texts), key=lambda own: own.similarity, default=None)
    best = near.best if near is not None else -1
    similar = _similar(found.near[item.language], item.texts)
    matches = [match for picture in item.pictures for match in found.images.get(picture, ())]
    pictures = tuple(match.known for match in matches)
    errors = [str(found.errors[picture]) for picture in item.pictures if picture in found.errors]
    best_image = min(matches, key=lambda match: (KINDS.index(match.kind), match.bits), default=None)
    exact = any(text in training.texts[item.language] for text in item.texts)
    same_item, translated, by = _by_name(asked, training, found, pictures, similar)
    translated, by = _translated(asked, training, found, pictures) or (translated, by)
    same_answer = _first(training.with_answer, item.language, similar, item.answers)
    same_image = _first(training.with_picture, item.language, similar, pictures)
    word_for_word = exact and len(item.texts[0].split()) >= GRAM
    alike = same_image if item.pictures else same_answer or word_for_word
    return Overlap(
        id=asked.sample.id,
        task=asked.sample.task,
        language=item.language,
        split=asked.split,
        image=best_image.kind if best_image else "",
        image_train=str(places[best_image.known].path) if best_image else "",
        image_bits=best_image.bits if best_image else 0,
        image_error="; ".join(errors),
        similarity=round(near.similarity, 4) if near is not None else 0.0,
        nearest=training.first[item.language, best] if best >= 0 else "",
        nearest_text=names[item.language][best] if best >= 0 else "",
        exact=exact,
        similar=training.first[item.language, similar[0]] if similar else "",
        same_answer=same_answer,
        same_image=same_image,
        same_all=_first(training.with_both, item.language, similar, list(product(pictures, item.answers))),
        covered=round(coverage.of(item.texts[0]), 4) if item.texts else 0.0,
        same_item=same_item,
        translated=translated,
        translated_by=by,
        other_similarity=round(max((found.near[other][text].similarity for text in asked.other_texts), default=0.0), 4),
        duplicate=bool(alike or same_item or translated),
    )


def _similar(near: Mapping[str, Near], texts: Sequence[str]) -> tuple[int, ...]:
    """Places of the training questions that are like any wording, without repeats."""
    return tuple(dict.fromkeys(place for text in texts for place in near[text].similar))


def _first(table: Mapping[Any, str], language: Language, texts: Sequence[int], seconds: Iterable[Any]) -> str:
    """Key of the first training item with one of the texts and one of the images, answers or pairs of both."""
    others = [second if isinstance(second, tuple) else (second,) for second in seconds]
    for text in texts:
        for other in others:
            if (key := table.get((language, text, *other))) is not None:
                return key
    return ""


def _translated(asked: Asked, training: Training, found: _Found, pictures: Sequence[int]) -> tuple[str, str] | None:
    """The training item that asks the same in the other language, found by its words."""
    other = OTHER[asked.item.language]
    similar = _similar(found.near[other], asked.other_texts)
    if asked.item.pictures:
        key = _first(training.with_picture, other, similar, pictures)
    else:
        answers = asked.counterpart.answers if asked.counterpart is not None else frozenset[str]()
        key = _first(training.with_answer, other, similar, answers) or _word_for_word(asked, training, other)
    return (key, "text") if key else None


def _word_for_word(asked: Asked, training: Training, language: Language) -> str:
    for text in asked.other_texts:
        place = training.texts[language].get(text)
        if place is not None and len(text.split()) >= GRAM:
            return training.first[language, place]
    return ""


def _by_name(
    asked: Asked, training: Training, found: _Found, pictures: Sequence[int], similar: Sequence[int]
) -> tuple[str, str, str]:
    """Training items under the item's own names: (in its language, in the other one, how that was confirmed)."""
    same_item = translated = by = ""
    other = set(_similar(found.near[OTHER[asked.item.language]], asked.other_texts))
    for name in sorted(asked.item.ids & training.ids.keys()):
        for held in training.ids[name]:
            own = held.language == asked.item.language
            agrees = bool(set(pictures) & set(held.pictures) or set(similar if own else other) & set(held.texts))
            if own and agrees:
                same_item = same_item or held.key
            elif not own and (agrees or _cannot_tell(asked, held)):
                translated, by = translated or held.key, by or ("id" if agrees else "id alone")
    return same_item, translated, by


def _cannot_tell(asked: Asked, held: Held) -> bool:
    """Whether neither images nor words of the two can be compared."""
    return not asked.other_texts and not (asked.item.pictures and held.pictures)
