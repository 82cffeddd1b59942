"""One answer while it is being written: choosing tokens, and text out of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from bimedix2.inference.config import GenerationConfig
from bimedix2.inference.decode import pick
from bimedix2.serve.engines.protocol import Delta, FinishReason
from bimedix2.text.chat import StopFilter, StreamDecoder

if TYPE_CHECKING:
    from .prefix import Key
    from .ticket import Ticket


def is_plain(config: GenerationConfig) -> bool:
    """Whether nothing but the likeliest token matters."""
    return config.temperature == 0 and config.repetition_penalty == 1


class Chooser:
    """Picks the tokens of one answer with its own random numbers, so neighbours change nothing."""

    def __init__(self, config: GenerationConfig, forbidden: Sequence[int], device: Any) -> None:
        self.config, self.forbidden = config, forbidden
        self.generator = torch.Generator(device=device).manual_seed(config.seed)
        self.history: list[int] = []

    def choose(self, scores: Tensor) -> int:
        """The next token, from scores (V,).

        Raises:
            FloatingPointError: the model's scores are not numbers.
        """
        token = int(pick(scores[None], self.config, self.generator, [self.history], self.forbidden)[0])
        # Checked only where it is cheap: one score, and a NaN anywhere wins every comparison.
        if not bool(torch.isfinite(scores[token])):
            raise FloatingPointError("the model's scores are not finite")
        self.history.append(token)
        return token


@dataclass
class Writer:
    """Whole characters out of tokens, up to a stop string, the end token or the length."""

    tokenizer: Any
    config: GenerationConfig
    ends: Sequence[int]
    limit: int
    tokens: int = 0
    reason: FinishReason | None = None
    _decoder: StreamDecoder = field(init=False)
    _stops: StopFilter = field(init=False)

    def __post_init__(self) -> None:
        self._decoder, self._stops = StreamDecoder(self.tokenizer), StopFilter(self.config.stop)

    def push(self, token: int) -> str:
        """Text that is certain after one more token; ``reason`` is set when the answer is complete."""
        if token in self.ends:
            return self._end("stop")
        self.tokens += 1
        piece, stopped = self._stops.push(self._decoder.push(token))
        if stopped:
            self.reason = "stop"
        elif self.tokens >= self.limit:
            return piece + self._end("length")
        return piece

    def _end(self, reason: FinishReason) -> str:
        piece, stopped = self._stops.push(self._decoder.flush())
        self.reason = "stop" if stopped else reason
        return piece if stopped else piece + self._stops.flush()


@dataclass
class Row:
    """An answer with a row in the pool.

    Attributes:
        ticket: the job.
        keys: what its positions stand for, those not yet written included.
        prompt, reused: lengths.
        token: chosen last, not in the pool yet.
        last: the last piece, once the answer is complete.
    """

    ticket: Ticket
    keys: list[Key]
    prompt: int
    reused: int
    chooser: Chooser
    writer: Writer
    token: int = 0
    last: Delta = field(default_factory=Delta)
