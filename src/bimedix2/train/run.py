"""From a recipe to a finished run folder: prepare, plan, train, save, sum up."""

from __future__ import annotations

import json
import os
import platform
import shutil
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bimedix2.cache import atomic_folder, write_whole
from bimedix2.errors import ConfigError

from .progress import Tell, silent
from .recipe import Recipe
from .start import load_start as load_start

if TYPE_CHECKING:
    from bimedix2.model import Bundle
    from bimedix2.records.schema import Record

    from .engine import Engine
    from .loop import Trainer
    from .samples.prepare import Prepared

Stop = Callable[[], bool]
Load = Callable[[], "Bundle"]
Files = Sequence[tuple[str, int]]


def train_recipe(
    recipe: Recipe, folder: Path, data_root: Path, out: Path, say: Tell, stop: Stop = lambda: False
) -> bool:
    """Run a recipe to its end, or until ``stop`` is true; a run that was stopped is taken up again.

    Args:
        recipe: the settings.
        folder: of the recipe file; its ``records`` may be relative to it, or to ``out``.
        data_root: folder that relative image paths start from.
        out: run folder. ``final/`` holds the trained parts, ``log.jsonl`` the losses, ``manifest.json`` what
            made them.
        say: receives progress lines.
        stop: asked after every optimiser step.

    Returns:
        Whether the run is complete.

    Raises:
        ConfigError: the recipe is wrong or its records are not found.
        RecordError: a record cannot be trained on, with ``bad_samples: stop``.
    """
    records: list[Record] = []
    files: list[tuple[str, int]] = []
    # The first process prepares the records; the others open what it wrote.
    if os.environ.get("RANK", "0") == "0":
        records, files = read_all(recipe, folder, out)
        count = len(records)
        say(f"{count} records; loading {recipe.model}", f"عدد السجلات {count}؛ جار تحميل {recipe.model}")
    return train_records(recipe, records, lambda: load_start(recipe), data_root, out, say, stop, files)


def train_records(
    recipe: Recipe,
    records: Sequence[Record],
    bundle: Bundle | Load,
    data_root: Path,
    out: Path,
    say: Tell,
    stop: Stop = lambda: False,
    files: Files = (),
) -> bool:
    """:func:`train_recipe` on records and a model that are at hand.

    Args:
        recipe, data_root, out, say, stop: as there.
        records: what to train on.
        bundle: the model, which is not changed, or a function that loads it.
        files: name and number of records of each file, for messages.
    """
    from .engine import Engine
    from .loop import Trainer
    from .watch.run_watch import watch_run

    engine = Engine(recipe.engine, recipe.timeout_minutes)
    out.mkdir(parents=True, exist_ok=True)
    load = _loader(bundle)
    say = say if engine.rank == 0 else silent
    try:
        with watch_run(recipe, out, lambda line: say(line, line), first=engine.rank == 0) as watch:
            prepared = _prepare_once(recipe, records, load, data_root, out, say, engine, files)
            trainer = Trainer(load, prepared, recipe, out, engine, watch, stop)
            if engine.rank == 0:
                _write_plan(trainer, out, say)
            watch.event("start", world=engine.world, engine=engine.name, skipped=len(prepared.skipped))
            started = time.monotonic()
            finished = trainer.train()
            if finished and engine.rank == 0:
                _finish(recipe, prepared, out, time.monotonic() - started, say)
                watch.event("done")
    except BaseException:
        engine.close(failed=True)
        raise
    engine.close()
    return finished


def dry_run(
    recipe: Recipe,
    records: Sequence[Record],
    bundle: Bundle | Load,
    data_root: Path,
    out: Path,
    say: Tell,
    files: Files = (),
) -> dict[str, Any]:
    """Prepare the records and print the plan, without training; returns what ``plan.json`` would hold."""
    from .plan.report import plan_figures, plan_lines
    from .plan.steps import plan_stage, split_holdout

    out.mkdir(parents=True, exist_ok=True)
    prepared = _prepare(recipe, records, _loader(bundle)(), data_root, out, say, files)
    rows, held = split_holdout(prepared.store.table, recipe.holdout, recipe.seed)
    plans = [
        plan_stage(prepared.store.table, rows, recipe, index) if stage.objective == "next_token" else None
        for index, stage in enumerate(recipe.stages)
    ]
    figures = plan_figures(recipe, plans)
    for line in plan_lines(figures):
        say(*line)
    if len(held):
        count = prepared.count(held)
        say(f"{count} samples are held out for validation", f"عدد العينات المحجوزة للتحقق {count}")
    say_skipped(prepared, say)
    return figures


def _loader(bundle: Bundle | Load) -> Load:
    if callable(bundle):
        return bundle
    from copy import deepcopy

    given = bundle
    return lambda: replace(given, model=deepcopy(given.model))


def _prepare_once(
    recipe: Recipe,
    records: Sequence[Record],
    load: Load,
    data_root: Path,
    out: Path,
    say: Tell,
    engine: Engine,
    files: Files,
) -> Prepared:
    """The first process prepares; the others wait and open what it wrote."""
    from .memory import release
    from .samples.prepare import open_prepared

    mark = out / "prepared.json"
    if engine.rank == 0:
        prepared = _prepare(recipe, records, load(), data_root, out, say, files)
        release()
        write_whole(mark, json.dumps({"store": prepared.store.name}).encode())
    engine.wait_for_first()
    if engine.rank:
        prepared = open_prepared(out / "prepared", json.loads(mark.read_bytes())["store"], files)
    return prepared


