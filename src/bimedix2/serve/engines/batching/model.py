"""The model as the scheduler uses it: a prompt piece by piece, and one token for every row."""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from bimedix2.errors import ModelError
from bimedix2.inference.decode import prefill
from bimedix2.inference.fast_head import shortlist_head
from bimedix2.inference.prompt import ImageEncoder, embed_prompt
from bimedix2.text.chat import Fitted, fit_to_length, stop_token_ids

from .lora import RowAdapters
from .pool import KVPool, row_masks

if TYPE_CHECKING:
    from transformers.cache_utils import DynamicCache

    from bimedix2.images import DecodedImage
    from bimedix2.inference.config import GenerationConfig
    from bimedix2.model import Bundle
    from bimedix2.records.schema import Turn

# Longer conversations are shortened: every row of a batch pays for the longest one.
LONGEST_CONTEXT = 8192
_LEAST_PROMPT = 64
_PIECE, _SHORT_PIECE = 256, 64
_LARGE = 2_000_000_000


@dataclass
class Reading:
    """A prompt on its way into the model.

    Attributes:
        ids: T tokens that the cache did not hold.
        images: what their image tokens stand for, in order.
        cache: grows with every piece.
        embeds: (1, T, D) of ``ids``, once every image is encoded.
        encoded: images that were encoded.
        done: positions of ``embeds`` that were read.
    """

    ids: Sequence[int]
    images: Sequence[DecodedImage]
    cache: DynamicCache
    adapter: str | None
    embeds: Tensor | None = None
    encoded: int = 0
    done: int = 0


class BatchModel:
    """A bundle with everything that is made once; used by one thread at a time."""

    def __init__(self, bundle: Bundle, adapters: RowAdapters, chunk: int | None = None) -> None:
        self.bundle, self.adapters = bundle, adapters
        self.model: Any = bundle.model.eval()
        self.chunk = chunk or piece_length(self.model)
        self.encoder = ImageEncoder(bundle)
        self.ends = stop_token_ids(bundle.tokenizer, bundle.template)
        self.head = shortlist_head(self.model.lm_head.weight)
        config = self.model.config.text_config
        self.windows = attention_windows(config)
        self.additive = _additive(config, bundle.dtype)
        # The tokenizer keeps settings that encoding switches, and tokens are also counted outside of the thread.
        self._encoding = threading.Lock()
        self.context = min(int(config.max_position_embeddings), LONGEST_CONTEXT)

    def fit(self, turns: Sequence[Turn], config: GenerationConfig) -> Fitted:
        """Tokens of a conversation, whole old turns left out where it is too long.

        Raises:
            ChatError: the last question alone is too long.
        """
        room = max(self.context - config.max_new_tokens, min(_LEAST_PROMPT, self.context - 1))
        return self._fit(turns, room)

    def count(self, turns: Sequence[Turn]) -> int:
        """Tokens of a whole conversation, nothing left out."""
        return len(self._fit(turns, sys.maxsize).encoded.input_ids)

    def _fit(self, turns: Sequence[Turn], room: int) -> Fitted:
        bundle = self.bundle
        with self._encoding:
            return fit_to_length(
                turns,
                bundle.tokenizer,
                bundle.template,
                image_token_id=bundle.image_token_id,
                tokens_per_image=bundle.tokens_per_image,
                max_length=room,
                add_generation_prompt=True,
            )

    def open(
        self, ids: Sequence[int], images: Sequence[DecodedImage], shared: int, cache: DynamicCache, adapter: str | None
    ) -> Reading:
        """Start to read a prompt whose first ``shared`` positions ``cache`` holds."""
        before = sum(token == self.bundle.image_token_id for token in ids[:shared]) // self.bundle.tokens_per_image
        return Reading(ids[shared:], images[before:], cache, adapter)

    def read(self, reading: Reading) -> Tensor | None:
        """Encode one image or read one piece; scores (V,) of the next token after the last piece."""
        if self._encode_next(reading):
            return None
        if reading.embeds is None:
            reading.embeds = embed_prompt(self.encoder, reading.ids, reading.images)
        end = min(reading.done + self.chunk, reading.embeds.shape[1])
        last = end == reading.embeds.shape[1]
        with self.adapters.rows([reading.adapter]):
            scores = prefill(
                self.model,
                reading.embeds[:, reading.done : end],
                reading.cache,
                head=None if last else lambda hidden: hidden,
            )
        reading.done = end
        return scores[0] if last else None

    def _encode_next(self, reading: Reading) -> bool:
        """Encode one image of a prompt; images that are known take no time and do not count."""
        before = self.encoder.encoded
        while reading.encoded < len(reading.images) and self.encoder.encoded == before:
            self.encoder.encode(reading.images[reading.encoded])
            reading.encoded += 1
        return self.encoder.encoded != before

    def step(self, pool: KVPool, rows: slice, tokens: Sequence[int], adapters: Sequence[str | None]) -> Tensor:
        """Put one token into each of ``rows``; hidden states (N, D) from which the next ones follow.

        The pool is not advanced: a step that fails can be done again.
        """
        pool.reserve(rows)
        lengths = pool.lengths[rows]
        device = self.bundle.device
        masks: Any = row_masks(lengths, self.windows, device, self.additive)
        embeds = self.model.get_input_embeddings()(torch.tensor(tokens, device=device)[:, None])
        with self.adapters.rows(adapters):
            hidden: Tensor = self.model.model.language_model(
                inputs_embeds=embeds,
                attention_mask=masks if len(masks) > 1 else next(iter(masks.values())),
                position_ids=torch.tensor(lengths, device=device)[:, None],
                past_key_values=pool.cache(rows),
                use_cache=True,
            ).last_hidden_state
        return hidden[:, -1]

    def scores(self, hidden: Tensor, plain: Sequence[bool]) -> list[Tensor]:
        """Scores (V,) of each row's next token; exact for the best tokens only where ``plain`` says so.

        Args:
            hidden: (N, D).
            plain: rows of which only the likeliest token counts.
        """
        found: list[Tensor | None] = [None] * len(plain)
        for kind in set(plain):
            index = [row for row, own in enumerate(plain) if own == kind]
            head = self.head if kind and self.head is not None else self.model.lm_head
            part = hidden if len(index) == len(plain) else hidden[index]
            for row, scores in zip(index, head(part).float(), strict=True):
                found[row] = scores
        return [scores for scores in found if scores is not None]


