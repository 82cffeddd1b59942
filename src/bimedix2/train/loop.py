"""The training loop: stages, packs, steps, checkpoints. Small and exact; speed comes later."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bimedix2.errors import ConfigError
from bimedix2.model import Bundle

from .batch import attention_masks, to_batch
from .checkpoint import checkpoints, load_state, restore_trained, save_checkpoint
from .dataset import Dataset
from .images import ImageStore
from .loss import supervised_loss
from .optim import MasterAdamW, schedule
from .packs import Pack, plan_epoch
from .recipe import Recipe, StageRecipe
from .words import WordAlignment

Say = Callable[[str], None]
Evaluate = Callable[[Any, str], tuple[Tensor, int, int]]
"""(part of a step, random key) -> summed loss, number of supervised items, tokens read."""


class Trainer:
    """Runs a recipe on one bundle.

    Args:
        bundle: the model; its projector and adapter are trained in place.
        dataset: samples and image paths.
        recipe: the run.
        run: folder for checkpoints, ``log.jsonl`` and the image store.
        say: receives progress lines.
        stop: asked after each step; when true, a checkpoint is written and the run ends.
    """

    def __init__(
        self,
        bundle: Bundle,
        dataset: Dataset,
        recipe: Recipe,
        run: Path,
        say: Say = lambda _: None,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self.bundle, self.dataset, self.recipe, self.run_folder = bundle, dataset, recipe, run
        self.say, self.stop = say, stop
        self.store = ImageStore(run, dataset.images, bundle.image_policy, say) if dataset.images else None
        self.model: nn.Module = bundle.model
        self.dtype = next(self.model.parameters()).dtype

    def train(self) -> bool:
        """Train to the end, or from the last checkpoint on.

        Returns:
            False if ``stop`` ended the run early.
        """
        first, done = 0, 0
        saved = checkpoints(self.run_folder)
        if saved:
            state = load_state(saved[-1], self.recipe.fingerprint(), self.dataset.manifest_hash)
            first, done = state["stage"], state["step"]
            self.say(f"resuming stage {first} at step {done}")
        for index in range(first, len(self.recipe.stages)):
            stage = self.recipe.stages[index]
            optimizer = self._prepare(stage)
            if saved and index == first:
                self._restore(saved[-1], optimizer)
            if not self._run_stage(index, stage, optimizer, done):
                return False
            done = 0
        return True

    def _prepare(self, stage: StageRecipe) -> MasterAdamW:
        """Freeze everything but the stage's parts and build their optimiser."""
        from bimedix2.model import add_adapter, lora_config

        torch.manual_seed(self.recipe.seed)
        if stage.train == "projector+lora" and not any("lora_" in name for name, _ in self.model.named_parameters()):
            lora = self.recipe.lora
            add_adapter(self.model, lora_config(lora.r, lora.alpha, lora.dropout))
        projector, adapter = [], []
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad_(False)
            if "multi_modal_projector" in name:
                projector.append(parameter.requires_grad_(True))
            elif "lora_" in name and stage.train == "projector+lora":
                adapter.append(parameter.requires_grad_(True))
        rate = stage.projector_lr if adapter else stage.lr
        groups = [{"params": projector, "lr": rate}, {"params": adapter, "lr": stage.lr}]
        return MasterAdamW([group for group in groups if group["params"]], stage.weight_decay)

    def _restore(self, checkpoint: Path, optimizer: MasterAdamW) -> None:
        from safetensors.torch import load_file

        restore_trained(self.model, checkpoint)
        optimizer.load_state_tensors(load_file(checkpoint / "optimizer.safetensors"))

    def _plan(self, stage: StageRecipe, index: int) -> list[list[Pack]]:
        """Optimiser steps of the whole stage; the same on every call, which is what makes resume exact."""
        steps: list[list[Pack]] = []
        for epoch in range(stage.epochs):
            packs = plan_epoch(
                self.dataset.samples,
                seed=self.recipe.seed,
                epoch=index * 1000 + epoch,
                budget=self.recipe.pack_tokens,
                weights=stage.weights,
            )
            if stage.train == "projector":
                # Without an image there is no path from the loss to the projector.
                packs = [pack for pack in packs if pack.image is not None]
            size = stage.packs_per_step
            steps.extend(packs[start : start + size] for start in range(0, len(packs), size))
        return steps

    def _run_stage(self, index: int, stage: StageRecipe, optimizer: MasterAdamW, done: int) -> bool:
        steps, evaluate = self._work(stage, index)
        self.model.train()
        started = time.monotonic()
        for step in range(done, len(steps)):
            factor = schedule(step, len(steps), stage.warmup, stage.final_lr)
            row = self._step(steps[step], evaluate, f"{index}|{step}", optimizer, factor)
            row |= {"stage": stage.name, "step": step + 1, "steps": len(steps), "lr_factor": round(factor, 5)}
            self._log(row)
            left = (time.monotonic() - started) / (step + 1 - done) * (len(steps) - step - 1)
            self.say(f"{stage.name} {step + 1}/{len(steps)} loss {row['loss']:.3f} left {left / 60:.1f} min")
            ending = self.stop()
            if ending or (step + 1) % self.recipe.checkpoint_steps == 0 or step + 1 == len(steps):
                state = {"recipe": self.recipe.fingerprint(), "manifest": self.dataset.manifest_hash}
                save_checkpoint(self.run_folder, index, step + 1, self.model, optimizer, state)
            if ending:
                return False
        return True

    def _work(self, stage: StageRecipe, index: int) -> tuple[Sequence[Sequence[Any]], Evaluate]:
        """The parts of every optimiser step, and what computes a part's loss."""
        if stage.objective == "next_token":
            return self._plan(stage, index), self._pack_part
        if self.store is None:
            raise ConfigError("objective 'words' needs records with images", "يحتاج الهدف words إلى سجلات فيها صور")
        words = WordAlignment(self.bundle, self.dataset, self.store, self.run_folder, stage.weights, self.say)
        steps = words.plan(self.recipe.seed, stage.epochs, stage.packs_per_step)

        def evaluate(images: Any, _key: str) -> tuple[Tensor, int, int]:
            return *words.loss(images), 0

        return [[images] for images in steps], evaluate

    def _pack_part(self, pack: Pack, key: str) -> tuple[Tensor, int, int]:
        return *self.pack_loss(pack, key if self.recipe.augment else None), pack.tokens

    def _step(
        self, parts: Sequence[Any], evaluate: Evaluate, key: str, optimizer: MasterAdamW, factor: float
    ) -> dict[str, Any]:
        """Add the gradients of all parts, normalise by what they supervise (tokens, or images), update."""
        started, total, supervised, tokens = time.monotonic(), 0.0, 0, 0
        for number, part in enumerate(parts):
            # One stream of random numbers per pack: dropout is the same after a resume.
            torch.manual_seed(hash_seed(self.recipe.seed, key, number))
            loss, count, size = evaluate(part, f"{self.recipe.seed}|{key}|{number}")
            loss.backward()  # type: ignore[no-untyped-call]
            total, supervised, tokens = total + float(loss.detach()), supervised + count, tokens + size
        norm = optimizer.step(1.0 / supervised, self.recipe.max_grad_norm, factor)
        seconds = time.monotonic() - started
        return {
            "loss": round(total / supervised, 5),
            "supervised": supervised,
            "tokens": tokens,
            "grad_norm": round(norm, 4),
            "seconds": round(seconds, 3),
        }

    def pack_loss(self, pack: Pack, augment_key: str | None) -> tuple[Tensor, int]:
        """Summed loss of a pack and its number of supervised tokens."""
        batch = to_batch(pack)
        inner: Any = self.model
        text = inner.config.text_config
        embeds = inner.get_input_embeddings()(batch.input_ids)
        if pack.image is not None and self.store is not None:
            pixels = torch.from_numpy(self.store.get(pack.image, augment_key))[None].to(self.dtype)
            embeds = self._insert(inner, embeds, batch.input_ids, pixels)
        window = (
            getattr(text, "sliding_window", None) if "sliding_attention" in getattr(text, "layer_types", ()) else None
        )
        hidden = inner.model.language_model(
            inputs_embeds=embeds,
            position_ids=batch.position_ids,
            attention_mask=attention_masks(batch, self.dtype, window),
            use_cache=False,
        ).last_hidden_state
        loss = supervised_loss(hidden[0], inner.lm_head.weight, batch.targets)
        return loss, int((batch.targets != -100).sum())

    def _insert(self, inner: Any, embeds: Tensor, ids: Tensor, pixels: Tensor) -> Tensor:
        """Put projected image features (1, P, D) where the image tokens are."""
        config = inner.config
        with torch.no_grad():  # the encoder is frozen; only the projector needs a graph
            outputs = inner.model.vision_tower(pixels, output_hidden_states=True)
            features = outputs.hidden_states[config.vision_feature_layer]
            if config.vision_feature_select_strategy == "default":
                features = features[:, 1:]
        projected = inner.model.multi_modal_projector(features).to(embeds.dtype)
        mask = (ids == self.bundle.image_token_id)[..., None]
        return embeds.masked_scatter(mask, projected)

    def _log(self, row: dict[str, Any]) -> None:
        with (self.run_folder / "log.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")


def hash_seed(*parts: object) -> int:
    """A 63-bit seed from any values."""
    import hashlib

    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:8], "big") >> 1
