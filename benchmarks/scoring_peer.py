"""MultiMedEval 1.0.0 as a process that ``scoring_speed.py`` asks to score; it runs in MultiMedEval's own environment.

One JSON object a line comes in, one goes out. Only what its classes leave abstract is filled in; the code that is
timed is theirs: ``VQA.evaluate`` whole, and of the reports the calls of ``_evaluate_reports`` for the four metrics.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from types import SimpleNamespace
from typing import Any

# One of the imports closes stdin.
REQUESTS = os.fdopen(os.dup(0), encoding="utf-8")
START = time.perf_counter()
import multimedeval  # noqa: E402, F401
import nltk  # noqa: E402
from multimedeval.report_comparison_utils import compute_meteor  # noqa: E402
from multimedeval.task_families import VQA  # noqa: E402
from torchmetrics.text import BLEUScore, ROUGEScore  # noqa: E402

IMPORT = time.perf_counter() - START


class Answers(VQA):
    """Their scoring over answers that are given."""

    def __init__(self) -> None:
        super().__init__(engine=None, logger=None)

    def setup(self) -> None:
        """Nothing to download."""

    def format_question(self, sample: Any, prompt: bool = False) -> None:
        """Not asked."""

    def get_correct_answer(self, sample: dict[str, str]) -> str:
        """As in ``multimedeval/vqa.py``."""
        return sample["answer"].lower().strip()


def score_answers(pairs: list[tuple[str, str]]) -> tuple[Any, Any]:
    """A function that scores, and one that names the totals as ours are named."""
    task = Answers()
    task.dataset = [{"answer": reference} for _, reference in pairs]
    predictions = [{"idx": i, "answer": SimpleNamespace(text=text)} for i, (text, _) in enumerate(pairs)]
    names = {
        "bleu1": "bleu", "f1": "F1", "recall": "recall", "closed_accuracy": "closedQuestionsAccuracy",
        "open_recall": "openQuestionsRecall", "open_accuracy": "openQuestionsAccuracy",
    }  # fmt: skip
    return lambda: task.evaluate(predictions), lambda out: {ours: out.metrics[name] for ours, name in names.items()}


def score_reports(pairs: list[tuple[str, str]]) -> tuple[Any, Any]:
    """The same for reports. Their ROUGE object also computes ROUGE-1, which is left out here in their favour."""
    bleu_1, bleu_4, rouge = BLEUScore(n_gram=1), BLEUScore(n_gram=4), ROUGEScore(rouge_keys="rougeL")

    def run() -> dict[str, list[float]]:
        given, wanted = [text for text, _ in pairs], [reference for _, reference in pairs]
        columns: dict[str, list[float]] = {"bleu1": [], "bleu4": [], "rouge_l": []}
        for hypothesis, reference in pairs:
            columns["bleu1"].append(bleu_1([hypothesis], [[reference]]).item())
            columns["bleu4"].append(bleu_4([hypothesis], [[reference]]).item())
            columns["rouge_l"].append(rouge([hypothesis], [[reference]])["rougeL_fmeasure"].item())
        return {**columns, "meteor": compute_meteor(given, wanted)}

    return run, lambda columns: columns


JOBS = {"answers": score_answers, "reports": score_reports}


def main() -> None:
    """Answer requests until stdin ends."""
    nltk.download = lambda *_, **__: False  # offline it returns False after a while
    versions = {
        name: sys.modules[name].__version__ for name in ("torch", "torchmetrics", "transformers", "nltk", "numpy")
    }
    print(json.dumps({"import_seconds": IMPORT, "versions": {"multimedeval": "1.0.0", **versions}}), flush=True)
    for line in REQUESTS:
        request = json.loads(line)
        run, named = JOBS[request["job"]](request["pairs"])
        wall, cpu = time.perf_counter(), time.process_time()
        result = run()
        spent = {"seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu}
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({**spent, "peak_mb": memory, "values": named(result)}), flush=True)


if __name__ == "__main__":
    main()
