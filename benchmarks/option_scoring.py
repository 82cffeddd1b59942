"""Log-probabilities of options: prompt and image read once for all of them, against one forward per option.

    python benchmarks/option_scoring.py --data DATA [--rounds 5] [--out benchmarks/results/option_scoring.json]

Two other sides do what harnesses do without a cache, the whole prompt with its image once per option: ``separate``
with our own code, which shows what sharing alone brings, and ``transformers`` with the model's own forward. Rounds are
interleaved; medians are reported. The log-probabilities are compared in float32, where rounding cannot hide or make a
difference. Needs an idle machine.
"""

from __future__ import annotations

import argparse
import json
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
from bimedix2.inference.options import option_logprobs, option_tokens
from bimedix2.inference.prompt import ImageEncoder
from nano_speed import machine

TASKS = {"rocov2_modality": "text", "mmlu_clinical_knowledge": "letter"}


Options = tuple[str, ...]


def shared(model: Any, sample: Sample, root: Path, options: Options) -> list[float]:
    """Ours, with nothing kept from the sample before."""
    model.encoder = ImageEncoder(model.bundle)
    model.memory = PromptMemory(model.encoder)
    turn, _ = user_turn(sample.prompt, len(sample.images), sample.language)
    return option_logprobs(model, [turn], [str(root / image) for image in sample.images], options)


def separate(model: Any, sample: Sample, root: Path, options: Options) -> list[float]:
    """Ours, option by option, with nothing kept between them."""
    return [score for option in options for score in shared(model, sample, root, (option,))]


def transformers(model: Any, sample: Sample, root: Path, options: Options) -> list[float]:
    """One forward of the transformers model per option."""
    bundle = model.bundle
    turn, _ = user_turn(sample.prompt, len(sample.images), sample.language)
    ids = model._encode([turn], GenerationConfig())[0]
    decoded = model.decode_images([str(root / image) for image in sample.images])
    scores = []
    for option in options:
        tokens = option_tokens(bundle, option)
        inputs: dict[str, Any] = {"input_ids": torch.tensor([[*ids, *tokens]])}
        if decoded:
            pixels = np.stack([bundle.image_policy.preprocess(image.pixels) for image in decoded])
            inputs["pixel_values"] = torch.from_numpy(pixels).to(bundle.dtype)
        with torch.inference_mode():
            logits = bundle.model(**inputs, logits_to_keep=len(tokens) + 1).logits[0, :-1]
        logprobs = logits.float().log_softmax(-1)
        scores.append(float(logprobs.gather(-1, torch.tensor(tokens)[:, None]).sum()))
    return scores


SIDES = (shared, separate, transformers)


def differences(root: Path, samples: list[Sample], options: list[Options]) -> dict[str, float]:
    """Largest difference of a log-probability to the shared one, in float32."""
    import torch

    model = bimedix2.load("nano", dtype="float32")
    assert model.bundle.dtype == torch.float32
    worst = {}
    for side in (separate, transformers):
        pairs = [
            (shared(model, sample, root, own), side(model, sample, root, own))
            for sample, own in zip(samples, options, strict=True)
        ]
        worst[side.__name__] = max(abs(a - b) for x, y in pairs for a, b in zip(x, y, strict=True))
    return {name: float(f"{value:.2e}") for name, value in worst.items()}


def main() -> None:
    """Print one JSON object and write it to --out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    model = bimedix2.load("nano")
    report: dict[str, Any] = {"machine": machine(), "rounds": args.rounds, "samples": args.samples, "tasks": {}}
    for name, kind in TASKS.items():
        samples = list(all_tasks()[name].samples(args.data, "en", "test"))[: args.samples]
        chosen = [sample.options if kind == "text" else sample.letters for sample in samples]
        times: dict[str, list[float]] = {side.__name__: [] for side in SIDES}
        for number in range(args.rounds + 1):
            for side in SIDES:
                started = time.perf_counter()
                for sample, options in zip(samples, chosen, strict=True):
                    side(model, sample, args.data, options)
                if number:  # the first round warms up
                    times[side.__name__].append((time.perf_counter() - started) / len(samples))
        medians = {side: statistics.median(values) for side, values in times.items()}
        report["tasks"][name] = {
            "options": len(samples[0].options),
            "scored": kind,
            "seconds_a_sample": {side: round(value, 4) for side, value in medians.items()},
            "ratio": {side: round(medians[side] / medians["shared"], 2) for side in ("separate", "transformers")},
            "largest_difference_nats_float32": differences(args.data, samples[:4], chosen[:4]),
        }
    print(json.dumps(report, indent=1))
    if args.out:
        args.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
