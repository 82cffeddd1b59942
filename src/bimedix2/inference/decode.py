"""The token loop: prefill once, then one token a step for every row of a batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from .config import GenerationConfig

if TYPE_CHECKING:
    from transformers.cache_utils import DynamicCache


def new_cache() -> DynamicCache:
    """A cache that keeps every position, so that it can be cut back to any shared beginning."""
    from transformers.cache_utils import DynamicCache

    # Built without the model's config: sliding-window layers would forget positions that a later turn shares.
    return DynamicCache()


def crop_cache(cache: DynamicCache, length: int) -> None:
    """Keep the first ``length`` positions.

    Done on the layers' tensors because the argument of ``DynamicCache.crop`` has changed its meaning between
    versions of transformers.
    """
    layers: list[Any] = cache.layers
    for layer in layers:
        if layer.keys is not None and layer.keys.shape[-2] > length:
            layer.keys, layer.values = layer.keys[..., :length, :], layer.values[..., :length, :]


@torch.inference_mode()
def prefill(
    model: Any,
    embeds: Tensor,
    cache: DynamicCache,
    mask: Tensor | None = None,
    head: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """Run the prompt (or its new part) through the model.

    Args:
        model: LLaVA.
        embeds: (B, T, D) embeddings of the tokens that ``cache`` does not hold yet.
        cache: grows by T positions.
        mask: (B, past + T), 0 at left padding; ``None`` where nothing is padded.
        head: takes the place of the model's LM head; maps (B, D) to (B, V).

    Returns:
        (B, V) scores of the next token, float32.
    """
    past = cache.get_seq_length()
    positions = _positions(mask, past, embeds)
    hidden = model.model.language_model(
        inputs_embeds=embeds,
        attention_mask=mask,
        position_ids=positions,
        past_key_values=cache,
        use_cache=True,
    ).last_hidden_state[:, -1]
    scores: Tensor = (head or model.lm_head)(hidden)
    return scores.float()


def _positions(mask: Tensor | None, past: int, embeds: Tensor) -> Tensor:
    batch, new = embeds.shape[:2]
    if mask is None:
        return torch.arange(past, past + new, device=embeds.device).expand(batch, new)
    return (mask.long().cumsum(-1) - 1).clamp(min=0)[:, -new:]


@torch.inference_mode()
def decode(
    model: Any,
    scores: Tensor,
    cache: DynamicCache,
    config: GenerationConfig,
    end_ids: Sequence[int],
    forbidden_ids: Sequence[int] = (),
    mask: Tensor | None = None,
    head: Callable[[Tensor], Tensor] | None = None,
) -> Iterator[list[int | None]]:
    """Yield one token per row and step; ``None`` for rows that have ended.

    Args:
        model: LLaVA.
        scores: (B, V) scores from :func:`prefill`.
        cache: as filled by :func:`prefill`; grows by one position a step.
        config: sampling and length.
        end_ids: tokens that end a row; they are not yielded.
        forbidden_ids: tokens an answer can never hold, such as the image token.
        mask: as given to :func:`prefill`.
        head: exact for the best tokens only, hence used where nothing but the best one matters.
    """
    if config.temperature > 0 or config.repetition_penalty != 1:
        head = None
    embed = model.get_input_embeddings()
    generator = torch.Generator(device=scores.device).manual_seed(config.seed)
    alive = [True] * len(scores)
    history: list[list[int]] = [[] for _ in alive]
    for step in range(config.max_new_tokens):
        tokens = pick(scores, config, generator, history, forbidden_ids)
        for row, token in enumerate(tokens.tolist()):
            alive[row] = alive[row] and token not in end_ids
            history[row].append(token)
        if not any(alive):
            return
        yield [token if live else None for token, live in zip(tokens.tolist(), alive, strict=True)]
        if step + 1 < config.max_new_tokens:
            if mask is not None:
                mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)
            scores = prefill(model, embed(tokens[:, None]), cache, mask, head)


def pick(
    scores: Tensor,
    config: GenerationConfig,
    generator: torch.Generator,
    history: Sequence[Sequence[int]],
    forbidden_ids: Sequence[int],
) -> Tensor:
    """Choose the next token of every row.

    Args:
        scores: (B, V).
        history: tokens generated so far, for the repetition penalty.

    Returns:
        (B,) token ids.
    """
    if forbidden_ids:
        scores[:, list(forbidden_ids)] = -torch.inf
    if config.repetition_penalty != 1.0:
        for row, seen in enumerate(history):
            if seen:
                index = torch.tensor(sorted(set(seen)))
                values = scores[row, index]
                penalised = torch.where(
                    values > 0, values / config.repetition_penalty, values * config.repetition_penalty
                )
                scores[row, index] = penalised
    if config.temperature == 0:
        return scores.argmax(-1)
    probabilities = (scores / config.temperature).softmax(-1)
    if config.top_p < 1:
        ordered, order = probabilities.sort(-1, descending=True)
        # Keep a token if the mass before it is below top_p: the first one always stays.
        ordered[(ordered.cumsum(-1) - ordered) >= config.top_p] = 0
        probabilities = torch.zeros_like(probabilities).scatter_(-1, order, ordered)
    return torch.multinomial(probabilities, 1, generator=generator)[:, 0]
