"""Learn the word list and the two small models of the translation checks from the tuning halves alone.

    python benchmarks/translation_lexicon.py --data DATA

Writes ``lexicon.tsv`` and ``weights.yaml`` under ``src/bimedix2/data/check/words``. The models are fitted on features
of pairs that the word list they use has not seen (two folds). Needs scikit-learn and the ``check`` extra.
"""

from __future__ import annotations

import argparse
import random
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import yaml
from sklearn.linear_model import LogisticRegression

from bimedix2.data.check import Context, UseScorer, lexicon, meaning
from translation_errors import Pair, cut_half, other_sentence
from translation_sets import TUNE, Row, tico19, tico_half, tico_terms, vqa_half, vqa_rad_ar

WORDS = Path(__file__).parents[1] / "src/bimedix2/data/check/words"
LEAST = 0.08  # probability of an entry
# Alarms allowed on clean pairs of TICO-19, VQA-RAD and the terms. Other checks use more of TICO-19's share.
CLEAN_ALARMS = {
    "mismatch": (0.004, 0.016, 0.05),
    "mismatch_words": (0.006, 0.016, 0.05),
    "cut": (0.004, 0.006, 0.02),
    "cut_words": (0.008, 0.008, 0.02),
}
Table = dict[str, dict[str, float]]


def model_1(rows: list[Row], rounds: int = 6) -> Table:
    """Translation probabilities t(arabic | english) of IBM model 1, with an empty English word."""
    data = [([*lexicon.english_stems(r.english), ""], lexicon.arabic_stems(r.arabic)) for r in rows]
    seen: dict[str, set[str]] = defaultdict(set)
    for english, arabic in data:
        for word in english:
            seen[word].update(arabic)
    table: Table = {word: dict.fromkeys(forms, 1 / len(forms)) for word, forms in seen.items() if forms}
    for _ in range(rounds):
        counts: dict[str, Counter[str]] = defaultdict(Counter)
        for english, arabic in data:
            for form in arabic:
                total = sum(table[word].get(form, 0.0) for word in english if word in table)
                for word in english:
                    share = table.get(word, {}).get(form, 0.0)
                    if share:
                        counts[word][form] += share / total
        table = {word: {f: c / sum(forms.values()) for f, c in forms.items()} for word, forms in counts.items()}
    return table


