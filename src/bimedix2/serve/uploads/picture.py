"""From the bytes that somebody sent to what is kept of them and what is told about them."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from bimedix2.errors import ImageError
from bimedix2.images import DecodedImage, ImageDecoder
from bimedix2.images.messages import image_error
from bimedix2.images.types import GreyImage

_LEVEL = 1  # of zlib: people wait for the picture, and the disk holds it for a while only
_PNG_DEPTH = 24  # where a PNG's header says how many bits a sample has


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """An upload that is a picture.

    Attributes:
        kept: what goes to the disk: a DICOM file with its pixels and little else, or a PNG of ours.
        facts: JSON values of the answer, without id and expiry.
    """

    kept: bytes
    facts: dict[str, Any]


def take_in(decoder: ImageDecoder, data: bytes) -> Taken:
    """Decode, and keep what showing the picture again needs. The bytes that came are not kept.

    Raises:
        ImageError: the picture cannot be used.
    """
    image = decoder.decode_bytes(data)
    if image.format == "dicom":
        kept = decoder.strip_bytes(data)
        if decoder.decode_bytes(kept).sha256 != image.sha256:
            raise image_error("image_unreadable")
        return Taken(kept=kept, facts=_facts(image, _grey(decoder, kept)))
    grey = _grey(decoder, data) if image.format == "png" and data[_PNG_DEPTH] == 16 else None
    return Taken(kept=png_of(image) if grey is None else _sixteen_bit_png(grey), facts=_facts(image, grey))


def _grey(decoder: ImageDecoder, data: bytes) -> GreyImage | None:
    try:
        return decoder.grey_bytes(data)
    except ImageError as error:
        if error.code != "image_not_grey":
            raise
        return None


def png_of(image: DecodedImage) -> bytes:
    """The pixels as a PNG, with one channel where all three are the same."""
    pixels = image.pixels
    grey = bool((pixels[..., 0] == pixels[..., 1]).all() and (pixels[..., 0] == pixels[..., 2]).all())
    return _png(Image.fromarray(np.ascontiguousarray(pixels[..., 0]) if grey else pixels))


def _sixteen_bit_png(grey: GreyImage) -> bytes:
    values = grey.codes.astype(np.int64) + int(grey.low)
    return _png(Image.fromarray(values.astype(np.uint16)))


def _png(picture: Image.Image) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, "PNG", compress_level=_LEVEL)
    return stream.getvalue()


WINDOW_NAMES_AR = {
    "automatic": "تلقائية",
    "lung": "الرئة",
    "soft tissue": "الأنسجة الرخوة",
    "mediastinum": "المنصف",
    "abdomen": "البطن",
    "bone": "العظم",
    "brain": "الدماغ",
    "stroke": "السكتة الدماغية",
    "liver": "الكبد",
    "vessels": "الأوعية",
    **{f"file {number}": f"الملف {number}" for number in range(1, 9)},
}


def _facts(image: DecodedImage, grey: GreyImage | None) -> dict[str, Any]:
    width, height = image.size
    windows = list(grey.windows) if grey is not None else []
    if not windows and image.window is not None:
        windows = [(*image.window, "automatic")]
    return {
        "kind": "dicom" if image.format == "dicom" else "image",
        "format": image.format,
        "width": width,
        "height": height,
        "frames": image.frames,
        "modality": image.modality,
        "grey": grey is not None,
        "windows": [
            {"center": centre, "width": size, "name": name, "name_ar": WINDOW_NAMES_AR[name]}
            for centre, size, name in windows
        ],
        "laterality": grey.laterality if grey is not None else None,
        "warnings": [
            {"code": notice.code, "en": str(notice), "ar": notice.message_ar}
            for notice in image.warnings
            if notice.code != "multi_frame_first"  # the page has a slider
        ],
    }
