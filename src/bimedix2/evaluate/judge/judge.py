"""A model that judges: one question in, one verdict out."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bimedix2.evaluate.schema import Sample
from bimedix2.evaluate.store import write_json

from .protocols import JudgeQuestion
from .verdicts import StoredVerdict
from .wording import Wording, wording

if TYPE_CHECKING:
    from bimedix2.evaluate.engines.endpoint import Endpoint, Price


@dataclass(frozen=True)
class Request:
    """One question to the judge about one reply.

    Attributes:
        key: of the verdict, see :func:`bimedix2.evaluate.judge.verdicts.verdict_key`.
        sample: what was replied to.
        condition: under which the reply was given.
        question: what is asked.
        repeat: number of the repetition, from 0.
    """

    key: str
    sample: Sample
    condition: str
    question: JudgeQuestion
    repeat: int


@dataclass(frozen=True)
class Judge:
    """A model that judges, and how it is asked.

    Attributes:
        endpoint: where it is.
        price: of its tokens; without it cost stays 0.
        repeats: times that every question is asked, with another seed each.
        max_tokens: longest verdict.
        concurrency: requests under way at once.
        texts: what it reads.
        usage_file: receives the endpoint's totals as verdicts arrive.
    """

    endpoint: Endpoint
    price: Price | None = None
    repeats: int = 1
    max_tokens: int = 1024
    concurrency: int = 4
    texts: Wording = field(default_factory=wording)
    usage_file: Path | None = None

    @property
    def fingerprint(self) -> str:
        """Model and settings: changes whenever verdicts may. The prompt is part of each verdict's own key."""
        return f"{self.endpoint.fingerprint}|temperature 0|max_tokens {self.max_tokens}"

    def ask(self, request: Request) -> StoredVerdict:
        """One verdict.

        Raises:
            EndpointError: the endpoint failed, or the budget does not allow it.
        """
        found = _seeded(self.endpoint, request.repeat).chat(request.question.messages, max_tokens=self.max_tokens)
        prompt, written = found.prompt_tokens or 0, found.completion_tokens or 0
        return StoredVerdict(
            key=request.key,
            task=request.sample.task,
            language=request.sample.language,
            condition=request.condition,
            sample=request.sample.id,
            question=request.question.name,
            repeat=request.repeat,
            text=found.text,
            finish_reason=found.finish_reason,
            model=found.model,
            prompt_tokens=prompt,
            completion_tokens=written,
            cost=self.price.of(prompt, written) if self.price else 0.0,
        )

    def write_usage(self) -> None:
        """Keep what has been spent, so that a later run's budget counts it."""
        if self.usage_file is not None:
            write_json(self.usage_file, self.endpoint.usage)

    def at_most(self, requests: list[Request]) -> float | None:
        """The most that requests can cost: no tokenizer makes more tokens than a text has bytes."""
        if self.price is None:
            return None
        size = sum(len(part["content"].encode()) + 16 for request in requests for part in request.question.messages)
        return self.price.of(size, len(requests) * self.max_tokens)


def _seeded(endpoint: Endpoint, repeat: int) -> Endpoint:
    """The same endpoint, ledger and budget included, with another seed for a repeat."""
    if repeat == 0 or endpoint.seed is None:
        return endpoint
    other = copy.copy(endpoint)
    other.seed = endpoint.seed + repeat
    return other
