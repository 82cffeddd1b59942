"""Every error as OpenAI's clients expect it, in the reader's language, and nothing of the request in it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from bimedix2.errors import BiMediX2Error
from bimedix2.serve.api.language import accepted_language
from bimedix2.serve.errors import ServeError

_TEXTS: dict[int, tuple[str, str, str]] = {
    404: (
        "not_found",
        "There is nothing at this address. The documentation lists the addresses of this server.",
        "لا يوجد شيء في هذا العنوان. تسرد الوثائق عناوين هذا الخادم.",
    ),
    405: (
        "method_not_allowed",
        "This address does not take that method. The Allow header names those it takes.",
        "لا يقبل هذا العنوان هذه الطريقة. تسمي الترويسة Allow الطرق المقبولة.",
    ),
}
_KINDS = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    429: "rate_limit_error",
}


def error_content(error: BiMediX2Error, language: str, status: int) -> dict[str, Any]:
    """The JSON values of an error, with both languages beside the one asked for."""
    kind = _KINDS.get(status, "invalid_request_error" if status < 500 else "server_error")
    return {
        "error": {
            "message": error.in_language(language),
            "type": kind,
            "param": getattr(error, "param", None),
            "code": error.code,
        }
    }


def error_response(error: ServeError, accepted: str) -> Response:
    """An answer that says what is wrong.

    Args:
        error: what is wrong.
        accepted: the request's ``Accept-Language``.
    """
    language = accepted_language(accepted)
    headers = {"Content-Language": language, "Vary": "Accept-Language", **dict(getattr(error, "headers", ()))}
    if error.retry_after is not None:
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after)))
    if error.status in (408, 413):
        headers["Connection"] = "close"  # the rest of the request is not read
    body = msgspec.json.encode(error_content(error, language, error.status))
    return Response(body, error.status, headers, "application/json")


def internal_error() -> ServeError:
    """A fault of ours; says nothing of the request."""
    return ServeError(
        "The server has made a mistake. Try again, and tell the person who runs it the request id if it goes on.",
        "حدث خطأ في الخادم. أعد المحاولة، وأبلغ المسؤول عنه برقم الطلب إن تكرر ذلك.",
        code="internal",
        status=500,
    )


def unavailable(error: BiMediX2Error) -> ServeError:
    """An error of the package that the request did not cause."""
    return ServeError(error.message, error.message_ar, code=error.code, status=503, retry_after=30.0)


def add_handlers(app: FastAPI) -> None:
    """Answer every exception of a route in our form."""

    async def ours(request: Request, error: Exception) -> Response:
        assert isinstance(error, ServeError)
        return _answer(request, error)

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return _answer(request, _of_status(error.status_code), error.headers)

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return _answer(request, _of_fields(error))

    app.add_exception_handler(ServeError, ours)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(RequestValidationError, invalid)


def _answer(request: Request, error: ServeError, headers: Mapping[str, str] | None = None) -> Response:
    # A library that reads the body may turn an error of the reading into one of its own.
    cause: ServeError | None = request.scope.get("bimedix2.body_error")
    response = error_response(cause or error, request.headers.get("accept-language", ""))
    for name in ("allow",):
        if headers and (value := {key.lower(): value for key, value in headers.items()}.get(name)):
            response.headers[name] = value
    return response


def _of_status(status: int) -> ServeError:
    known = _TEXTS.get(status)
    if known is None:
        return ServeError(
            "The request cannot be read. Compare it with the documentation.",
            "تتعذر قراءة الطلب. قارنه بما في الوثائق.",
            status=status,
        )
    code, english, arabic = known
    return ServeError(english, arabic, code=code, status=status)


def _of_fields(error: RequestValidationError) -> ServeError:
    """Names the field alone: the rest of FastAPI's text quotes what was sent."""
    errors = error.errors()
    place = [str(part) for part in errors[0]["loc"][1:]] if errors else []
    param = ".".join(place)[:100] or None
    return ServeError(
        "A field of the request has a value that is not allowed. The documentation gives its range.",
        "قيمة أحد حقول الطلب غير مسموح بها. المجال المسموح به في الوثائق.",
        code="invalid_value",
        status=422,
        param=param,
    )
