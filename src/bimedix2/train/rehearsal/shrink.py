"""The same recipe, small: what a rehearsal changes and what it keeps."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bimedix2.records.schema import Record
from bimedix2.train.recipe import Recipe, StageRecipe

if TYPE_CHECKING:
    from bimedix2.model.toy import Structure

PACK_TOKENS = 256
# Random weights need larger steps than trained ones before anything can be seen.
RATE = 5e-3
EPOCHS = {"projector": 4, "projector+lora": 16}
_STRUCTURES: Mapping[str, Structure] = {
    "gemma3_text": "nano",
    "phi3": "phi3",
    "llava_phi": "phi3",
    "llava_phi3": "phi3",
}


def structure_of(model: str) -> Structure:
    """The toy that stands for a recipe's model: by its ``config.json`` where that is at hand, else by its name."""
    if model in ("nano", "nano-base"):
        return "nano"
    file = Path(model).expanduser() / "config.json"
    if file.is_file():
        config = json.loads(file.read_text(encoding="utf-8"))
        kind = config.get("text_config", {}).get("model_type", config.get("model_type"))
        return _STRUCTURES.get(kind, "llama")
    return "phi3" if "phi" in model.lower() else "llama"


def shrink(recipe: Recipe, model: str, records: Iterable[Record]) -> Recipe:
    """The recipe for a toy model and a few dozen records: one process, float32, tens of steps a stage.

    Stages, objectives, what trains, ranks, schedules, mixing, hold-out, policies and seed are the recipe's own.

    Args:
        recipe: as it was written.
        model: folder of the toy.
        records: what the toy trains on; shares of cells that they lack are left out.
    """
    records = list(records)
    return replace(
        recipe,
        model=model,
        records=(),
        stages=tuple(_small_stage(stage, records) for stage in recipe.stages),
        vision_encoder="",
        dtype="float32",
        quantize="none",
        pack_tokens=min(recipe.pack_tokens, PACK_TOKENS),
        holdout=max(recipe.holdout, 0.1) if recipe.holdout else 0.0,
        eval_steps=min(recipe.eval_steps, 5),
        engine="none",
        checkpoint_steps=10,
        trackers=(),
    )


def _small_stage(stage: StageRecipe, records: list[Record]) -> StageRecipe:
    shown = [record for record in records if record.images or stage.train != "projector"]
    cells = {f"{record.turns[-1].language}/{record.modality}/{record.task}" for record in shown}
    return replace(
        stage,
        epochs=EPOCHS[stage.train],
        lr=RATE,
        projector_lr=RATE if stage.train == "projector+lora" else stage.projector_lr,
        encoder_lr=RATE / 5 if stage.unfreeze_blocks else stage.encoder_lr,
        unfreeze_blocks=min(stage.unfreeze_blocks, 1),
        packs_per_step=min(stage.packs_per_step, 8),
        samples_per_step=min(stage.samples_per_step, 24),
        shares=_present_shares(stage.shares, cells),
        pack_tokens=min(stage.pack_tokens, PACK_TOKENS),
    )


def _present_shares(shares: Mapping[str, float], cells: set[str]) -> dict[str, float]:
    """Shares of the patterns that own a cell; they fill the whole mix where no cell is left for the rest."""
    owners = {cell: next((pattern for pattern in shares if fnmatchcase(cell, pattern)), None) for cell in cells}
    kept = {pattern: share for pattern, share in shares.items() if pattern in owners.values()}
    total = sum(kept.values())
    whole = kept and None not in owners.values()
    return {pattern: share / total if whole else share for pattern, share in kept.items()}


def differences(recipe: Recipe, small: Recipe) -> dict[str, str]:
    """Key -> ``was -> is`` of every setting that a rehearsal replaces."""
    before, after = _flat(asdict(recipe)), _flat(asdict(small))
    names = dict.fromkeys([*before, *after])
    pairs = {name: (before.get(name), after.get(name)) for name in names}
    return {name: f"{was} -> {now}" for name, (was, now) in pairs.items() if was != now}


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if isinstance(value, dict):
        items: list[tuple[str, Any]] = [(str(key), item) for key, item in value.items()]
    elif isinstance(value, (list, tuple)):
        items = [(str(index), item) for index, item in enumerate(value)]
    else:
        return {prefix: value}
    dot = f"{prefix}." if prefix else ""
    return {name: leaf for key, item in items for name, leaf in _flat(item, dot + key).items()}
