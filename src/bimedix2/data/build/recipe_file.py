"""Data recipes on disk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bimedix2.data.sources.registry import find_source
from bimedix2.settings_file import build, fault, override, read_yaml

from .recipe import BuildRecipe

_SHARES = {  # dotted key -> least and most
    "translate.audit_share": (0.0, 1.0),
    "translate.threshold": (0, 100),
    "review.at_least": (0, None),
    "dedup.similarity": (0.5, 1.0),
    "decontaminate.similarity": (0.3, 1.0),
    "decontaminate.coverage": (0.05, 1.0),
    "decontaminate.image_bits": (0, 11),
    "mix.total": (0, None),
    "mix.upsample_limit": (1, None),
    "shard.records_per_shard": (1, None),
    "shard.shard_mb": (1, None),
}


def load_build_recipe(path: Path, overrides: Sequence[str] = ()) -> BuildRecipe:
    """Read a recipe file.

    Args:
        path: the YAML file.
        overrides: ``key.sub=value``; ``dedup.similarity=0.9``, ``ingest.sources.0.splits=[train, dev]``.

    Raises:
        ConfigError: it cannot be read; an unknown key or source, with the nearest known one; a value of another
            type or out of range. It names the file or the override, and the key.
    """
    raw = read_yaml(path)
    _require_filled(raw, str(path))
    for text in overrides:
        raw = override(BuildRecipe, raw, text, "dedup.similarity=0.9")
    recipe: BuildRecipe = build(BuildRecipe, raw, str(path))
    _check(recipe, f"{path} with {' '.join(overrides)}" if overrides else str(path))
    return recipe


def _require_filled(raw: Any, source: str) -> None:
    """``phi:`` with nothing below it could mean the step's defaults or no such step: ask for a clear word."""
    for key, value in raw.items() if isinstance(raw, dict) else ():
        if value is None:
            english = f"holds nothing; write {key}: {{}} for the step with its defaults, or leave the line out"
            raise fault(source, str(key), english, f"فارغ؛ اكتب {key}: {{}} للقيم الافتراضية أو احذف السطر")


def _check(recipe: BuildRecipe, source: str) -> None:
    if not recipe.name.strip():
        raise fault(source, "name", "is empty; name the set", "فارغ؛ سم المجموعة")
    if not (recipe.ingest.sources or recipe.ingest.records):
        raise fault(source, "ingest", "names neither sources nor records", "لا يذكر sources ولا records")
    for key, (low, high) in _SHARES.items():
        step, _, name = key.partition(".")
        settings = getattr(recipe, step)
        value = getattr(settings, name) if settings is not None else low
        if value < low or (high is not None and value > high):
            most = "" if high is None else f" … {high:g}"
            raise fault(source, key, f"{value} is outside {low:g}{most}", f"القيمة {value} خارج المجال {low:g}{most}")
    names = [one.source for one in recipe.ingest.sources]
    held = recipe.decontaminate
    for name in (*names, *(one.source for one in (*held.held_out, *held.same_question))) if held else names:
        find_source(name)
    if recipe.shard is not None and recipe.mix is None:
        raise fault(source, "shard", "needs the step mix", "تحتاج إلى الخطوة mix")
