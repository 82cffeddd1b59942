"""Cross-entropy on supervised positions only, in chunks, with the loss in fp32.

Logits of a 262,144-word vocabulary for every position of a row would take gigabytes; only the supervised
positions need them. Each chunk's gradient is computed in the forward pass, while its logits are at hand, and
the logits are dropped, so the peak is one chunk (the idea of Liger-Kernel's fused linear cross-entropy).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

_CHUNK = 128


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
        losses = hidden.new_empty(len(targets), dtype=torch.float32)
        gradient = torch.empty_like(hidden)
        for start in range(0, len(targets), _CHUNK):
            rows = slice(start, start + _CHUNK)
            logits = (hidden[rows] @ weight.T).float()
            target = targets[rows, None]
            picked = logits.gather(1, target)
            peak = logits.amax(1, keepdim=True)
            scores = logits.sub_(peak).exp_()
            total = scores.sum(1, keepdim=True)
            losses[rows] = (total.log() + peak - picked)[:, 0]
            # d loss / d logits = softmax - one-hot
            scores.div_(total).scatter_add_(1, target, scores.new_full(target.shape, -1.0))
            gradient[rows] = scores.to(weight.dtype) @ weight
        ctx.save_for_backward(gradient)
        return losses.sum()

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * grad_outputs[0].to(gradient.dtype), None, None


def supervised_loss(hidden: Tensor, head: Tensor, targets: Tensor) -> Tensor:
    """Summed cross-entropy over the positions whose target is not -100.

    Args:
        hidden: (T, D) last hidden states.
        head: (V, D) weight of the frozen LM head.
        targets: (T,) target ids, -100 where nothing is supervised.

    Returns:
        fp32 scalar; divide by the number of supervised tokens of the optimiser step for the mean.
    """
    kept = targets != -100
    loss: Tensor = _LinearCrossEntropy.apply(hidden[kept], head, targets[kept])  # type: ignore[no-untyped-call]
    return loss
