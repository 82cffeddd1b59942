"""Learn the word list and the small models of the translation checks from the tuning halves alone.

    python benchmarks/translation_lexicon.py --data DATA

Writes ``lexicon.tsv`` and ``weights.yaml`` under ``src/bimedix2/data/check/words``. The models are fitted on features
of pairs that the word list they use has not seen (five folds, TICO-19 by document), and so are their thresholds, all of
them together (``translation_thresholds.py``). Needs scikit-learn and the ``check`` extra.
"""

from __future__ import annotations

import argparse
import math
import random
from collections import Counter, defaultdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
import yaml
from sklearn.linear_model import LogisticRegression

import translation_negation
from bimedix2.data.check import Context, UseScorer, lexicon, meaning
from bimedix2.data.check.negation import check_negation
from bimedix2.data.check.pairs import CHECKS
from translation_errors import Pair, cut_half, other_sentence
from translation_sets import TUNE, Row, fold_of, tico19, tico_half, tico_terms, vqa_half, vqa_rad_ar
from translation_thresholds import Item, curve, renamed, share_out, table

WORDS = Path(__file__).parents[1] / "src/bimedix2/data/check/words"
LEAST, RELATIVE = 0.02, 0.15  # probability of an entry, and beside the best one of its word
MOST_FORMS = 6  # a word with more was seen too rarely to tell them apart
FOLDS = 5
OTHER, CUT, DROPPED, ADDED = "other sentence", "second half cut", "negation dropped", "negation added"
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


class Sample(NamedTuple):
    """Features of a clean pair or of one with an error; ``key`` is empty for pairs that no threshold is chosen on."""

    features: list[float]
    fold: int
    fault: str
    key: tuple[str, str]  # group and id


def fit(samples: list[Sample]) -> tuple[dict[str, object], list[float]]:
    """A logistic model, and the logarithm of odds of every sample in folds that it was not fitted on."""
    x = np.array([sample.features for sample in samples])
    y = np.array([bool(sample.fault) for sample in samples])
    of = np.array([sample.fold for sample in samples])
    told = np.zeros(len(y))
    for fold in range(FOLDS):
        part = LogisticRegression(C=3, max_iter=5000).fit(x[of != fold], y[of != fold])
        told[of == fold] = part.decision_function(x[of == fold])
    model = LogisticRegression(C=3, max_iter=5000).fit(x, y)
    weights = [round(float(w), 4) for w in model.coef_[0]]
    return {"bias": round(float(model.intercept_[0]), 4), "weights": weights}, [float(odds) for odds in told]


Samples = dict[str, list[Sample]]
Tools = tuple[UseScorer, random.Random]


def collect(samples: Samples, pairs: list[Pair], keys: list[tuple[str, str]], fold: int, tools: Tools) -> None:
    """Add the features of clean pairs and of the two errors to each model's samples."""
    scorer, rng = tools
    arabic = pairs[0].arabic_target

    def add(m: meaning.Meaning, fault: str, key: tuple[str, str]) -> None:
        for one in (m, without_encoder(m)):
            if fault != CUT:
                features = meaning.mismatch_features(one)
                samples[meaning.mismatch_model(one)].append(Sample(features, fold, fault, key))
            if fault != OTHER and m.halves is not None:  # every pair that the check asks the model about
                samples[meaning.cut_model(one, arabic)].append(
                    Sample(meaning.cut_features(one, arabic), fold, fault, key)
                )

    others = [other_sentence(pair, rng, pairs) or "" for pair in pairs]
    clean = measured(pairs, [pair.translation for pair in pairs], scorer)
    for fault, found in (("", clean), (OTHER, measured(pairs, others, scorer))):
        for m, key in zip(found, keys, strict=True):
            add(m, fault, key)
    cuts = [cut_half(pair, rng, pairs) for pair in pairs]
    able = [at for at, cut in enumerate(cuts) if cut and clean[at].halves is not None]
    for at, m in zip(able, measured([pairs[at] for at in able], [cuts[at] or "" for at in able], scorer), strict=True):
        add(m, CUT, keys[at])


def ruled(pair: Pair) -> bool:
    """Whether a check without a model raises an alarm."""
    context = Context("en" if pair.arabic_target else "ar")
    checks = (check for check in CHECKS if check is not check_negation)
    return any(f.severity != "note" for check in checks for f in check(pair.source, pair.translation, context))


def group_of(at: int, direction: str) -> str:
    """Name of a set and a direction."""
    return f"{('TICO-19', 'VQA-RAD')[at]} {direction}"


