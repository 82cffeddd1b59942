"""What a model was trained on, held so that every question about it is one look-up."""

from __future__ import annotations

from typing import NamedTuple

from bimedix2.images.prints import Picture
from bimedix2.records.schema import Language

from .items import Item
from .questions import Coverage


class Held(NamedTuple):
    """A training item under one of its names.

    Attributes:
        key: of the item.
        language: of its question.
        texts, pictures: places in the tables.
    """

    key: str
    language: Language
    texts: tuple[int, ...]
    pictures: tuple[int, ...]


class Training:
    """Training items, added one after the other; equal texts and images are kept once.

    Attributes:
        texts: canonical question -> place, by language.
        pictures: image -> place.
        first: (language, text) -> key of the first item that asks so.
        with_picture: (language, text, image) -> key of the first such item.
        with_answer: (language, text, answer) -> key of the first such item.
        with_both: (language, text, image, answer) -> key of the first such item.
        ids: name -> items that bear it.
        items: number of items.
    """

    def __init__(self, coverage: Coverage) -> None:
        self.texts: dict[Language, dict[str, int]] = {"en": {}, "ar": {}}
        self.pictures: dict[Picture, int] = {}
        self.first: dict[tuple[Language, int], str] = {}
        self.with_picture: dict[tuple[Language, int, int], str] = {}
        self.with_answer: dict[tuple[Language, int, str], str] = {}
        self.with_both: dict[tuple[Language, int, int, str], str] = {}
        self.ids: dict[str, list[Held]] = {}
        self.items = 0
        self._coverage = coverage

    def add(self, item: Item, *, names: bool = True) -> None:
        """Take an item in.

        Args:
            item: the item.
            names: whether its ids are names of things in the world; ids of samples are only unique in a split.
        """
        self.items += 1
        table, language = self.texts[item.language], item.language
        texts = tuple(table.setdefault(text, len(table)) for text in item.texts)
        pictures = tuple(self.pictures.setdefault(picture, len(self.pictures)) for picture in item.pictures)
        for text in texts:
            self.first.setdefault((language, text), item.key)
            for picture in pictures:
                self.with_picture.setdefault((language, text, picture), item.key)
                for answer in item.answers:
                    self.with_both.setdefault((language, text, picture, answer), item.key)
            for answer in item.answers:
                self.with_answer.setdefault((language, text, answer), item.key)
        if names:
            held = Held(item.key, language, texts, pictures)
            for name in item.ids:
                self.ids.setdefault(name, []).append(held)
        for words in (*item.texts, *item.answers):
            self._coverage.add(words)
