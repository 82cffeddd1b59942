"""The OpenVINO engine in 32, 8 and 4 bits beside this package's own engine of one answer at a time.

    pip install "bimedix2[openvino]"
    python benchmarks/serve_openvino.py --optimum VENV/bin/optimum-cli --out benchmarks/results/serve_openvino.json

A random model of the 8B's structure with 379 million parameters: sizes and speed mean something, its words do not, so
nothing is said of quality. One thread, a picture and a question in English and in Arabic, 48 tokens each, rounds
interleaved. docs/serving.md says how to make the environment of ``optimum-cli``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from nano_speed import machine
from training_memory import MIB, write_model

sys.path[:0] = [str(Path(__file__).parents[1] / "tests" / folder) for folder in ("serve", "")]
COMMAND = (
    "python benchmarks/serve_openvino.py --optimum VENV/bin/optimum-cli --out benchmarks/results/serve_openvino.json"
)
TOKENS = 48
QUESTIONS = ("The left lung is clear?", "هل الرئة اليسرى سليمة؟")


def job(text: str) -> Any:
    """A question about a picture."""
    from engine_tools import job as make
    from engine_tools import picture

    return make(text, picture(1), max_new_tokens=TOKENS)


def exported(optimum: str, model: Path, kind: str) -> Path:
    """An export with the plain files that the engine needs."""
    target = model.with_name(f"openvino-{kind}")
    options = ["--task", "image-text-to-text", "--weight-format", kind, "--model", str(model), str(target)]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    environment.pop("PYTHONPATH", None)  # the exporter's packages are its own
    subprocess.run([optimum, "export", "openvino", *options], check=True, env=environment, capture_output=True)
    for name in ("bimedix2.json", "preprocessor_config.json"):
        shutil.copy(model / name, target / name)
    return target


def openvino(folder: Path) -> Callable[[str], int]:
    """Tokens of an answer by the engine, which stays open."""
    from engine_tools import answer

    from bimedix2.serve.engines.openvino import OpenVinoEngine
    from bimedix2.serve.settings import Limits, ServeSettings

    settings = ServeSettings(data=Path("unused"), engine="openvino", model=str(folder), limits=Limits(queue=8))
    engine = OpenVinoEngine(settings, {"INFERENCE_NUM_THREADS": 1})
    loop = asyncio.new_event_loop()
    loop.run_until_complete(engine.start())
    return lambda text: int(loop.run_until_complete(answer(engine, job(text)))[1].usage.completion_tokens)  # type: ignore[union-attr]


def own(folder: Path, dtype: str) -> Callable[[str], int]:
    """Tokens of an answer by ``Assistant``, which decodes with transformers' model."""
    from bimedix2.inference.assistant import Assistant
    from bimedix2.model import load_bundle

    assistant = Assistant(load_bundle(folder, adapter="none", device="cpu", dtype=dtype))

    def ask(text: str) -> int:
        asked = job(text)
        stream = assistant.stream_turns(asked.turns, asked.images, asked.language, asked.config)
        "".join(stream)
        assert stream.answer is not None
        return stream.answer.tokens

    return ask


def size(folder: Path) -> float:
    """Of the weights in MiB."""
    return round(
        sum(file.stat().st_size for file in folder.glob("*") if file.suffix in (".bin", ".safetensors")) / MIB, 1
    )


def measure(sides: dict[str, Callable[[str], int]], rounds: int) -> dict[str, float]:
    """Median tokens a CPU second of whole answers, picture and prompt included; the first round is not counted."""
    speeds: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds + 1):
        for name, ask in sides.items():
            for text in QUESTIONS:
                before = time.process_time()
                tokens = ask(text)
                if number:
                    speeds[name].append(tokens / (time.process_time() - before))
    return {name: round(statistics.median(found), 1) for name, found in speeds.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--optimum", required=True, help="optimum-cli of an environment with optimum-intel")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        model = Path(name) / "model"
        write_model(model)
        sides = {f"ours, {dtype}": own(model, dtype) for dtype in ("float32", "bfloat16")}
        sizes = {"ours, bfloat16": size(model)}
        for kind in ("fp32", "int8", "int4"):
            folder = exported(given.optimum, model, kind)
            sides[f"openvino, {kind}"], sizes[f"openvino, {kind}"] = openvino(folder), size(folder)
        speeds = measure(sides, given.rounds)
    result = {
        "question": "tokens a CPU second of whole answers on one thread, and the size of the weights in MiB",
        "tokens_per_cpu_second": speeds,
        "weights_mib": sizes,
        "versions": {name: version(name) for name in ("openvino", "openvino-genai")},
        "machine": machine() | {"command": COMMAND},
    }
    print(json.dumps(result, indent=1))
    if given.out:
        given.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