def items_of(
    told: dict[str, tuple[list[Sample], list[float]]],
    doubts: list[translation_negation.Case],
    odds: dict[str, list[dict[str, float]]],
) -> list[Item]:
    """Pairs with the odds of all models together, as a threshold must be chosen for all of them."""
    found: dict[tuple[str, str, str], dict[str, float]] = defaultdict(dict)
    for model, (samples, figures) in told.items():
        for sample, figure in zip(samples, figures, strict=True):
            if sample.key[0]:
                found[*sample.key, sample.fault][model] = figure
    rules = set()
    out = []
    for at, case in enumerate(doubts):
        of = 0 if case.long else 1
        for direction in ("en->ar", "ar->en"):
            group, figures_of = group_of(of, direction), {}
            for model, worst in odds.items():
                for language, figure in worst[at].items():
                    side = "lost" if direction.startswith(language) else "added"
                    figures_of[f"{model}_{side}_{language}"] = figure
            if case.fault:  # read the other way round, the source lacks what the translation denies
                fault = DROPPED if direction == case.direction else ADDED
                out.append(Item(group, fault, case.flipped, figures_of))
                continue
            pair = case.pair
            turned = pair if direction == case.direction else Pair(pair.id, pair.translation, pair.source, False)
            found[group, pair.id, ""] |= figures_of
            if ruled(turned):
                rules.add((group, pair.id, ""))
    return out + [Item(key[0], key[2], key in rules, figures) for key, figures in found.items()]


def gather(data: Path, scorer: UseScorer) -> tuple[Samples, list[translation_negation.Case], list[Row]]:
    """Features of all pairs with word lists that have not seen them; leaves the list of the last fold behind."""
    second = vqa_half(vqa_rad_ar(data, "train_ar_second.json"), TUNE)
    sets = [tico_half(tico19(data), TUNE), vqa_half(vqa_rad_ar(data), TUNE) + second, tico_terms(data)]
    more = {*second, *sets[2]} - {*vqa_half(vqa_rad_ar(data), TUNE)}  # to learn from; no threshold is chosen on them
    rng = random.Random(11)
    samples: Samples = defaultdict(list)
    doubts: list[translation_negation.Case] = []
    folds = {row: fold for one in sets for row, fold in fold_of(one, FOLDS).items()}
    for fold in range(FOLDS):
        write_lexicon([row for row, of in folds.items() if of != fold])
        for at, one in enumerate(sets):
            held = [row for row in one if folds[row] == fold and row.english.strip() and row.arabic.strip()]
            mine = [row for row in held if row not in more]
            if mine:
                doubts += translation_negation.cases(mine, fold, scorer, lists=sets[0] if at == 0 else [])
            for arabic, direction in ((True, "en->ar"), (False, "ar->en")):
                pairs = [
                    Pair(r.id, r.english, r.arabic, True) if arabic else Pair(r.id, r.arabic, r.english, False)
                    for r in held
                ]
                keys = [("", "") if row in more else (group_of(at, direction), row.id) for row in held]
                collect(samples, pairs, keys, fold, (scorer, rng))
    return samples, doubts, list(folds)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    samples, doubts, rows = gather(parser.parse_args().data, UseScorer())
    weights: dict[str, object] = {}
    told: dict[str, tuple[list[Sample], list[float]]] = {}
    for model in sorted(samples):
        weights[model], figures = fit(samples[model])
        told[model] = samples[model], figures
    denied, odds = {}, {}
    for model in ("negation", "negation_words"):
        denied[model], odds[model] = translation_negation.fit(doubts, model)
    items = items_of(told, doubts, odds)
    limits: dict[str, float] = {}
    for suffix in ("", "_words"):
        found = share_out(items, suffix)
        print(f"with{'out' if suffix else ''} the encoder", *table(items, found), *curve(items, suffix), sep="\n")
        model = renamed("negation", suffix)
        for limit in ("lost_en", "lost_ar", "added_en", "added_ar"):
            denied[model][limit] = round(found.pop(f"{model}_{limit}"), 4)
        limits |= {model: round(1 / (1 + math.exp(-limit)), 4) for model, limit in found.items()}
    entries = write_lexicon(rows)
    head = "# Logistic models, fitted by benchmarks/translation_lexicon.py on the tuning halves alone.\n"
    whole = {**weights, **denied, "thresholds": limits}
    text = yaml.safe_dump(whole, sort_keys=False, default_flow_style=None, width=110)
    (WORDS / "weights.yaml").write_text(head + text, encoding="utf-8")
    print(f"{entries} words; thresholds {limits}")


if __name__ == "__main__":
    main()
