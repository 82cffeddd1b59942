"""Log-probabilities of given answers: the prompt and its images are read once, whatever the number of answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from bimedix2.records.schema import Turn

from .config import GenerationConfig
from .decode import decode, new_cache

if TYPE_CHECKING:
    from transformers.cache_utils import DynamicCache

    from bimedix2.model import Bundle

    from .assistant import Assistant


@torch.inference_mode()
def option_logprobs(
    assistant: Assistant, turns: Sequence[Turn], images: Sequence[Any], options: Sequence[str]
) -> list[float]:
    """Log-probability (nats) of each option as the assistant's next words, summed over its tokens.

    The token that would end the answer is not counted, as in lm-evaluation-harness. Prompts that begin alike, or
    show the same image, share that part between calls too.

    Args:
        assistant: the model.
        turns: a conversation that ends with the user's turn; ``images`` of a turn index into ``images``.
        images: paths or decoded images.
        options: at least one answer; none may be empty.

    Raises:
        ValueError: an option has no tokens.
    """
    bundle = assistant.bundle
    ids, needed, _ = assistant._encode(turns, GenerationConfig())
    decoded = assistant.decode_images(images)
    first = assistant.memory.run(ids, [decoded[index] for index in needed]).log_softmax(-1)[0]
    tokens = [option_tokens(bundle, option) for option in options]
    scores = [float(first[option[0]]) for option in tokens]
    longest = max(len(option) for option in tokens)
    if longest == 1:
        return scores
    # Only options of several tokens need the model again, all of them in one batch.
    rest = [index for index, option in enumerate(tokens) if len(option) > 1]
    padded = torch.zeros(len(rest), longest, dtype=torch.long, device=bundle.device)
    for row, index in enumerate(rest):
        padded[row, : len(tokens[index])] = torch.tensor(tokens[index], device=bundle.device)
    found = _continuations(bundle, padded, assistant.memory.cache)
    for row, index in enumerate(rest):
        scores[index] += float(found[row, : len(tokens[index]) - 1].sum())
    return scores


@torch.inference_mode()
def greedy_tokens(assistant: Assistant, turns: Sequence[Turn], images: Sequence[Any], count: int) -> list[int]:
    """The likeliest ``count`` tokens of the answer, fewer where it ends before.

    Args:
        assistant, turns, images: as for :func:`option_logprobs`, after which the prompt is read already.
        count: at least 1.
    """
    bundle = assistant.bundle
    ids, needed, _ = assistant._encode(turns, GenerationConfig())
    decoded = assistant.decode_images(images)
    scores = assistant.memory.run(ids, [decoded[index] for index in needed])
    config = GenerationConfig(max_new_tokens=count)
    forbidden = [bundle.image_token_id]
    steps = decode(
        bundle.model, scores, assistant.memory.cache, config, assistant.end_ids, forbidden, head=assistant.head
    )
    return [token for (token,) in steps if token is not None]


def option_tokens(bundle: Bundle, option: str) -> list[int]:
    """Tokens of an answer as they stand in a conversation, without the one that ends it.

    Raises:
        ValueError: there are none.
    """
    from bimedix2.text.chat import encode_conversation

    encoded = encode_conversation(
        [Turn(role="user", text="?", language="en"), Turn(role="assistant", text=option, language="en")],
        bundle.tokenizer,
        bundle.template,
        image_token_id=bundle.image_token_id,
        tokens_per_image=bundle.tokens_per_image,
    )
    content = [span for span in encoded.spans if span.supervised and span.kind == "content"]
    tokens = [token for span in content for token in encoded.input_ids[span.start : span.end]]
    if not tokens:
        raise ValueError(f"the option {option!r} has no tokens")
    return tokens


def _continuations(bundle: Bundle, tokens: Tensor, cache: DynamicCache) -> Tensor:
    """Log-probabilities (K, L - 1) of tokens 1 … L - 1 after the cached prompt and the tokens before them.

    Args:
        bundle: the model.
        tokens: (K, L), padded on the right; padding comes last, so no token that counts can see it.
        cache: of the prompt, one row; it is not changed.
    """
    model, past = bundle.model, cache.get_seq_length()
    rows, length = tokens.shape
    shared = new_cache()
    layers: list[Any] = cache.layers
    for number, layer in enumerate(layers):
        keys, values = (part.expand(rows, -1, -1, -1) for part in (layer.keys, layer.values))
        shared.update(keys, values, number)
    hidden = model.model.language_model(
        inputs_embeds=model.get_input_embeddings()(tokens[:, :-1]),
        position_ids=torch.arange(past, past + length - 1, device=tokens.device).expand(rows, -1),
        past_key_values=shared,
        use_cache=True,
    ).last_hidden_state
    logprobs = model.lm_head(hidden).float().log_softmax(-1)
    found: Tensor = logprobs.gather(-1, tokens[:, 1:, None])[..., 0]
    return found
