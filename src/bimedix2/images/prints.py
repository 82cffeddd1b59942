"""Prints of images (digests, perceptual hashes), kept on disk by content so that a second look is quick."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

import numpy as np

from bimedix2.cache import cache_root
from bimedix2.errors import BiMediX2Error, ImageError
from bimedix2.images import DecodeLimits, ImageDecoder
from bimedix2.images.messages import clean_name, image_error
from bimedix2.images.phash import CROPS, FRAMES, THUMBNAIL, Bits, Pixels, hashes

Say = Callable[[str], None]
_VERSION = 1  # raise it when hashes change: old rows are then never found
_COMMIT, _SAY = 50, 500
_SCHEMA = "CREATE TABLE IF NOT EXISTS prints (key TEXT PRIMARY KEY, pixels TEXT, bits BLOB, thumbnails BLOB)"


class Picture(NamedTuple):
    """An image as an item shows it: file, frame and DICOM window (centre, width)."""

    path: Path
    frame: int | None = None
    window: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Print:
    """What two images are compared by.

    Attributes:
        key: of the row in the store.
        file: SHA-256 of the file's bytes.
        pixels: SHA-256 of size and decoded pixels.
        packed: perceptual hashes, see :func:`unpack`.
    """

    key: str
    file: str
    pixels: str
    packed: bytes


def unpack(print_: Print) -> Bits:
    """Bits (F, V, 64) of a print; V is 1 for a training image."""
    return np.unpackbits(np.frombuffer(print_.packed, np.uint8)).reshape(FRAMES, -1, 64).astype(bool)


class PrintStore:
    """Makes prints of images and remembers them; a context manager.

    Every fifty new prints are on disk, so work that was cut off goes on there. A damaged file is put aside and
    started anew: it holds nothing that cannot be made again.

    Args:
        path: the SQLite file; under :func:`bimedix2.cache.cache_root` if not given.
        limits: on decoding one image, for the files are not trusted.
    """

    def __init__(self, path: Path | None = None, limits: DecodeLimits | None = None) -> None:
        self.path = path or cache_root() / "image-prints.sqlite"
        self.limits = limits or DecodeLimits()
        self.decoded = 0
        self._decoder = ImageDecoder(self.limits)
        self._rows = self._opened()

    def _opened(self) -> sqlite3.Connection:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            return _connected(self.path)
        except (OSError, sqlite3.OperationalError) as error:  # locked, read-only, disk full: not ours to repair
            raise _unusable(self.path, error) from error
        except sqlite3.DatabaseError:
            self.path.replace(self.path.with_suffix(".damaged"))
            return _connected(self.path)

    def __enter__(self) -> PrintStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._rows.commit()
        self._rows.close()
        self._decoder.close()

    def prints(
        self, pictures: Sequence[Picture], *, crops: bool, say: Say = lambda _: None
    ) -> list[Print | ImageError]:
        """A print of every picture, or in its place the reason why there is none.

        Args:
            pictures: what to look at.
            crops: also hash crops and mirror images; done for evaluation images, of which there are fewer.
            say: receives progress lines.
        """
        found: list[Print | ImageError] = []
        for number, picture in enumerate(pictures, 1):
            try:
                found.append(self._print(picture, crops))
            except ImageError as error:
                found.append(error)
            if number % _SAY == 0:
                say(f"images: {number}/{len(pictures)}, {self.decoded} decoded so far")
        try:
            self._rows.commit()
        except sqlite3.Error as error:
            raise _unusable(self.path, error) from error
        return found

    def _print(self, picture: Picture, crops: bool) -> Print:
        data = self._bytes(picture.path)
        file = hashlib.sha256(data).hexdigest()
        key = f"{_VERSION}|{file}|{picture.frame}|{picture.window}|{crops}"
        try:
            row = self._rows.execute("SELECT pixels, bits FROM prints WHERE key = ?", (key,)).fetchone()
            if row is None:
                row = self._made(key, data, picture, crops)
        except sqlite3.Error as error:
            raise _unusable(self.path, error) from error
        return Print(key, file, *row)

    def _made(self, key: str, data: bytes, picture: Picture, crops: bool) -> tuple[str, bytes]:
        try:
            image = self._decoder.decode_bytes(data, frame=picture.frame, window=picture.window)
        except ImageError as error:
            raise image_error(error.code, clean_name(str(picture.path))) from None
        bits, thumbnails = hashes(image.pixels, CROPS, mirrored=True) if crops else hashes(image.pixels)
        row = (image.sha256, np.packbits(bits).tobytes())
        self._rows.execute("INSERT OR REPLACE INTO prints VALUES (?, ?, ?, ?)", (key, *row, thumbnails.tobytes()))
        self.decoded += 1
        if self.decoded % _COMMIT == 0:
            self._rows.commit()
        return row

    def _bytes(self, path: Path) -> bytes:
        """Bytes of a plain file; a pipe or device may block for ever and a huge one fills the memory."""
        name = clean_name(str(path))
        try:
            if not path.is_file():
                raise image_error("image_not_found", name)
            if path.stat().st_size > self.limits.max_bytes:
                raise image_error("image_too_large", name)
            return path.read_bytes()
        except OSError:
            raise image_error("image_not_found", name) from None

    def thumbnails(self, print_: Print) -> Pixels:
        """Grey thumbnails (F, V, 32, 32) that belong to the print's hashes."""
        (blob,) = self._rows.execute("SELECT thumbnails FROM prints WHERE key = ?", (print_.key,)).fetchone()
        return np.frombuffer(blob, np.uint8).reshape(FRAMES, -1, THUMBNAIL, THUMBNAIL)


def _connected(path: Path) -> sqlite3.Connection:
    rows = sqlite3.connect(path, timeout=60)
    try:
        rows.execute(_SCHEMA)
    except sqlite3.Error:
        rows.close()
        raise
    return rows


def _unusable(path: Path, error: Exception) -> BiMediX2Error:
    return BiMediX2Error(
        f"The store of image prints {path} cannot be used ({error}). Delete it if it is damaged, free some space, or "
        "set BIMEDIX2_CACHE to a folder that can be written.",
        f"تعذر استخدام مخزن بصمات الصور {path} ({error}). احذفه إن كان تالفا، أو أفرغ مساحة، أو اضبط BIMEDIX2_CACHE "
        "على مجلد قابل للكتابة.",
        code="cache_not_writable",
    )
