"""Learn the word list and the small models of the translation checks from the tuning halves alone.

    python benchmarks/translation_lexicon.py --data DATA

Writes ``lexicon.tsv`` and ``weights.yaml`` under ``src/bimedix2/data/check/words``. The models are fitted on features
of pairs that the word list they use has not seen (five folds, TICO-19 by document), and so are their thresholds. Needs
scikit-learn and the ``check`` extra.
"""

from __future__ import annotations

import argparse
import random
import re
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import yaml
from sklearn.linear_model import LogisticRegression

import translation_negation
from bimedix2.data.check import Context, UseScorer, lexicon, meaning
from translation_errors import Pair, cut_half, other_sentence
from translation_sets import TUNE, Row, fold_of, tico19, tico_half, tico_terms, vqa_half, vqa_rad_ar

WORDS = Path(__file__).parents[1] / "src/bimedix2/data/check/words"
LEAST, RELATIVE = 0.02, 0.15  # probability of an entry, and beside the best one of its word
MOST_FORMS = 6  # a word with more was seen too rarely to tell them apart
FOLDS = 5
# Alarms allowed on clean pairs of TICO-19, VQA-RAD and the terms. Other checks use more of TICO-19's share.
CLEAN_ALARMS = {
    "mismatch": (0.003, 0.01, 0.05),
    "mismatch_middle": (0.025, 0.012, 0.05),  # few strings of TICO-19
    "mismatch_short": (0.02, 0.025, 0.05),
    "mismatch_words": (0.004, 0.018, 0.05),
    "cut": (0.003, 0.005, 0.02),
    "cut_words": (0.004, 0.008, 0.02),
}
Table = dict[str, dict[str, float]]


def model_1(data: list[tuple[list[str], list[str]]], rounds: int = 6) -> Table:
    """Translation probabilities t(target | source) of IBM model 1 with an empty source word."""
    words, forms = {"": 0}, dict[str, int]()
    sources, targets, tokens = list[int](), list[int](), list[int]()
    count = 0
    for source, target in data:
        ids = [words.setdefault(word, len(words)) for word in [*source, ""]]
        for form in target:
            sources += ids
            targets += [forms.setdefault(form, len(forms))] * len(ids)
            tokens += [count] * len(ids)
            count += 1
    keys, entry = np.unique(np.array(sources) * len(forms) + np.array(targets), return_inverse=True)
    word_of, form_of, token = keys // len(forms), keys % len(forms), np.array(tokens)
    table = 1 / np.bincount(word_of)[word_of]
    for _ in range(rounds):
        shares = table[entry]
        counts = np.bincount(entry, shares / np.bincount(token, shares)[token])
        table = counts / np.bincount(word_of, counts)[word_of]
    names, others = list(words), list(forms)
    out: Table = defaultdict(dict)
    for word, form, share in zip(word_of, form_of, table, strict=True):
        if word:
            out[names[word]][others[form]] = float(share)
    return out


