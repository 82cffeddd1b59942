"""The parent's side: sends files to one limited child process and replaces it when it dies."""

from __future__ import annotations

import hashlib
import io
import math
import os
import stat
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np

from bimedix2.errors import ImageError
from bimedix2.images.child import Child, Deadline
from bimedix2.images.messages import clean_name, image_error, image_notice
from bimedix2.images.protocol import ProtocolError
from bimedix2.images.sniff import HEAD_BYTES, SMALLEST_FILE, sniff
from bimedix2.images.types import DecodedImage, DecodeLimits, DecodeRequest, GreyImage


class ImageDecoder:
    """Decodes many images with one child process; safe to share between threads, one image at a time.

    A child that dies or is killed costs only the image at hand: the next one gets a new child. A forked
    process starts a child of its own.

    Example:
        >>> with ImageDecoder() as decoder:  # doctest: +SKIP
        ...     image = decoder.decode("chest.dcm")

    Args:
        limits: bounds on each image.
    """

    def __init__(self, limits: DecodeLimits | None = None) -> None:
        self.limits = limits or DecodeLimits()
        self._child: Child | None = None
        self._lock = threading.Lock()

    def decode(
        self,
        path: str | Path,
        *,
        frame: int | None = None,
        window: tuple[float, float] | None = None,
    ) -> DecodedImage:
        """Decode one file; arguments and errors as for ``load_image``."""
        name = clean_name(str(path))
        try:
            with _open_regular(path) as stream:
                return self._decode(stream, os.fstat(stream.fileno()).st_size, frame, window)
        except ImageError as error:
            raise image_error(error.code, name) from None
        except OSError:
            raise image_error("image_not_found", name) from None

    def decode_bytes(
        self, data: bytes, *, frame: int | None = None, window: tuple[float, float] | None = None
    ) -> DecodedImage:
        """Decode an upload that is in memory; arguments and errors as for ``load_image``."""
        return self._decode(io.BytesIO(data), len(data), frame, window)

    def grey_bytes(self, data: bytes, *, frame: int | None = None) -> GreyImage:
        """Grey values before any window of a DICOM or 16-bit PNG file, with the windows to offer for it.

        Raises:
            ImageError: ``image_not_grey`` for any other picture; else as for ``load_image``.
        """
        _, header, codes = self._answer(io.BytesIO(data), len(data), frame, None, "grey")
        return _grey(header, codes)

    def strip_bytes(self, data: bytes) -> bytes:
        """A DICOM file with its pixels and the attributes that showing them needs, and nothing else.

        Raises:
            ImageError: ``unsupported_image_type`` for another format; else as for ``load_image``.
        """
        if sniff(data[:HEAD_BYTES]) != "dicom":
            raise image_error("unsupported_image_type")
        return self._answer(io.BytesIO(data), len(data), None, None, "strip")[2]

    def warm(self) -> None:
        """Start the child now, so that the first image does not wait for it.

        Raises:
            ImageError: ``image_decoder_unavailable``.
        """
        with self._lock:
            self._ready_child()

    def close(self) -> None:
        """End the child. The decoder can be used again and then starts a new one."""
        with self._lock:
            if self._child is not None:
                self._child.stop()
                self._child = None

    def __enter__(self) -> ImageDecoder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return {"limits": self.limits}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["limits"])  # type: ignore[misc]

    def _decode(
        self, stream: BinaryIO, size: int, frame: int | None, window: tuple[float, float] | None
    ) -> DecodedImage:
        kind, header, pixels = self._answer(stream, size, frame, window, "rgb")
        return _decoded(kind, header, pixels)

    def _answer(
        self, stream: BinaryIO, size: int, frame: int | None, window: tuple[float, float] | None, output: str
    ) -> tuple[str, dict[str, Any], bytes]:
        if size > self.limits.max_bytes:
            raise image_error("image_too_large")
        head = stream.read(HEAD_BYTES)
        if len(head) < SMALLEST_FILE:
            raise image_error("image_unreadable")
        kind = sniff(head)
        if kind is None:
            raise image_error("unsupported_image_type")
        stream.seek(0)
        request = DecodeRequest(kind, frame, _checked_window(window), self.limits, output)
        with self._lock:
            header, payload = self._exchange(request, stream, size)
        return kind, header, payload

    def _exchange(self, request: DecodeRequest, stream: BinaryIO, size: int) -> tuple[dict[str, Any], bytes]:
        child = self._ready_child()
        deadline = Deadline(child, self.limits.max_seconds)
        try:
            with deadline:
                header, pixels = child.ask(request, stream, size)
        except (OSError, ProtocolError):
            self._child = None
            raise image_error(child.cause_of_death(deadline.passed)) from None
        except BaseException:
            # An interrupt leaves half a message in the pipe; such a child must not answer again.
            self._child = None
            child.stop()
            raise
        if deadline.passed:
            self._child = None
            child.stop()
        if "error" in header:
            raise image_error(header["error"])
        return header, pixels

    def _ready_child(self) -> Child:
        if self._child is not None and not self._child.is_usable():
            self._child.stop()
            self._child = None
        if self._child is None:
            self._child = Child()
        return self._child


def _open_regular(path: str | Path) -> BinaryIO:
    """Open a plain file; a folder, pipe or device is not one and may block for ever."""
    try:
        mode = Path(path).stat().st_mode
    except ValueError:  # a NUL in the name
        raise image_error("image_not_found") from None
    if not stat.S_ISREG(mode):
        raise image_error("image_not_found")
    return Path(path).open("rb")


def _checked_window(window: tuple[float, float] | None) -> tuple[float, float] | None:
    if window is None:
        return None
    try:
        centre, width = (float(number) for number in window)
    except (TypeError, ValueError):
        raise image_error("image_bad_window") from None
    if not math.isfinite(centre) or not math.isfinite(width) or width <= 0:
        raise image_error("image_bad_window")
    return centre, width


def _decoded(kind: str, header: dict[str, Any], data: bytes) -> DecodedImage:
    height, width = header["height"], header["width"]
    digest = hashlib.sha256(f"{height}x{width}:".encode())
    digest.update(data)
    return DecodedImage(
        pixels=np.frombuffer(data, dtype=np.uint8).reshape(height, width, 3),
        format=kind,
        modality=header["modality"],
        window=None if header["window"] is None else (header["window"][0], header["window"][1]),
        frame=header["frame"],
        frames=header["frames"],
        warnings=tuple(image_notice(code) for code in header["notices"]),
        sha256=digest.hexdigest(),
    )


def _grey(header: dict[str, Any], data: bytes) -> GreyImage:
    codes = np.frombuffer(data, dtype="<u2").reshape(header["height"], header["width"])
    names = ("low", "high", "step", "padding", "inverted", "laterality", "frame")
    windows = tuple((centre, width, name) for centre, width, name in header["windows"])
    return GreyImage(codes=codes, windows=windows, **{name: header[name] for name in names})