def _prepare(
    recipe: Recipe, records: Sequence[Record], bundle: Bundle, data_root: Path, out: Path, say: Tell, files: Files
) -> Prepared:
    from .samples.prepare import prepare

    prepared = prepare(
        records,
        data_root,
        bundle,
        out / "prepared",
        max_tokens=recipe.pack_tokens,
        policy=recipe.bad_samples,
        max_images=recipe.images_per_pack,
        plain=any(stage.prompt_format == "plain" for stage in recipe.stages),
        files=files,
        say=say,
    )
    lines = [json.dumps(asdict(skipped), ensure_ascii=False) for skipped in prepared.skipped]
    write_whole(out / "skipped.jsonl", "".join(f"{line}\n" for line in lines).encode())
    return prepared


def _write_plan(trainer: Trainer, out: Path, say: Tell) -> None:
    from .plan.report import plan_figures, plan_lines

    plans = [
        trainer.plan(index) if stage.objective == "next_token" else None
        for index, stage in enumerate(trainer.recipe.stages)
    ]
    figures = plan_figures(trainer.recipe, plans)
    write_whole(out / "plan.json", json.dumps(figures, indent=1).encode())
    for line in plan_lines(figures):
        say(*line)


def _finish(recipe: Recipe, prepared: Prepared, out: Path, seconds: float, say: Tell) -> None:
    from .checkpoint import latest_checkpoint
    from .watch.plots import save_plots

    last = latest_checkpoint(out)
    assert last is not None
    with atomic_folder(out / "final") as scratch:
        shutil.copytree(last / "adapter", scratch, dirs_exist_ok=True)
    manifest = run_manifest(prepared, recipe, seconds)
    write_whole(out / "manifest.json", json.dumps(manifest, indent=1).encode())
    save_plots(out, say)
    say_skipped(prepared, say)


def say_skipped(prepared: Prepared, say: Tell) -> None:
    """Sum up the samples that were left out."""
    from .samples.encode import KINDS

    if not prepared.skipped:
        return
    counts = Counter(skipped.kind for skipped in prepared.skipped).most_common()
    total = len(prepared.skipped)
    english = ", ".join(f"{KINDS[kind][0]} {count}" for kind, count in counts)
    arabic = "، ".join(f"{KINDS[kind][1]} {count}" for kind, count in counts)
    say(f"{total} samples left out ({english}): skipped.jsonl", f"عينات متروكة {total} ({arabic}): skipped.jsonl")
    for one in prepared.skipped[:5]:
        say(
            f"  {one.file_or_row}, {one.record_id}, field {one.field}: {one.reason}",
            f"  {one.file}، الصف {one.row}، {one.record_id}، الحقل {one.field}: {one.reason_ar}",
        )


def read_all(recipe: Recipe, folder: Path, out: Path) -> tuple[list[Record], list[tuple[str, int]]]:
    """Every record that the recipe names, and how many each file holds.

    Args:
        recipe: its ``records`` may be absolute, or relative to the run folder or to the recipe's folder.
        folder: the recipe's folder.
        out: the run folder.
    """
    from bimedix2.records import read_records

    records: list[Record] = []
    files: list[tuple[str, int]] = []
    for name in recipe.records:
        places = [Path(name)] if Path(name).is_absolute() else [out / name, folder / name]
        found = next((path for path in places if path.is_file()), None)
        if found is None:
            tried = ", ".join(map(str, places))
            raise ConfigError(
                f"The recipe's records {name} were not found (tried {tried}). For nano, `bimedix2 data build "
                "recipes/data/bimedv-nano.yaml --data DATA --out SET` makes them: add records=[SET/mix.jsonl].",
                f"لم يعثر على سجلات الوصفة {name} (جرب: {tried}). لنموذج nano يصنعها الأمر `bimedix2 data build "
                "recipes/data/bimedv-nano.yaml --data DATA --out SET`: أضف records=[SET/mix.jsonl].",
            )
        before = len(records)
        records.extend(read_records(found))
        files.append((str(found), len(records) - before))
    if not records:
        raise ConfigError("The recipe's record files hold no records.", "ملفات سجلات الوصفة فارغة.")
    return records, files


def run_manifest(prepared: Prepared, recipe: Recipe, seconds: float) -> dict[str, Any]:
    """Settings, data hash, versions and machine of a run.

    Args:
        prepared: gives the hash over every record and image.
        recipe: the settings.
        seconds: time of the last uninterrupted part of the run.
    """
    from importlib.metadata import version

    from bimedix2 import __version__

    return {
        "recipe": asdict(recipe),
        "recipe_fingerprint": recipe.fingerprint(),
        "data_manifest_sha256": prepared.manifest_hash,
        "samples": prepared.count(),
        "skipped": len(prepared.skipped),
        "images": 0 if prepared.images is None else len(prepared.images.pixels),
        "seed": recipe.seed,
        "seconds": round(seconds),
        "versions": {"bimedix2": __version__} | {name: version(name) for name in ("torch", "transformers", "peft")},
        "machine": f"{platform.system()} {platform.machine()}",
    }
