"""PNG, JPEG and WebP to RGB. Runs in the child process."""

from __future__ import annotations

import io
import struct
import warnings

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from bimedix2.images.grey import Window, apply_window, percentile_window, to_byte
from bimedix2.images.messages import refuse
from bimedix2.images.sniff import check_size, webp_size
from bimedix2.images.types import DecodeRequest, Rendered

PILLOW_NAMES = {"png": "PNG", "jpeg": "JPEG", "webp": "WEBP"}


def render_raster(data: bytes, request: DecodeRequest) -> Rendered:
    """Decode the first picture of a PNG, JPEG or WebP file.

    Raises:
        ImageError: with the code of the fault.
    """
    notices: list[str] = []
    upright = _load(data, request, notices)
    if upright.mode.startswith(("I", "F")):
        return _sixteen_bit(upright, request, notices)
    if request.window is not None:
        refuse("image_bad_window")
    pixels = np.asarray(_to_rgb(upright), dtype=np.uint8)
    return Rendered(pixels=pixels, notices=notices)


def sixteen_bit_values(data: bytes, request: DecodeRequest) -> NDArray[np.int64]:
    """Stored values (height, width) of a 16-bit grey picture.

    Raises:
        ImageError: ``image_not_grey`` for any other picture.
    """
    upright = _load(data, request, [])
    return _stored(upright) if upright.mode.startswith(("I", "F")) else refuse("image_not_grey")


def _load(data: bytes, request: DecodeRequest, notices: list[str]) -> Image.Image:
    if request.frame not in (None, 0):
        refuse("image_frame_not_found")
    if request.format == "webp":
        _check(webp_size(data[:64]) or (0, 0), request)
    if request.format == "png":
        _verify_checksums(data, request)
    with _open(data, request) as picture:
        _check(picture.size, request)
        if getattr(picture, "n_frames", 1) > 1:
            notices.append("animation_first_frame")
        picture.load()
        return _upright(picture, notices)


def _open(data: bytes, request: DecodeRequest) -> Image.Image:
    # Our own check runs on the declared size before any pixel is decoded; Pillow's would only warn.
    Image.MAX_IMAGE_PIXELS = None
    return Image.open(io.BytesIO(data), formats=(PILLOW_NAMES[request.format],))


def _check(size: tuple[int, int], request: DecodeRequest) -> None:
    limits = request.limits
    fault = check_size(*size, limits.max_pixels, limits.max_side, limits.max_aspect)
    if fault is not None:
        refuse(fault)


def _verify_checksums(data: bytes, request: DecodeRequest) -> None:
    """Pillow skips the checksums of pixel chunks while decoding; a flipped bit would pass unseen."""
    with _open(data, request) as picture:
        _check(picture.size, request)
        picture.verify()


def _upright(picture: Image.Image, notices: list[str]) -> Image.Image:
    """Apply the EXIF orientation. A damaged EXIF block is no reason to refuse good pixels."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ImageOps.exif_transpose(picture) or picture
    except (
        OSError,
        SyntaxError,
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        struct.error,
        ZeroDivisionError,
    ):
        notices.append("exif_ignored")
        return picture


def _to_rgb(picture: Image.Image) -> Image.Image:
    """Any 8-bit or 1-bit mode to RGB; transparency shows black, colour profiles are dropped."""
    if "transparency" in picture.info or picture.mode in ("LA", "La", "PA", "RGBA", "RGBa"):
        picture = picture.convert("RGBA")
        black = Image.new("RGBA", picture.size, (0, 0, 0, 255))
        return Image.alpha_composite(black, picture).convert("RGB")
    return picture.convert("RGB")


def _stored(picture: Image.Image) -> NDArray[np.int64]:
    values: NDArray[np.int64] = np.clip(np.asarray(picture), 0, 65535).astype(np.int64)
    return values


def _sixteen_bit(picture: Image.Image, request: DecodeRequest, notices: list[str]) -> Rendered:
    stored = _stored(picture)
    levels = np.arange(65536, dtype=np.float64)
    if request.window is not None:
        window = Window(*request.window)
    else:
        counts = np.bincount(stored.ravel(), minlength=65536)
        window = percentile_window(levels, counts, (0.0, 65535.0))
        notices.append("sixteen_bit_scaled")
    grey = to_byte(apply_window(levels, window))[stored]
    pixels = np.repeat(grey[:, :, None], 3, axis=2)
    return Rendered(pixels=pixels, window=(window.centre, window.width), notices=notices)
