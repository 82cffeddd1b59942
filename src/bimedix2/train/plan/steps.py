"""The whole stage as optimiser steps, the same on every call, process count and machine: that makes resume exact."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bimedix2.errors import ConfigError
from bimedix2.train.recipe import Recipe, StageRecipe
from bimedix2.train.samples.table import CHAT, PLAIN, SampleTable

from .mix import Rows, epoch_uses, one_phrasing, wanted_tokens
from .packs import Pack, pack_epoch
from .ranks import fractions

Step = tuple[Pack, ...]
Sums = NDArray[np.float64]


@dataclass(frozen=True)
class StagePlan:
    """Steps of a stage and what they hold.

    Attributes:
        steps: packs of every optimiser step.
        epoch_ends: number of steps after each epoch.
        cells: per cell, dict with ``natural`` (supervised tokens of one pass without weights), ``planned`` (wanted
            by weights and shares, all epochs), ``realised`` (in the steps) and ``samples`` (uses).
        left_out: records that the stage cannot use: ``no_image``, ``not_plain``, ``too_long`` -> how many.
    """

    steps: list[Step]
    epoch_ends: list[int]
    cells: dict[str, dict[str, float]]
    left_out: dict[str, int]

    def epoch(self, step: int) -> int:
        """0-based epoch of a 0-based step."""
        return int(np.searchsorted(self.epoch_ends, step, side="right"))


def split_holdout(table: SampleTable, share: float, seed: int) -> tuple[Rows, Rows]:
    """Rows for training and for validation.

    Samples that share a pair (translations) or an image are linked, links chain, and whole components go to one
    side; so neither a translation nor another question about a picture leaks.
    """
    everything = np.arange(len(table), dtype=np.int64)
    if share <= 0:
        return everything, everything[:0]
    component = _components(table)
    held = fractions(component, seed, "holdout") < share
    return everything[~held], everything[held]


def _components(table: SampleTable) -> NDArray[np.uint64]:
    """(N,) smallest key of each row's component of the graph that links rows by pair and by image."""
    owner = np.repeat(np.arange(len(table)), table.image_count())
    _, pair = np.unique(table.pair, return_inverse=True)
    label = table.key.copy()
    while True:
        before = label.copy()
        by_pair = np.full(pair.max(initial=-1) + 1, np.iinfo(np.uint64).max, dtype=np.uint64)
        np.minimum.at(by_pair, pair, label)
        label = np.minimum(label, by_pair[pair])
        by_image = np.full(table.image_index.max(initial=-1) + 1, np.iinfo(np.uint64).max, dtype=np.uint64)
        np.minimum.at(by_image, table.image_index, label[owner])
        np.minimum.at(label, owner, by_image[table.image_index])
        if np.array_equal(before, label):
            return label


def plan_stage(table: SampleTable, rows: Rows, recipe: Recipe, index: int) -> StagePlan:
    """Every optimiser step of stage ``index``: a pure function of lengths, recipe and seed.

    Args:
        table: all samples.
        rows: those to train on.
        recipe: gives the stage, the token budget and the seed.
        index: of the stage.

    Raises:
        ConfigError: nothing is left to train on.
    """
    stage = recipe.stages[index]
    rows, left_out = stage_rows(table, rows, recipe, index)
    steps: list[Step] = []
    ends: list[int] = []
    tally, budget = _Tally(table, stage), recipe.budget(stage)
    for epoch in range(stage.epochs):
        salt = index * 1000 + epoch
        chosen = one_phrasing(table, rows, recipe.seed, salt)
        uses = epoch_uses(table, chosen, weights=stage.weights, shares=stage.shares, seed=recipe.seed, epoch=salt)
        tally.add(chosen, uses)
        packs = pack_epoch(
            table, chosen, uses, budget=budget, images=recipe.images_per_pack, seed=recipe.seed, epoch=salt
        )
        steps.extend(_group(packs, stage))
        ends.append(len(steps))
    if not steps:
        raise ConfigError(
            f"stage {stage.name!r}: no sample is left to train on; check weights, shares and the records",
            f"المرحلة {stage.name!r}: لم تبق أي عينة للتدريب؛ تحقق من weights و shares والسجلات",
        )
    return StagePlan(steps, ends, tally.cells(), left_out)


