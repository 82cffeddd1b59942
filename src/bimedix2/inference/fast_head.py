"""The LM head for greedy decoding on a CPU: 8-bit scores choose candidates, exact scores decide.

Every generated token reads the whole head (nano: 262,144 x 640 values, 335 MB in bf16), which bounds the speed on a
CPU. The same head in 8 bits is half of that. Its scores are only used to pick the best candidates; these are scored
again with the exact weights, so the token chosen is the exact one unless it is not among the candidates at all.
"""

from __future__ import annotations

import torch
from torch import Tensor

_CANDIDATES = 64
_SMALLEST_VOCABULARY = 100_000
_BLOCK = 16_384


class ShortlistHead:
    """Scores (B, V) that are exact for the best candidates and minus infinity elsewhere.

    Args:
        weight: (V, D) head in bfloat16 on a CPU; kept as it is, and copied to int8 with one scale a row.
    """

    def __init__(self, weight: Tensor) -> None:
        self.weight = weight
        self.table = torch.empty(weight.shape, dtype=torch.int8)
        self.scale = torch.empty(len(weight), dtype=weight.dtype)
        for start in range(0, len(weight), _BLOCK):
            rows = weight[start : start + _BLOCK]
            # bf16 all the way: the table is only a rough copy, and this is three times as fast as fp32.
            scale = rows.abs().amax(1).clamp(min=1e-6) / 127
            self.table[start : start + _BLOCK] = (rows * scale.reciprocal()[:, None]).round_().clamp_(-127, 127)
            self.scale[start : start + _BLOCK] = scale

    def __call__(self, hidden: Tensor) -> Tensor:
        """Scores of the next token, float32.

        Args:
            hidden: (B, D) last hidden states.
        """
        rough = torch.ops.aten._weight_int8pack_mm(hidden, self.table, self.scale)
        found = rough.topk(_CANDIDATES, dim=-1).indices
        exact = torch.bmm(self.weight[found], hidden[:, :, None])[:, :, 0].float()
        return torch.full(rough.shape, -torch.inf).scatter_(1, found, exact)


def shortlist_head(weight: Tensor) -> ShortlistHead | None:
    """A short-list head where it pays: a large vocabulary in bfloat16 on a CPU; ``None`` elsewhere."""
    fits = weight.device.type == "cpu" and weight.dtype == torch.bfloat16 and len(weight) >= _SMALLEST_VOCABULARY
    return ShortlistHead(weight.detach()) if fits else None
