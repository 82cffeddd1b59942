"""Our scorers as a process that ``scoring_speed.py`` asks to score, beside ``scoring_peer.py`` and like it."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

START = time.perf_counter()
from bimedix2 import __version__  # noqa: E402
from bimedix2.evaluate.metrics.meteor import meteor  # noqa: E402
from bimedix2.evaluate.metrics.overlap import bleu, rouge_l  # noqa: E402
from bimedix2.evaluate.metrics.vqa import score_pair  # noqa: E402
from bimedix2.evaluate.registry import find_family  # noqa: E402
from bimedix2.evaluate.schema import Reply, Sample, Scored  # noqa: E402
from bimedix2.evaluate.scoring import score_replies  # noqa: E402
from bimedix2.evaluate.statistics import summarize  # noqa: E402

FAMILIES = {"answers": find_family("vqa"), "reports": find_family("report")}
IMPORT = time.perf_counter() - START
MODE = "multimedeval"
Pairs = list[tuple[str, str]]
Job = tuple[Callable[[], Any], Callable[[Any], dict[str, Any]]]


def _rows(pairs: Pairs) -> tuple[list[Sample], list[Reply]]:
    samples = [
        Sample(id=str(i), task="synthetic", language="en", prompt="", reference=wanted)
        for i, (_, wanted) in enumerate(pairs)
    ]
    return samples, [Reply(id=str(i), text=text) for i, (text, _) in enumerate(pairs)]


def score_answers(pairs: Pairs) -> Job:
    """``family.score`` and the plain mean of every metric: what the other side's ``evaluate`` gives."""
    samples, replies = _rows(pairs)
    return lambda: _means(FAMILIES["answers"].score(samples, replies, MODE)), dict


def score_answers_bare(pairs: Pairs) -> Job:
    """The metric function alone."""
    return lambda: [score_pair(*pair) for pair in pairs], lambda _: {}


def score_answers_intervals(pairs: Pairs) -> Job:
    """All that ``bimedix2 score`` computes: also refusals, and an interval for every figure."""
    samples, replies = _rows(pairs)
    family = FAMILIES["answers"]
    return lambda: summarize(score_replies(family, samples, replies, MODE), family.composites, empty=0.0), lambda _: {}


def score_reports(pairs: Pairs) -> Job:
    """``family.score`` in the mode that has these four metrics and no more (learned ones are not there)."""
    samples, replies = _rows(pairs)

    def columns(scored: list[Scored]) -> dict[str, Any]:
        return {name: [row.values[name] for row in scored] for name in ("bleu1", "bleu4", "rouge_l", "meteor")}

    return lambda: FAMILIES["reports"].score(samples, replies, MODE), columns


def score_reports_meteor(pairs: Pairs) -> Job:
    """METEOR alone."""
    return lambda: [meteor(*pair) for pair in pairs], lambda _: {}


def score_reports_overlap(pairs: Pairs) -> Job:
    """BLEU-1, BLEU-4 and ROUGE-L alone."""

    def run() -> list[tuple[float, ...]]:
        return [(bleu(*p, 1, "original"), bleu(*p, 4, "original"), rouge_l(*p, "original")) for p in pairs]

    return run, lambda _: {}


def _means(scored: list[Scored]) -> dict[str, float]:
    values: dict[str, list[float]] = {}
    for row in scored:
        for name, value in row.values.items():
            if value is not None:
                values.setdefault(name, []).append(value)
    return {name: sum(column) / len(column) for name, column in values.items()}


JOBS = {
    "answers": score_answers,
    "answers_bare": score_answers_bare,
    "answers_intervals": score_answers_intervals,
    "reports": score_reports,
    "reports_meteor": score_reports_meteor,
    "reports_overlap": score_reports_overlap,
}


def main() -> None:
    """Answer requests until stdin ends."""
    versions = {name: version(name) for name in ("numpy", "nltk", "sacrebleu", "rouge-score")}
    print(json.dumps({"import_seconds": IMPORT, "versions": {"bimedix2": __version__, **versions}}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        run, named = JOBS[request["job"]](request["pairs"])
        wall, cpu = time.perf_counter(), time.process_time()
        result = run()
        spent = {"seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu}
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({**spent, "peak_mb": memory, "values": named(result)}), flush=True)


if __name__ == "__main__":
    main()