def stage_rows(table: SampleTable, rows: Rows, recipe: Recipe, index: int) -> tuple[Rows, dict[str, int]]:
    """Rows that stage ``index`` can train on, and the number of records that it cannot, by reason."""
    stage = recipe.stages[index]
    images, left_out = table.image_count(), {}
    records = rows[table.form[rows] == CHAT]  # every record has one
    if stage.train == "projector":
        # Without an image there is no path from the loss to the projector.
        shown = records[images[records] > 0]
        left_out["no_image"] = len(records) - len(shown)
        records = shown
    chosen = records
    if stage.prompt_format == "plain":
        chosen = rows[table.form[rows] == PLAIN]
        left_out["not_plain"] = len(records) - len(chosen)
    fits = table.length[chosen] <= recipe.budget(stage)
    left_out["too_long"] = int((~fits).sum())
    return chosen[fits], {reason: count for reason, count in left_out.items() if count}


def plan_holdout(table: SampleTable, rows: Rows, recipe: Recipe, index: int) -> list[Pack]:
    """Packs of the validation samples of stage ``index``, the same at every validation; texts stay in."""
    form = PLAIN if recipe.stages[index].prompt_format == "plain" else CHAT
    budget, images = recipe.budget(recipe.stages[index]), recipe.images_per_pack
    rows = rows[(table.form[rows] == form) & (table.length[rows] <= budget)]
    if not len(rows):
        return []
    uses = np.ones(len(rows), dtype=np.int64)
    return pack_epoch(table, rows, uses, budget=budget, images=images, seed=0, epoch=0)


def _group(packs: Sequence[Pack], stage: StageRecipe) -> list[Step]:
    """Packs of each optimiser step: a number of packs, or as many as hold ``samples_per_step`` conversations."""
    if not stage.samples_per_step:
        size = stage.packs_per_step
        return [tuple(packs[start : start + size]) for start in range(0, len(packs), size)]
    steps: list[Step] = []
    step: list[Pack] = []
    held = 0
    for pack in packs:
        step.append(pack)
        held += len(pack.rows)
        if held >= stage.samples_per_step:
            steps.append(tuple(step))
            # What is over counts for the next step, so that the mean is the number asked for.
            step, held = [], held - stage.samples_per_step
    if step:
        steps.append(tuple(step))
    return steps


class _Tally:
    """Supervised tokens by cell: as they are, as wanted, as used."""

    def __init__(self, table: SampleTable, stage: StageRecipe) -> None:
        self.table, self.stage = table, stage
        shape = len(table.cells)
        self.natural: Sums = np.zeros(shape)
        self.planned: Sums = np.zeros(shape)
        self.realised: Sums = np.zeros(shape)
        self.samples: Sums = np.zeros(shape)

    def add(self, rows: Rows, uses: NDArray[np.int64]) -> None:
        cell, tokens = self.table.cell[rows], self.table.supervised[rows]
        size = len(self.table.cells)
        if not self.natural.any():
            self.natural = np.bincount(cell, weights=tokens, minlength=size).astype(np.float64)
        self.planned += wanted_tokens(self.table, rows, self.stage.weights, self.stage.shares)
        self.realised += np.bincount(cell, weights=tokens * uses, minlength=size)
        self.samples += np.bincount(cell, weights=uses, minlength=size)

    def cells(self) -> dict[str, dict[str, float]]:
        columns = {"natural": self.natural, "planned": self.planned, "realised": self.realised, "samples": self.samples}
        return {
            name: {key: float(values[number]) for key, values in columns.items()}
            for number, name in enumerate(self.table.cells)
            if self.natural[number]
        }
