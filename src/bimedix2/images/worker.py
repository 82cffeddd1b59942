"""The child process: reads requests from a pipe, decodes under limits, writes pixels back.

It imports numpy and Pillow, and pydicom when the first DICOM file comes; never torch.
"""

from __future__ import annotations

import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from bimedix2.errors import ImageError
from bimedix2.images.protocol import ProtocolError, read_exactly, read_header, unpack_request, write_header
from bimedix2.images.raster import render_raster
from bimedix2.images.types import DecodeLimits, DecodeRequest, Rendered

if TYPE_CHECKING:
    from bimedix2.images.levels import Levels

if sys.platform != "win32":
    import resource


class _Budget:
    """Limits of the operating system, renewed for each image."""

    def __init__(self) -> None:
        self.base = 0
        self.measure()
        if sys.platform != "win32":
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core dump would hold somebody's pixels

    def measure(self) -> None:
        """Take the present address space as the base that ``max_memory`` is added to (Linux)."""
        statistics = Path("/proc/self/statm")
        if statistics.exists():
            self.base = int(statistics.read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")

    def set(self, limits: DecodeLimits) -> None:
        """Bound memory and processor time of the next image."""
        if sys.platform != "win32":
            usage = resource.getrusage(resource.RUSAGE_SELF)
            seconds = int(usage.ru_utime + usage.ru_stime + limits.max_seconds) + 1
            _soften(resource.RLIMIT_CPU, seconds)
            _soften(resource.RLIMIT_FSIZE, 0)
            if self.base:
                _soften(resource.RLIMIT_AS, self.base + limits.max_memory)

    def lift(self) -> None:
        """Give our own imports room."""
        if sys.platform != "win32":
            _soften(resource.RLIMIT_FSIZE, resource.RLIM_INFINITY)
            _soften(resource.RLIMIT_AS, resource.RLIM_INFINITY)


if sys.platform != "win32":

    def _soften(kind: int, value: int) -> None:
        """Set a soft limit, as far as the hard one allows."""
        hard = resource.getrlimit(kind)[1]
        unlimited = resource.RLIM_INFINITY
        ceiling = value if hard == unlimited else hard if value == unlimited else min(value, hard)
        resource.setrlimit(kind, (ceiling, hard))


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests until the parent closes the pipe."""
    budget = _Budget()
    _answer(answers, {"ready": True}, b"")
    while True:
        try:
            header, size = read_header(requests)
        except ProtocolError:
            return
        request = unpack_request(header)
        if request.format == "dicom" and "bimedix2.images.dicom" not in sys.modules:
            _import_dicom(budget)
        budget.set(request.limits)
        _answer(answers, *_guarded(requests, size, request))


def _import_dicom(budget: _Budget) -> None:
    budget.lift()
    try:
        import bimedix2.images.dicom  # noqa: F401
    except ImportError:
        return  # answered as dicom_support_missing when the import is tried again below
    budget.measure()


def _guarded(requests: BinaryIO, size: int, request: DecodeRequest) -> tuple[dict[str, Any], bytes]:
    try:
        bytes(size)  # the bytes must not be half read when memory ends, or the next request is lost
    except MemoryError:
        _drain(requests, size)
        return {"error": "image_too_large"}, b""
    try:
        return _perform(read_exactly(requests, size), request)
    except ImageError as error:
        return {"error": error.code}, b""
    except MemoryError:
        return {"error": "image_too_large"}, b""
    except RecursionError:
        return {"error": "dicom_too_deep"}, b""
    except Exception:  # noqa: BLE001 - hostile bytes make decoders raise anything; texts may quote the file
        return {"error": "image_unreadable"}, b""


def _drain(requests: BinaryIO, size: int) -> None:
    while size > 0:
        size -= len(read_exactly(requests, min(size, 65536)))


def _perform(data: bytes, request: DecodeRequest) -> tuple[dict[str, Any], bytes]:
    if request.format == "dicom":
        try:
            import bimedix2.images.dicom as dicom
        except ImportError:
            raise ImageError("", code="dicom_support_missing") from None
        if request.output == "rgb":
            return _pack(dicom.render_dicom(data, request))
        if request.output == "strip":
            from bimedix2.images.strip import strip_dicom

            return {}, strip_dicom(data)
    if request.output == "grey":
        from bimedix2.images.levels import render_levels

        return _pack_levels(render_levels(data, request))
    return _pack(render_raster(data, request))


def _pack_levels(levels: Levels) -> tuple[dict[str, Any], bytes]:
    height, width = levels.codes.shape
    header = {key: value for key, value in asdict(levels).items() if key != "codes"}
    return {**header, "height": height, "width": width}, levels.codes.astype("<u2").tobytes()


def _pack(rendered: Rendered) -> tuple[dict[str, Any], bytes]:
    height, width = rendered.pixels.shape[:2]
    header = {
        "height": int(height),
        "width": int(width),
        "modality": rendered.modality,
        "window": None if rendered.window is None else [float(number) for number in rendered.window],
        "frame": rendered.frame,
        "frames": rendered.frames,
        "notices": list(dict.fromkeys(rendered.notices)),
    }
    return header, rendered.pixels.tobytes()


def _answer(answers: BinaryIO, header: dict[str, Any], payload: bytes) -> None:
    write_header(answers, header, len(payload))
    answers.write(payload)
    answers.flush()


def main() -> None:
    """Keep the two pipes to ourselves: a decoder that prints must not write into an answer."""
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    serve(requests, answers)
