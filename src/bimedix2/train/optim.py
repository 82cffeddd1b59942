"""What trains in a stage, at which rate, and the schedule."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from bimedix2.model.encoder import unfreeze_blocks

from .recipe import StageRecipe

PARTS = ("lora", "projector", "encoder")


def select_trained(model: nn.Module, stage: StageRecipe) -> dict[str, list[nn.Parameter]]:
    """Freeze everything but the stage's parts, and bring those to float32.

    A bf16 weight has 8 significant bits: an update of 1e-4 x the weight would be rounded away. So what trains is kept
    in float32 and only its use is in bf16.

    Returns:
        Parameters by part, in the order of :data:`PARTS`; parts that do not train are absent.
    """
    encoder = unfreeze_blocks(model, stage.unfreeze_blocks)
    trained = {id(parameter) for parameter in encoder}
    found: dict[str, list[nn.Parameter]] = {"lora": [], "projector": [], "encoder": encoder}
    for name, parameter in model.named_parameters():
        if id(parameter) in trained:
            continue
        part = "projector" if "multi_modal_projector" in name else "lora" if "lora_" in name else ""
        trains = part == "projector" or (part == "lora" and stage.train == "projector+lora")
        parameter.requires_grad_(trains)
        if trains:
            parameter.data = parameter.data.float()
            found[part].append(parameter)
    return {part: found[part] for part in PARTS if found[part]}


def select_after_wrap(model: Any, trained: dict[str, list[nn.Parameter]]) -> dict[str, list[nn.Parameter]]:
    """The parameters by part as they are after wrapping: FSDP2 puts sharded ones in place of those it was given."""
    found: dict[str, list[nn.Parameter]] = {part: [] for part in trained}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            part = "projector" if "multi_modal_projector" in name else "lora" if "lora_" in name else "encoder"
            found[part].append(parameter)
    return found


def peak_rates(stage: StageRecipe) -> dict[str, float]:
    """Peak rate of every part; the projector has the stage's own rate where no adapter trains."""
    projector = stage.projector_lr if stage.train == "projector+lora" else stage.lr
    return {"lora": stage.lr, "projector": projector, "encoder": stage.encoder_lr}


def make_optimizer(trained: dict[str, list[nn.Parameter]], stage: StageRecipe) -> torch.optim.AdamW:
    """AdamW with a group per part; ``group["part"]`` and ``group["peak"]`` say which and how fast."""
    rates = peak_rates(stage)
    groups: list[dict[str, Any]] = [
        {"params": parameters, "lr": rates[part], "peak": rates[part], "part": part}
        for part, parameters in trained.items()
    ]
    # One kernel for all parameters; sharded ones would otherwise be updated in a Python loop.
    return torch.optim.AdamW(groups, betas=(0.9, 0.99), weight_decay=stage.weight_decay, fused=True)


def set_rates(optimizer: torch.optim.Optimizer, factor: float) -> dict[str, float]:
    """Give every group ``factor`` x its peak rate; returns the rates by part."""
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * factor
    return {group["part"]: group["lr"] for group in optimizer.param_groups}


def schedule(step: int, total: int, warmup: float, final: float) -> float:
    """Share of the peak rate at 0-based ``step``: a linear rise, then a cosine down to ``final``."""
    rise = max(1, round(warmup * total))
    if step < rise:
        return (step + 1) / rise
    progress = (step - rise) / max(1, total - rise)
    return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
