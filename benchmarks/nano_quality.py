"""Quality of nano on held-out public data, each figure beside its controls.

    python benchmarks/nano_quality.py --data DATA --out benchmarks/results [--limit N]

VQA-RAD development questions (by question and by image) and ROCOv2 test figures, English and Arabic: the trained
nano, the same without image and with shuffled images, the majority answer, the nearest training question's answer
and the untrained nano. Replies are kept below --runs, so an interrupted run goes on.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from nano_speed import machine

RUNS = {"question": "dev_question", "image": "dev_image"}
METRICS = ("mean", "bleu1", "closed_accuracy", "open_recall", "recall", "open_accuracy", "f1")
ANSWERERS = {
    "model": "nano",
    "shuffled": "nano, images shuffled",
    "blind": "nano, no image",
    "lookup": "nearest training question, no image",
    "majority": "most frequent training answer",
    "untrained": "nano, untrained",
}


def measure(model: str, tasks: list[str], data: Path, out: Path, limit: int | None, controls: bool) -> dict[str, Any]:
    """``results.json`` of one model on some tasks."""
    import bimedix2
    from bimedix2.cli.evaluate import identity
    from bimedix2.evaluate.controls import CONDITIONS
    from bimedix2.evaluate.engines.local import LocalEngine
    from bimedix2.evaluate.registry import find_tasks
    from bimedix2.evaluate.runner import RunOptions, ask_all, plan
    from bimedix2.evaluate.scoring import results_of

    engine = LocalEngine(model, identity(model, None), lambda: bimedix2.load(model))
    options = RunOptions(
        splits={name: part for name, _, part in (task.partition(":") for task in tasks) if part},
        limit=limit,
        conditions=CONDITIONS if controls else ("model",),
    )
    jobs = list(plan(find_tasks([task.partition(":")[0] for task in tasks]), engine, data, out, options))
    ask_all(jobs, engine, data, options, print)
    return results_of(jobs, model, options, out, ())


def rows_of(report: dict[str, Any], run: str, task: str, language: str, mode: str) -> dict[str, Any]:
    """Row of every answerer, the untrained model included."""
    found = {}
    for model in ("trained", "untrained"):
        for row in report[model][run]["rows"]:
            if (row["task"], row["language"], row["mode"]) == (task, language, mode):
                found["untrained" if model == "untrained" else row["condition"]] = row
    return found


def table(report: dict[str, Any]) -> str:
    """The report as Markdown."""
    lines = ["# Quality of nano", "", f"Machine and versions: `{json.dumps(report['machine'])}`", ""]
    for run, split in RUNS.items():
        for language in ("en", "ar"):
            for mode in ("corrected", "multimedeval"):
                rows = rows_of(report, run, "vqa_rad", language, mode)
                lines += ["", f"## VQA-RAD {split}, {language}, mode {mode} (n = {rows['model']['n']})", ""]
                lines += table_of(rows, METRICS)
    for task in ("rocov2_modality", "rocov2_region"):
        for language in ("en", "ar"):
            rows = rows_of(report, "facts", task, language, "named")
            lines += ["", f"## {task} test, {language} (n = {rows['model']['n']})", "", *table_of(rows, ("accuracy",))]
    lines += ["", "## Paired differences: nano minus control", ""]
    lines += [
        "| run | task | language | mode | control | difference [95 % interval] | p |",
        "|---|---|---|---|---|---|---|",
    ]
    for run, results in report["trained"].items():
        for row in results["comparisons"]:
            if row["kind"] == "control" and row["metric"] in ("mean", "accuracy"):
                lines.append(
                    f"| {run} | {row['task']} | {row['language']} | {row['mode']} | {row['a']} | "
                    f"{row['difference']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}] | {row['p']:.4f} |"
                )
    return "\n".join(lines) + "\n"


def table_of(rows: dict[str, Any], metrics: tuple[str, ...]) -> list[str]:
    """Answerers down, metrics across; the first metric with its interval."""
    lines = ["| answerer | " + " | ".join(metrics) + " | unparsed |", "|---" * (len(metrics) + 2) + "|"]
    for condition, name in ANSWERERS.items():
        if condition not in rows:
            continue
        values = [rows[condition]["metrics"].get(metric) for metric in metrics]
        cells = ["–" if value is None or value["value"] is None else f"{value['value']:.3f}" for value in values]
        if values[0] is not None and values[0]["value"] is not None:
            cells[0] += f" [{values[0]['low']:.3f}, {values[0]['high']:.3f}]"
        lines.append(f"| {name} | " + " | ".join(cells) + f" | {rows[condition]['unparsed']} |")
    return lines


def main() -> None:
    """Run everything and write nano_quality.json and nano_quality.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--runs", type=Path, default=Path("runs/nano_quality"))
    parser.add_argument("--limit", type=int)
    options = parser.parse_args()
    work = {run: [f"vqa_rad:{split}"] for run, split in RUNS.items()} | {"facts": ["rocov2_modality", "rocov2_region"]}
    report: dict[str, Any] = {"machine": machine()}
    for name, model in (("trained", "nano"), ("untrained", "nano-base")):
        report[name] = {
            run: measure(
                model, tasks, options.data, options.runs / f"{model}-{run}", options.limit, controls=name == "trained"
            )
            for run, tasks in work.items()
        }
    options.out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(report, indent=1, ensure_ascii=False)
    (options.out / "nano_quality.json").write_text(text + "\n", encoding="utf-8")
    (options.out / "nano_quality.md").write_text(table(report), encoding="utf-8")
    print(table(report))


if __name__ == "__main__":
    main()
