"""The address of a picture in a message: its bytes inside the request, or an upload of ours. Nothing else, ever."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Protocol

from bimedix2.images import DecodedImage
from bimedix2.serve.errors import ServeError
from bimedix2.serve.pictures import Pictures
from bimedix2.serve.uploads.reference import SCHEME, parse_reference

_HEAD = re.compile(r"data:([^,;]*)((?:;[^,;]*)*),", re.IGNORECASE)
_TYPES = frozenset({"image/png", "image/jpeg", "image/jpg", "image/webp", "application/dicom", "image/dicom"})
_REMOTE = re.compile(r"\s*[a-z][a-z0-9+.-]*:", re.IGNORECASE)
_LONGEST_HEAD = 200


class UploadSource(Protocol):
    """What the chat asks of the uploads."""

    async def decode(
        self, owner: str, name: str, frame: int | None = None, window: tuple[float, float] | None = None
    ) -> DecodedImage:
        """One view of ``owner``'s upload."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSources:
    """Where pictures come from: the request itself, and uploads where there are any."""

    pictures: Pictures
    uploads: UploadSource | None = None

    async def load(self, url: str, owner: str, param: str) -> DecodedImage:
        """Decode the picture behind ``url``; ``param`` is the field's place.

        Raises:
            ServeError: 400 for an address that is neither, 404 for an unknown upload, else an error of the picture.
        """
        if url.startswith(SCHEME) and self.uploads is not None:
            reference = parse_reference(url, param)
            return await self.uploads.decode(owner, reference.id, reference.frame, reference.window)
        return await self.pictures.decode(inline_bytes(url, param, self.pictures.limits.max_bytes), param=param)


def inline_bytes(url: str, param: str, most: int) -> bytes:
    """The bytes of a ``data:`` URI (RFC 2397) with base64, read strictly; its media type is not believed.

    Raises:
        ServeError: 400 ``remote_images_disabled`` or ``bad_image_url``, 415 ``unsupported_image_type``,
            422 ``image_too_large``.
    """
    head = _HEAD.match(url[:_LONGEST_HEAD])
    if head is None:
        raise _remote(param) if _REMOTE.match(url[:_LONGEST_HEAD]) and not _is_data(url) else _bad(param)
    if head[1].strip().lower() not in _TYPES or not head[2].lower().endswith(";base64"):
        raise _bad(param)
    if (len(url) - head.end()) // 4 * 3 > most + 3:
        raise ServeError(
            "The picture has too many bytes. Make it smaller, or upload it first.",
            "حجم الصورة كبير جدا. صغرها أو ارفعها أولا.",
            code="image_too_large",
            status=422,
            param=param,
        )
    text = url[head.end() :]
    if len(text) % 4 or len(text) - len(text.rstrip("=")) > 2:  # Python's decoder takes too much padding
        raise _bad(param)
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise _bad(param) from None
    if not data:
        raise _bad(param)
    return data


def _is_data(url: str) -> bool:
    return url[:5].lower() == "data:"


def _remote(param: str) -> ServeError:
    return ServeError(
        "This server fetches no pictures from addresses. Send the picture itself as data:image/png;base64,… or upload "
        "it first.",
        "لا يجلب هذا الخادم صورا من العناوين. أرسل الصورة نفسها بالصيغة data:image/png;base64,… أو ارفعها أولا.",
        code="remote_images_disabled",
        param=param,
    )


def _bad(param: str) -> ServeError:
    return ServeError(
        "A picture is written data:image/png;base64,… (PNG, JPEG, WebP or DICOM; standard alphabet, no spaces, with "
        "padding) or upload:ID.",
        "تكتب الصورة هكذا: data:image/png;base64,… (بصيغة PNG أو JPEG أو WebP أو DICOM، بالأبجدية القياسية وبلا مسافات "
        "ومع الحشو) أو upload:ID.",
        code="bad_image_url",
        param=param,
    )
