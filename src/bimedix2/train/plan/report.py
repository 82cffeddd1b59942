"""The plan of a run in words and figures, before the first step is made."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bimedix2.train.recipe import Recipe, StageRecipe

from .steps import StagePlan

_LEFT_OUT = {
    "no_image": "without an image",
    "not_plain": "not one question and one answer",
    "too_long": "longer than the stage's packs",
}


def plan_figures(recipe: Recipe, plans: list[StagePlan | None]) -> dict[str, Any]:
    """What ``plan.json`` holds.

    Args:
        recipe: the run.
        plans: one per stage; ``None`` for a stage that is not trained on packs.
    """
    stages = []
    for stage, plan in zip(recipe.stages, plans, strict=True):
        if plan is None:
            stages.append({"stage": stage.name, "objective": stage.objective, "epochs": stage.epochs})
        else:
            stages.append(_stage(recipe, stage, plan))
    return {"fingerprint": recipe.fingerprint(), "stages": stages}


def _stage(recipe: Recipe, stage: StageRecipe, plan: StagePlan) -> dict[str, Any]:
    packs = [pack for step in plan.steps for pack in step]
    tokens = sum(pack.tokens for pack in packs)
    supervised = sum(cell["realised"] for cell in plan.cells.values())
    return {
        "stage": stage.name,
        "objective": stage.objective,
        "epochs": stage.epochs,
        "steps": len(plan.steps),
        "packs": len(packs),
        "samples": int(sum(cell["samples"] for cell in plan.cells.values())),
        "tokens": tokens,
        "supervised": int(supervised),
        "fill": round(tokens / (len(packs) * recipe.budget(stage)), 4),
        "left_out": plan.left_out,
        "cells": plan.cells,
    }


def plan_lines(figures: dict[str, Any]) -> Iterator[str]:
    """The plan as lines for people: steps and fill of every stage, and the share of every cell."""
    for stage in figures["stages"]:
        if "cells" not in stage:
            yield f"{stage['stage']}: {stage['objective']}, {stage['epochs']} epochs"
            continue
        yield (
            f"{stage['stage']}: {stage['steps']:,} steps, {stage['packs']:,} packs {stage['fill']:.1%} full, "
            f"{stage['samples']:,} conversations, {stage['tokens']:,} tokens, {stage['supervised']:,} supervised"
        )
        if stage["left_out"]:
            counts = ", ".join(f"{count:,} {_LEFT_OUT[reason]}" for reason, count in stage["left_out"].items())
            yield f"  records that take no part: {counts}"
        planned = sum(cell["planned"] for cell in stage["cells"].values()) or 1.0
        realised = stage["supervised"] or 1
        width = max(map(len, stage["cells"]))
        yield f"  {'supervised tokens by cell':<{width}}  {'planned':>8} {'realised':>8}"
        for name, cell in sorted(stage["cells"].items(), key=lambda item: -item[1]["realised"]):
            yield f"  {name:<{width}}  {cell['planned'] / planned:8.2%} {cell['realised'] / realised:8.2%}"
        for language in ("ar", "en"):
            own = [cell for name, cell in stage["cells"].items() if name.startswith(f"{language}/")]
            shares = [
                sum(cell[key] for cell in own) / total for key, total in (("planned", planned), ("realised", realised))
            ]
            yield f"  {language + ' in all':<{width}}  {shares[0]:8.2%} {shares[1]:8.2%}"