def write_lexicon(table: Table) -> int:
    """Entries of at least ``LEAST``, and the cache of the checks emptied."""
    lines = [
        "# English stem, tab, Arabic stems. Learned by benchmarks/translation_lexicon.py from the tuning halves of",
        "# TICO-19 (CC0) and of VQA-RAD's Arabic (CC0) and from TICO-19's terms; by no hand and checked by none.",
    ]
    for word in sorted(table):
        forms = [f for f, p in sorted(table[word].items(), key=lambda x: (-x[1], x[0])) if p > LEAST]
        if word and forms:
            lines.append(f"{word}\t{' '.join(forms)}")
    (WORDS / "lexicon.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    lexicon._lexicon.cache_clear()
    return len(lines) - 2


def measured(pairs: list[Pair], texts: list[str], scorer: UseScorer) -> list[meaning.Meaning]:
    """Features of sources with the given translations."""
    whole = scorer.score([(p.source, t) for p, t in zip(pairs, texts, strict=True)])
    out = []
    for pair, text, cosine in zip(pairs, texts, whole, strict=True):
        parts = meaning.halves(pair.source)
        difference = None
        if parts:
            first, second = scorer.score([(part, text) for part in parts])
            difference = second - first
        context = Context("en" if pair.arabic_target else "ar")
        out.append(meaning.measure(pair.source, text, context, cosine, difference))
    return out


def without_encoder(m: meaning.Meaning) -> meaning.Meaning:
    """The same without the two cosines."""
    return meaning.Meaning(None, None, m.english, m.arabic, m.ratio, m.size, m.words)


def fit(
    good: list[list[float]], bad: list[list[float]], alarms: tuple[float, ...], sets: list[str]
) -> tuple[dict[str, object], dict[str, float]]:
    """A logistic model, and for strings of each length the threshold at which clean sets have ``alarms``."""
    x = np.array(good + bad)
    y = np.r_[np.zeros(len(good)), np.ones(len(bad))]
    model = LogisticRegression(C=10, max_iter=5000).fit(x, y)
    clean = model.predict_proba(np.array(good))[:, 1]
    kinds = np.array(sets)
    limits = {}
    for end in ("", "_middle", "_short"):
        asked = [k for k in sorted(set(sets)) if k[1:] == end and (kinds == k).sum() > 100]
        if asked:
            share = 0.016 if end == "_middle" else None  # few of TICO-19's rows, so they may take VQA-RAD's share
            found = {k: float(np.quantile(clean[kinds == k], 1 - (share or alarms[int(k[0])]))) for k in asked}
            limits[end] = max(found.values())
            print("  ", end or "long", found)
    caught = float((model.predict_proba(np.array(bad))[:, 1] > limits[""]).mean())
    print(f"  caught {caught:.4f} of {len(bad)} at {limits['']:.3f}")
    return {
        "bias": round(float(model.intercept_[0]), 4),
        "weights": [round(float(w), 4) for w in model.coef_[0]],
    }, limits


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    data: Path = parser.parse_args().data
    sets = [tico_half(tico19(data), TUNE), vqa_half(vqa_rad_ar(data), TUNE), tico_terms(data)]
    rng = random.Random(11)
    scorer = UseScorer()
    rows: dict[tuple[str, str], list[tuple[list[float], str]]] = defaultdict(list)
    folds = {row: rng.random() < 0.5 for one in sets for row in one}
    for fold in (True, False):
        write_lexicon(model_1([row for row, of in folds.items() if of == fold]))
        for at, one in enumerate(sets):
            for arabic in (True, False):
                held = [row for row in one if folds[row] != fold and row.english.strip() and row.arabic.strip()]
                pairs = [
                    Pair(r.id, r.english, r.arabic, True) if arabic else Pair(r.id, r.arabic, r.english, False)
                    for r in held
                ]
                collect(rows, pairs, at, scorer, rng)
    report: dict[str, object] = {}
    limits: dict[str, float] = {}
    for model in ("mismatch", "mismatch_words", "cut", "cut_words", "cut_english", "cut_words_english"):
        print(model)
        good, bad = rows[model, "good"], rows[model, "bad"]
        name = model.removesuffix("_english")
        report[model], found = fit([f for f, _ in good], [f for f, _ in bad], CLEAN_ALARMS[name], [s for _, s in good])
        for end, limit in found.items():
            limits[name + end] = round(max(limit, limits.get(name + end, 0.0)), 4)
    entries = write_lexicon(model_1([row for one in sets for row in one]))
    head = "# Logistic models of meaning.py, fitted by benchmarks/translation_lexicon.py on the tuning halves.\n"
    text = yaml.safe_dump({**report, "thresholds": limits}, sort_keys=False, default_flow_style=None, width=110)
    (WORDS / "weights.yaml").write_text(head + text, encoding="utf-8")
    print(f"{entries} words; thresholds {limits}")


def _set(at: int, m: meaning.Meaning) -> str:
    return f"{at}{meaning.length_class(m)}"


def collect(rows: dict, pairs: list[Pair], at: int, scorer: UseScorer, rng: random.Random) -> None:  # type: ignore[type-arg]
    """Add the features of clean pairs and of the two errors."""
    arabic = pairs[0].arabic_target
    clean = measured(pairs, [p.translation for p in pairs], scorer)
    wrong = measured(pairs, [other_sentence(p, rng, pairs) or "" for p in pairs], scorer)
    for kind, found in (("good", clean), ("bad", wrong)):
        rows["mismatch", kind] += [(meaning.mismatch_features(m), _set(at, m)) for m in found]
        rows["mismatch_words", kind] += [(meaning.mismatch_features(without_encoder(m)), _set(at, m)) for m in found]
    able = [
        (p, m, cut)
        for p, m in zip(pairs, clean, strict=True)
        if (cut := cut_half(p, rng, pairs)) and m.halves is not None
    ]
    halved = measured([p for p, _, _ in able], [cut for _, _, cut in able], scorer)
    end = "" if arabic else "_english"
    for kind, found in (("good", [m for _, m, _ in able]), ("bad", halved)):
        rows["cut" + end, kind] += [(meaning.cut_features(m, arabic), f"{at}") for m in found]
        rows["cut_words" + end, kind] += [(meaning.cut_features(without_encoder(m), arabic), f"{at}") for m in found]


if __name__ == "__main__":
    main()
