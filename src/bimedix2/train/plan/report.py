"""The plan of a run in words and figures, before the first step is made."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bimedix2.train.recipe import Recipe, StageRecipe

from .steps import StagePlan

_LEFT_OUT = {
    "no_image": ("without an image", "بلا صورة"),
    "not_plain": ("not one question and one answer", "ليس سؤالا واحدا وإجابة واحدة"),
    "too_long": ("longer than the stage's packs", "أطول من حزم المرحلة"),
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


def plan_lines(figures: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The plan as lines for people, in English and Arabic: steps and fill of a stage, shares of its cells."""
    for stage in figures["stages"]:
        if "cells" not in stage:
            name, objective, epochs = stage["stage"], stage["objective"], stage["epochs"]
            yield f"{name}: {objective}, {epochs} epochs", f"{name}: {objective}، الدورات {epochs}"
            continue
        yield _summary(stage)
        if stage["left_out"]:
            rows = [(f"{count:,}", *_LEFT_OUT[reason]) for reason, count in stage["left_out"].items()]
            yield (
                "  records that take no part: " + ", ".join(f"{count} {why}" for count, why, _ in rows),
                "  سجلات لا تشارك: " + "، ".join(f"{count} {why}" for count, _, why in rows),
            )
        yield from _cells(stage)


def _summary(stage: dict[str, Any]) -> tuple[str, str]:
    name, fill = stage["stage"], f"{stage['fill']:.1%}"
    steps, packs, samples, tokens, supervised = (
        f"{stage[key]:,}" for key in ("steps", "packs", "samples", "tokens", "supervised")
    )
    return (
        f"{name}: {steps} steps, {packs} packs {fill} full, {samples} conversations, {tokens} tokens, "
        f"{supervised} supervised",
        f"{name}: الخطوات {steps}، الحزم {packs} بامتلاء {fill}، المحادثات {samples}، الرموز {tokens}، "
        f"المتعلمة {supervised}",
    )


def _cells(stage: dict[str, Any]) -> Iterator[tuple[str, str]]:
    planned = sum(cell["planned"] for cell in stage["cells"].values()) or 1.0
    realised = stage["supervised"] or 1
    width = max(map(len, stage["cells"]))
    yield (
        f"  {'supervised tokens by cell':<{width}}  {'planned':>8} {'realised':>8}",
        f"  {'الرموز المتعلمة بالخلية':<{width}}  {'المخطط':>8} {'المحقق':>8}",
    )
    for name, cell in sorted(stage["cells"].items(), key=lambda item: -item[1]["realised"]):
        row = f"  {name:<{width}}  {cell['planned'] / planned:8.2%} {cell['realised'] / realised:8.2%}"
        yield row, row
    for language, word in (("ar", "مجموع ar"), ("en", "مجموع en")):
        own = [cell for name, cell in stage["cells"].items() if name.startswith(f"{language}/")]
        shares = [
            sum(cell[key] for cell in own) / total for key, total in (("planned", planned), ("realised", realised))
        ]
        figures = f"{shares[0]:8.2%} {shares[1]:8.2%}"
        yield f"  {language + ' in all':<{width}}  {figures}", f"  {word:<{width}}  {figures}"
