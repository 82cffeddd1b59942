"""The model's forward pass on a pack: encode its images once, put them in place, decode, score.

It calls the parts of transformers' LLaVA class directly, because that class cannot share an image between
conversations, makes logits for every position, and fails on a row without images when others have some.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from bimedix2.images import ImagePolicy
from bimedix2.model.encoder import encode_images

from .attention import use_span_attention
from .batch import Batch
from .loss import token_losses


class PackModel(nn.Module):
    """Losses of a pack.

    Args:
        model: ``LlavaForConditionalGeneration`` or a subclass, with or without adapters.
        image_token_id: token that stands for one image embedding.
        policy: gives mean and spread of the pixels.
        checkpointing: recompute layers in the backward pass.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, model: Any, image_token_id: int, policy: ImagePolicy, *, checkpointing: bool = False) -> None:
        super().__init__()
        self.model, self.image_token_id, self.checkpointing = model, image_token_id, checkpointing
        self.register_buffer("mean", torch.tensor(policy.mean), persistent=False)
        self.register_buffer("std", torch.tensor(policy.std), persistent=False)
        use_span_attention(model.model.language_model.config)
        if checkpointing:
            model.model.language_model.gradient_checkpointing_enable({"use_reentrant": False})
        for module in model.modules():
            # What trains is fp32 in a bf16 model; autocast brings the factors to bf16, so the input may stay.
            if hasattr(module, "cast_input_dtype_enabled"):
                module.cast_input_dtype_enabled = False

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Losses of one pack.

        Returns:
            The sum of the losses with a graph to everything that trains, and the (M,) losses without.
        """
        embeds = self.model.get_input_embeddings()(batch.input_ids)
        features = encode_images(self.model, self._normalised(batch.pixels), checkpointing=self.checkpointing)
        with self._mixed(embeds):
            embeds = self._insert(embeds, features, batch)
            hidden = self.model.model.language_model(
                inputs_embeds=embeds, position_ids=batch.position_ids, use_cache=False, spans=batch.spans
            ).last_hidden_state[0]
        losses = token_losses(hidden, self.model.lm_head.weight, batch.targets, batch.supervised)
        return losses.sum(), losses.detach()

    def _mixed(self, like: Tensor) -> Any:
        """fp32 parameters compute in bf16 where the frozen ones do; in fp32 nothing changes."""
        if like.dtype == torch.float32:
            return nullcontext()
        return torch.autocast(like.device.type, dtype=like.dtype)

    def _normalised(self, pixels: Tensor) -> Tensor:
        """(N, S, S, 3) uint8 to (N, 3, S, S) as the encoder takes it."""
        return ((pixels / 255.0 - self.mean) / self.std).permute(0, 3, 1, 2)

    def _insert(self, embeds: Tensor, features: Tensor, batch: Batch) -> Tensor:
        """Put projected features (N, P, C) where the image tokens are.

        The projector is called without images too, on (0, P, C): it then is part of every graph, so that no process
        of several waits for a gradient that never comes.
        """
        projected = self.model.model.multi_modal_projector(features)[batch.shown]
        places = (batch.input_ids[0] == self.image_token_id).nonzero()[:, 0]
        rows = projected.reshape(-1, projected.shape[-1]).to(embeds.dtype)
        return embeds.index_copy(1, places, rows[None])
