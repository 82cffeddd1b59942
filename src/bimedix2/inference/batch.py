"""Answers to many independent prompts at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch

from .config import GenerationConfig
from .decode import decode, new_cache, prefill
from .prompt import ImageEncoder, embed_prompt

if TYPE_CHECKING:
    from bimedix2.images import DecodedImage


class Prompt(NamedTuple):
    """Token ids of a prompt and the images its image tokens stand for."""

    ids: list[int]
    images: tuple[DecodedImage, ...]


@torch.inference_mode()
def generate_batch(
    encoder: ImageEncoder, prompts: Sequence[Prompt], config: GenerationConfig, end_ids: Sequence[int]
) -> list[list[int]]:
    """Token ids of each answer, without the end token.

    Prompts are padded on the left, so every answer starts at the same step; padding is masked and takes no
    position, hence an answer does not depend on its neighbours.

    Args:
        encoder: holds the model; an image that several prompts share is encoded once.
        prompts: any number; they all run in one batch, so the caller chooses how many fit in memory.
        config: stop strings are not applied here, for they are text.
        end_ids: tokens that end an answer.
    """
    rows = [embed_prompt(encoder, prompt.ids, prompt.images)[0] for prompt in prompts]
    longest = max(len(row) for row in rows)
    embeds = rows[0].new_zeros(len(rows), longest, rows[0].shape[1])
    mask = torch.zeros(len(rows), longest, dtype=torch.long, device=embeds.device)
    for index, row in enumerate(rows):
        embeds[index, longest - len(row) :] = row
        mask[index, longest - len(row) :] = 1
    model, cache = encoder.bundle.model, new_cache()
    scores = prefill(model, embeds, cache, mask)
    answers: list[list[int]] = [[] for _ in prompts]
    forbidden = [encoder.bundle.image_token_id]
    for tokens in decode(model, scores, cache, config, end_ids, forbidden, mask):
        for answer, token in zip(answers, tokens, strict=True):
            if token is not None:
                answer.append(token)
    return answers
