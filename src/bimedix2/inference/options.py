"""Log-probabilities of given answers: the prompt and its images are read once, whatever the number of answers."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from bimedix2.records.schema import Turn

from .config import GenerationConfig
from .decode import decode, new_cache

if TYPE_CHECKING:
    from transformers.cache_utils import DynamicCache

    from bimedix2.model import Bundle

    from .assistant import Assistant


# States go through the head in blocks of one size, filled up with zeros: reading a head of 262,144 tokens takes as long
# as reading the prompt, and the kernel of one shape rounds a row the same way whatever its neighbours are.
_HEAD_ROWS = 16


class OptionQuestion(NamedTuple):
    """A conversation that ends with the user's turn, and the answers to score after it.

    ``images`` are paths or decoded images, into which those of a turn index; no option may be empty.
    """

    turns: Sequence[Turn]
    images: Sequence[Any]
    options: Sequence[str]


class _States(NamedTuple):
    """Hidden states (R, D) of one question, and for which option each token is that they have to predict."""

    hidden: Tensor
    rows: list[int]
    tokens: list[int]
    options: list[int]


def option_logprobs(
    assistant: Assistant, turns: Sequence[Turn], images: Sequence[Any], options: Sequence[str]
) -> list[float]:
    """Log-probability (nats) of each option as the assistant's next words, summed over its tokens.

    Args:
        assistant: the model.
        turns, images, options: as in :class:`OptionQuestion`.

    Raises:
        ValueError: an option has no tokens.
    """
    return score_options(assistant, [OptionQuestion(turns, images, options)])[0]


@torch.inference_mode()
def score_options(assistant: Assistant, questions: Sequence[OptionQuestion]) -> list[list[float]]:
    """Log-probability (nats) of each option of each question, summed over its tokens.

    The token that would end the answer is not counted, as in lm-evaluation-harness. Prompts that begin alike, or
    show the same image, share that part between questions and calls; the head is applied to all questions together.

    Args:
        assistant: the model.
        questions: their hidden states are kept until the end (some kB a question).

    Raises:
        ValueError: an option has no tokens.
    """
    states = [_states(assistant, question) for question in questions]
    found = iter(_token_logprobs(assistant.bundle.model.lm_head, states))
    scores = [[0.0] * len(question.options) for question in questions]
    for own, state in zip(scores, states, strict=True):
        for option in state.options:
            own[option] += next(found)
    return scores


def _states(assistant: Assistant, question: OptionQuestion) -> _States:
    bundle = assistant.bundle
    tokens = [option_tokens(bundle, option) for option in question.options]
    ids, needed, _ = assistant._encode(question.turns, GenerationConfig())
    decoded = assistant.decode_images(question.images)
    last = assistant.memory.run(ids, [decoded[index] for index in needed], head=lambda hidden: hidden)
    parts, rows, options = [last], [0] * len(tokens), list(range(len(tokens)))
    # Only options of several tokens need the model again, all of them in one batch.
    more = [index for index, option in enumerate(tokens) if len(option) > 1]
    if more:
        given = [tokens[index][:-1] for index in more]
        hidden = _continuations(bundle, given, assistant.memory.cache)
        for row, index in enumerate(more):
            rows += range(start := sum(map(len, parts)), start + len(given[row]))
            options += [index] * len(given[row])
            parts.append(hidden[row, : len(given[row])].to(last.dtype))
    return _States(
        torch.cat(parts),
        rows,
        [option[0] for option in tokens] + [token for index in more for token in tokens[index][1:]],
        options,
    )


def _token_logprobs(head: torch.nn.Module, states: Sequence[_States]) -> list[float]:
    """Log-probability of every token that the states have to predict, in order."""
    weight: Tensor = head.weight  # type: ignore[assignment]
    hidden = torch.cat([state.hidden for state in states]).to(weight.dtype)
    starts = itertools.accumulate((len(state.hidden) for state in states), initial=0)
    rows = torch.tensor([start + row for start, state in zip(starts, states, strict=False) for row in state.rows])
    tokens = torch.tensor([token for state in states for token in state.tokens])
    found = torch.empty(len(rows))
    for start in range(0, len(hidden), _HEAD_ROWS):
        block = hidden[start : start + _HEAD_ROWS]
        filled = torch.nn.functional.pad(block, (0, 0, 0, _HEAD_ROWS - len(block)))
        logits = head(filled).float()
        here = (rows >= start) & (rows < start + _HEAD_ROWS)
        picked = logits[rows[here] - start, tokens[here]] - logits.logsumexp(-1)[rows[here] - start]
        found[here] = picked.cpu()
    return found.tolist()


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


def _continuations(bundle: Bundle, tokens: Sequence[Sequence[int]], cache: DynamicCache) -> Tensor:
    """Hidden states (K, L, D) of the tokens of each row after the cached prompt and the tokens before them.

    Args:
        bundle: the model.
        tokens: K rows of up to L tokens; padded on the right, so no token that counts can see the padding.
        cache: of the prompt, one row; it is not changed.
    """
    model, past = bundle.model, cache.get_seq_length()
    rows, length = len(tokens), max(map(len, tokens))
    padded = torch.tensor([[*row, *[0] * (length - len(row))] for row in tokens], device=bundle.device)
    shared = new_cache()
    layers: list[Any] = cache.layers
    for number, layer in enumerate(layers):
        keys, values = (part.expand(rows, -1, -1, -1) for part in (layer.keys, layer.values))
        shared.update(keys, values, number)
    hidden: Tensor = model.model.language_model(
        inputs_embeds=model.get_input_embeddings()(padded),
        position_ids=torch.arange(past, past + length, device=bundle.device).expand(rows, -1),
        past_key_values=shared,
        use_cache=True,
    ).last_hidden_state
    return hidden
