"""METEOR (Banerjee and Lavie 2005) by NLTK: alpha 0.9, beta 3, gamma 0.5.

``meteor`` is what MultiMedEval computes and needs WordNet 3.0, which is looked for where NLTK keeps its data and where
Debian's ``wordnet-base`` puts it. ``meteor_exact`` uses no synonyms, needs nothing and reads Arabic.
"""

from __future__ import annotations

import shutil
import warnings
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .words import words

if TYPE_CHECKING:
    from nltk.corpus.reader.wordnet import WordNetCorpusReader

DEBIAN = Path("/usr/share/wordnet")
_CACHED_WORDS = 50_000
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


def meteor(prediction: str, reference: str) -> float:
    """METEOR with stems and WordNet synonyms over Treebank tokens, as MultiMedEval computes it.

    Raises:
        LookupError: WordNet is not installed (see :func:`wordnet_missing`).
    """
    return _meteor(_treebank(prediction), _treebank(reference), _wordnet())


def meteor_exact(prediction: str, reference: str) -> float:
    """METEOR over comparable words with English stems and no synonyms, in both languages."""
    return _meteor(words(prediction), words(reference), _NoSynonyms())


def wordnet_missing() -> bool:
    """Whether there is no WordNet on this machine."""
    try:
        _wordnet()
    except LookupError:
        return True
    return False


def _meteor(prediction: list[str], reference: list[str], synonyms: Any) -> float:
    from nltk.translate.meteor_score import single_meteor_score

    if not prediction or not reference:
        return 0.0
    return float(single_meteor_score(reference, prediction, stemmer=_stemmer(), wordnet=synonyms))


class _NoSynonyms:
    def synsets(self, word: str) -> list[Any]:
        return []


class _CachedSynonyms:
    """WordNet with its answers kept: reports use few different words, and a look-up costs more than all else."""

    def __init__(self, reader: WordNetCorpusReader) -> None:
        self.synsets = lru_cache(_CACHED_WORDS)(reader.synsets)


class _CachedStemmer:
    def __init__(self) -> None:
        from nltk.stem.porter import PorterStemmer

        self.stem = lru_cache(_CACHED_WORDS)(PorterStemmer().stem)


@cache
def _stemmer() -> _CachedStemmer:
    return _CachedStemmer()


def _treebank(text: str) -> list[str]:
    """What ``nltk.word_tokenize`` gives, with the Punkt model of a package instead of a download."""
    from nltk.tokenize.destructive import NLTKWordTokenizer
    from punkt import sent_tokenize

    tokenize = NLTKWordTokenizer().tokenize
    return [token for sentence in sent_tokenize(text) for token in tokenize(sentence)]


@cache
def _wordnet() -> _CachedSynonyms:
    import nltk

    try:
        root = str(nltk.data.find("corpora/wordnet"))
    except LookupError:
        if not (DEBIAN / "data.noun").is_file():
            raise
        root = str(_with_lexnames(DEBIAN))
        nltk.data.path.append(root)  # NLTK reads from no other folder
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that there is no multilingual part, which is not used
        return _CachedSynonyms(_english_reader()(root, None))


def _english_reader() -> type[WordNetCorpusReader]:
    from nltk.corpus.reader.wordnet import WordNetCorpusReader

    class English(WordNetCorpusReader):  # type: ignore[misc]
        """Without the map to other languages' WordNets, whose data are not here."""

        def map_wn(self, version: str = "wordnet") -> None:
            return None

    return English


def _with_lexnames(source: Path) -> Path:
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
