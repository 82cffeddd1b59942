"""The training loop: stages, steps, validation, checkpoints."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import torch

from bimedix2.model import Bundle

from .checkpoint import latest_checkpoint, load_state, restore, restore_parameters, save_checkpoint
from .engine import Engine, Forward, lost_processes
from .faults import FiniteGuard
from .flops import Meter
from .forward.vlm import PackModel
from .memory import memory_gb, release
from .objective import NextToken, Objective, StepTotals, Words, by_cell
from .optim import make_optimizer, schedule, select_after_wrap, select_trained, set_rates
from .plan.steps import StagePlan, plan_holdout, plan_stage, split_holdout
from .recipe import Recipe
from .samples.loader import Loader
from .samples.prepare import Prepared


class Watch(Protocol):
    """Who hears about a run; in every process but the first one it does nothing."""

    def step(self, row: dict[str, Any]) -> None:
        """One optimiser step."""

    def validation(self, row: dict[str, Any]) -> None:
        """One validation."""

    def event(self, name: str, **details: Any) -> None:
        """Something that happens rarely."""


class Trainer:
    """Runs a recipe.

    Args:
        load: gives the model as the recipe starts from it; called once a stage, so that a stage starts from files
            alone, whether the run was interrupted or not.
        prepared: samples and images.
        recipe: the run.
        run: folder for checkpoints.
        engine: process group.
        watch: hears about steps.
        stop: asked after each step; when true in any process, a checkpoint is written and the run ends.
    """

    def __init__(
        self,
        load: Callable[[], Bundle],
        prepared: Prepared,
        recipe: Recipe,
        run: Path,
        engine: Engine,
        watch: Watch,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self.load, self.prepared, self.recipe, self.run_folder = load, prepared, recipe, run
        self.engine, self.watch, self.stop = engine, watch, stop
        self.rows, self.held = split_holdout(prepared.store.table, recipe.holdout, recipe.seed)
        self.guard = FiniteGuard(recipe.nonfinite)

        self._plans: dict[int, StagePlan] = {}

    def plan(self, index: int) -> StagePlan:
        """Steps of a stage, computed once."""
        if index not in self._plans:
            self._plans[index] = plan_stage(self.prepared.store.table, self.rows, self.recipe, index)
        return self._plans[index]

    def train(self) -> bool:
        """Train to the end, or from the last checkpoint on.

        Returns:
            False if ``stop`` ended the run early.
        """
        first, done = 0, 0
        saved = latest_checkpoint(self.run_folder)
        if saved is not None:
            state = load_state(saved, self.recipe.fingerprint(), self.prepared.manifest_hash)
            first, done = state["stage"], state["step"]
            self.watch.event("resume", stage=self.recipe.stages[first].name, step=done)
        with lost_processes():
            for index in range(first, len(self.recipe.stages)):
                finished = _Stage(self, index, done if index == first else 0).run()
                release()  # before the next stage loads its own model
                if not finished:
                    return False
        return True


class _Stage:
    """One stage from its first missing step to its end."""

    def __init__(self, trainer: Trainer, index: int, done: int) -> None:
        self.trainer, self.index, self.done = trainer, index, done
        self.recipe, self.engine, self.watch = trainer.recipe, trainer.engine, trainer.watch
        self.settings = trainer.recipe.stages[index]
        self.bundle = trainer.load()
        self.model: Any = self.engine.place(self.bundle.model)
        self._add_adapter()
        self.trained = select_trained(self.model, self.settings)
        self.forward = self._wrap()
        self.optimizer = make_optimizer(select_after_wrap(self.model, self.trained), self.settings)
        self._restore()
        prepared, recipe = trainer.prepared, trainer.recipe
        self.meter = Meter(self.bundle, prepared.store.table, self.engine.device, self.engine.world)
        self.loader = Loader(prepared.store, prepared.images, self.bundle.image_policy.size, recipe.workers)
        self.objective = self._objective()
        self.model.train()

    def _add_adapter(self) -> None:
        from bimedix2.model import add_adapter, lora_config

        torch.manual_seed(self.recipe.seed)
        if any(stage.train == "projector+lora" for stage in self.recipe.stages[: self.index + 1]):
            lora = self.recipe.lora
            add_adapter(self.model, lora_config(lora.r, lora.alpha, lora.dropout))

    def _wrap(self) -> Forward:
        module = PackModel(
            self.model,
            self.bundle.image_token_id,
            self.bundle.image_policy,
            checkpointing=self.recipe.gradient_checkpointing,
        )
        self.engine.place(module)
        return self.engine.wrap(module)

    def _restore(self) -> None:
        saved = latest_checkpoint(self.trainer.run_folder)
        if saved is None:
            return
        if self.done:
            restore(saved, self.model, self.optimizer)
        else:
            restore_parameters(saved, self.model)

    def _objective(self) -> Objective:
        trainer = self.trainer
        if self.settings.objective == "words":

            def say(english: str, arabic: str) -> None:
                self.watch.event("features", stage=self.settings.name, message=english)

            return Words(self.bundle, trainer.prepared, self.recipe, self.index, trainer.run_folder, say)
        plan, prepared = trainer.plan(self.index), trainer.prepared
        return NextToken(plan, self.forward, self.engine, self.loader, prepared, self.recipe, self.index, self.done)

    def run(self) -> bool:
        """Steps to the end of the stage; False if the run was asked to stop."""
        steps = self.objective.steps
        for step in range(self.done, steps):
            self._step(step, steps)
            last = step + 1 == steps
            every = self.recipe.eval_steps
            if last or (every and (step + 1) % every == 0):
                self._validate(step + 1)
            ending = bool(self.engine.total(torch.tensor(float(self.trainer.stop()), dtype=torch.float64)))
            if ending or last or (step + 1) % self.recipe.checkpoint_steps == 0:
                self._save(step + 1)
            if ending and not last:
                self.watch.event("stop", stage=self.settings.name, step=step + 1)
                return False
        return True

    def _step(self, step: int, steps: int) -> None:
        started = time.monotonic()
        factor = schedule(step, steps, self.settings.warmup, self.settings.final_lr)
        rates = set_rates(self.optimizer, factor)
        totals = self.objective.backward(step)
        parameters = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        norm = self.engine.clip(parameters, self.recipe.max_grad_norm)
        names = self.objective.names(step) if not _finite(totals.loss, norm) else []
        if self.trainer.guard.accepts(totals.loss, norm, names):
            self.optimizer.step()
        else:
            self.watch.event("nonfinite", stage=self.settings.name, step=step + 1, samples=names)
        self.optimizer.zero_grad(set_to_none=True)
        seconds = time.monotonic() - started
        self.watch.step(self._row(step, steps, totals, norm, rates, factor, seconds))

    def _row(
        self,
        step: int,
        steps: int,
        totals: StepTotals,
        norm: float,
        rates: dict[str, float],
        factor: float,
        seconds: float,
    ) -> dict[str, Any]:
        return {
            "stage": self.settings.name,
            "stage_index": self.index,
            "step": step + 1,
            "steps": steps,
            "epoch": self.objective.epoch(step),
            "loss": _rounded(totals.loss / totals.supervised),
            "supervised": int(totals.supervised),
            "tokens": totals.tokens,
            "packs": totals.packs,
            "grad_norm": _rounded(norm),
            "lr": {part: float(f"{rate:.6g}") for part, rate in rates.items()},
            "lr_factor": round(factor, 5),
            "seconds": round(seconds, 3),
            **self._utilisation(step, seconds),
            "memory_gb": round(memory_gb(self.engine.device), 3),
            "cells": self._cells(totals.cells),
            "time": _now(),
        }

    def _utilisation(self, step: int, seconds: float) -> dict[str, float]:
        if self.settings.objective == "words":
            return {}
        return self.meter.row(self.trainer.plan(self.index).steps[step], seconds)

    def _cells(self, cells: torch.Tensor) -> dict[str, list[float | None]]:
        names = self.trainer.prepared.store.table.cells
        return {
            name: [_rounded(loss / count), int(count)]
            for name, (loss, count) in zip(names, cells.tolist(), strict=True)
            if count
        }

    @torch.no_grad()
    def _validate(self, step: int) -> None:
        """Loss on the samples held out, by cell."""
        packs = plan_holdout(self.trainer.prepared.store.table, self.trainer.held, self.recipe, self.index)
        if not packs or self.settings.objective == "words":
            return
        self.model.eval()
        table = self.trainer.prepared.store.table
        world, rank = self.engine.world, self.engine.rank
        cells = torch.zeros(len(table.cells), 2, dtype=torch.float64, device=self.engine.device)
        for start in range(0, len(packs), world):
            # Every process runs every forward pass, for FSDP2 gathers weights in it.
            real = start + rank < len(packs)
            batch = self.loader.build((packs[start + rank if real else 0], None)).to(self.engine.device)
            _, losses = self.forward(batch)
            if real:
                cells += by_cell(losses, batch.cells[batch.supervised], len(table.cells))
        cells = self.engine.total(cells)
        self.model.train()
        loss, count = cells.sum(0).tolist()
        self.watch.validation(
            {
                "stage": self.settings.name,
                "stage_index": self.index,
                "step": step,
                "validation": {
                    "loss": _rounded(loss / count), "supervised": int(count), "cells": self._cells(cells),
                },
                "time": _now(),
            }
        )  # fmt: skip

    def _save(self, step: int) -> None:
        started = time.monotonic()
        state = {"recipe": self.recipe.fingerprint(), "manifest": self.trainer.prepared.manifest_hash}
        save_checkpoint(
            self.trainer.run_folder,
            self.index,
            step,
            self.model,
            self.optimizer,
            state,
            keep=self.recipe.keep_checkpoints,
            rank=self.engine.rank,
            world=self.engine.world,
        )
        seconds = round(time.monotonic() - started, 2)
        self.watch.event("checkpoint", stage=self.settings.name, step=step, seconds=seconds)


def _finite(*values: float) -> bool:
    return all(value - value == 0 for value in values)


def _rounded(value: float) -> float | None:
    """Five digits; ``None`` (null) where JSON has no number."""
    return round(value, 5) if _finite(value) else None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
