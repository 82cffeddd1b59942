"""AdamW with fp32 master weights for bf16 parameters, and the warm-up/cosine schedule."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor


class MasterAdamW:
    """``torch.optim.AdamW`` on fp32 copies of the parameters.

    A bf16 weight has 8 significant bits: an update of 1e-4 x the weight would be rounded away, so the sum is
    kept in fp32 and the bf16 weight is its rounding.

    Args:
        groups: dicts with ``params`` (list of tensors) and ``lr`` (peak rate).
        weight_decay: decoupled decay.
    """

    def __init__(self, groups: list[dict[str, Any]], weight_decay: float) -> None:
        self.models: list[Tensor] = [parameter for group in groups for parameter in group["params"]]
        self.peaks = [group["lr"] for group in groups]
        masters = [
            {"params": [p.detach().clone().float() for p in group["params"]], "lr": group["lr"]} for group in groups
        ]
        self.optimizer = torch.optim.AdamW(masters, betas=(0.9, 0.99), weight_decay=weight_decay, fused=True)
        self.masters: list[Tensor] = [p for group in self.optimizer.param_groups for p in group["params"]]

    def step(self, scale: float, max_norm: float, factor: float) -> float:
        """Apply one update and clear the gradients.

        Args:
            scale: gradients are multiplied by it first (1 / supervised tokens of the step).
            max_norm: clipping bound on the global norm after scaling.
            factor: share of each group's peak rate, from :func:`schedule`.

        Returns:
            The gradient norm before clipping.
        """
        for model, master in zip(self.models, self.masters, strict=True):
            grad = model.grad
            master.grad = torch.zeros_like(master) if grad is None else grad.float().mul_(scale)
            model.grad = None
        norm = torch.nn.utils.clip_grad_norm_(self.masters, max_norm)
        for group, peak in zip(self.optimizer.param_groups, self.peaks, strict=True):
            group["lr"] = peak * factor
        self.optimizer.step()
        with torch.no_grad():
            for model, master in zip(self.models, self.masters, strict=True):
                model.copy_(master)
        return float(norm)

    def state_tensors(self) -> dict[str, Tensor]:
        """Every tensor that a resume needs, by flat name (safetensors holds no other kind)."""
        tensors = {f"{index}.master": master.data for index, master in enumerate(self.masters)}
        for index, master in enumerate(self.masters):
            for name, value in self.optimizer.state[master].items():
                tensors[f"{index}.{name}"] = value
        return tensors

    def load_state_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Put back what :meth:`state_tensors` gave, and round the masters into the model."""
        with torch.no_grad():
            for index, (model, master) in enumerate(zip(self.models, self.masters, strict=True)):
                master.copy_(tensors[f"{index}.master"])
                model.copy_(master)
                names = ("step", "exp_avg", "exp_avg_sq")
                state = {name: tensors[f"{index}.{name}"].clone() for name in names if f"{index}.{name}" in tensors}
                self.optimizer.state[master] = state


def schedule(step: int, total: int, warmup: float, final: float) -> float:
    """Share of the peak rate at 0-based ``step``: a linear rise, then a cosine down to ``final``."""
    rise = max(1, round(warmup * total))
    if step < rise:
        return (step + 1) / rise
    progress = (step - rise) / max(1, total - rise)
    return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
