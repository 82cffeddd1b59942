"""From a recipe file to a finished run folder: read, train, save, plot."""

from __future__ import annotations

import json
import platform
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bimedix2.errors import ConfigError

from .recipe import Recipe, load_recipe

if TYPE_CHECKING:
    from bimedix2.model import Bundle
    from bimedix2.records.schema import Record

    from .dataset import Dataset

Say = Callable[[str], None]
Stop = Callable[[], bool]


def train_recipe(recipe_path: Path, data_root: Path, out: Path, say: Say, stop: Stop = lambda: False) -> bool:
    """Run a recipe to its end, or until ``stop`` is true; a run that was stopped is taken up again.

    Args:
        recipe_path: YAML recipe.
        data_root: folder that relative image paths start from.
        out: run folder. ``final/`` holds the trained parts, ``log.jsonl`` the losses, ``manifest.json`` what
            made them.
        say: receives progress lines.
        stop: asked after every optimiser step.

    Returns:
        Whether the run is complete.

    Raises:
        ConfigError: the recipe is wrong or its records are not found.
        RecordError: a record cannot be trained on.
    """
    from bimedix2.model import load_bundle

    from .dataset import build_dataset
    from .loop import Trainer

    recipe = load_recipe(recipe_path)
    records = read_all(recipe, recipe_path.parent, out)
    say(f"{len(records)} records; loading {recipe.model}")
    # Training starts from the model without the adapter that it may ship.
    bundle = load_bundle(recipe.model, adapter="none")
    dataset = build_dataset(records, data_root, bundle, recipe.pack_tokens)
    out.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    finished = Trainer(bundle, dataset, recipe, out, say, stop).train()
    if finished:
        save_run(bundle, dataset, recipe, out, time.monotonic() - started)
        plot_losses(out, say)
    return finished


def read_all(recipe: Recipe, folder: Path, out: Path) -> list[Record]:
    """Every record that the recipe names.

    Args:
        recipe: its ``records`` may be absolute, or relative to the run folder or to the recipe's folder.
        folder: the recipe's folder.
        out: the run folder.
    """
    from bimedix2.records import read_records

    records: list[Record] = []
    for name in recipe.records:
        places = [Path(name)] if Path(name).is_absolute() else [out / name, folder / name]
        found = next((path for path in places if path.is_file()), None)
        if found is None:
            tried = ", ".join(map(str, places))
            raise ConfigError(
                f"The recipe's records {name} were not found (tried {tried}). For nano, "
                f"`bimedix2 data build-nano --data DATA --out {out}` makes them.",
                f"لم يعثر على سجلات الوصفة {name} (جرب: {tried}). لنموذج nano يصنعها الأمر "
                f"`bimedix2 data build-nano --data DATA --out {out}`.",
            )
        records.extend(read_records(found))
    if not records:
        raise ConfigError("The recipe's record files hold no records.", "ملفات سجلات الوصفة فارغة.")
    return records


def save_run(bundle: Bundle, dataset: Dataset, recipe: Recipe, out: Path, seconds: float) -> None:
    """Write ``final/`` (projector and adapter) and ``manifest.json`` (how to make them again)."""
    from bimedix2.model.adapters import save_adapter

    save_adapter(bundle.model, out / "final")
    manifest = run_manifest(dataset, recipe, seconds)
    (out / "manifest.json").write_text(json.dumps(manifest, indent=1), encoding="utf-8")


def run_manifest(dataset: Dataset, recipe: Recipe, seconds: float) -> dict[str, Any]:
    """Settings, data hash, versions and machine of a run.

    Args:
        dataset: gives the hash over every record and image.
        recipe: the settings.
        seconds: time of the last uninterrupted part of the run.
    """
    from dataclasses import asdict
    from importlib.metadata import version

    from bimedix2 import __version__

    return {
        "recipe": asdict(recipe),
        "recipe_fingerprint": recipe.fingerprint(),
        "data_manifest_sha256": dataset.manifest_hash,
        "samples": len(dataset.samples),
        "images": len(dataset.images),
        "seed": recipe.seed,
        "seconds": round(seconds),
        "versions": {"bimedix2": __version__} | {name: version(name) for name in ("torch", "transformers", "peft")},
        "machine": f"{platform.system()} {platform.machine()}",
    }


def plot_losses(out: Path, say: Say) -> None:
    """Draw ``loss.png`` from ``log.jsonl`` where matplotlib is installed."""
    if find_spec("matplotlib") is None:
        say("loss.png left out: matplotlib is not installed")
        return
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows = [json.loads(line) for line in (out / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    figure, axes = pyplot.subplots(figsize=(8, 4))
    for stage in dict.fromkeys(row["stage"] for row in rows):
        points = [(index, row["loss"]) for index, row in enumerate(rows) if row["stage"] == stage]
        axes.plot(*zip(*points, strict=True), label=stage, linewidth=0.8)
    axes.set(xlabel="optimiser step", ylabel="loss per supervised token, or image for words (nats)")
    axes.legend()
    figure.savefig(out / "loss.png", dpi=120, bbox_inches="tight")
    pyplot.close(figure)


@contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """Turn SIGINT and SIGTERM into a question that the training loop asks after each step."""
    asked = [False]

    def handler(_signal: int, _frame: object) -> None:
        asked[0] = True

    previous = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: asked[0]
    finally:
        for number, old in previous.items():
            signal.signal(number, old)
