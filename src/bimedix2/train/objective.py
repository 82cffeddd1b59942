"""What a stage minimises, as steps of work: next tokens on packs, or words on images."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

from bimedix2.errors import ConfigError

from .engine import Engine, Forward
from .faults import out_of_memory
from .plan.packs import Pack
from .plan.steps import StagePlan
from .progress import Tell, silent
from .samples.loader import Loader, Work
from .samples.table import stable_hash

if TYPE_CHECKING:
    from bimedix2.model import Bundle

    from .recipe import Recipe
    from .samples.prepare import Prepared


@dataclass(frozen=True)
class StepTotals:
    """Sums of one optimiser step over all processes.

    Attributes:
        loss, supervised: summed loss in nats, and supervised tokens (for ``words``: images).
        tokens, packs: read by the model.
        cells: (cells, 2) loss and count of each cell.
    """

    loss: float
    supervised: float
    tokens: int
    packs: int
    cells: Tensor


class Objective(Protocol):
    """Work of a stage."""

    steps: int

    def epoch(self, step: int) -> int:
        """0-based epoch of a 0-based step."""

    def backward(self, step: int) -> StepTotals:
        """Gradients of the mean loss over the whole step, in every process."""

    def names(self, step: int) -> list[str]:
        """Records that a step trains on."""


class NextToken:
    """Cross-entropy of the supervised tokens of packs.

    The gradient is that of ``sum of losses / supervised tokens of the step`` over all processes and packs, so it does
    not depend on how the step is divided. Processes take packs in turn; one that has none left repeats the step's
    first pack with weight 0, for the others wait for its gradients.

    Args:
        plan: steps of the stage.
        forward: the model as the engine runs it.
        engine: process group.
        loader: makes batches.
        prepared: token store, for names and counts.
        recipe: gives the seed and whether images are augmented.
        stage: index, part of every random key.
        start: first step that will be asked for; batches are prepared from there on.
    """

    def __init__(
        self,
        plan: StagePlan,
        forward: Forward,
        engine: Engine,
        loader: Loader,
        prepared: Prepared,
        recipe: Recipe,
        stage: int,
        start: int,
    ) -> None:
        self.plan, self.forward, self.engine = plan, forward, engine
        self.prepared, self.recipe, self.stage = prepared, recipe, stage
        self.steps = len(plan.steps)
        self._projector = [p for name, p in forward.named_parameters() if "multi_modal_projector" in name]
        self._batches = loader.stream(self._work(start))

    def epoch(self, step: int) -> int:
        """0-based epoch of a 0-based step."""
        return self.plan.epoch(step)

    def names(self, step: int) -> list[str]:
        """Records that a step trains on."""
        return [self.prepared.store.record_id(row) for pack in self.plan.steps[step] for row in pack.rows]

    def _own(self, step: int) -> list[tuple[int, Pack]]:
        """(number, pack) of this process in a step; the same count in every process."""
        packs, world = self.plan.steps[step], self.engine.world
        numbers = range(self.engine.rank, math.ceil(len(packs) / world) * world, world)
        return [(number, packs[number] if number < len(packs) else packs[0]) for number in numbers]

    def _work(self, start: int) -> Iterator[Work]:
        for step in range(start, self.steps):
            for number, pack in self._own(step):
                yield pack, f"{self._key(step, number)}" if self.recipe.augment else None

    def _key(self, step: int, number: int) -> str:
        return f"{self.recipe.seed}|{self.stage}|{step}|{number}"

    def backward(self, step: int) -> StepTotals:
        """Gradients of the mean loss over the whole step, in every process."""
        packs = self.plan.steps[step]
        table = self.prepared.store.table
        supervised = int(sum(table.supervised[pack.rows].sum() for pack in packs))
        cells = torch.zeros(len(table.cells), 2, dtype=torch.float64, device=self.engine.device)
        own = self._own(step)
        for place, (number, pack) in enumerate(own):
            real = number < len(packs)
            batch = next(self._batches).to(self.engine.device)
            # One stream of random numbers per pack: dropout is the same after a resume and on any process.
            torch.manual_seed(stable_hash(self._key(step, number)) >> 1)
            with out_of_memory(pack, self.prepared), self.engine.accumulate(self.forward, last=place + 1 == len(own)):
                loss, losses = self.forward(batch)
                # DDP and FSDP2 take the mean over processes, hence the factor.
                (loss * (self.engine.world / supervised if real else 0.0)).backward()
            if real:
                cells += by_cell(losses, batch.cells[batch.supervised], len(table.cells))
        self.engine.finish_gradients()
        if not any(block.images for pack in packs for block in pack.blocks):
            self._rest_projector()
        cells = self.engine.total(cells)
        tokens = sum(pack.tokens for pack in packs)
        return StepTotals(float(cells[:, 0].sum()), supervised, tokens, len(packs), cells)

    def _rest_projector(self) -> None:
        """A step of texts alone leaves the projector without a gradient: on zeros it would go on with its momentum."""
        for parameter in self._projector:
            parameter.grad = None


def by_cell(losses: Tensor, cells: Tensor, count: int) -> Tensor:
    """(count, 2) summed loss and number of tokens of every cell, in float64 where the losses are.

    A GPU is not waited for: its work goes on while the next pack is made ready.
    """
    values = losses.double()
    sums = values.new_zeros(count, 2)
    return sums.index_add_(0, cells, torch.stack([values, torch.ones_like(values)], dim=1))


class Words:
    """:class:`bimedix2.train.words.WordAlignment` as steps; every process does the same work, which takes seconds."""

    def __init__(
        self,
        bundle: Bundle,
        prepared: Prepared,
        recipe: Recipe,
        stage: int,
        run: Path,
        say: Tell = silent,
    ) -> None:
        from .words import WordAlignment

        settings = recipe.stages[stage]
        if prepared.images is None:
            raise ConfigError("objective 'words' needs records with images", "يحتاج الهدف words إلى سجلات فيها صور")
        self.prepared = prepared
        self.alignment = WordAlignment(bundle, prepared, run, settings.weights, say)
        self.plan = self.alignment.plan(recipe.seed, settings.epochs, settings.packs_per_step)
        self.steps, self.epochs = len(self.plan), settings.epochs

    def epoch(self, step: int) -> int:
        """0-based epoch of a 0-based step."""
        return step * self.epochs // self.steps

    def names(self, step: int) -> list[str]:
        """Images of a step, for it knows no records."""
        return [f"image {index}" for index in self.plan[step]]

    def backward(self, step: int) -> StepTotals:
        """Gradients of the mean loss over the images of the step."""
        images = self.plan[step]
        loss = self.alignment.loss(images)
        (loss / len(images)).backward()  # type: ignore[no-untyped-call]
        cells = torch.zeros(len(self.prepared.store.table.cells), 2, dtype=torch.float64)
        return StepTotals(float(loss.detach()), len(images), 0, 0, cells)