def piece_length(model: Any) -> int:
    """Positions of a prompt that are read between two steps of the other answers.

    A large model on a CPU reads about 13 positions a second (8B, bfloat16), so 256 would hold the others up for 20 s.
    """
    weights = list(model.parameters())
    large = sum(weight.numel() for weight in weights) > _LARGE
    return _SHORT_PIECE if large and weights[0].device.type == "cpu" else _PIECE


def attention_windows(config: Any) -> dict[str, int | None]:
    """Sliding window of each kind of attention in a language model, ``None`` for full attention.

    Raises:
        ModelError: ``unsupported_model`` for kinds that a row cache cannot serve.
    """
    kinds = set(getattr(config, "layer_types", None) or ())
    window = getattr(config, "sliding_window", None)
    if unknown := kinds - {"full_attention", "sliding_attention"}:
        raise ModelError(
            f"This engine cannot serve attention of kind {sorted(unknown)}. Serve the model with vLLM instead.",
            f"لا يدعم هذا المحرك نوع الانتباه {sorted(unknown)}. قدم النموذج عبر vLLM بدلا من ذلك.",
            code="unsupported_model",
        )
    if not kinds:
        return {"all": int(window) if window else None}
    return {kind: int(window) if kind == "sliding_attention" and window else None for kind in sorted(kinds)}


def _additive(config: Any, dtype: torch.dtype) -> torch.dtype | None:
    kind = config._attn_implementation
    if kind not in ("sdpa", "eager"):
        raise ModelError(
            f"This engine needs attention of kind sdpa or eager, not {kind}. Load the model without that setting.",
            f"يحتاج هذا المحرك إلى انتباه من نوع sdpa أو eager وليس {kind}. حمل النموذج دون هذا الإعداد.",
            code="unsupported_model",
        )
    return dtype if kind == "eager" else None
