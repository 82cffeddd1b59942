"""Fit the two models of ``evidence.py`` (negation) for ``translation_lexicon.py``.

The word lists of ``negation.yaml`` were written by reading the tuning half, so on it they look better than they are. To
fit and to choose the threshold (``translation_thresholds.py``), every document is looked at with lists that lack the
entries which, in the tuning half, occur in that document alone: about what the checks meet in a new document.
"""

from __future__ import annotations

import copy
import math
import random
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LogisticRegression

from bimedix2.data.check import Context, UseScorer, evidence, negation, polarity
from bimedix2.data.check.fold import fold
from bimedix2.data.check.word_lists import arabic_words, english_words, load_words
from translation_errors import Pair, negation_dropped
from translation_sets import Row, in_document

_HEARD = frozenset(("whole", "whole_long", "beside", "beside_level"))
_LISTS = (("english", ("idioms", "weak", "firm", "not_prefixed", "not_suffixed")), ("arabic", ("idioms", "weak")))


class Case(NamedTuple):
    """A pair, clean or with an error, and its doubts; ``fault`` is empty for a clean one.

    ``flipped`` tells that the second part of the check, words that became their opposites, fails.
    """

    pair: Pair
    fold: int
    fault: str
    direction: str
    long: bool
    doubts: list[dict[str, float]]
    new: list[bool]
    flipped: bool


def _document(row: Row) -> str:
    return row.id.split(":")[0]


def _lists(words: dict[str, Any]) -> Iterator[tuple[list[str], str, str]]:
    """Every list with its language and the form of its patterns."""
    for language, names in _LISTS:
        for name in names:
            yield words[language][name], language, "raw" if name.startswith("not_") else "word"
    for group in words["groups"]:
        yield group["en"], "english", "word"
        yield group["ar"], "arabic", "ending"


def _pattern(entry: str, language: str, form: str) -> re.Pattern[str]:
    if form == "raw":
        return re.compile(rf"\b(?:{entry})\b")
    if language == "english":
        return re.compile(english_words([entry]))
    return re.compile(arabic_words([entry], endings=form == "ending"))


def lone_entries(rows: list[Row]) -> dict[str, set[tuple[int, str]]]:
    """For each document the entries, by number of their list, that occur in no other one."""
    texts: dict[str, dict[str, str]] = {"english": defaultdict(str), "arabic": defaultdict(str)}
    for row in rows:
        texts["english"][_document(row)] += fold(row.english).text + "\n"
        texts["arabic"][_document(row)] += fold(row.arabic).text + "\n"
    found: dict[str, set[tuple[int, str]]] = defaultdict(set)
    for at, (entries, language, form) in enumerate(_lists(load_words("negation"))):
        for entry in entries:
            pattern = _pattern(entry, language, form)
            holding = [document for document, text in texts[language].items() if pattern.search(text)]
            if len(holding) == 1:
                found[holding[0]].add((at, entry))
    return found


def _use(words: dict[str, Any], lacking: Iterable[tuple[int, str]]) -> None:
    """Let the check use lists without some entries."""
    refused = set(lacking)
    for at, (entries, _, _) in enumerate(_lists(words)):
        kept = [entry for entry in entries if (at, entry) not in refused]
        entries[:] = kept or entries
    negation.load_words = lambda name: words if name == "negation" else load_words(name)  # type: ignore[attr-defined]
    for cached in (negation._english, negation._arabic, negation._group_patterns, negation._groups_of):
        cached.cache_clear()


def _case(pair: Pair, origin: tuple[int, str], scorer: UseScorer, clean: set[tuple[bool, str]]) -> Case:
    context = Context("en" if pair.arabic_target else "ar")
    found = negation.doubts(pair.source, pair.translation, context)
    direction = "en->ar" if pair.arabic_target else "ar->en"
    heard = [doubt.features | evidence.listen(doubt, scorer) for doubt in found]
    new = [(doubt.english, doubt.word) not in clean for doubt in found]
    flipped = bool(polarity.check_polarity(pair.source, pair.translation, context))
    return Case(pair, origin[0], origin[1], direction, in_document(pair.id), heard, new, flipped)


def cases(rows: list[Row], fold_number: int, scorer: UseScorer, lists: list[Row]) -> list[Case]:
    """Clean pairs and pairs with a dropped negation; ``lists`` is all that the word lists were made from."""
    lone = lone_entries(lists) if lists else {}
    out: list[Case] = []
    for document in dict.fromkeys(map(_document, rows)):
        _use(copy.deepcopy(load_words("negation")), lone.get(document, ()))
        held = [row for row in rows if _document(row) == document]
        for arabic in (True, False):
            pairs = [
                Pair(r.id, r.english, r.arabic, True) if arabic else Pair(r.id, r.arabic, r.english, False)
                for r in held
            ]
            clean: dict[str, set[tuple[bool, str]]] = {}
            for pair in pairs:
                context = Context("en" if arabic else "ar")
                clean[pair.id] = {(d.english, d.word) for d in negation.doubts(pair.source, pair.translation, context)}
                if arabic:
                    out.append(_case(pair, (fold_number, ""), scorer, set()))
            for seed in range(2):
                rng = random.Random(seed)
                for pair in pairs:
                    text = negation_dropped(pair, rng, pairs)
                    if text and text != pair.translation:
                        bad = pair._replace(translation=text)
                        out.append(_case(bad, (fold_number, "dropped"), scorer, clean[pair.id]))
    _use(copy.deepcopy(load_words("negation")), ())
    return out


def fit(found: list[Case], model: str) -> tuple[dict[str, float], list[dict[str, float]]]:
    """Weights by name with ``bias``, and for each case its worst odds out of fold by language of the negating word."""
    table = [
        (
            at,
            case.fold,
            bool(case.fault),
            {n: v for n, v in doubt.items() if model == "negation" or n not in _HEARD},
            new,
        )
        for at, case in enumerate(found)
        for doubt, new in zip(case.doubts, case.new, strict=True)
    ]
    vectors = DictVectorizer(sparse=False)
    x = vectors.fit_transform([row[3] for row in table])
    folds, y = np.array([row[1] for row in table]), np.array([row[2] for row in table])
    sure = np.array([not row[2] or row[4] for row in table])  # doubts of a spoiled pair that its clean form had too
    told = np.zeros(len(table))
    for one in set(folds):
        at = (folds != one) & sure
        part = LogisticRegression(C=0.3, class_weight="balanced", max_iter=5000).fit(x[at], y[at])
        told[folds == one] = part.decision_function(x[folds == one])
    worst: list[dict[str, float]] = [{} for _ in found]
    for row, odds in zip(table, told, strict=True):
        language = "en" if any(name.startswith("english_") for name in row[3]) else "ar"
        worst[row[0]][language] = max(worst[row[0]].get(language, -math.inf), float(odds))
    final = LogisticRegression(C=0.3, class_weight="balanced", max_iter=5000).fit(x[sure], y[sure])
    weights = zip(vectors.get_feature_names_out(), final.coef_[0], strict=True)
    rounded = {str(name): round(float(weight), 4) for name, weight in weights}
    return {**rounded, "bias": round(float(final.intercept_[0]), 4)}, worst
