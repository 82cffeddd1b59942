"""A LLaVA whose projector folds r x r neighbouring patches into one token (nano's 576 -> 64).

Folding keeps every feature value (pixel shuffle, Shi et al. 2016, arXiv 1609.05158, used the other way
round) while the language model reads fewer tokens, which is what costs time on a CPU.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import LlavaConfig, LlavaForConditionalGeneration


class PixelShuffleProjector(nn.Module):
    """LayerNorm, r x r pixel shuffle, the two-layer GELU MLP of LLaVA, then an RMSNorm.

    The first norm is there because DINOv2's last hidden state carries a few patches of very large norm. The last
    one keeps image embeddings as long as text embeddings: without it they grew to 36 times that length in
    training, and in a residual stream that long no layer can change much (benchmarks/README.md).

    Args:
        vision_width: C, width of a patch feature.
        text_width: D, width of a language-model embedding.
        r: patches folded along each side.
    """

    def __init__(self, vision_width: int, text_width: int, r: int) -> None:
        super().__init__()
        self.r = r
        self.norm = nn.LayerNorm(vision_width)
        self.linear_1 = nn.Linear(vision_width * r * r, text_width)
        self.act = nn.GELU()
        self.linear_2 = nn.Linear(text_width, text_width)
        self.out_norm = nn.RMSNorm(text_width, eps=1e-6)

    def forward(self, features_NPC: Tensor) -> Tensor:  # noqa: N803 - shape letters, see docs/internals.md
        """Map patch features (N, P, C) to embeddings (N, P / r^2, D); P must be a square divisible by r^2."""
        hidden = self.act(self.linear_1(pixel_shuffle(self.norm(features_NPC), self.r)))
        projected: Tensor = self.out_norm(self.linear_2(hidden))
        return projected


def pixel_shuffle(features: Tensor, r: int) -> Tensor:
    """Fold each r x r block of the patch grid into the channel axis.

    Args:
        features: (N, P, C) with P = G * G, row by row; G divisible by r.

    Returns:
        (N, P / r^2, C * r^2). With G = 4, r = 2 the first token holds patches 0, 1, 4, 5.
    """
    n, p, c = features.shape
    grid = int(p**0.5)
    if grid * grid != p or grid % r:
        raise ValueError(f"{p} patches do not form a square grid divisible by {r}")
    blocks = features.reshape(n, grid // r, r, grid // r, r, c).permute(0, 1, 3, 2, 4, 5)
    return blocks.reshape(n, (grid // r) ** 2, r * r * c)


class PixelShuffleLlava(LlavaForConditionalGeneration):  # type: ignore[no-untyped-call]
    """``LlavaForConditionalGeneration`` with a pixel-shuffle projector; ``config.pixel_shuffle`` is r."""

    def __init__(self, config: LlavaConfig) -> None:
        super().__init__(config)
        vision, text = cast(Any, config.vision_config), cast(Any, config.text_config)
        self.model.multi_modal_projector = PixelShuffleProjector(
            vision.hidden_size, text.hidden_size, cast(Any, config).pixel_shuffle
        )


def init_projector(projector: PixelShuffleProjector, embedding_std: float, seed: int) -> None:
    """Seeded start whose output has the spread of the language model's input embeddings.

    Gemma multiplies embeddings by sqrt(D); a projector started at the usual 0.02 would be drowned by text.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for layer in (projector.linear_1, projector.linear_2):
            layer.weight.normal_(0.0, layer.weight.shape[1] ** -0.5, generator=generator)
            layer.bias.zero_()
        projector.norm.reset_parameters()
        projector.out_norm.weight.fill_(embedding_std)
