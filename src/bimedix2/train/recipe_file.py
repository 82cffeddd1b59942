"""Recipes on disk: one YAML file per training run, ``key.sub=value`` on top; an unknown key is an error."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bimedix2.settings_file import build, dump, override, read_yaml

from .recipe import Recipe
from .recipe_check import check_recipe


def load_recipe(path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe file and check that its settings go together.

    Args:
        path: the YAML file.
        overrides: ``key.sub=value``, applied in order; values are YAML. A stage is named or counted from 0:
            ``stages.instruct.lr=1e-4``, ``stages.1.shares.ar/*/*=0.5``, ``records=[a.jsonl, b.jsonl]``.

    Raises:
        ConfigError: unreadable YAML, an unknown key (with the nearest known one), a value of the wrong type or out
            of range, or settings that contradict each other. It names the file or the override, and the key.
    """
    raw = read_yaml(Path(path))
    for text in overrides:
        raw = override(Recipe, raw, text)
    recipe: Recipe = build(Recipe, _without_idle_packs(raw), str(path))
    check_recipe(recipe, f"{path} with {' '.join(overrides)}" if overrides else str(path))
    return recipe


def dump_recipe(recipe: Recipe) -> str:
    """The complete settings as YAML; :func:`load_recipe` makes the same recipe of them."""
    return dump(recipe)


def _without_idle_packs(raw: Any) -> Any:
    """A stage that states ``samples_per_step`` alone does not mean the default ``packs_per_step`` as well."""
    if not isinstance(raw, dict) or not isinstance(raw.get("stages"), list):
        return raw
    stages = [
        {**stage, "packs_per_step": 0}
        if isinstance(stage, dict) and stage.get("samples_per_step") and "packs_per_step" not in stage
        else stage
        for stage in raw["stages"]
    ]
    return {**raw, "stages": stages}
