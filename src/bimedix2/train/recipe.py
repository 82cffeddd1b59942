"""What a training run is made of: frozen dataclasses that a recipe file fills in."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Literal

Trained = Literal["projector", "projector+lora"]
Objective = Literal["next_token", "words"]
PromptFormat = Literal["chat", "plain"]
EngineName = Literal["auto", "none", "ddp", "fsdp2"]
Policy = Literal["skip", "stop"]
# Settings that change how a run is carried out and watched, never which numbers it computes.
_FREE = frozenset(
    ["engine", "workers", "checkpoint_steps", "keep_checkpoints", "trackers", "timeout_minutes", "eval_steps"]
)


@dataclass(frozen=True)
class LoraRecipe:
    """Low-rank adapters on every linear layer of the language model except the head.

    Attributes:
        r: rank.
        alpha: the update is scaled by alpha / r.
        dropout: on the adapter's input.
    """

    r: int = 8
    alpha: int = 16
    dropout: float = 0.05


@dataclass(frozen=True)
class StageRecipe:
    """One stage.

    Attributes:
        name: used in logs and checkpoint names.
        train: ``projector`` alone, or ``projector+lora``.
        objective: ``next_token``, or ``words``: image embeddings predict the words of the answers about the
            image (:mod:`bimedix2.train.words`; only with ``train: projector``).
        prompt_format: ``chat``, the model's own; or ``plain``, the form in which LLaVA aligns projectors: images,
            answer, line break, without the question. Records that have no such form (several answers, no image)
            take no part in a plain stage, and are counted.
        epochs: passes over the stage's mix.
        lr: peak rate of the adapters (of the projector where nothing else trains).
        projector_lr: peak rate of the projector when adapters train too.
        unfreeze_blocks: blocks of the vision encoder, counted from the last one that is used, that train too.
        encoder_lr: their peak rate.
        warmup: share of the steps with a linear rise; a cosine falls to ``final_lr`` x peak afterwards.
        final_lr: share of the peak rate at the end.
        packs_per_step: packs (for ``words``: images) whose gradients are added before an optimiser step, over
            all processes; 0 if ``samples_per_step`` says it.
        samples_per_step: conversations of an optimiser step, the batch size of other trainers: packs are added
            until they hold as many.
        weights: expected passes over a source per epoch (1 where a source is not named; 0 leaves it out).
        shares: pattern of cells (``ar/*/*``, ``*/xray/report``) -> its share of the supervised tokens of an
            epoch; what no pattern names keeps its proportions in the rest. The first pattern that fits counts.
        weight_decay: decoupled, as in AdamW.
        pack_tokens: longest pack of this stage, at most the recipe's; 0 takes the recipe's. Longer samples take no
            part in the stage, and are counted.
    """

    name: str
    train: Trained = "projector+lora"
    objective: Objective = "next_token"
    prompt_format: PromptFormat = "chat"
    epochs: int = 1
    lr: float = 2e-4
    projector_lr: float = 2e-5
    unfreeze_blocks: int = 0
    encoder_lr: float = 2e-5
    warmup: float = 0.03
    final_lr: float = 0.0
    packs_per_step: int = 1
    samples_per_step: int = 0
    weights: dict[str, float] = field(default_factory=dict)
    shares: dict[str, float] = field(default_factory=dict)
    weight_decay: float = 0.0
    pack_tokens: int = 0


@dataclass(frozen=True)
class Recipe:
    """A whole run.

    Attributes:
        model: what ``bimedix2.model.load_bundle`` accepts.
        records: JSON-lines or Parquet files of records, relative to the run's or the recipe's folder or absolute.
        stages: run in order; each starts from the one before.
        lora: the adapters.
        vision_encoder: folder or hub id of another vision encoder; empty keeps the model's own. The projector
            then starts anew.
        seed: fixes data order, augmentation and initial adapter weights.
        dtype: of the frozen weights; what trains is kept in float32. ``auto`` is bfloat16 where the machine
            computes in it.
        quantize: ``nf4`` holds the frozen language model in 4 bits (QLoRA, arXiv 2305.14314; needs bitsandbytes).
        pack_tokens: longest pack, the token budget of one forward pass.
        images_per_pack: most images of one pack; 0 sets no bound.
        gradient_checkpointing: recompute layers in the backward pass: less memory, about a third more time.
        max_grad_norm: gradient clipping.
        augment: small shifts, scalings, rotations and contrast changes; never a flip (left is not right).
        holdout: share of the samples kept for validation; translations and samples about one image stay together.
        eval_steps: optimiser steps between validations; 0 validates at the end of each stage.
        bad_samples: ``skip`` leaves samples that cannot be trained on out, counts and lists them; ``stop`` ends
            the run at the first.
        nonfinite: ``skip`` leaves out an optimiser step whose loss or gradient is not finite, and stops after
            three in a row; ``stop`` ends at the first. Both name its samples.
        engine: ``none`` (one process), ``ddp``, ``fsdp2``; ``auto`` is ``ddp`` under torchrun.
        timeout_minutes: a process that does not answer for so long ends the run.
        workers: threads that prepare packs ahead.
        checkpoint_steps: optimiser steps between checkpoints.
        keep_checkpoints: older ones are deleted.
        trackers: ``tensorboard``, ``trackio``, ``wandb``, beside the log file that is always written.
    """

    model: str
    records: tuple[str, ...]
    stages: tuple[StageRecipe, ...]
    lora: LoraRecipe = LoraRecipe()
    vision_encoder: str = ""
    seed: int = 0
    dtype: Literal["auto", "bfloat16", "float32"] = "auto"
    quantize: Literal["none", "nf4"] = "none"
    pack_tokens: int = 1024
    images_per_pack: int = 0
    gradient_checkpointing: bool = False
    max_grad_norm: float = 1.0
    augment: bool = True
    holdout: float = 0.0
    eval_steps: int = 0
    bad_samples: Policy = "skip"
    nonfinite: Policy = "skip"
    engine: EngineName = "auto"
    timeout_minutes: float = 10.0
    workers: int = 2
    checkpoint_steps: int = 50
    keep_checkpoints: int = 2
    trackers: tuple[str, ...] = ()

    def budget(self, stage: StageRecipe) -> int:
        """Longest pack of a stage, in tokens."""
        return stage.pack_tokens or self.pack_tokens

    def fingerprint(self) -> str:
        """Hex digest of every setting that changes what is computed: a resume must not mix recipes."""
        settings = {name: value for name, value in asdict(self).items() if name not in _FREE}
        return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]
