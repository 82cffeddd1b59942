"""Our trainer beside HF Trainer and TRL's SFTTrainer: same model, samples, order, batch and optimiser.

    python3 -m venv PEER && PEER/bin/pip install -r benchmarks/trainers-requirements.txt
    python benchmarks/trainers.py --peer PEER/bin/python [--settings shared,single,vocabulary] [--rounds 5]
        [--out benchmarks/results]

Every run is a process of its own on the same pinned cores; rounds are interleaved (A B C, A B C, …) and medians
reported, of CPU seconds, wall clock and peak memory. Losses must be equal at every optimiser step. Importing and
preparing are timed apart. With 64 samples five rounds take about ten minutes on two idle cores,
``vocabulary`` twice as long.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PARITY = 1e-4
TARGET_SPEED, TARGET_MEMORY = 3.0, 0.6


@dataclass(frozen=True)
class Contender:
    """One way to train.

    Attributes:
        name: key of the results.
        title: for people.
        arguments: of ``trainers_peer.py``; ``None`` is this package.
    """

    name: str
    title: str
    arguments: tuple[str, ...] | None = None


CONTENDERS = (
    Contender("ours", "bimedix2"),
    Contender("hf", "HF Trainer, one padded batch a step", ("--trainer", "hf")),
    Contender("trl", "TRL SFTTrainer, one padded batch a step", ("--trainer", "trl")),
    Contender("hf_single", "HF Trainer, one sample at a time", ("--trainer", "hf", "--micro", "1")),
    Contender("trl_single", "TRL SFTTrainer, one sample at a time", ("--trainer", "trl", "--micro", "1")),
)
# Arguments of trainers_model.py. VQA-RAD's training split asks 3,064 questions about 315 images.
SETTINGS: dict[str, dict[str, int]] = {
    "shared": {"per_image": 3},
    "single": {"per_image": 1},
    "many": {"per_image": 10},
    "vocabulary": {"per_image": 3, "vocab": 32768},
    # nano's head has 410 rows to a channel, Llama 3's 31; this one 171: the peers' logits still fit beside others.
    "nano_vocabulary": {"per_image": 3, "vocab": 65536},
}
TITLES = {
    "shared": "three conversations about each image, vocabulary of 4,096",
    "single": "one conversation about each image, vocabulary of 4,096",
    "many": "ten conversations about each image (as in VQA-RAD), vocabulary of 4,096",
    "vocabulary": "three conversations about each image, vocabulary of 32,768",
    "nano_vocabulary": "three conversations about each image, vocabulary of 65,536",
}


class Runner:
    """Starts the processes."""

    def __init__(self, peer: str, threads: int) -> None:
        self.peer, self.threads = peer, threads
        cores = sorted(os.sched_getaffinity(0))[:threads]
        os.sched_setaffinity(0, cores)  # children inherit it
        self.environment = {
            **os.environ,
            "OMP_NUM_THREADS": str(threads),
            "HF_HUB_OFFLINE": "1",
            "TOKENIZERS_PARALLELISM": "false",
        }

    def call(self, python: str, script: str, *arguments: object) -> str:
        """Last line of a script's output; ends the benchmark if it fails."""
        command = [python, str(HERE / script), *map(str, arguments)]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")
        return (done.stdout.strip().splitlines() or [""])[-1]

    def write(self, work: Path, setting: dict[str, int]) -> dict[str, Any]:
        """Model, samples and plan of a setting; returns setting and plan."""
        flags = [part for name, value in setting.items() for part in (f"--{name.replace('_', '-')}", value)]
        made = json.loads(self.call(sys.executable, "trainers_model.py", "--work", work, *flags))
        self.call(sys.executable, "trainers_ours.py", "--work", work, "--plan", "--threads", self.threads)
        plan = json.loads((work / "plan.json").read_text(encoding="utf-8"))
        return {**made, "plan": {name: value for name, value in plan.items() if name not in ("steps", "factors")}}

    def train(self, contender: Contender, work: Path) -> dict[str, Any]:
        """One run."""
        if contender.arguments is None:
            line = self.call(sys.executable, "trainers_ours.py", "--work", work)
        else:
            line = self.call(self.peer, "trainers_peer.py", "--work", work, *contender.arguments)
        found: dict[str, Any] = json.loads(line)
        return found


