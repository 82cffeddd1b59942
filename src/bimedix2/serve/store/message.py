"""What a kept conversation may hold; everything else that is sent is dropped."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from bimedix2.serve.api.schema import ImagePart, TextPart, convert, invalid
from bimedix2.serve.errors import ServeError
from bimedix2.serve.settings import Limits
from bimedix2.text.bidi import strip_bidi_controls

Words = Annotated[str, Meta(max_length=1000)]
# An answer and its notices may be longer than what a person may ask.
_ROOM = 4
_TITLE = 200
_ATTACHMENT = re.compile(
    r"upload:[A-Za-z0-9_-]{1,128}(?:\?[A-Za-z0-9=&.+-]{0,200})?|data:image/(?:png|jpeg|webp);base64,"
)


class Notice(Struct):
    """A notice in both languages."""

    en: Words
    ar: Words


class KeptMessage(Struct, omit_defaults=True, kw_only=True):
    """One message, as the chat takes it, and what the page shows with it."""

    role: Literal["system", "user", "assistant"]
    content: str | list[TextPart | ImagePart]
    language: Literal["en", "ar"] | None = None
    created: float | Annotated[str, Meta(max_length=40)] | None = None
    notices: Annotated[list[Notice], Meta(max_length=16)] = msgspec.field(default_factory=list)
    emergency: bool = False
    stopped: bool = False
    model: Annotated[str, Meta(max_length=200)] = ""
    names: Annotated[list[Annotated[str, Meta(max_length=200)]], Meta(max_length=64)] = msgspec.field(
        default_factory=list
    )


class KeptConversation(Struct, kw_only=True):
    """The body of ``POST`` and ``PUT``."""

    title: str = ""
    mode: Literal["chat", "report", "summary"] = "chat"
    messages: list[KeptMessage] = msgspec.field(default_factory=list)


def read_conversation(value: object, limits: Limits) -> tuple[str, str, list[dict[str, Any]]]:
    """Title, mode and messages of a body, within the limits of the server.

    Raises:
        ServeError: 422 with the field's place; 413 for more text than can be kept.
    """
    body = convert(value, KeptConversation)
    if len(body.messages) > limits.messages:
        raise invalid("messages", f"more than {limits.messages} messages", f"أكثر من {limits.messages} رسالة")
    characters = 0
    for number, message in enumerate(body.messages):
        message.content = [TextPart(message.content)] if isinstance(message.content, str) else message.content
        characters += sum(len(part.text) for part in message.content if isinstance(part, TextPart))
        _check_attachments(message, number)
    if characters > limits.characters * _ROOM:
        raise TooLongError(limits.characters * _ROOM)
    return clean_title(body.title), body.mode, msgspec.to_builtins(body.messages)


class TooLongError(ServeError):
    """More text than one conversation may have."""

    code = "conversation_too_long"
    status = 413

    def __init__(self, most: int) -> None:
        super().__init__(
            f"A kept conversation may have {most} characters. Begin a new one.",
            f"يمكن حفظ محادثة من {most} حرف كحد أقصى. ابدأ محادثة جديدة.",
        )


def clean_title(title: str) -> str:
    """A title of one line without control characters; an override could make it read as something else."""
    printable = "".join(character if character.isprintable() else " " for character in strip_bidi_controls(title))
    return " ".join(printable.split())[:_TITLE]


def _check_attachments(message: KeptMessage, number: int) -> None:
    for place, part in enumerate(message.content):
        if isinstance(part, ImagePart):
            url = part.image_url.url
            # The check of the base64 text itself is left to whoever decodes the picture.
            if (found := _ATTACHMENT.match(url)) is None or (url.startswith("upload:") and found.end() != len(url)):
                raise invalid(
                    f"messages[{number}].content[{place}].image_url",
                    "an attachment is an upload or a data: URI of a PNG, JPEG or WebP",
                    "المرفق إما ملف مرفوع أو رابط data: لصورة PNG أو JPEG أو WebP",
                )
