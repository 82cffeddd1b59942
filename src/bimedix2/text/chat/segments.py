"""A conversation as an ordered list of segments, each with one kind and one answer to "is it supervised?"."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from bimedix2.records.schema import Turn
from bimedix2.text.chat._errors import chat_error
from bimedix2.text.chat.template import ChatTemplate

SpanKind = Literal["special", "header", "image", "content"]


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of a conversation before tokenising.

    Attributes:
        kind: ``content`` is what people typed and is never trusted; all else comes from the template.
        text: its text; empty for an image.
        turn: index of the turn it belongs to; -1 for BOS, default system text and the generation prompt.
        supervised: whether its tokens are targets.
        token: whether ``text`` is the name of one token, put in by id.
        image: index of the image, for ``kind == "image"``.
    """

    kind: SpanKind
    text: str
    turn: int = -1
    supervised: bool = False
    token: bool = False
    image: int | None = None


def check_turns(turns: Sequence[Turn], *, image_count: int | None = None, prompt: bool = False) -> None:
    """Refuse conversations that have no meaning for a chat model.

    Args:
        turns: the conversation.
        image_count: number of images the turns may refer to; ``None`` skips the upper bound.
        prompt: whether an answer is about to be generated.

    Raises:
        ChatError: ``empty_conversation``, ``no_user_turn``, ``bad_turn_order``, ``image_out_of_range``,
            ``image_outside_user_turn`` or ``bad_text``.
    """
    if not turns:
        raise chat_error("empty_conversation")
    if all(turn.role != "user" for turn in turns):
        raise chat_error("no_user_turn")
    for index, turn in enumerate(turns):
        _check_turn(index, turn, image_count)
    if prompt and turns[-1].role != "user":
        raise chat_error(
            "bad_turn_order",
            turn=len(turns) - 1,
            role=turns[-1].role,
            why="the last turn must be the user's when an answer is asked for",
            why_ar="يجب أن تكون الرسالة الأخيرة من المستخدم عند طلب إجابة",
        )


def _check_turn(index: int, turn: Turn, image_count: int | None) -> None:
    if turn.role == "system" and index > 0:
        why, why_ar = "a system turn comes first or not at all", "رسالة النظام تأتي أولا أو لا تأتي"
        raise chat_error("bad_turn_order", turn=index, role=turn.role, why=why, why_ar=why_ar)
    if turn.images and turn.role != "user":
        raise chat_error("image_outside_user_turn", turn=index, role=turn.role)
    for image in turn.images:
        if image < 0 or (image_count is not None and image >= image_count):
            count = "an unknown number of" if image_count is None else image_count
            raise chat_error("image_out_of_range", turn=index, image=image, count=count)
    for position, char in enumerate(turn.text):
        if "\ud800" <= char <= "\udfff":
            raise chat_error("bad_text", turn=index, position=position)


def build_segments(
    turns: Sequence[Turn],
    template: ChatTemplate,
    *,
    bos: str,
    add_generation_prompt: bool = False,
    default_system: str | None = None,
) -> list[Segment]:
    """Lay a checked conversation out as segments.

    Args:
        turns: conversation that passed :func:`check_turns`.
        template: the layout.
        bos: name of the beginning-of-sequence token.
        add_generation_prompt: end with the assistant's header.
        default_system: system text when the conversation has none; ``None`` takes the template's,
            an empty string means none.
    """
    segments = [Segment("special", bos, token=True)]
    if template.captions:
        return segments + list(_caption_segments(turns, template))
    rest = list(enumerate(turns))
    system, system_turn = template.default_system if default_system is None else default_system, -1
    if turns[0].role == "system":
        system, system_turn = turns[0].text, 0
        rest = rest[1:]
    system = (system or "").strip()
    if system and template.system is not None:
        segments += _header(template.system, template, system_turn)
        segments += _content(system, template, system_turn, supervised=False)
        system = ""
    for index, turn in rest:
        folded: tuple[Segment, ...] = ()
        if system and turn.role == "user":
            folded = (
                Segment("content", system, system_turn),
                Segment("header", template.system_joint, index),
            )
            system = ""
        segments += _turn_segments(index, turn, template, folded)
    if add_generation_prompt:
        segments += _header(template.assistant, template, -1)
    return segments


def _header(parts: tuple[str, ...], template: ChatTemplate, turn: int) -> list[Segment]:
    return [Segment("header", part, turn, token=part in template.specials) for part in parts]


def _content(text: str, template: ChatTemplate, turn: int, *, supervised: bool) -> list[Segment]:
    segments = [Segment("content", text, turn, supervised)] if text else []
    segments.append(Segment("special", template.close, turn, supervised, template.close in template.specials))
    if template.after_close:
        segments.append(Segment("special", template.after_close, turn))
    return segments


def _images(index: int, turn: Turn, template: ChatTemplate) -> Iterator[Segment]:
    for image in turn.images:
        yield Segment("image", "", index, image=image)
        if template.image_suffix:
            yield Segment("header", template.image_suffix, index)


def _turn_segments(index: int, turn: Turn, template: ChatTemplate, folded: tuple[Segment, ...]) -> list[Segment]:
    assistant = turn.role == "assistant"
    segments = _header(template.assistant if assistant else template.user, template, index)
    segments += folded
    segments += _images(index, turn, template)
    segments += _content(turn.text.strip(), template, index, supervised=assistant)
    return segments


def _caption_segments(turns: Sequence[Turn], template: ChatTemplate) -> Iterator[Segment]:
    for index, turn in enumerate(turns):
        if turn.role == "user":
            yield from _images(index, turn, template)
        elif turn.role == "assistant":
            yield from _content(turn.text.strip(), template, index, supervised=True)