def measure(runner: Runner, work: Path, names: list[str], rounds: int) -> dict[str, Any]:
    """All runs of a setting, interleaved."""
    chosen = [contender for contender in CONTENDERS if contender.name in names]
    runs: dict[str, list[dict[str, Any]]] = {contender.name: [] for contender in chosen}
    for number in range(rounds):
        for contender in chosen:
            found = runner.train(contender, work)
            runs[contender.name].append(found)
            train = found["train"]
            line = f"round {number + 1}, {contender.name}: {train['cpu']:.1f} s CPU, {train['wall']:.1f} s wall"
            print(f"{line}, {found['peak_mb']:.0f} MB", file=sys.stderr, flush=True)
    return summary(runs)


def summary(runs: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Medians, ratios to ours, and the largest difference of losses."""
    rows = {name: medians(found) for name, found in runs.items()}
    ours = rows["ours"]
    own = runs["ours"][0]
    for name, row in rows.items():
        found = runs[name][0]
        assert found["supervised"] == own["supervised"], f"{name} supervises other tokens"
        worst = max(abs(a - b) for run in runs[name] for a, b in zip(run["losses"], own["losses"], strict=True))
        assert worst <= PARITY, f"{name}: losses differ by {worst}"
        row["largest_loss_difference"] = float(f"{worst:.1e}")
        row["ratios"] = {
            "train_cpu": round(row["train_cpu"] / ours["train_cpu"], 2),
            "train_wall": round(row["train_wall"] / ours["train_wall"], 2),
            "prepare_and_train_cpu": round(row["prepare_and_train_cpu"] / ours["prepare_and_train_cpu"], 2),
            "our_share_of_peak": round(ours["peak_mb"] / row["peak_mb"], 2),
        }
    return {
        "rounds": len(runs["ours"]),
        "contenders": rows,
        "supervised_of_each_step": own["supervised"],
        "losses": {name: [round(loss, 5) for loss in found[0]["losses"]] for name, found in runs.items()},
        "versions": {name: found[0]["versions"] for name, found in runs.items()},
        "every_round": {name: [bare(run) for run in found] for name, found in runs.items()},
    }


def medians(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Of every measured value of a contender."""
    row = {
        f"{part}_{clock}": round(statistics.median(run[part][clock] for run in found), 2)
        for part in ("train", "prepare", "import")
        for clock in ("cpu", "wall")
    }
    row["train_system"] = round(statistics.median(run["train"]["system"] for run in found), 2)
    for clock in ("cpu", "wall"):
        both = statistics.median(run["prepare"][clock] + run["train"][clock] for run in found)
        row[f"prepare_and_train_{clock}"] = round(both, 2)
    for name in ("peak_mb", "after_import_mb"):
        row[name] = round(statistics.median(run[name] for run in found))
    return row


def bare(run: dict[str, Any]) -> dict[str, float]:
    """A run's figures without its losses."""
    return {**{f"train_{clock}": round(run["train"][clock], 2) for clock in ("cpu", "wall")},
            "peak_mb": round(run["peak_mb"])}  # fmt: skip


def machine(script: Path, arguments: list[str]) -> dict[str, Any]:
    """What the figures were taken on, how busy it was, and the command without the peers' own path."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    shown = ["PEER/bin/python" if place and arguments[place - 1] == "--peer" else part
             for place, part in enumerate(arguments)]  # fmt: skip
    return {
        "cpu": next((line.split(":")[1].strip() for line in lines if "model name" in line), "unknown"),
        "cores": os.cpu_count(),
        "load_average_before": round(os.getloadavg()[0], 1),
        "date": date.today().isoformat(),
        "command": " ".join([f"python benchmarks/{script.name}", *shown]),
    }


INTRODUCTION = """
A LLaVA of nano's proportions (ViT 4 x 128 at 336 px, 576 image tokens; Llama 6 x 384 with grouped queries), random
weights, float32, LoRA r=8 on the language model and a fully trained projector. Same samples, order, optimiser steps,
rates and AdamW. Half of the conversations are about a 1024 px grey picture, which the others open and process with
transformers' CLIP processor. Losses per supervised token are compared at every step. TRL gets `assistant_only_loss`
with a template that has generation markers (by default it supervises every token, those of images included) and no
length limit; neither of the others recomputes activations. One epoch is timed, after imports and preparation, which
stand beside it: ours tokenises and decodes in its preparation, TRL does both while it trains. Nothing is saved in the
timed part.
"""


def markdown(report: dict[str, Any]) -> str:
    """The results file."""
    where, threads = report["machine"], report["threads"]
    parts = [
        "# Our trainer beside HF Trainer and TRL", "",
        f"{where['cpu']}, {threads} pinned threads of {where['cores']} cores, load before: "
        f"{where['load_average_before']}; {where['date']}. `{where['command']}`",
        INTRODUCTION,
    ]  # fmt: skip
    for name, part in report["settings"].items():
        parts += table(name, part)
    return "\n".join([*parts, *GPU, "", versions(report), ""])


def table(name: str, part: dict[str, Any]) -> list[str]:
    """Lines of one setting."""
    data, titles = part["plan"]["data"], {contender.name: contender.title for contender in CONTENDERS}
    lines = [
        f"## {TITLES[name][0].upper()}{TITLES[name][1:]}", "",
        f"{data['samples']} conversations, {data['with_image']} of them about {data['images']} images; "
        f"{data['tokens']:,} tokens, {data['supervised_share']:.0%} supervised. Ours reads {data['packed_tokens']:,} "
        f"tokens, a padded batch a step {data['padded_tokens']:,}. Medians of {part['rounds']} rounds; a ratio is "
        "theirs over ours.", "",
        "| | training, CPU s | ratio | wall s | ratio | with preparation, CPU s | ratio | import, CPU s | peak MB "
        "| ours / theirs | largest loss difference |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for contender, row in part["contenders"].items():
        ratios = row["ratios"]
        lines.append(
            f"| {titles[contender]} | {row['train_cpu']:.1f} | {ratios['train_cpu']:.2f} | {row['train_wall']:.1f} | "
            f"{ratios['train_wall']:.2f} | {row['prepare_and_train_cpu']:.1f} | {ratios['prepare_and_train_cpu']:.2f} "
            f"| {row['import_cpu']:.1f} | {row['peak_mb']} | {ratios['our_share_of_peak']:.2f} | "
            f"{row['largest_loss_difference']:.0e} |"
        )
    return [*lines, ""]


GPU = [
    "## What of this would vanish on a GPU", "",
    "- The head. On CUDA, TRL projects supervised positions only; on a CPU, every position. HF Trainer makes all "
    "logits on both, unless Liger's kernels are added.",
    "- Padding, in part. One sample at a time pads nothing and is the best that both others can do here; a GPU is "
    "poorly filled by one short sample, so there users pad. TRL's and transformers' padding-free and packed modes "
    "need FlashAttention, and TRL 1.16 refuses both for data sets with images; trainers that pack images with "
    "FlashAttention (ms-swift) have no padding either.",
    "- Decoding and processing of pictures. Loader processes hide it behind the GPU as long as there are enough "
    "cores.",
    "- Python's and the allocator's share, which a larger model makes small anyway.", "",
    "What stays: the tokens of an image are read once for all conversations about it in a pack (compare the token "
    "counts above), text alone never costs an image, and rows are full without FlashAttention.",
]  # fmt: skip


def versions(report: dict[str, Any]) -> str:
    """One line."""
    found: dict[str, str] = {}
    for part in report["settings"].values():
        for own in part["versions"].values():
            found.update(own)
    return f"Versions: {', '.join(f'{name} {value}' for name, value in found.items())}."


def main() -> None:
    """Measure and write trainers.json and trainers.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", required=True, help="Python of the others' environment.")
    parser.add_argument("--settings", default="shared,single,vocabulary", help=f"Of {', '.join(SETTINGS)}.")
    parser.add_argument("--contenders", default=",".join(contender.name for contender in CONTENDERS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--samples", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    report: dict[str, Any] = {
        "machine": machine(Path(__file__), sys.argv[1:]),
        "threads": options.threads,
        "settings": {},
    }
    report["targets"] = {"ratio": TARGET_SPEED, "our_share_of_peak": TARGET_MEMORY}
    runner = Runner(options.peer, options.threads)
    for name in options.settings.split(","):
        with tempfile.TemporaryDirectory() as folder:
            facts = runner.write(Path(folder), {**SETTINGS[name], "samples": options.samples})
            part = measure(runner, Path(folder), options.contenders.split(","), options.rounds)
        report["settings"][name] = {**facts, **part}
        if options.out:
            options.out.mkdir(parents=True, exist_ok=True)
            text = json.dumps(report, indent=1, ensure_ascii=False)
            (options.out / "trainers.json").write_text(text + "\n", encoding="utf-8")
            (options.out / "trainers.md").write_text(markdown(report), encoding="utf-8")
    print(markdown(report))


if __name__ == "__main__":
    main()
