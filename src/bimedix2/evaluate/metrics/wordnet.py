"""Synonyms from WordNet 3.0, which is looked for where NLTK keeps its data and where Debian's ``wordnet-base`` puts it.

The files are NLTK's to find and the base forms of a word its to decide (``_morphy``); only the reading is our own. The
reader of NLTK builds every pointer and definition to give the names of a synset, and needs seconds to start.
"""

from __future__ import annotations

import shutil
import warnings
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nltk.corpus.reader.wordnet import WordNetCorpusReader

DEBIAN = Path("/usr/share/wordnet")
_CACHED_WORDS = 50_000
_FILES = {"n": "noun", "v": "verb", "a": "adj", "r": "adv"}
# Names of WordNet's lexicographer files in their order (manual page lexnames(5WN)); Debian leaves the list out.
_ADJECTIVES_ADVERBS = "adj.all adj.pert adv.all"
_NOUNS = (
    "Tops act animal artifact attribute body cognition communication event feeling food group location motive object "
    "person phenomenon plant possession process quantity relation shape state substance time"
)
_VERBS = (
    "body change cognition communication competition consumption contact creation emotion motion perception "
    "possession social stative weather"
)


class Lemma(NamedTuple):
    """A word of a synset, as far as NLTK's METEOR looks at it."""

    text: str

    def name(self) -> str:
        """The word."""
        return self.text


class Synset(NamedTuple):
    """Words of one meaning."""

    words: tuple[Lemma, ...]

    def lemmas(self) -> tuple[Lemma, ...]:
        """The words."""
        return self.words


class Synonyms(Protocol):
    """What METEOR asks of a thesaurus."""

    def synsets(self, word: str) -> Sequence[Synset]:
        """The synsets that a word is in."""
        ...


class NoSynonyms:
    """A thesaurus without entries."""

    def synsets(self, word: str) -> Sequence[Synset]:
        """None."""
        return ()


class WordNetSynonyms:
    """WordNet with its answers kept: reports use few different words.

    Args:
        reader: decides the base forms; :func:`_english_reader`.
    """

    def __init__(self, reader: WordNetCorpusReader) -> None:
        self._reader = reader
        self._data = {part: _read(reader, f"data.{name}") for part, name in _FILES.items()}
        self.synsets = lru_cache(_CACHED_WORDS)(self._synsets)

    def _synsets(self, word: str) -> Sequence[Synset]:
        """Every synset of a word's base forms, by part of speech."""
        lemma, index = word.lower(), self._reader._lemma_pos_offset_map
        return [
            self._synset(part, offset)
            for part in _FILES
            for form in self._reader._morphy(lemma, part)
            for offset in index[form].get(part, [])
        ]

    def _synset(self, part: str, offset: int) -> Synset:
        """The line at a place of a data file: offset, file, type, number of words (hex), word, id, word, id, …"""
        data = self._data[part]
        fields = data[offset : data.index(b"\n", offset)].split(b" ")
        count = int(fields[3], 16)
        # A marker such as "(p)" may follow an adjective.
        names = (field.partition(b"(")[0].decode() for field in fields[4 : 4 + 2 * count : 2])
        return Synset(tuple(Lemma(name) for name in names))


@cache
def wordnet() -> WordNetSynonyms:
    """The WordNet of this machine.

    Raises:
        LookupError: there is none.
    """
    import nltk

    try:
        root = str(nltk.data.find("corpora/wordnet"))
    except LookupError:
        if not (DEBIAN / "data.noun").is_file():
            raise
        root = str(with_lexnames(DEBIAN))
        nltk.data.path.append(root)  # NLTK reads from no other folder
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that there is no multilingual part, which is not used
        return WordNetSynonyms(_english_reader()(root, None))


def _english_reader() -> type[WordNetCorpusReader]:
    from nltk.corpus.reader.wordnet import WordNetCorpusReader

    class English(WordNetCorpusReader):  # type: ignore[misc]
        """Without what synonyms do not need: other languages, and types of adjectives."""

        def map_wn(self, version: str = "wordnet") -> None:
            return None

        def _scan_satellites(self) -> None:
            self.satellite_offsets: set[int] = set()

        def _load_lemma_pos_offset_map(self) -> None:
            self._lemma_pos_offset_map = _Index(self)

    return English


class _Index:
    """lemma -> part of speech -> offsets of its synsets; a line of the index files is parsed when it is asked for."""

    def __init__(self, reader: WordNetCorpusReader) -> None:
        self._lines: dict[str, dict[str, str]] = {}
        for part, name in _FILES.items():
            lines = _read(reader, f"index.{name}").decode().split("\n")
            self._lines[part] = dict(line.split(" ", 1) for line in lines if line and line[0] != " ")

    def __contains__(self, lemma: str) -> bool:
        return any(lemma in lines for lines in self._lines.values())

    def __getitem__(self, lemma: str) -> dict[str, list[int]]:
        """The second field is the number of synsets, the last fields are their offsets."""
        found = {part: lines[lemma].split() for part, lines in self._lines.items() if lemma in lines}
        return {part: [int(offset) for offset in fields[-int(fields[1]) :]] for part, fields in found.items()}


def _read(reader: WordNetCorpusReader, name: str) -> bytes:
    with reader.root.join(name).open() as file:
        content: bytes = file.read()
        return content


def with_lexnames(source: Path) -> Path:
    """A copy of Debian's files in the cache (27 MB) with the list of lexicographer files that NLTK needs.

    NLTK follows no link out of a folder, hence the copy.
    """
    from bimedix2.cache import cache_root

    folder = cache_root() / "wordnet"
    folder.mkdir(parents=True, exist_ok=True)
    for file in source.iterdir():
        if file.is_file() and not (folder / file.name).exists():
            shutil.copyfile(file, folder / file.name)
    names = [
        *_ADJECTIVES_ADVERBS.split(),
        *(f"noun.{n}" for n in _NOUNS.split()),
        *(f"verb.{v}" for v in _VERBS.split()),
    ]
    parts = {"noun": 1, "verb": 2, "adj": 3, "adv": 4}
    rows = [f"{number:02}\t{name}\t{parts[name[: name.index('.')]]}" for number, name in enumerate([*names, "adj.ppl"])]
    (folder / "lexnames").write_text("\n".join(rows) + "\n", encoding="ascii")
    return folder
