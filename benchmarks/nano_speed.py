"""Speed of nano on this machine, beside plain transformers ``generate`` on the same weights in the same run.

    python benchmarks/nano_speed.py [--rounds 5] [--out benchmarks/results/nano_speed.json]

Rounds are interleaved (ours, transformers, ours, …); medians are reported. Needs an idle machine.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from datetime import date
from pathlib import Path
from typing import Any

QUESTION = "Which part of the body is shown?"
SECOND = "Is there a fracture?"
LONG = "Describe this image."


def machine() -> dict[str, Any]:
    """What the figures were taken on."""
    import torch
    import transformers

    cpu = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        "unknown",
    )
    return {
        "cpu": cpu,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "python": sys.version.split()[0],
        "date": date.today().isoformat(),
        "command": " ".join(["python", *sys.argv]),
    }


def ours(model: Any, image: Any, rounds: int) -> dict[str, list[float]]:
    """One round per call: first turn, second turn, and a long answer for the decode speed."""
    from bimedix2.inference import GenerationConfig
    from bimedix2.inference.memory import PromptMemory
    from bimedix2.inference.prompt import ImageEncoder

    result: dict[str, list[float]] = {"first_token": [], "second_turn": [], "tokens_per_second": []}
    long = GenerationConfig(max_new_tokens=64)
    for _ in range(rounds):
        model.encoder = ImageEncoder(model.bundle)  # a fresh start: nothing encoded, nothing cached
        model.memory = PromptMemory(model.encoder)
        chat = model.chat()
        result["first_token"].append(chat.send(QUESTION, [image]).timings.first_token)
        result["second_turn"].append(chat.send(SECOND).timings.first_token)
        answer = model.ask(LONG, [image], config=long)
        if answer.tokens > 8:
            result["tokens_per_second"].append(answer.timings.tokens_per_second)
    return result


def plain(model: Any, image: Any, rounds: int) -> dict[str, list[float]]:
    """transformers' own ``generate``: encodes the image and the whole prompt on every turn."""
    import torch

    from bimedix2.inference import GenerationConfig, user_turn

    result: dict[str, list[float]] = {"first_token": [], "second_turn": [], "tokens_per_second": []}
    bundle = model.bundle
    inner = bundle.model

    def run(turns: list[Any], tokens: int) -> float:
        ids = model._encode(turns, GenerationConfig())[0]
        started = time.monotonic()
        (decoded,) = model.decode_images([image])
        pixels = torch.from_numpy(bundle.image_policy.preprocess(decoded.pixels))[None].to(inner.dtype)
        inner.generate(
            input_ids=torch.tensor([ids]), pixel_values=pixels, attention_mask=torch.ones(1, len(ids)).long(),
            min_new_tokens=tokens, max_new_tokens=tokens, do_sample=False,
        )  # fmt: skip
        return time.monotonic() - started

    from bimedix2.records import Turn

    turn, _ = user_turn(QUESTION, 1, "auto")
    more, _ = user_turn(SECOND, 0, "auto")
    long, _ = user_turn(LONG, 1, "auto")
    for _ in range(rounds):
        result["first_token"].append(run([turn], 1))
        result["second_turn"].append(run([turn, Turn(role="assistant", text="Chest", language="en"), more], 1))
        one, many = run([long], 1), run([long], 65)
        result["tokens_per_second"].append(64 / (many - one))
    return result


def cold_start(image: str) -> float:
    """Seconds of one whole ``bimedix2 ask`` process."""
    started = time.monotonic()
    subprocess.run(
        [sys.executable, "-m", "bimedix2.cli", "ask", QUESTION, "--image", image, "--json"],
        check=True, capture_output=True,
    )  # fmt: skip
    return time.monotonic() - started


def main() -> None:
    """Measure and write one JSON file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    from pydicom.data import get_testdata_file

    import bimedix2

    image = str(get_testdata_file("CT_small.dcm", download=False))
    colds = [cold_start(image) for _ in range(3)]
    model = bimedix2.load("nano")
    ours(model, image, 1), plain(model, image, 1)  # warm-up
    mine: dict[str, list[float]] = {}
    theirs: dict[str, list[float]] = {}
    for _ in range(options.rounds):
        for total, part in ((mine, ours(model, image, 1)), (theirs, plain(model, image, 1))):
            for key, values in part.items():
                total.setdefault(key, []).extend(values)
    report = {
        "machine": machine(),
        "bimedix2": {key: round(statistics.median(values), 3) for key, values in mine.items()},
        "transformers.generate": {key: round(statistics.median(values), 3) for key, values in theirs.items()},
        "cold_start_of_ask_s": round(statistics.median(colds), 2),
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "rounds": options.rounds,
    }
    print(json.dumps(report, indent=2))
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
