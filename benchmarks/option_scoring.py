"""Log-probabilities of options: a prompt is read once for all of them, against one forward per option.

    python benchmarks/option_scoring.py --data DATA [--rounds 5] [--out benchmarks/results/option_scoring.json]

``ours`` is what ``bimedix2 evaluate`` does with a batch of questions; it starts every round with nothing kept.
``one_by_one`` is the same code question by question, with nothing kept between them. The others read the whole prompt
and its image once per option, as harnesses do: ``separate`` with our own code, which shows what sharing alone brings,
``transformers`` with the model's own forward and all its logits (as lm-evaluation-harness's HFLM calls it), and
``transformers_last`` with ``logits_to_keep``, which torch answers here by copying the whole head for every call. The
fastest of the three is the baseline. (HFLM, too, reads a prompt once for options of one token each.) Rounds are
interleaved; medians are reported, of CPU time too, which a busy neighbour disturbs less. The log-probabilities are
compared in float32, where rounding cannot hide or make a difference.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

import bimedix2
from bimedix2.evaluate.registry import all_tasks
from bimedix2.evaluate.schema import Sample
from bimedix2.inference import GenerationConfig, user_turn
from bimedix2.inference.memory import PromptMemory
from bimedix2.inference.options import OptionQuestion, option_tokens, score_options
from bimedix2.inference.prompt import ImageEncoder
from nano_speed import machine

TASKS = {"rocov2_modality": "text", "mmlu_clinical_knowledge": "letter"}
TOLERANCE = 1e-3

Options = tuple[str, ...]
Items = list[tuple[Sample, Options]]
Scores = list[list[float]]


def ours(model: Any, root: Path, items: Items) -> Scores:
    """A batch of questions, with nothing kept from before."""
    model.encoder = ImageEncoder(model.bundle)
    model.memory = PromptMemory(model.encoder)
    return score_options(model, [_question(sample, root, options) for sample, options in items])


def one_by_one(model: Any, root: Path, items: Items) -> Scores:
    """Ours, question by question, with nothing kept between them."""
    return [ours(model, root, [item])[0] for item in items]


def separate(model: Any, root: Path, items: Items) -> Scores:
    """Ours, option by option, with nothing kept between them."""
    return [[ours(model, root, [(sample, (option,))])[0][0] for option in options] for sample, options in items]


def transformers(model: Any, root: Path, items: Items) -> Scores:
    """One forward of the transformers model per option."""
    return [[_forward(model, root, sample, option, {}) for option in options] for sample, options in items]


def transformers_last(model: Any, root: Path, items: Items) -> Scores:
    """The same, with the logits of the option's tokens alone."""
    keep = {"logits_to_keep": 1}
    return [[_forward(model, root, sample, option, keep) for option in options] for sample, options in items]


def _question(sample: Sample, root: Path, options: Options) -> OptionQuestion:
    turn, _ = user_turn(sample.prompt, len(sample.images), sample.language)
    return OptionQuestion([turn], [str(root / image) for image in sample.images], options)


def _forward(model: Any, root: Path, sample: Sample, option: str, keep: dict[str, int]) -> float:
    bundle, (turns, images, _) = model.bundle, _question(sample, root, ())
    tokens = option_tokens(bundle, option)
    ids = [*model._encode(turns, GenerationConfig())[0], *tokens]
    inputs: dict[str, Any] = {"input_ids": torch.tensor([ids])}
    if images:
        pixels = np.stack([bundle.image_policy.preprocess(image.pixels) for image in model.decode_images(images)])
        inputs["pixel_values"] = torch.from_numpy(pixels).to(bundle.dtype)
    if keep:
        inputs["logits_to_keep"] = len(tokens) + 1
    with torch.inference_mode():
        logits = bundle.model(**inputs).logits[0, -len(tokens) - 1 : -1]
    logprobs = logits.float().log_softmax(-1)
    return float(logprobs.gather(-1, torch.tensor(tokens)[:, None]).sum())


SIDES = (ours, one_by_one, separate, transformers, transformers_last)
BASELINES = ("separate", "transformers", "transformers_last")


def differences(root: Path, items: Items) -> dict[str, float]:
    """Largest difference of a log-probability to ours, in float32."""
    model = bimedix2.load("nano", dtype="float32")
    assert model.bundle.dtype == torch.float32
    mine = ours(model, root, items)
    worst = {}
    for side in SIDES[1:]:
        other = side(model, root, items)
        worst[side.__name__] = max(
            abs(a - b) for x, y in zip(mine, other, strict=True) for a, b in zip(x, y, strict=True)
        )
        assert worst[side.__name__] < TOLERANCE, worst
    return {name: float(f"{value:.1e}") for name, value in worst.items()}


def measure(model: Any, root: Path, items: Items, rounds: int) -> dict[str, Any]:
    """Median seconds a sample of every side, of the wall clock and of CPU time."""
    times: dict[str, list[tuple[float, float]]] = {side.__name__: [] for side in SIDES}
    for number in range(rounds + 1):
        for side in SIDES:
            wall, cpu = time.perf_counter(), time.process_time()
            side(model, root, items)
            if number:  # the first round warms up
                times[side.__name__].append((time.perf_counter() - wall, time.process_time() - cpu))
    found: dict[str, Any] = {}
    for place, key in enumerate(("seconds_a_sample", "cpu_seconds_a_sample")):
        medians = {name: statistics.median(row[place] for row in rows) / len(items) for name, rows in times.items()}
        best = min(BASELINES, key=medians.__getitem__)
        found[key] = {name: round(value, 4) for name, value in medians.items()}
        found[key.replace("seconds_a_sample", "ratio")] = {
            "baseline": best,
            "ours": round(medians[best] / medians["ours"], 2),
            "one_by_one": round(medians[best] / medians["one_by_one"], 2),
        }
    return found


def main() -> None:
    """Print one JSON object and write it to --out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    model = bimedix2.load("nano")
    report: dict[str, Any] = {"machine": machine(), "rounds": args.rounds, "samples": args.samples, "tasks": {}}
    for name, kind in TASKS.items():
        samples = list(itertools.islice(all_tasks()[name].samples(args.data, "en", "test"), args.samples))
        items = [(sample, sample.options if kind == "text" else sample.letters) for sample in samples]
        report["tasks"][name] = {
            "options": len(samples[0].options),
            "scored": kind,
            "target_ratio": 6,
            **measure(model, args.data, items, args.rounds),
            "largest_difference_nats_float32": differences(args.data, items[:4]),
        }
    load = os.getloadavg()[0]
    # Its own threads are part of the load.
    report["machine"] |= {"load_average_at_the_end": round(load, 1), "busy_with_other_work": load > args.threads + 0.3}
    print(json.dumps(report, indent=1))
    if args.out:
        args.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
