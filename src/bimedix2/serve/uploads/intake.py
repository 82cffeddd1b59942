"""The one file of a multipart request, bounded while it arrives. Nothing touches the disk on the way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from bimedix2.serve.uploads.errors import (
    BadUploadError,
    CompressedUploadError,
    SlowUploadError,
    UploadTooLargeError,
)

ROOM_FOR_HEADERS = 16 * 1024
_MOST_PARTS = 8
_LONGEST_BOUNDARY = 200
FIELD = b"file"


class _Form:
    """Callbacks of the parser: keeps the bytes of the field and counts the rest."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.data = bytearray()
        self.name = b""
        self.found = False
        self.complete = False
        self._header, self._value = bytearray(), bytearray()
        self._parts, self._wanted = 0, False

    def on_part_begin(self) -> None:
        self._parts += 1
        self._wanted = False
        if self._parts > _MOST_PARTS:
            raise BadUploadError

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def on_header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            _, options = parse_options_header(bytes(self._value))
            if options.get(b"name") == FIELD:
                if self.found:
                    raise BadUploadError
                self.found = self._wanted = True
                self.name = options.get(b"filename", b"")
        self._header.clear()
        self._value.clear()

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        if not self._wanted:
            return
        if len(self.data) + end - start > self.most:
            raise UploadTooLargeError(self.most)
        self.data += data[start:end]

    def on_end(self) -> None:
        self.complete = True


async def read_file(
    headers: Mapping[str, str], stream: AsyncIterator[bytes], *, most: int, seconds: float
) -> tuple[bytes, bytes]:
    """(bytes of the file, its name as sent).

    Args:
        headers: of the request, names in lower case.
        stream: of the body.
        most: bytes that the file may have.
        seconds: for the whole body to arrive.

    Raises:
        ServeError: 400 where it is no such form, 408, 413 or 415.
    """
    if headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise CompressedUploadError
    length = headers.get("content-length", "")
    if length.isdecimal() and int(length) > most + ROOM_FOR_HEADERS:
        raise UploadTooLargeError(most)
    form = _Form(most)
    parser = _parser(headers.get("content-type", ""), form)
    try:
        async with asyncio.timeout(seconds):
            await _feed(parser, stream, most)
    except TimeoutError:
        raise SlowUploadError from None
    except (FormParserError, ValueError):
        raise BadUploadError from None
    if not form.found or not form.complete:
        raise BadUploadError
    return bytes(form.data), form.name


def _parser(content_type: str, form: _Form) -> MultipartParser:
    kind, options = parse_options_header(content_type)
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not 1 <= len(boundary) <= _LONGEST_BOUNDARY:
        raise BadUploadError
    names = ("on_part_begin", "on_header_field", "on_header_value", "on_header_end", "on_part_data", "on_end")
    try:
        return MultipartParser(boundary, {name: getattr(form, name) for name in names})  # type: ignore[arg-type]
    except FormParserError:
        raise BadUploadError from None


async def _feed(parser: MultipartParser, stream: AsyncIterator[bytes], most: int) -> None:
    left = most + ROOM_FOR_HEADERS
    async for block in stream:
        left -= len(block)
        if left < 0:
            raise UploadTooLargeError(most)
        if block:
            parser.write(block)
    parser.finalize()


def shown_name(name: bytes, longest: int = 80) -> str:
    """A client's file name fit to be shown: last part, no control or direction character, bounded. Never a path.

    Whoever puts it into HTML escapes it there.
    """
    from bimedix2.text import strip_bidi_controls

    text = name[:8192].decode("utf-8", "replace").replace("\\", "/").rsplit("/", 1)[-1]
    text = "".join(letter for letter in strip_bidi_controls(text) if letter.isprintable() and letter != "\ufffd")
    return text if len(text) <= longest else "…" + text[-longest:]
