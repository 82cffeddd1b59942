"""What a chat request may hold, with the ranges that the documentation names."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from bimedix2.serve.errors import ServeError

Name = Annotated[str, Meta(min_length=1, max_length=200)]
Url = Annotated[str, Meta(min_length=1)]
Count = Annotated[int, Meta(ge=1, le=32_768)]
_MISSING = re.compile(r"missing required field `(\w+)`")
_PLACE = re.compile(r" - at `(?:key in )?\$\.?(.*)`$")


class TextPart(Struct, tag_field="type", tag="text"):
    """Words."""

    text: str


class ImageUrl(Struct):
    """A ``data:`` URI of an image, or ``upload:ID?frame=0&center=40&width=400``."""

    url: Url
    detail: Literal["auto", "low", "high"] = "auto"


class ImagePart(Struct, tag_field="type", tag="image_url"):
    """A picture."""

    image_url: ImageUrl


class Message(Struct):
    """One message; other fields are ignored, so that a kept conversation can be sent as it is."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[TextPart | ImagePart]


class StreamOptions(Struct):
    """``include_usage`` adds a chunk with the tokens at the end."""

    include_usage: bool = False


class ResponseFormat(Struct):
    """Plain text is the only form there is."""

    type: Literal["text"] = "text"


class ChatRequest(Struct):
    """``POST /v1/chat/completions``.

    Fields of OpenAI that would change the answer and that no engine here has are accepted with their neutral value
    alone; fields that would not (``user``, ``metadata`` …) are ignored. ``tools`` may be offered, as many pages do with
    every question: a model is free to call none, and ours never does. A call cannot be demanded.
    """

    messages: Annotated[list[Message], Meta(min_length=1)]
    model: Name | None = None
    adapter: Name | None = None
    language: Literal["auto", "en", "ar"] = "auto"
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    max_tokens: Count | None = None
    max_completion_tokens: Count | None = None
    temperature: Annotated[float, Meta(ge=0.0, le=2.0)] | None = None
    top_p: Annotated[float, Meta(gt=0.0, le=1.0)] | None = None
    repetition_penalty: Annotated[float, Meta(ge=0.5, le=2.0)] | None = None
    stop: str | list[str] | None = None
    seed: Annotated[int, Meta(ge=0, le=2**63 - 1)] | None = None
    n: Annotated[int, Meta(ge=1, le=1)] | None = None
    frequency_penalty: Annotated[float, Meta(ge=0.0, le=0.0)] | None = None
    presence_penalty: Annotated[float, Meta(ge=0.0, le=0.0)] | None = None
    logit_bias: Annotated[dict[str, float], Meta(max_length=0)] | None = None
    logprobs: bool | None = None
    tools: Annotated[list[Any], Meta(max_length=128)] | None = None
    tool_choice: Literal["none", "auto"] | None = None
    response_format: ResponseFormat | None = None


Kind = TypeVar("Kind")


def convert(value: object, kind: type[Kind]) -> Kind:
    """JSON values as a request.

    Raises:
        ServeError: 422 ``invalid_value`` with the field's place; what was sent is not quoted.
    """
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise _fault(str(error)) from None


def _fault(text: str) -> ServeError:
    """An error of msgspec: it names types and bounds, and a value only where it is none of a list's."""
    found = _PLACE.search(text)
    place, why = (found[1] if found else "", text[: found.start()] if found else text)
    if missing := _MISSING.search(why):
        place = f"{place}.{missing[1]}".lstrip(".")
    if why.startswith("Invalid"):
        why = "a value that is not one of those allowed"
    return invalid(place[:100] or None, why)


def invalid(param: str | None, why: str, why_ar: str | None = None, *, code: str = "invalid_value") -> ServeError:
    """422: a field's value is not allowed."""
    name = f"`{param}`" if param else "The request"
    return ServeError(
        f"{name} is not acceptable: {why}. The documentation gives the range.",
        f"القيمة {f'`{param}` ' if param else ''}غير مقبولة{f': {why_ar}' if why_ar else ''}. "
        "المجال المسموح به في الوثائق.",
        code=code,
        status=422,
        param=param,
    )
