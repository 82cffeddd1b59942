"""Quality of nano on held-out public data, each figure beside what needs no image or no training.

    python benchmarks/nano_quality.py --data DATA --out benchmarks/results [--limit N]

VQA-RAD development questions (by question and by image, English and Arabic): the trained nano, the same with
images shuffled between questions, the untrained nano, the blind look-up and always-"no". ROCOv2 test figures:
modality and body region against the majority class. Predictions are kept, so an interrupted run goes on.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nano_speed import machine

SPLITS = ("dev_question", "dev_image")
METRICS = ("mean", "bleu1", "closed_accuracy", "open_recall", "recall", "open_accuracy", "f1")


def vqa(model: str, data: Path, out: Path, limit: int | None, shuffle: bool) -> dict[str, Any]:
    """Both splits and languages for one model."""
    import bimedix2
    from bimedix2.evaluate.run_vqa_rad import RunOptions, run_vqa_rad

    loaded: list[Any] = []

    def assistant() -> Any:
        if not loaded:
            loaded.append(bimedix2.load(model))
        return loaded[0]

    return {
        split: run_vqa_rad(
            assistant,
            data,
            RunOptions(model=model, split=split, shuffle_images=shuffle, limit=limit, batch=16),
            out / f"predictions-{model}",
            print,
        )
        for split in SPLITS
    }


def facts(model: str, data: Path) -> list[dict[str, Any]]:
    """Modality and region accuracy on ROCOv2's test figures."""
    import bimedix2
    from bimedix2.evaluate.rocov2 import evaluate_rocov2

    return [asdict(row) for row in evaluate_rocov2(bimedix2.load(model), data)]


def table(report: dict[str, Any]) -> str:
    """The report as Markdown."""
    lines = ["# Quality of nano", "", f"Machine and versions: `{json.dumps(report['machine'])}`", ""]
    lines += [
        "## VQA-RAD development questions",
        "",
        "Metrics as MultiMedEval defines them; mean of six first.",
    ]
    for split in SPLITS:
        for language in ("en", "ar"):
            n = report["trained"][split]["metrics"][language]["n"]
            lines += [
                "",
                f"### {split}, {language} (n = {n})",
                "",
                "| answerer | " + " | ".join(METRICS) + " |",
            ]
            lines.append("|---" * (len(METRICS) + 1) + "|")
            rows = [(name, report[key][split]["metrics"][language]) for name, key in ANSWERERS if key in report]
            rows += list(report["trained"][split]["without_image"][language].items())
            for name, values in rows:
                cells = [f"{values[metric]:.3f}" for metric in METRICS]
                if "mean_interval" in values:
                    low, high = values["mean_interval"]
                    cells[0] += f" [{low:.3f}, {high:.3f}]"
                lines.append(f"| {name} | " + " | ".join(cells) + " |")
    lines += ["", "## ROCOv2 test figures", "", "| fact | language | nano | untrained | majority class | n |"]
    lines.append("|---|---|---|---|---|---|")
    for trained, plain in zip(report["rocov2"], report["rocov2_untrained"], strict=True):
        lines.append(
            f"| {trained['fact']} | {trained['language']} | {trained['accuracy']:.3f} | {plain['accuracy']:.3f} | "
            f"{trained['majority']:.3f} | {trained['n']} |"
        )
    return "\n".join(lines) + "\n"


ANSWERERS = (
    ("nano", "trained"),
    ("nano, images shuffled", "shuffled"),
    ("nano, untrained", "untrained"),
)


def main() -> None:
    """Run everything and write nano_quality.json and nano_quality.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--predictions", type=Path, default=Path("runs/nano_quality"))
    parser.add_argument("--limit", type=int)
    options = parser.parse_args()
    report = {
        "machine": machine(),
        "trained": vqa("nano", options.data, options.predictions, options.limit, shuffle=False),
        "shuffled": vqa("nano", options.data, options.predictions, options.limit, shuffle=True),
        "untrained": vqa("nano-base", options.data, options.predictions, options.limit, shuffle=False),
        "rocov2": facts("nano", options.data),
        "rocov2_untrained": facts("nano-base", options.data),
    }
    options.out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(report, indent=1, ensure_ascii=False)
    (options.out / "nano_quality.json").write_text(text + "\n", encoding="utf-8")
    (options.out / "nano_quality.md").write_text(table(report), encoding="utf-8")
    print(table(report))


if __name__ == "__main__":
    main()
