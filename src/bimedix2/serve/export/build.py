"""From a request to the neutral document, with the pictures that it points to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from bimedix2.notice import notice
from bimedix2.records.schema import Language
from bimedix2.serve.engines.protocol import EngineInfo
from bimedix2.serve.export.document import Block, Document, block, blocks_of
from bimedix2.serve.export.request import (
    Conversation,
    ExportRequest,
    Message,
    Report,
    pictures_of,
    texts_of,
)
from bimedix2.serve.export.wording import DRAFT, caption, word
from bimedix2.text.bidi import Direction, direction_of

LANGUAGES: tuple[Language, Language] = ("en", "ar")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A picture as the model saw it.

    Attributes:
        png: its pixels.
        frame: (frame, frames), counted from 1.
        window: (centre, width) or None.
        side: ``L``, ``R``, ``B``, ``U`` or None.
    """

    png: bytes
    frame: tuple[int, int] | None = None
    window: tuple[float, float] | None = None
    side: str | None = None


class PictureSource(Protocol):
    """Finds the pictures of the caller."""

    async def show(self, owner: str, url: str) -> Shown | None:
        """The picture behind an address of a message; ``None`` where it is no longer kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """What the writers need.

    Attributes:
        document: for Markdown, DOCX and PDF.
        reports: text of the report by language, for FHIR.
        shown: the pictures that were found, in order.
        made: when.
    """

    document: Document
    reports: dict[Language, str]
    shown: tuple[Shown, ...]
    made: datetime


async def build(request: ExportRequest, owner: str, pictures: PictureSource, info: EngineInfo) -> Export:
    """Fetch the pictures and lay the blocks out.

    Raises:
        ServeError: a picture cannot be decoded.
    """
    language = request.language or _first_language(request)
    found = [await pictures.show(owner, url) for url in request.pictures()]
    made = datetime.now(UTC).replace(microsecond=0)
    if request.report is not None:
        title = request.report.title or word("report", language)
        body = _report_blocks(request.report, found, language)
        reports = _reports(request.report)
    else:
        conversation = request.conversation
        assert conversation is not None
        title = conversation.title or word(conversation.mode, language)
        body = _conversation_blocks(conversation, found, language)
        reports = _answers(conversation, language)
    blocks = (*_head(title, language, made, info), *body)
    document = Document(title=block(title).text, language=language, blocks=blocks)
    return Export(document=document, reports=reports, shown=tuple(s for s in found if s is not None), made=made)


def _first_language(request: ExportRequest) -> Language:
    """That of the report, or of the first message with letters."""
    if request.report is not None and request.report.language is not None:
        return request.report.language
    return _language(next((text for text in request.texts() if any(map(str.isalpha, text))), ""))


def _direction(language: str) -> Direction:
    return "rtl" if language == "ar" else "ltr"


def _head(title: str, language: Language, made: datetime, info: EngineInfo) -> list[Block]:
    base = _direction(language)
    facts = f"{word('made', language)}: {made:%Y-%m-%d %H:%M} UTC · {word('model', language)}: {info.model}"
    return [
        block(title, "title", default=base),
        *(block(f"{DRAFT[name]}. {notice(name)}", "notice", default=_direction(name)) for name in LANGUAGES),
        block(f"{facts} ({info.fingerprint})" if info.fingerprint else facts, "notice", default=base),
    ]


def _picture_block(shown: Shown | None, number: int, language: Language) -> Block:
    base = _direction(language)
    if shown is None:
        return block(f"{word('picture', language)} {number}: {word('gone', language)}", "notice", default=base)
    text = caption(language, number, shown.frame, shown.window, shown.side)
    return block(text, "picture", default=base, picture=shown.png)


def _conversation_blocks(conversation: Conversation, found: list[Shown | None], language: Language) -> list[Block]:
    blocks: list[Block] = []
    number = 0
    for message in conversation.shown():
        base = _direction(language if message.language in (None, "auto") else str(message.language))
        blocks.append(block(word(message.role, language), "heading", default=_direction(language)))
        for _ in pictures_of(message):
            number += 1
            blocks.append(_picture_block(found[number - 1], number, language))
        for text in texts_of(message):
            blocks += blocks_of(text, base)
    return blocks


def _report_blocks(report: Report, found: list[Shown | None], language: Language) -> list[Block]:
    blocks = [_picture_block(shown, number, language) for number, shown in enumerate(found, 1)]
    for version in (report, report.translation):
        if version is not None:
            blocks += blocks_of(version.text, _direction(version.language or language))
    return blocks


def _reports(report: Report) -> dict[Language, str]:
    versions = [version for version in (report, report.translation) if version is not None]
    return {version.language or _language(version.text): version.text for version in versions}


def _answers(conversation: Conversation, language: Language) -> dict[Language, str]:
    """The last answer in each language; a conversation without any gives its last message."""
    answers = [message for message in conversation.messages if message.role == "assistant"]
    return {_message_language(message, language): "\n".join(texts_of(message)) for message in answers}


def _message_language(message: Message, default: Language) -> Language:
    if message.language in ("ar", "en"):
        return "ar" if message.language == "ar" else "en"
    return _language("\n".join(texts_of(message)), default)


def _language(text: str, default: Language = "en") -> Language:
    return "ar" if direction_of(text, _direction(default)) == "rtl" else "en"
