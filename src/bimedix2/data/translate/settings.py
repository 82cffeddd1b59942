"""Settings of the translation step."""

from __future__ import annotations

import msgspec

from bimedix2.records import Language


class TranslateSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How records are translated.

    Attributes:
        target: language to translate into; only records in the other one are taken.
        threshold: score from which a translation passes.
        rounds: times that a translation may go back with its critique; 0 scores once and never sends back.
        critique: have a model score translations at all.
        audit_share: part of the passing translations that an expert sees, chosen by hash of the id and ``seed``.
        keep_low: put translations below the threshold among the records too, beside the review queue.
        with_originals: put the original, with its ``pair_id`` set, before its translation.
        prompt_language: language of the instructions; ``None`` takes the source's.
        allow_no_derivatives: translate records whose licence forbids it.
        max_tokens: longest translation.
        seed: of the audit sample.
    """

    target: Language = "ar"
    threshold: int = 85
    rounds: int = 2
    critique: bool = True
    audit_share: float = 0.05
    keep_low: bool = False
    with_originals: bool = False
    prompt_language: Language | None = None
    allow_no_derivatives: bool = False
    max_tokens: int = 4096
    seed: int = 0
