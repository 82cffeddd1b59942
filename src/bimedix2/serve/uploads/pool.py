"""A few decoding children that requests take in turn."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from bimedix2.images import ImageDecoder
from bimedix2.images.types import MIB, DecodeLimits
from bimedix2.serve.errors import QueueFullError

Result = TypeVar("Result")
_RETRY_SECONDS = 2.0


class DecoderPool:
    """Decoders for one event loop; each is one limited child, started when first used.

    Args:
        limits: on one image. What we keep is lossless and may take more bytes than what was sent.
        size: children.
        waiting: requests that may wait beside those served.
    """

    def __init__(self, limits: DecodeLimits, size: int = 2, waiting: int = 16) -> None:
        kept = replace(limits, max_bytes=max(limits.max_bytes, 3 * limits.max_pixels + MIB))
        self._decoders = [ImageDecoder(kept) for _ in range(size)]
        self._free: asyncio.Queue[ImageDecoder] = asyncio.Queue()
        for decoder in self._decoders:
            self._free.put_nowait(decoder)
        self._most, self._present = size + waiting, 0

    async def run(self, work: Callable[[ImageDecoder], Result]) -> Result:
        """``work`` with a decoder of its own, in a thread.

        Raises:
            QueueFullError: too many are waiting.
        """
        if self._present >= self._most:
            raise QueueFullError(_RETRY_SECONDS)
        self._present += 1
        try:
            decoder = await self._free.get()
            try:
                return await asyncio.to_thread(work, decoder)
            finally:
                # After a cancellation the thread may still use it; a decoder has a lock of its own.
                self._free.put_nowait(decoder)
        finally:
            self._present -= 1

    def close(self) -> None:
        """End the children."""
        for decoder in self._decoders:
            decoder.close()
