"""Terms and the words to use for them: TICO-19's terminologies and a user's own tables."""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from bimedix2.errors import ConfigError
from bimedix2.records.schema import Language
from bimedix2.text import language_of, normalize_for_search

TICO19 = ("g_en_ar.csv", "f_en-ar_AR.csv", "g_ar_en.csv")
_WORD = re.compile(r"\w+(?:[-'’/]\w+)*")
_COLUMNS = (("en", "ar"), ("english", "arabic"), ("source", "target"), ("sourcestring", "targetstring"))
_ARTICLES = ("وال", "بال", "كال", "فال", "لل", "ال")


class Term(NamedTuple):
    """One term in both languages."""

    en: str
    ar: str


class Glossary:
    """Finds the terms of a text.

    Args:
        terms: where one is given twice, the first counts, so a user's own come before the bundled.
        most: of them that one question may hold; longer ones first.
    """

    def __init__(self, terms: Iterable[Term] = (), most: int = 24) -> None:
        self.terms, self.most = tuple(dict.fromkeys(terms)), most
        self._by_words: dict[Language, dict[tuple[str, ...], Term]] = {"en": {}, "ar": {}}
        for term in self.terms:
            for language in ("en", "ar"):
                key = _words(getattr(term, language))
                if key:
                    self._by_words[language].setdefault(key, term)
        self._longest = max((len(key) for table in self._by_words.values() for key in table), default=0)

    @property
    def fingerprint(self) -> str:
        """Short hash of the terms and of how many are shown."""
        text = "\n".join(f"{term.en}\t{term.ar}" for term in self.terms)
        return hashlib.blake2b(f"{self.most}\n{text}".encode(), digest_size=6).hexdigest()

    def find(self, texts: Iterable[str], source: Language) -> list[Term]:
        """Terms that occur in texts as whole words, the longest match at each place; no more than ``most``.

        Case, Arabic vowel marks and spellings of alif do not count; before an Arabic word an article may stand.
        """
        table = self._by_words[source]
        found: dict[Term, None] = {}
        for text in texts:
            words, place = _words(text), 0
            while place < len(words):
                place += self._match(words, place, table, found)
        ranked = sorted(found, key=lambda term: -len(getattr(term, source)))[: self.most]
        return [term for term in found if term in set(ranked)]

    def _match(
        self, words: Sequence[str], place: int, table: dict[tuple[str, ...], Term], found: dict[Term, None]
    ) -> int:
        """Note the longest term that begins at a word, and return how many words it takes (1 if there is none)."""
        for length in range(min(self._longest, len(words) - place), 0, -1):
            window = tuple(words[place : place + length])
            term = table.get(window) or table.get((_bare(window[0]), *window[1:]))
            if term is None:
                term = table.get(tuple(_bare(word) for word in window))
            if term is not None:
                found.setdefault(term)
                return length
        return 1


def _words(text: str) -> tuple[str, ...]:
    return tuple(_WORD.findall(normalize_for_search(text)))


def _bare(word: str) -> str:
    """An Arabic word without its article; an English plural without its s."""
    for article in _ARTICLES:
        if word.startswith(article) and len(word) > len(article) + 2:
            return word[len(article) :]
    return word[:-1] if word.isascii() and word.endswith("s") and len(word) > 3 else word


def read_tico19(folder: Path) -> list[Term]:
    """The terminologies of a folder with TICO-19's CSV files.

    Raises:
        ConfigError: none of them is there, or one cannot be read.
    """
    paths = [folder / name for name in TICO19 if (folder / name).is_file()]
    if not paths:
        raise ConfigError(
            f"{folder} holds none of TICO-19's terminologies ({', '.join(TICO19)}).",
            f"لا يحتوي {folder} على أي من قوائم مصطلحات TICO-19 ({'، '.join(TICO19)}).",
        )
    return [term for path in paths for term in read_terms(path)]


def read_terms(path: Path) -> list[Term]:
    """A CSV or TSV table with a header: ``en,ar``, or TICO-19's own columns in either direction.

    Raises:
        ConfigError: it cannot be read, or has no such columns.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8"
        raise ConfigError(
            f"The glossary {path} cannot be read ({reason}). Give a UTF-8 CSV file.",
            f"تعذرت قراءة المسرد {path} ({reason}). أعط ملف CSV بترميز UTF-8.",
        ) from error
    head = text.partition("\n")[0]
    rows = csv.DictReader(text.splitlines(), delimiter="\t" if "\t" in head else ",")
    names = {(name or "").strip().lower(): name for name in rows.fieldnames or ()}
    pair = next((pair for pair in _COLUMNS if names.keys() >= set(pair)), None)
    if pair is None:
        raise ConfigError(
            f"The glossary {path} has the columns {', '.join(names) or 'none'}; its first line must name en and ar.",
            f"أعمدة المسرد {path} هي {'، '.join(names) or 'لا شيء'}؛ يجب أن يسمي السطر الأول العمودين en وar.",
        )
    first, second = (names[name] for name in pair)
    found = (_term((row[first] or "").strip(), (row[second] or "").strip()) for row in rows)
    return [term for term in found if term is not None]


def _term(one: str, other: str) -> Term | None:
    """Both sides in order; ``None`` where one is empty or both are in one language. Of ``a|b`` the first counts."""
    one, other = one.partition("|")[0].strip(), other.partition("|")[0].strip()
    if not one or not other:
        return None
    ends = language_of(one, "en"), language_of(other, "en")
    if ends == ("en", "ar"):
        return Term(one, other)
    return Term(other, one) if ends == ("ar", "en") else None
