"""What an export is asked with: the JSON body of ``POST /v1/export/…``, within limits."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

MOST_MESSAGES = 256
MOST_CHARACTERS = 64_000
MOST_PICTURES = 16
_Text = Annotated[str, Field(max_length=MOST_CHARACTERS)]
_Language = Literal["ar", "en"]
_When = r"^\d{4}(-\d{2}(-\d{2}(T\d{2}:\d{2}:\d{2}(\.\d{1,6})?(Z|[+-]\d{2}:\d{2}))?)?)?$"


class _Model(BaseModel):
    # The page sends conversations as the server gave them, with fields that an export does not need.
    model_config = ConfigDict(extra="ignore")


class ImageUrl(_Model):
    """Address of a picture: ``upload:…`` or ``data:image/…;base64,…``."""

    url: Annotated[str, Field(max_length=30_000_000)]


class Part(_Model):
    """One part of a message, as in chat completions."""

    type: Literal["text", "image_url"]
    text: _Text = ""
    image_url: ImageUrl | None = None


class Message(_Model):
    """One message."""

    role: Literal["user", "assistant", "system"]
    content: _Text | Annotated[list[Part], Field(max_length=32)]
    language: Literal["ar", "en", "auto"] | None = None


class Conversation(_Model):
    """A conversation as ``/v1/conversations`` gives it."""

    title: Annotated[str, Field(max_length=500)] = ""
    mode: Literal["chat", "report", "summary"] = "chat"
    messages: Annotated[list[Message], Field(min_length=1, max_length=MOST_MESSAGES)]

    def shown(self) -> list[Message]:
        """What was said; not the rules that the model was given."""
        return [message for message in self.messages if message.role != "system"]


class Version(_Model):
    """A report in one language."""

    text: _Text
    language: _Language | None = None


class Report(Version):
    """A report that a person may have changed.

    Attributes:
        translation: the same report in the other language.
        images: addresses of its pictures, as in messages.
        subject: FHIR reference to the patient, such as ``Patient/123``; nothing else about a patient is taken.
        effective: FHIR date or time of the examination.
    """

    title: Annotated[str, Field(max_length=500)] = ""
    translation: Version | None = None
    images: Annotated[list[Annotated[str, Field(max_length=30_000_000)]], Field(max_length=MOST_PICTURES)] = []
    subject: Annotated[str, Field(pattern=r"^Patient/[A-Za-z0-9.-]{1,64}$")] | None = None
    effective: Annotated[str, Field(pattern=_When)] | None = None


class ExportRequest(_Model):
    """Exactly one of the two, and the language of the labels (by default that of most letters)."""

    conversation: Conversation | None = None
    report: Report | None = None
    language: _Language | None = None

    @model_validator(mode="after")
    def _one(self) -> ExportRequest:
        if (self.conversation is None) == (self.report is None):
            raise ValueError("give either conversation or report")
        return self

    @model_validator(mode="after")
    def _bounded(self) -> ExportRequest:
        texts, pictures = self.texts(), self.pictures()
        if sum(map(len, texts)) > MOST_CHARACTERS or len(pictures) > MOST_PICTURES:
            raise ValueError(f"at most {MOST_CHARACTERS} characters and {MOST_PICTURES} pictures")
        return self

    def texts(self) -> list[str]:
        """Every text, in order."""
        if self.report is not None:
            other = self.report.translation
            return [self.report.text, *([other.text] if other is not None else [])]
        return [text for message in self._messages() for text in texts_of(message)]

    def pictures(self) -> list[str]:
        """Address of every picture, in order."""
        if self.report is not None:
            return list(self.report.images)
        return [url for message in self._messages() for url in pictures_of(message)]

    def _messages(self) -> list[Message]:
        return [] if self.conversation is None else self.conversation.shown()


def texts_of(message: Message) -> list[str]:
    """Texts of a message."""
    if isinstance(message.content, str):
        return [message.content]
    return [part.text for part in message.content if part.type == "text"]


def pictures_of(message: Message) -> list[str]:
    """Addresses of a message's pictures."""
    parts: list[Any] = [] if isinstance(message.content, str) else message.content
    return [part.image_url.url for part in parts if part.type == "image_url" and part.image_url is not None]
