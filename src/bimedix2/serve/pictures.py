"""Pictures that come inside a request, decoded by a few limited child processes."""

from __future__ import annotations

import logging

from bimedix2.errors import ImageError
from bimedix2.images import DecodedImage
from bimedix2.images.types import DecodeLimits
from bimedix2.serve.uploads.errors import IdentityError, image_fault
from bimedix2.serve.uploads.pool import DecoderPool

_LOG = logging.getLogger(__name__)


class Pictures:
    """Decodes untrusted bytes; for one event loop.

    Args:
        limits: on one image.
        pool: children to share with uploads; by default its own.
        strict: refuse pictures that may show a name, as uploads then do.
    """

    def __init__(self, limits: DecodeLimits, pool: DecoderPool | None = None, *, strict: bool = False) -> None:
        self.limits, self._strict = limits, strict
        self.pool = pool or DecoderPool(limits)

    async def decode(
        self,
        data: bytes,
        *,
        frame: int | None = None,
        window: tuple[float, float] | None = None,
        param: str | None = None,
    ) -> DecodedImage:
        """One frame of a PNG, JPEG, WebP or DICOM file.

        Args:
            data: the file.
            frame: 0-based.
            window: (centre, width) in modality units.
            param: field of the request, for the error.

        Raises:
            ServeError: it is no picture that can be used; ``code`` is one of ``docs/images.md``.
            QueueFullError: too many pictures wait.
        """
        try:
            image = await self.pool.run(lambda decoder: decoder.decode_bytes(data, frame=frame, window=window))
        except ImageError as error:
            raise image_fault(error, param) from None
        if self._strict and any(notice.code == "may_contain_identity" for notice in image.warnings):
            raise IdentityError(param)
        return image

    async def warm(self) -> None:
        """Start a child now, so that the first picture does not wait for it."""
        try:
            await self.pool.run(lambda decoder: decoder.warm())
        except ImageError as error:
            _LOG.error("image_decoder_unavailable", extra={"code": error.code})

    def close(self) -> None:
        """End the children."""
        self.pool.close()
