"""The parts of a data recipe that ask a language model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

RewriteKind = Literal["dialogue", "expand", "vqa", "explain"]
ReplyFormat = Literal["json_schema", "json_object", "none"]


@dataclass(frozen=True)
class EndpointRecipe:
    """An OpenAI-compatible server. Rates, prices and the budget are not limited, or not known, at 0.

    Attributes:
        address: up to and including ``/v1``.
        model: name that the server knows it by.
        api_key_env: environment variable that holds its key.
        concurrency: rows under way at once.
        requests_per_minute, tokens_per_minute: most of them.
        timeout_s: seconds that one request may take.
        retries, repairs: further attempts; times that a reply of the wrong form goes back.
        price_prompt, price_completion: of a million tokens.
        budget: most that the step may cost, earlier runs counted.
        temperature, seed: of sampling.
        reply_format, tokens_field: how the server is asked; see ``bimedix2 data translate --help``.
        max_tokens: longest reply.
    """

    address: str
    model: str
    api_key_env: str = "OPENAI_API_KEY"
    concurrency: int = 16
    requests_per_minute: float = 0.0
    tokens_per_minute: float = 0.0
    timeout_s: float = 120.0
    retries: int = 6
    repairs: int = 2
    price_prompt: float = 0.0
    price_completion: float = 0.0
    budget: float = 0.0
    temperature: float = 0.0
    seed: int = 0
    reply_format: ReplyFormat = "json_schema"
    tokens_field: str = "max_tokens"
    max_tokens: int = 4096


@dataclass(frozen=True)
class RewriteRecipe:
    """New records by a language model, put after the records that they are made from.

    Attributes:
        kinds: what is made.
        endpoint: the model.
        exchanges, items, sentences, short_words: see ``bimedix2 data rewrite --help``.
        keep_originals: keep the records that something was made from.
        allow_no_derivatives: also of records whose licence forbids it.
    """

    kinds: tuple[RewriteKind, ...]
    endpoint: EndpointRecipe
    exchanges: int = 4
    items: int = 5
    sentences: int = 3
    short_words: int = 6
    keep_originals: bool = True
    allow_no_derivatives: bool = False


@dataclass(frozen=True)
class TranslateRecipe:
    """Translations by a language model, put after their originals.

    Attributes:
        endpoint, critic: the translating model, and the scoring one where it is another.
        target: language to translate into.
        glossaries: CSV files with the columns en and ar, from the recipe's folder.
        tico19: also take the terms of TICO-19 from the data folder.
        threshold, rounds, critique, audit_share, keep_low, checks: see ``bimedix2 data translate --help``.
        allow_no_derivatives: also of records whose licence forbids it.
    """

    endpoint: EndpointRecipe
    critic: EndpointRecipe | None = None
    target: Literal["ar", "en"] = "ar"
    glossaries: tuple[str, ...] = ()
    tico19: bool = False
    threshold: int = 85
    rounds: int = 2
    critique: bool = True
    audit_share: float = 0.05
    keep_low: bool = False
    checks: bool = True
    allow_no_derivatives: bool = False
