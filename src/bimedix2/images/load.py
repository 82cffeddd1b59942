"""The room's front door: one image, or many with one child process."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal, overload

from bimedix2.errors import ImageError
from bimedix2.images.decoder import ImageDecoder
from bimedix2.images.types import DecodedImage, DecodeLimits, ImageReference

DEFAULT_LIMITS = DecodeLimits()


def load_image(
    path: str | Path,
    *,
    frame: int | None = None,
    window: tuple[float, float] | None = None,
    limits: DecodeLimits = DEFAULT_LIMITS,
) -> DecodedImage:
    """Decode one PNG, JPEG, WebP or DICOM file in a limited child process of its own.

    Args:
        path: the file. Its name plays no part in telling the format.
        frame: 0-based frame of a multi-frame file; None takes the first and says so.
        window: (centre, width) in modality units (HU for CT; stored values for a 16-bit PNG). None takes
            the file's first window or table, and else the 1st to 99th percentile.
        limits: bounds on size, pixels, memory and time.

    Returns:
        Pixels (H, W, 3) uint8 with notices.

    Raises:
        ImageError: ``code`` is one of those in ``docs/images.md``.
    """
    with ImageDecoder(limits) as decoder:
        return decoder.decode(path, frame=frame, window=window)


def load_image_bytes(
    data: bytes,
    *,
    frame: int | None = None,
    window: tuple[float, float] | None = None,
    limits: DecodeLimits = DEFAULT_LIMITS,
) -> DecodedImage:
    """Decode an upload that is in memory; see ``load_image``."""
    with ImageDecoder(limits) as decoder:
        return decoder.decode_bytes(data, frame=frame, window=window)


@overload
def load_images(
    references: Iterable[str | Path | ImageReference],
    *,
    root: str | Path | None = None,
    limits: DecodeLimits = DEFAULT_LIMITS,
    on_error: Literal["raise"] = "raise",
) -> list[DecodedImage]: ...


@overload
def load_images(
    references: Iterable[str | Path | ImageReference],
    *,
    root: str | Path | None = None,
    limits: DecodeLimits = DEFAULT_LIMITS,
    on_error: Literal["return"],
) -> list[DecodedImage | ImageError]: ...


def load_images(
    references: Iterable[str | Path | ImageReference],
    *,
    root: str | Path | None = None,
    limits: DecodeLimits = DEFAULT_LIMITS,
    on_error: Literal["raise", "return"] = "raise",
) -> list[DecodedImage] | list[DecodedImage | ImageError]:
    """Decode many images with one child process, in order.

    Args:
        references: paths, or records' ``ImageRef`` with path, frame and window.
        root: folder that relative paths start from.
        limits: bounds on each image.
        on_error: ``"raise"`` stops at the first fault; ``"return"`` puts the error in its image's place.

    Raises:
        ImageError: with ``on_error="raise"``.
    """
    results: list[DecodedImage | ImageError] = []
    with ImageDecoder(limits) as decoder:
        for reference in references:
            try:
                results.append(_decode_reference(decoder, reference, root))
            except ImageError as error:
                if on_error == "raise":
                    raise
                results.append(error)
    return results


def _decode_reference(
    decoder: ImageDecoder, reference: str | Path | ImageReference, root: str | Path | None
) -> DecodedImage:
    if isinstance(reference, str | Path):
        return decoder.decode(_under(root, reference))
    return decoder.decode(_under(root, reference.path), frame=reference.frame, window=reference.window)


def _under(root: str | Path | None, path: str | Path) -> Path:
    return Path(path) if root is None else Path(root) / path