def write_lexicon(rows: list[Row]) -> int:
    """Learn both directions, write the stronger entries, and empty the cache of the checks."""
    data = [(lexicon.english_stems(row.english), lexicon.arabic_stems(row.arabic)) for row in rows]
    lines = [
        "# Language, stem, texts seen, stems of the other language. By benchmarks/translation_lexicon.py from the",
        "# tuning halves of TICO-19 (CC0) and of VQA-RAD's Arabic (CC0) and from TICO-19's terms; not checked by hand.",
    ]
    for language, turned in (("en", data), ("ar", [(arabic, english) for english, arabic in data])):
        counts = Counter(stem for source, _ in turned for stem in set(source))
        for stem, forms in sorted(model_1(turned).items()):
            least = max(LEAST, RELATIVE * max(forms.values()))
            kept = [f for f, p in sorted(forms.items(), key=lambda item: (-item[1], item[0])) if p > least]
            if kept and len(kept) <= MOST_FORMS:
                lines.append(f"{language}\t{stem}\t{counts[stem]}\t{' '.join(kept)}")
    (WORDS / "lexicon.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    lexicon._lexicon.cache_clear()
    return len(lines) - 2


def measured(pairs: list[Pair], texts: list[str], scorer: UseScorer) -> list[meaning.Meaning]:
    """Features of sources with the given translations."""
    whole = scorer.score([(p.source, t) for p, t in zip(pairs, texts, strict=True)])
    parts = [meaning.halves(pair.source) for pair in pairs]
    asked = [(half, text) for part, text in zip(parts, texts, strict=True) if part for half in part]
    told = iter(scorer.score(asked))
    out = []
    for pair, text, cosine, part in zip(pairs, texts, whole, parts, strict=True):
        difference = -next(told) + next(told) if part else None
        context = Context("en" if pair.arabic_target else "ar")
        out.append(meaning.measure(pair.source, text, context, cosine, difference))
    return out


def without_encoder(m: meaning.Meaning) -> meaning.Meaning:
    """The same without the two cosines."""
    return meaning.Meaning(None, None, m.english, m.arabic, m.ratio, m.size, m.words)


def fit(
    good: list[list[float]], bad: list[list[float]], alarms: tuple[float, ...], sets: list[int], folds: list[int]
) -> tuple[dict[str, object], float]:
    """A logistic model, and the threshold at which clean sets have ``alarms`` in folds that it was not fitted on."""
    x = np.array(good + bad)
    y = np.r_[np.zeros(len(good)), np.ones(len(bad))]
    of = np.array(folds)
    told = np.zeros(len(y))
    for fold in range(FOLDS):
        part = LogisticRegression(C=3, max_iter=5000).fit(x[of != fold], y[of != fold])
        told[of == fold] = part.predict_proba(x[of == fold])[:, 1]
    clean, kinds = told[: len(good)], np.array(sets)
    found = {
        kind: float(np.quantile(clean[kinds == kind], 1 - max(alarms[kind], 6 / (kinds == kind).sum())))
        for kind in sorted(set(sets))
        if (kinds == kind).sum() > 200
    }
    # Of few strings (TICO-19 has some of middle length) six may raise an alarm: fewer tell nothing.
    limit = max(found.values())
    print("  ", found, f"caught {(told[len(good) :] > limit).mean():.4f} of {len(bad)}")
    model = LogisticRegression(C=3, max_iter=5000).fit(x, y)
    weights = [round(float(w), 4) for w in model.coef_[0]]
    return {"bias": round(float(model.intercept_[0]), 4), "weights": weights}, round(limit, 4)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    data: Path = parser.parse_args().data
    second = vqa_half(vqa_rad_ar(data, "train_ar_second.json"), TUNE)
    sets = [tico_half(tico19(data), TUNE), vqa_half(vqa_rad_ar(data), TUNE) + second, tico_terms(data)]
    unseen = frozenset((*second, *sets[2]))  # the negation models are fitted without these
    rng = random.Random(11)
    scorer = UseScorer()
    rows: Rows = defaultdict(list)
    doubts: list[translation_negation.Case] = []
    folds = {row: fold for one in sets for row, fold in fold_of(one, FOLDS).items()}
    for fold in range(FOLDS):
        write_lexicon([row for row, of in folds.items() if of != fold])
        for at, one in enumerate(sets):
            held = [row for row in one if folds[row] == fold and row.english.strip() and row.arabic.strip()]
            if at < 2:
                doubts += translation_negation.cases(
                    [row for row in held if row not in unseen], fold, scorer, lists=sets[0] if at == 0 else []
                )
            for arabic in (True, False):
                pairs = [
                    Pair(r.id, r.english, r.arabic, True) if arabic else Pair(r.id, r.arabic, r.english, False)
                    for r in held
                ]
                collect(rows, pairs, (at, fold), scorer, rng)
    report: dict[str, object] = {}
    limits: dict[str, float] = {}
    for model in sorted({name for name, _ in rows}):
        print(model)
        good, bad = rows[model, "good"], rows[model, "bad"]
        alarms = CLEAN_ALARMS.get(model) or CLEAN_ALARMS[re.sub("_(?:english|short|middle)", "", model)]
        report[model], limits[model] = fit(
            [f for f, _, _ in good], [f for f, _, _ in bad], alarms, [at for _, at, _ in good],
            [fold for _, _, fold in good + bad],
        )  # fmt: skip
    for model in ("negation", "negation_words"):
        report[model] = translation_negation.fit(doubts, model)
    entries = write_lexicon(list(folds))
    head = "# Logistic models, fitted by benchmarks/translation_lexicon.py on the tuning halves alone.\n"
    text = yaml.safe_dump({**report, "thresholds": limits}, sort_keys=False, default_flow_style=None, width=110)
    (WORDS / "weights.yaml").write_text(head + text, encoding="utf-8")
    print(f"{entries} words; thresholds {limits}")


Rows = dict[tuple[str, str], list[tuple[list[float], int, int]]]


def collect(rows: Rows, pairs: list[Pair], origin: tuple[int, int], scorer: UseScorer, rng: random.Random) -> None:
    """Add the features of clean pairs and of the two errors; ``origin`` is the set and the fold."""
    arabic = pairs[0].arabic_target
    clean = measured(pairs, [p.translation for p in pairs], scorer)
    wrong = measured(pairs, [other_sentence(p, rng, pairs) or "" for p in pairs], scorer)
    for kind, found in (("good", clean), ("bad", wrong)):
        for m in found:
            for one in (m, without_encoder(m)):
                rows[meaning.mismatch_model(one), kind].append((meaning.mismatch_features(one), *origin))
    able = [
        (p, m, cut)
        for p, m in zip(pairs, clean, strict=True)
        if (cut := cut_half(p, rng, pairs)) and m.halves is not None
    ]
    halved = measured([p for p, _, _ in able], [cut for _, _, cut in able], scorer)
    for kind, found in (("good", [m for _, m, _ in able]), ("bad", halved)):
        for m in found:
            for one in (m, without_encoder(m)):
                rows[meaning.cut_model(one, arabic), kind].append((meaning.cut_features(one, arabic), *origin))


if __name__ == "__main__":
    main()
