"""A request's body as JSON values, or an error: nothing that two readers could understand differently."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

from starlette.requests import Request

from bimedix2.serve.errors import ServeError

DEPTH = 32
_LARGE = 256 * 1024  # bytes; reading more than these takes longer than handing them to a thread
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_NUL = b"\\u0000"
_JSON_TYPES = ("application/json", "text/json")


class BadJSONError(ServeError):
    """The body is not JSON that can be read in one way only."""

    code = "invalid_json"
    status = 400

    def __init__(self, why: str, why_ar: str) -> None:
        super().__init__(f"The body is not acceptable JSON: {why}.", f"محتوى الطلب ليس JSON مقبولا: {why_ar}.")


async def read_json(request: Request) -> dict[str, Any]:
    """The object that a request holds.

    Raises:
        ServeError: 400 ``invalid_json``, 415 for another media type; 413 and 408 come from the gate.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in _JSON_TYPES and not kind.endswith("+json"):
        # A form of another site can send any text but not this header.
        raise ServeError(
            "Send the request as JSON, with the header Content-Type: application/json.",
            "أرسل الطلب بصيغة JSON مع الترويسة Content-Type: application/json.",
            code="unsupported_media_type",
            status=415,
        )
    body = await request.body()
    return parse(body) if len(body) < _LARGE else await asyncio.to_thread(parse, body)


def parse(body: bytes) -> dict[str, Any]:
    """Read strictly: no NaN, no key twice, no half of a surrogate pair, no NUL, at most 32 levels.

    Raises:
        BadJSONError: it is anything else.
    """
    try:
        text = body.decode("utf-8")
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except UnicodeDecodeError:
        raise BadJSONError("it is not UTF-8", "ليس بترميز UTF-8") from None
    except RecursionError:
        raise _too_deep() from None
    except ValueError:
        raise BadJSONError("it cannot be parsed", "تتعذر قراءته") from None
    if not isinstance(value, dict):
        raise BadJSONError("it must be an object", "يجب أن يكون كائنا")
    _check(value, 1, strings=_SURROGATE.search(body) is not None or _NUL in body)
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise BadJSONError("a key stands twice in one object", "يتكرر مفتاح في كائن واحد")
    return found


def _no_constant(name: str) -> Any:
    raise BadJSONError("NaN and Infinity are not numbers of JSON", "ليست NaN وInfinity من أعداد JSON")


def _too_deep() -> BadJSONError:
    return BadJSONError(f"it nests deeper than {DEPTH} levels", f"يتداخل أكثر من {DEPTH} مستوى")


def _check(value: Any, level: int, *, strings: bool) -> None:
    """Depth of containers and, where an escape could have made one, characters that are no text."""
    if isinstance(value, str):
        if strings and any(character == "\0" or "\ud800" <= character <= "\udfff" for character in value):
            raise BadJSONError(
                "a string holds a NUL or half of a surrogate pair", "يحتوي نص على محرف NUL أو على نصف زوج بديل"
            )
        return
    if not isinstance(value, dict | list):
        return
    if level > DEPTH:
        raise _too_deep()
    if isinstance(value, dict) and strings:
        for key in value:
            _check(key, level, strings=True)
    for item in value.values() if isinstance(value, dict) else value:
        _check(item, level + 1, strings=strings)
