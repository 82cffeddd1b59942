"""Messages between parent and child: a length, a JSON header, raw bytes. Never pickle.

The parent treats answers as hostile: lengths, shapes, codes and names are checked against what was asked.
"""

from __future__ import annotations

import json
import math
import struct
from dataclasses import asdict
from typing import Any, BinaryIO

from bimedix2.images.dicom_fields import MODALITIES
from bimedix2.images.messages import ERRORS, NOTICES
from bimedix2.images.types import DecodeLimits, DecodeRequest
from bimedix2.images.windows import SIDES, WINDOW_NAMES

MAX_HEADER = 64 * 1024
_PREFIX = struct.Struct("<IQ")


class ProtocolError(Exception):
    """The other side closed the pipe or sent something that is no message."""


def write_header(stream: BinaryIO, header: dict[str, Any], payload_size: int) -> None:
    """Send the prefix and the header; the payload follows by plain writes."""
    text = json.dumps(header).encode()
    stream.write(_PREFIX.pack(len(text), payload_size))
    stream.write(text)


def read_header(stream: BinaryIO) -> tuple[dict[str, Any], int]:
    """(header, payload size).

    Raises:
        ProtocolError: at the end of the stream or on bytes that are no header.
    """
    size, payload_size = _PREFIX.unpack(read_exactly(stream, _PREFIX.size))
    if size > MAX_HEADER:
        raise ProtocolError("header too long")
    try:
        header = json.loads(read_exactly(stream, size))
    except ValueError as error:
        raise ProtocolError("header is not JSON") from error
    if not isinstance(header, dict):
        raise ProtocolError("header is not an object")
    return header, payload_size


def read_exactly(stream: BinaryIO, size: int) -> bytes:
    """Exactly ``size`` bytes.

    Raises:
        ProtocolError: where the stream ends before.
    """
    data = stream.read(size) if size else b""
    if len(data) != size:
        raise ProtocolError("stream ended")
    return data


def pack_request(request: DecodeRequest) -> dict[str, Any]:
    """Request as a header."""
    return {
        "format": request.format,
        "frame": request.frame,
        "window": request.window,
        "limits": asdict(request.limits),
        "output": request.output,
    }


def unpack_request(header: dict[str, Any]) -> DecodeRequest:
    """Header as a request; the child trusts its parent."""
    window = header["window"]
    limits = DecodeLimits(**header["limits"])
    return DecodeRequest(header["format"], header["frame"], tuple(window) if window else None, limits, header["output"])


def check_answer(header: dict[str, Any], payload_size: int, limits: DecodeLimits, output: str = "rgb") -> None:
    """Refuse any answer that an honest child could not have sent.

    Raises:
        ProtocolError: on the first thing that does not fit.
    """
    code = header.get("error")
    if code is not None:
        _require(isinstance(code, str) and code in ERRORS and payload_size == 0)
        return
    if output == "strip":
        _require(132 < payload_size <= limits.max_bytes + MAX_HEADER)
    elif output == "grey":
        _check_grey(header, payload_size, limits)
    else:
        _check_picture(header, payload_size, limits)


def _check_grey(header: dict[str, Any], payload_size: int, limits: DecodeLimits) -> None:
    height, width, frame = (header.get(key) for key in ("height", "width", "frame"))
    _require(all(type(number) is int and number >= 0 for number in (height, width, frame)))
    _require(1 <= height * width <= limits.max_pixels and payload_size == height * width * 2)  # type: ignore[operator]
    _require(all(_is_finite(header.get(key)) for key in ("low", "high", "step")) and header["step"] > 0)
    _require(header.get("padding") in (None, 65535) and type(header.get("inverted")) is bool)
    _require(header.get("laterality") in (None, *SIDES))
    windows = header.get("windows")
    _require(isinstance(windows, list) and len(windows) <= 32 and all(_is_window(window) for window in windows))


def _is_window(window: object) -> bool:
    return (
        isinstance(window, list)
        and len(window) == 3
        and all(map(_is_finite, window[:2]))
        and window[1] > 0
        and window[2] in WINDOW_NAMES
    )


def _check_picture(header: dict[str, Any], payload_size: int, limits: DecodeLimits) -> None:
    height, width, frame, frames = (header.get(key) for key in ("height", "width", "frame", "frames"))
    _require(all(type(number) is int and number >= 0 for number in (height, width, frame, frames)))
    _require(1 <= height * width <= limits.max_pixels and payload_size == height * width * 3)  # type: ignore[operator]
    _require(header.get("modality") in (None, *MODALITIES.values()))
    notices = header.get("notices")
    _require(isinstance(notices, list) and len(notices) <= len(NOTICES) and all(n in NOTICES for n in notices))
    window = header.get("window")
    _require(window is None or (isinstance(window, list) and len(window) == 2 and all(map(_is_finite, window))))


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _require(condition: bool) -> None:
    if not condition:
        raise ProtocolError("answer does not fit the request")
