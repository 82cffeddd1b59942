"""Cross-entropy on supervised positions only, in chunks, with the loss in fp32.

Logits of a 262,144-word vocabulary for every position of a row would take gigabytes; only the supervised
positions need them. Each chunk's gradient is computed in the forward pass, while its logits are at hand, and
the logits are dropped, so the peak is one chunk (the idea of Liger-Kernel's fused linear cross-entropy).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

# Logits held at a time: 128 MiB in fp32.
_LOGITS = 2**25


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
        losses = hidden.new_empty(len(targets), dtype=torch.float32)
        gradient = torch.empty_like(hidden) if hidden.requires_grad else None
        size = max(16, _LOGITS // len(weight))
        for start in range(0, len(targets), size):
            rows = slice(start, start + size)
            logits = _logits(hidden[rows], weight)
            target = targets[rows, None]
            picked = logits.gather(1, target)
            peak = logits.amax(1, keepdim=True)
            scores = logits.sub_(peak).exp_()
            total = scores.sum(1, keepdim=True)
            losses[rows] = (total.log() + peak - picked)[:, 0]
            if gradient is not None:
                # d loss / d logits = softmax - one-hot
                scores.div_(total).scatter_add_(1, target, scores.new_full(target.shape, -1.0))
                gradient[rows] = scores.to(weight.dtype) @ weight
        if gradient is not None:
            ctx.save_for_backward(gradient)
        return losses

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * grad_outputs[0][:, None].to(gradient.dtype), None, None


def _logits(hidden: Tensor, weight: Tensor) -> Tensor:
    """(rows, V) in fp32: on CUDA straight from the product's fp32 sums, elsewhere rounded to its type between."""
    if hidden.is_cuda and hidden.dtype != torch.float32:
        return torch.mm(hidden, weight.T, out_dtype=torch.float32)
    return (hidden @ weight.T).float()


def token_losses(hidden: Tensor, head: Tensor, targets: Tensor, kept: Tensor | None = None) -> Tensor:
    """Cross-entropy at every position whose target is not -100.

    Args:
        hidden: (T, D) last hidden states.
        head: (V, D) weight of the frozen LM head.
        targets: (T,) target ids, -100 where nothing is supervised.
        kept: (M,) the supervised positions; looking for them on a GPU would wait for all that it has to do.

    Returns:
        (M,) fp32 losses in nats, in the order of the M supervised positions.
    """
    kept = targets != -100 if kept is None else kept
    losses: Tensor = _LinearCrossEntropy.apply(hidden[kept].to(head.dtype), head, targets[kept])  # type: ignore[no-untyped-call]
    return losses
