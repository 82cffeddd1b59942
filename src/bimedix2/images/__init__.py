"""Images: decoding untrusted files safely, and one preprocessing policy. See ``docs/images.md``.

Names are loaded when first used, so importing this package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bimedix2.images.decoder import ImageDecoder
    from bimedix2.images.load import load_image, load_image_bytes, load_images
    from bimedix2.images.policy import ImagePolicy
    from bimedix2.images.types import DecodedImage, DecodeLimits, ImageNotice

__all__ = [
    "DecodeLimits",
    "DecodedImage",
    "ImageDecoder",
    "ImageNotice",
    "ImagePolicy",
    "load_image",
    "load_image_bytes",
    "load_images",
]

_HOMES = {
    "DecodeLimits": "types",
    "DecodedImage": "types",
    "ImageDecoder": "decoder",
    "ImageNotice": "types",
    "ImagePolicy": "policy",
    "load_image": "load",
    "load_image_bytes": "load",
    "load_images": "load",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
