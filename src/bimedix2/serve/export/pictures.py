"""Pictures of an export: uploads of the caller and bytes inside the request, decoded as for the model."""

from __future__ import annotations

import asyncio

from bimedix2.images import DecodedImage
from bimedix2.serve.api.images import UploadSource, inline_bytes
from bimedix2.serve.export.build import Shown
from bimedix2.serve.pictures import Pictures
from bimedix2.serve.uploads.errors import UnknownUploadError
from bimedix2.serve.uploads.picture import png_of
from bimedix2.serve.uploads.reference import SCHEME, parse_reference
from bimedix2.serve.uploads.service import Uploads


class ExportPictures:
    """Finds pictures; never by a remote address or a path."""

    def __init__(self, uploads: UploadSource | None, pictures: Pictures) -> None:
        self._uploads, self._pictures = uploads, pictures

    async def show(self, owner: str, url: str) -> Shown | None:
        """As ``PictureSource``."""
        if not url.startswith(SCHEME):
            data = inline_bytes(url, "image_url", self._pictures.limits.max_bytes)
            return await self._shown(await self._pictures.decode(data, param="image_url"), None)
        reference = parse_reference(url, "image_url")
        if self._uploads is None:
            return None
        try:
            facts = await self._uploads.get(owner, reference.id) if isinstance(self._uploads, Uploads) else {}
            image = await self._uploads.decode(owner, reference.id, reference.frame, reference.window)
        except UnknownUploadError:
            return None
        return await self._shown(image, facts.get("laterality"))

    async def _shown(self, image: DecodedImage, side: str | None) -> Shown:
        png = await asyncio.to_thread(png_of, image)
        return Shown(png=png, frame=(image.frame + 1, image.frames), window=image.window, side=side)
