"""Many untrusted images to pixels at training resolution, several at a time and in order."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import numpy as np
from numpy.typing import NDArray

from bimedix2.errors import ImageError
from bimedix2.images import ImageDecoder, ImagePolicy

from .files import ImageItem

Decoded = bytes | ImageError
# Faults of the installation, which every image would have.
_FATAL = ("image_decoder_unavailable", "dicom_support_missing")
# A busy or full machine can cause these for a good image.
_TRY_AGAIN = ("image_decode_timeout", "image_decoder_crashed")


def decode_all(
    items: Sequence[ImageItem],
    policy: ImagePolicy,
    pack: Callable[[NDArray[np.uint8]], bytes],
    *,
    workers: int,
    chunk: int,
) -> Iterator[list[Decoded]]:
    """Decode, fit and pack images; a fault takes its image's place.

    Args:
        items: the images.
        policy: gives the fit.
        pack: (S, S, 3) uint8 pixels to bytes.
        workers: threads, each with a decoding process of its own; 0 takes the number of processors, 8 at most.
        chunk: images a list.

    Raises:
        ImageError: the installation lacks a part, so that no image of a kind can be decoded.
    """
    local = threading.local()
    with ExitStack() as stack, ThreadPoolExecutor(workers or min(8, os.cpu_count() or 1)) as pool:

        def one(item: ImageItem) -> Decoded:
            if not hasattr(local, "decoder"):
                local.decoder = stack.enter_context(ImageDecoder())
            return _decode(local.decoder, item, policy, pack)

        for start in range(0, len(items), chunk):
            yield list(pool.map(one, items[start : start + chunk]))


def _decode(
    decoder: ImageDecoder, item: ImageItem, policy: ImagePolicy, pack: Callable[[NDArray[np.uint8]], bytes]
) -> Decoded:
    for trial in range(2):
        try:
            image = decoder.decode(item.path, frame=item.frame, window=item.window)
        except ImageError as error:
            if error.code in _FATAL:
                raise
            if error.code in _TRY_AGAIN and trial == 0:
                continue
            return error
        return pack(policy.to_uint8(image.pixels))
    raise AssertionError("not reached")
