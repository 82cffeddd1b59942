"""Does tokenising segment by segment give the ids of the whole string? Ask each tokenizer, once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bimedix2.records.schema import Turn
from bimedix2.text.chat.codec import Codec, codec_for
from bimedix2.text.chat.corpus import proof_conversations
from bimedix2.text.chat.pieces import segment_pieces, text_runs
from bimedix2.text.chat.segments import Segment, build_segments, check_turns
from bimedix2.text.chat.template import ChatTemplate


@dataclass(frozen=True)
class Proof:
    """Outcome of :func:`prove_segmentwise`.

    Attributes:
        exact: segment-wise ids were those of the whole string in every conversation.
        tested: number of conversations.
        counterexample: the first string for which they differ.
        failures: number of conversations with a difference.
        safe_path: whole strings can be tokenised instead, since the template's tokens are parsed in them.
    """

    exact: bool
    tested: int
    counterexample: str | None
    failures: int = 0
    safe_path: bool = True


def prove_segmentwise(tokenizer: Any, template: ChatTemplate, samples: Sequence[Sequence[Turn]] | None = None) -> Proof:
    """Compare segment-wise and whole-string tokenisation, with template tokens parsed in the whole string.

    Images split a conversation into runs of text in both ways, as they do in a model's input.

    Args:
        tokenizer: transformers fast tokenizer or ``tokenizers.Tokenizer``.
        template: the chat template.
        samples: conversations without names of control tokens in them; ``None`` takes 400 built-in ones and
            remembers the outcome for this tokenizer and template. (Proving takes 0.1 s for a vocabulary of
            262,144, less than a digest of its merges would, so a copy of a tokenizer is simply proved anew.)

    Raises:
        ChatError: ``template_mismatch`` or ``bad_tokenizer``.
    """
    codec = codec_for(tokenizer)
    if samples is not None:
        return _prove(codec, template, samples)
    if template not in codec.proofs:
        codec.proofs[template] = _prove(codec, template, proof_conversations())
    return codec.proofs[template]


def _prove(codec: Codec, template: ChatTemplate, samples: Sequence[Sequence[Turn]]) -> Proof:
    counterexample: str | None = None
    failures, parsed = 0, True
    bos = codec.bos(template)
    with codec.parsing_specials():
        for turns in samples:
            check_turns(turns)
            runs = text_runs(build_segments(turns, template, bos=bos))
            outcomes = [_compare(run, codec, template) for run in runs if run[0].kind != "image"]
            parsed &= all(outcome.parsed for outcome in outcomes)
            wrong = next((outcome.text for outcome in outcomes if not outcome.equal), None)
            failures += wrong is not None
            counterexample = counterexample if counterexample is not None else wrong
    return Proof(failures == 0, len(samples), counterexample, failures, parsed)


@dataclass(frozen=True, slots=True)
class _Outcome:
    text: str
    equal: bool
    parsed: bool


def _compare(run: list[Segment], codec: Codec, template: ChatTemplate) -> _Outcome:
    text = "".join(segment.text for segment in run)
    whole, _ = codec.encode(text)
    pieces = segment_pieces(run, codec, template, lambda index, covered: False)
    names = {codec.token_id(segment.text, template) for segment in run if segment.token}
    parsed = sum(index in names for index in whole) == sum(segment.token for segment in run)
    return _Outcome(text, whole == [index for piece in pieces for index in piece.ids], parsed)
