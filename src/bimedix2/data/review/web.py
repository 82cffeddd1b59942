"""The page's server without its sockets: one request in, one response out."""

from __future__ import annotations

import hmac
import secrets
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec

from bimedix2.errors import BiMediX2Error, ImageError

from .desk import Desk, Said
from .errors import ReviewError
from .pictures import Pictures
from .reasons import REASONS
from .view import item_view

LARGEST_BODY = 1 << 20  # bytes
_KINDS = {"js": "text/javascript", "css": "text/css", "html": "text/html", "json": "application/json"}
_FILES = ("app.js", "draw.js", "picture.js", "words.js", "style.css")
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True)
class Request:
    """What a browser asks; names of headers are in lower case."""

    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class Response:
    """What it gets."""

    status: int
    kind: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class Site:
    """Routes of the page.

    Args:
        desk: takes the verdicts.
        pictures: gives the images.
        port: of the server; part of the cookie's name, since cookies do not tell ports apart.
    """

    def __init__(self, desk: Desk, pictures: Pictures, port: int) -> None:
        self.desk, self.pictures, self.cookie = desk, pictures, f"bimedix2_review_{port}"
        self.tokens = {name: secrets.token_urlsafe(32) for name in desk.roles}

    def answer(self, request: Request) -> Response:
        """Answer a request; nothing is told to whoever does not hold a reviewer's token."""
        url = urlsplit(request.target)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        if not _local(request.headers.get("host", "")):
            return _page("denied.html", 403)
        if request.method == "GET" and url.path == "/" and "token" in query:
            return self._enter(query["token"])
        if url.path == "/favicon.ico":  # asked by browsers by themselves; an error would stand in their console
            return Response(204, "image/x-icon", b"")
        reviewer = self._who(_cookies(request.headers.get("cookie", "")).get(self.cookie, ""))
        if reviewer is None:
            return _page("denied.html", 403)
        try:
            if request.method == "GET":
                return self._get(url.path, query, reviewer)
            if request.method == "POST":
                return self._post(url.path, request, reviewer)
        except BiMediX2Error as error:
            return _error(error)
        except sqlite3.Error as error:
            return _error(_unsaved(error))
        return _json({}, 405)

    def _enter(self, token: str) -> Response:
        """Exchange the token of a link for a cookie, so that it does not stay in the address."""
        if self._who(token) is None:
            return _page("denied.html", 403)
        cookie = f"{self.cookie}={token}; Path=/; HttpOnly; SameSite=Strict"
        return Response(303, "text/plain", b"", {"Location": "/", "Set-Cookie": cookie})

    def _who(self, token: str) -> str | None:
        found = None
        for name, own in self.tokens.items():
            if hmac.compare_digest(own.encode(), token.encode("utf-8", "replace")):
                found = name
        return found

    def _get(self, path: str, query: Mapping[str, str], reviewer: str) -> Response:
        if path == "/":
            return _page("index.html")
        if path.startswith("/page/") and path[6:] in _FILES:
            return _page(path[6:])
        if path == "/api/words":
            reasons = {key: reason._asdict() for key, reason in REASONS.items()}
            words = msgspec.json.decode(page_file("words.json"))
            return _json({"words": words, "reasons": reasons, "reviewer": reviewer, "role": self.desk.roles[reviewer]})
        if path == "/api/next":
            return self._state(reviewer, self.desk.next_item(reviewer))
        number = _number(query.get("item", ""))
        if path == "/api/item" and number is not None:
            return self._state(reviewer, number)
        if path == "/image" and number is not None:
            return self._image(reviewer, number, _number(query.get("image", "")))
        return _json({}, 404)

    def _post(self, path: str, request: Request, reviewer: str) -> Response:
        origin, host = request.headers.get("origin"), request.headers.get("host", "")
        if origin is not None and urlsplit(origin).netloc != host:
            return _json({}, 403)
        if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            return _json({}, 415)
        if path == "/api/verdict":
            entry = self.desk.submit(reviewer, _decoded(request.body, Said))
            return _json({"seq": entry.seq})
        if path == "/api/undo":
            return self._state(reviewer, self.desk.undo(reviewer, _decoded(request.body, _Undo).key))
        return _json({}, 404)

    def _state(self, reviewer: str, number: int | None) -> Response:
        """An item that the reviewer may see, with the progress; ``item`` is null where all is done."""
        with self.desk.workspace.mutex:
            return self._state_now(self.desk, reviewer, number)

    def _state_now(self, desk: Desk, reviewer: str, number: int | None) -> Response:
        before = desk.board.before(reviewer, number)
        state: dict[str, Any] = {"item": None, "previous": before, "progress": desk.progress(reviewer)._asdict()}
        if number is not None:
            if not desk.may_see(reviewer, number):
                return _json({}, 404)
            record, original = desk.workspace.pair(number)
            found, others = desk.workspace.found(record.id), desk.others(reviewer, number)
            state["item"] = item_view(number, record, original, found, others, desk.board.mine(reviewer, number))
        return _json(state)

    def _image(self, reviewer: str, number: int, index: int | None) -> Response:
        if index is None or not self.desk.may_see(reviewer, number):
            return _json({}, 404)
        images = self.desk.workspace.pair(number)[0].images
        if index >= len(images):
            return _json({}, 404)
        return Response(200, "image/png", self.pictures.png(images[index]))


class _Undo(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    key: str


def _decoded(body: bytes, kind: type[Any]) -> Any:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ReviewError(f"The request is not valid: {error}.", "الطلب غير صالح.", code="bad_request") from error


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else None


def _local(host: str) -> bool:
    """Whether a request names this machine: another name is a page elsewhere that points its own name at it."""
    name, _, port = host.rpartition(":") if ":" in host else (host, "", "")
    return name in ("127.0.0.1", "localhost") and (not port or port.isdigit())


def _cookies(header: str) -> dict[str, str]:
    pairs: Sequence[tuple[str, str, str]] = [part.strip().partition("=") for part in header.split(";")]
    return {name: value for name, _, value in pairs}


@lru_cache(maxsize=16)
def page_file(name: str) -> bytes:
    """A file of the page."""
    return resources.files("bimedix2.data.review").joinpath("page", name).read_bytes()


def _page(name: str, status: int = 200) -> Response:
    kind = _KINDS[name.rpartition(".")[2]]
    return Response(status, f"{kind}; charset=utf-8", page_file(name))


def _json(value: Any, status: int = 200) -> Response:
    return Response(status, "application/json", msgspec.json.encode(value))


def _unsaved(error: sqlite3.Error) -> ReviewError:
    return ReviewError(
        f"The workspace cannot be used now ({error}). Check the disk's free space, then try again; what was answered "
        "before is safe.",
        f"تعذر استخدام مساحة المراجعة الآن ({error}). تحقق من المساحة الحرة ثم أعد المحاولة؛ ما حفظ من قبل آمن.",
        code="not_saved",
    )


def _error(error: BiMediX2Error) -> Response:
    status = 404 if isinstance(error, ImageError) else 400 if isinstance(error, ReviewError) else 500
    status = 503 if error.code == "not_saved" else status
    return _json({"error": {"code": error.code, "en": error.message, "ar": error.message_ar}}, status)
