"""What the routes and the chat ask of uploads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from bimedix2.errors import ImageError
from bimedix2.images import DecodedImage, ImageDecoder
from bimedix2.images.types import GreyImage
from bimedix2.serve.auth.clock import SYSTEM_CLOCK, Clock
from bimedix2.serve.settings import ServeSettings
from bimedix2.serve.store.database import Database
from bimedix2.serve.uploads.errors import IdentityError, image_fault
from bimedix2.serve.uploads.picture import png_of, take_in
from bimedix2.serve.uploads.pool import DecoderPool
from bimedix2.serve.uploads.store import IN_USE, Upload, UploadStore

Result = TypeVar("Result")
View = tuple[float, float] | None


class Uploads:
    """Takes pictures in and shows them. For one event loop.

    Args:
        settings: limits and retention.
        database: the server's.
        pool: decoders; by default two children of its own.
        clock: replaceable in tests.
    """

    def __init__(
        self,
        settings: ServeSettings,
        database: Database,
        pool: DecoderPool | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.settings = settings
        self.store = UploadStore(database, clock)
        self._pool = pool or DecoderPool(settings.limits.image)

    async def add(self, owner: str, data: bytes) -> dict[str, Any]:
        """Take a file in; the JSON values of the answer.

        Raises:
            ServeError: the file is no picture that can be used, or cannot be kept.
        """
        taken = await self._decode(lambda decoder: take_in(decoder, data))
        codes = {warning["code"] for warning in taken.facts["warnings"]}
        if self.settings.strict_images and "may_contain_identity" in codes:
            raise IdentityError
        return self._answer(await asyncio.to_thread(self.store.add, owner, taken.kept, taken.facts))

    async def get(self, owner: str, name: str) -> dict[str, Any]:
        """The values of the answer to the upload again. Raises ``UnknownUploadError``."""
        return self._answer(await asyncio.to_thread(self.store.get, owner, name))

    async def decode(self, owner: str, name: str, frame: int | None = None, window: View = None) -> DecodedImage:
        """One view of an upload, as the model is to see it.

        Raises:
            ServeError: ``upload_not_found`` or an error of ``bimedix2.images``.
        """
        data = await asyncio.to_thread(self.store.read, owner, name)
        return await self._decode(lambda decoder: decoder.decode_bytes(data, frame=frame, window=window))

    async def png(self, owner: str, name: str, frame: int | None = None, window: View = None) -> bytes:
        """The same view as a PNG. Raises as ``decode``."""
        image = await self.decode(owner, name, frame, window)
        return await asyncio.to_thread(png_of, image)

    async def grey(self, owner: str, name: str, frame: int | None = None) -> GreyImage:
        """Grey values of one frame before any window. Raises as ``decode``, and ``image_not_grey``."""
        data = await asyncio.to_thread(self.store.read, owner, name)
        return await self._decode(lambda decoder: decoder.grey_bytes(data, frame=frame))

    async def delete(self, owner: str, name: str) -> None:
        """Delete one now; whoever is being shown it sees it to the end. Raises ``UnknownUploadError``."""
        await asyncio.to_thread(self.store.delete, owner, name)

    def close(self) -> None:
        """End the decoding children."""
        self._pool.close()

    async def _decode(self, work: Callable[[ImageDecoder], Result]) -> Result:
        try:
            return await self._pool.run(work)
        except ImageError as error:
            raise image_fault(error) from None

    def _answer(self, upload: Upload) -> dict[str, Any]:
        kept = self.settings.retention_hours * 3600.0 if self.settings.keep else 0.0
        return {"id": upload.id, **upload.facts, "expires": int(upload.used + max(kept, IN_USE))}
