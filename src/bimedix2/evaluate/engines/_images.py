"""Images for a request: decoded under limits, re-encoded, as ``data:`` addresses."""

from __future__ import annotations

import base64
import io
import threading
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bimedix2.images import ImageDecoder

if TYPE_CHECKING:
    from bimedix2.images import DecodedImage

MAX_SIDE = 1024
_KEPT = 64


class DataUrls:
    """Makes a PNG of every picture; the file's own bytes never leave this computer.

    So a server gets no file that could harm its decoder, no patient data from a DICOM header and no camera data, and
    one that knows no DICOM sees what our own models see: one frame under the file's window, 8 bits. A picture whose
    longest side is above ``max_side`` is scaled down to it; none is scaled up.

    Args:
        max_side: longest side, in pixels.
    """

    def __init__(self, max_side: int = MAX_SIDE) -> None:
        self.max_side = max_side
        self._decoder = ImageDecoder()
        self._known: OrderedDict[tuple[str, int, int], str] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, path: Path) -> str:
        """``data:image/png;base64,…`` of one image file; the last 64 are remembered.

        Raises:
            ImageError: it is missing or cannot be decoded.
        """
        try:
            state = path.stat()
            key = (str(path), state.st_mtime_ns, state.st_size)
        except OSError:
            key = (str(path), 0, 0)
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                return self._known[key]
        data = png_of(self._decoder.decode(path), self.max_side)
        url = f"data:image/png;base64,{base64.b64encode(data).decode('ascii')}"
        with self._lock:
            self._known[key] = url
            while len(self._known) > _KEPT:
                self._known.popitem(last=False)
        return url

    def close(self) -> None:
        """End the decoder's child process; it starts again when needed."""
        self._decoder.close()


def png_of(image: DecodedImage, max_side: int) -> bytes:
    """PNG of decoded pixels (H, W, 3); of one channel where all three are equal, which changes no value."""
    import numpy as np
    from PIL import Image

    pixels: Any = image.pixels
    if np.array_equal(pixels[..., 0], pixels[..., 1]) and np.array_equal(pixels[..., 0], pixels[..., 2]):
        pixels = pixels[..., 0]
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    scale = max_side / max(picture.size)
    if scale < 1:
        width, height = (max(1, round(side * scale)) for side in picture.size)
        picture = picture.resize((width, height), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    picture.save(file, "PNG", compress_level=3)  # a third of level 6's time for 12 % more bytes
    return file.getvalue()
