"""Conversations to token ids, labels and spans.

Two ways lead to the same ids where :func:`bimedix2.text.chat.proof.prove_segmentwise` says so:

* ``segments``: each segment is tokenised by itself, so a label is simply its segment's;
* ``whole``: each run of text between images is tokenised as one string and every token finds its segment by
  the character offsets that the tokenizer reports.

Neither counts on lengths of prefixes nor searches for strings, the two habits by which trainers lose labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from bimedix2.records.schema import Turn
from bimedix2.text.chat.codec import Codec, codec_for
from bimedix2.text.chat.guard import Unsafe
from bimedix2.text.chat.pieces import Piece, segment_pieces, whole_pieces
from bimedix2.text.chat.proof import prove_segmentwise
from bimedix2.text.chat.segments import SpanKind, build_segments, check_turns
from bimedix2.text.chat.template import ChatTemplate

IGNORED = -100
Method = Literal["segments", "whole"]


@dataclass(frozen=True, slots=True)
class Span:
    """Tokens ``[start, end)`` of one kind.

    Attributes:
        start, end: positions in ``Encoded.input_ids``.
        kind: ``special``, ``header``, ``image`` or ``content``.
        supervised: whether these tokens are targets.
        text: the characters they stand for; empty for an image.
        turn: index of the turn; -1 outside of turns.
        image: index of the image for ``kind == "image"``.
    """

    start: int
    end: int
    kind: SpanKind
    supervised: bool
    text: str
    turn: int = -1
    image: int | None = None


@dataclass(frozen=True)
class Encoded:
    """A conversation as tokens.

    Attributes:
        input_ids: token ids, length T.
        labels: length T; the id where supervised, -100 elsewhere.
        spans: cover ``range(T)`` without gaps, in order.
        images: index of the image of each block of image tokens, in order (an image may come twice).
        method: how the text was tokenised.
        notes: what a reader should know, such as a fallback.
    """

    input_ids: list[int]
    labels: list[int]
    spans: list[Span]
    images: tuple[int, ...] = ()
    method: Method = "segments"
    notes: tuple[str, ...] = ()

    @property
    def supervised(self) -> int:
        """Number of tokens that are targets."""
        return sum(label != IGNORED for label in self.labels)


def encode_conversation(
    turns: Sequence[Turn],
    tokenizer: Any,
    template: ChatTemplate,
    *,
    image_token_id: int,
    tokens_per_image: int,
    add_generation_prompt: bool = False,
    default_system: str | None = None,
    image_count: int | None = None,
    method: Method | Literal["auto"] = "auto",
) -> Encoded:
    """Tokenise a conversation.

    Exactly one BOS. Text in turns never yields a control token, an added token or ``image_token_id``.
    Supervised: assistant content and the token that closes it, nothing else. Content is trimmed at both ends
    and otherwise decodes to what was typed, except that SentencePiece-like tokenizers read U+2581 as a space.

    Args:
        turns: the conversation.
        tokenizer: transformers fast tokenizer or ``tokenizers.Tokenizer``.
        template: its chat template.
        image_token_id: id that stands for one image feature; put in by id, never through text.
        tokens_per_image: features per image, P.
        add_generation_prompt: end with the assistant's header so that an answer can follow.
        default_system: system text for conversations without any; ``None`` takes the template's, "" none.
        image_count: how many images there are, to check indices against.
        method: ``auto`` takes ``segments`` where it is proved exact for this tokenizer, else ``whole``.

    Raises:
        ChatError: see :func:`bimedix2.text.chat.segments.check_turns`; ``template_mismatch``,
            ``bad_tokenizer``, ``unencodable_text``.
    """
    check_turns(turns, image_count=image_count, prompt=add_generation_prompt)
    codec = codec_for(tokenizer)
    segments = build_segments(
        turns,
        template,
        bos=codec.bos(template),
        add_generation_prompt=add_generation_prompt,
        default_system=default_system,
    )
    unsafe = _guard(codec, template, image_token_id)
    notes: tuple[str, ...] = ()
    chosen = _choose(tokenizer, template) if method == "auto" else method
    pieces: list[Piece] | None = None
    if chosen == "whole":
        pieces = whole_pieces(segments, codec, template, unsafe, prompt=add_generation_prompt)
        if pieces is None:
            chosen, notes = (
                "segments",
                ("template tokens are not parsed in this string; tokenised by segment",),
            )
    if pieces is None:
        pieces = segment_pieces(segments, codec, template, unsafe)
    return _assemble(pieces, image_token_id, tokens_per_image, chosen, notes)


def _guard(codec: Codec, template: ChatTemplate, image_token_id: int) -> Unsafe:
    closed = {codec.token_id(name, template) for name in template.specials}
    closed |= {codec.token_id(codec.bos(template), template), image_token_id}

    def unsafe(index: int, covered: str) -> bool:
        return index in closed or codec.is_unsafe(index, covered)

    return unsafe


def _choose(tokenizer: Any, template: ChatTemplate) -> Method:
    proof = prove_segmentwise(tokenizer, template)
    return "segments" if proof.exact or not proof.safe_path else "whole"


def _assemble(
    pieces: list[Piece], image_token_id: int, tokens_per_image: int, method: Method, notes: tuple[str, ...]
) -> Encoded:
    ids: list[int] = []
    labels: list[int] = []
    spans: list[Span] = []
    for piece in pieces:
        segment = piece.segment
        new = [image_token_id] * tokens_per_image if segment.kind == "image" else piece.ids
        span = Span(
            len(ids),
            len(ids) + len(new),
            segment.kind,
            piece.supervised,
            piece.text,
            segment.turn,
            segment.image,
        )
        spans.append(span)
        ids += new
        labels += new if piece.supervised else [IGNORED] * len(new)
    images = tuple(span.image for span in spans if span.image is not None)
    return Encoded(ids, labels, spans, images, method, notes)
