"""Make a conversation fit: whole old exchanges go, tokens of an image are never split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bimedix2.records.schema import Turn
from bimedix2.text.chat._errors import chat_error
from bimedix2.text.chat.encode import Encoded, encode_conversation
from bimedix2.text.chat.template import ChatTemplate


@dataclass(frozen=True)
class Fitted:
    """A conversation that fits.

    Attributes:
        turns: the turns that stayed; their image indices are unchanged.
        encoded: their tokens. ``encoded.images`` names the images still needed, in order.
        dropped: indices of the turns that went, in the conversation given.
        dropped_images: indices of the images that no remaining turn shows.
    """

    turns: tuple[Turn, ...]
    encoded: Encoded
    dropped: tuple[int, ...]
    dropped_images: tuple[int, ...]

    def report(self, language: str) -> str:
        """What was dropped, in ``"ar"`` or ``"en"``; empty when nothing was."""
        if not self.dropped:
            return ""
        turns, images = len(self.dropped), len(self.dropped_images)
        if language == "ar":
            return f"حُذفت أقدم {turns} من الرسائل و{images} من الصور لتتسع المحادثة."
        return f"Dropped the oldest {turns} turn(s) and {images} image(s) so that the conversation fits."


def fit_to_length(
    turns: Sequence[Turn],
    tokenizer: Any,
    template: ChatTemplate,
    *,
    image_token_id: int,
    tokens_per_image: int,
    max_length: int,
    add_generation_prompt: bool = False,
    default_system: str | None = None,
    image_count: int | None = None,
) -> Fitted:
    """Encode a conversation in at most ``max_length`` tokens.

    The oldest exchanges (a user turn and what answers it) are dropped whole until the rest fits. The system
    turn and the last exchange always stay.

    Args:
        turns: the conversation.
        tokenizer, template, image_token_id, tokens_per_image, add_generation_prompt, default_system,
            image_count: as in :func:`bimedix2.text.chat.encode.encode_conversation`.
        max_length: limit in tokens; leave room for the answer when generating.

    Raises:
        ChatError: ``prompt_too_long`` when the last exchange alone does not fit, and those of encoding.
    """
    groups = _exchanges(turns)
    dropped: list[int] = []
    while True:
        kept = [turn for index, turn in enumerate(turns) if index not in dropped]
        encoded = encode_conversation(
            kept,
            tokenizer,
            template,
            image_token_id=image_token_id,
            tokens_per_image=tokens_per_image,
            add_generation_prompt=add_generation_prompt,
            default_system=default_system,
            image_count=image_count,
        )
        excess = len(encoded.input_ids) - max_length
        if excess <= 0:
            return Fitted(tuple(kept), encoded, tuple(dropped), _lost_images(turns, kept))
        if len(groups) < 2:
            raise chat_error("prompt_too_long", length=len(encoded.input_ids), limit=max_length)
        dropped += _oldest(groups, encoded, turns, dropped, excess)


def _exchanges(turns: Sequence[Turn]) -> list[list[int]]:
    """Indices of turns by exchange; the system turn is in none."""
    groups: list[list[int]] = []
    seen_user = False
    for index, turn in enumerate(turns):
        if turn.role == "system":
            continue
        if not groups or (turn.role == "user" and seen_user):
            groups.append([])
        seen_user |= turn.role == "user"
        groups[-1].append(index)
    return groups


def _oldest(
    groups: list[list[int]], encoded: Encoded, turns: Sequence[Turn], dropped: Sequence[int], excess: int
) -> list[int]:
    """Take oldest exchanges off ``groups`` until their tokens make up for ``excess``; the last one stays."""
    kept = [index for index in range(len(turns)) if index not in set(dropped)]
    sizes = dict.fromkeys(kept, 0)
    for span in encoded.spans:
        if span.turn >= 0:
            sizes[kept[span.turn]] += span.end - span.start
    gone: list[int] = []
    while excess > 0 and len(groups) > 1:
        group = groups.pop(0)
        excess -= sum(sizes[index] for index in group)
        gone += group
    return gone


def _lost_images(turns: Sequence[Turn], kept: Sequence[Turn]) -> tuple[int, ...]:
    before = {image for turn in turns for image in turn.images}
    after = {image for turn in kept for image in turn.images}
    return tuple(sorted(before - after))
