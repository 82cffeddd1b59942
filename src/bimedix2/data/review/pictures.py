"""Pictures for the page: decoded in a limited child process and encoded anew, so that no file reaches a browser."""

from __future__ import annotations

import io
import os
import threading
from collections import OrderedDict
from pathlib import Path

from bimedix2.errors import ImageError
from bimedix2.records import ImageRef

_KEPT = 16
LONGEST_SIDE = 2048


class Pictures:
    """PNG files of records' images; the last ones are kept.

    Args:
        root: folder that image paths start from.
        more: further folder that absolute paths may lie in; nothing outside the two is read.
    """

    def __init__(self, root: Path, more: Path | None = None) -> None:
        from bimedix2.images import ImageDecoder

        self._root = Path(os.path.abspath(root))  # noqa: PTH100 -- links may lead to other disks on purpose
        self._allowed = [self._root, *([Path(os.path.abspath(more))] if more else [])]  # noqa: PTH100
        self._decoder = ImageDecoder()
        self._kept: OrderedDict[ImageRef, bytes] = OrderedDict()
        self._mutex = threading.Lock()

    def png(self, image: ImageRef) -> bytes:
        """The image as PNG, at most :data:`LONGEST_SIDE` pixels a side.

        Raises:
            ImageError: it is outside the folder, missing, or cannot be decoded within the limits.
        """
        with self._mutex:
            if image in self._kept:
                self._kept.move_to_end(image)
                return self._kept[image]
            data = self._encode(image)
            self._kept[image] = data
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
            return data

    def close(self) -> None:
        """End the child process."""
        self._decoder.close()

    def _encode(self, image: ImageRef) -> bytes:
        from PIL import Image

        path = Path(os.path.abspath(self._root / image.path))  # noqa: PTH100
        if not any(path.is_relative_to(folder) for folder in self._allowed):
            raise ImageError(
                "The image is outside the data folder. Start the server with the right --data, or with --pictures.",
                "الصورة خارج مجلد البيانات. شغل الخادم بقيمة --data الصحيحة أو بالخيار --pictures.",
                code="image_outside",
            )
        try:
            pixels = self._decoder.decode(path, frame=image.frame, window=image.window).pixels
        except ImageError as error:  # without this machine's folders
            texts = [error.message, error.message_ar]
            for folder in self._allowed:
                texts = [text.replace(f"{folder}{os.sep}", "") for text in texts]
            raise ImageError(*texts, code=error.code) from None
        grey = bool((pixels[..., 0] == pixels[..., 1]).all() and (pixels[..., 1] == pixels[..., 2]).all())
        picture = Image.fromarray(pixels[..., 0] if grey else pixels)
        picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
        buffer = io.BytesIO()
        picture.save(buffer, "PNG", compress_level=1)
        return buffer.getvalue()
