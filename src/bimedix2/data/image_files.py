"""The images that records name: are they there, inside the data root, and what are their hashes."""

from __future__ import annotations

import os
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Literal

import msgspec

from bimedix2.cache import sha256_file
from bimedix2.records import Record

_COMMIT_EVERY = 200


class Fault(msgspec.Struct, frozen=True):
    """Why an image cannot be used."""

    kind: Literal["outside", "missing", "empty"]
    problem: str
    problem_ar: str
    field: str = ""


class ImageFiles:
    """Looks images up below a root, and hashes them if asked to.

    Args:
        root: that relative paths start from.
        allowed: further folder that absolute paths may lie in.
        hashes: SQLite file that keeps hashes by path, size and time of change, so that an interrupted run does not
            hash an image twice; ``None`` hashes nothing.
    """

    def __init__(self, root: Path, allowed: Path | None = None, hashes: Path | None = None) -> None:
        self._root, self._allowed = root, allowed
        self._last: tuple[str, Fault | None] = ("", None)
        self._hashes = _HashFile(hashes) if hashes is not None else None
        self.counts: Counter[str] = Counter()

    def fault_of(self, record: Record) -> Fault | None:
        """The first image that cannot be used."""
        for index, image in enumerate(record.images):
            if image.path != self._last[0]:  # neighbours often share their image
                self._last = (image.path, self._look(image.path))
            if self._last[1] is not None:
                return msgspec.structs.replace(self._last[1], field=f"images[{index}].path")
        return None

    def _look(self, name: str) -> Fault | None:
        self.counts["looked_up"] += 1
        path = Path(name)
        outside = ".." in path.parts
        if path.is_absolute() and not outside:
            outside = not any(folder and path.is_relative_to(folder) for folder in (self._root, self._allowed))
        if outside:
            return Fault("outside", f"{name} lies outside the data root", f"{name} خارج مجلد البيانات")
        try:
            size = (self._root / path).stat().st_size if (self._root / path).is_file() else -1
        except (OSError, ValueError) as error:
            return Fault("missing", f"{name} cannot be read ({error})", f"تعذرت قراءة {name}")
        if size < 0:
            return Fault("missing", f"{name} is not there; get the images", f"الصورة {name} غير موجودة؛ نزل الصور")
        if size == 0:
            return Fault("empty", f"{name} is empty; get it again", f"الصورة {name} فارغة؛ نزلها من جديد")
        return None

    def hashed(self, record: Record) -> Record:
        """The record with the SHA-256 of its images; unchanged where hashes are not asked for."""
        if self._hashes is None or not record.images:
            return record
        images = [
            msgspec.structs.replace(image, sha256=self._hashes.of(self._root / image.path)) for image in record.images
        ]
        return msgspec.structs.replace(record, images=tuple(images))

    def close(self, *, done: bool) -> None:
        """End the look-ups; the file of hashes goes when the work is done."""
        if self._hashes is not None:
            self._hashes.close(done=done)


class _HashFile:
    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path, self._new = path, 0
        self._base = sqlite3.connect(path)
        self._base.execute(
            "CREATE TABLE IF NOT EXISTS hashes (path TEXT PRIMARY KEY, size INTEGER, changed INTEGER, sha256 TEXT)"
        )

    def of(self, path: Path) -> str:
        """Hex digest; read from the file only if it is new or was changed."""
        facts = path.stat()
        key = (os.fspath(path), facts.st_size, facts.st_mtime_ns)
        found = self._base.execute(
            "SELECT sha256 FROM hashes WHERE path = ? AND size = ? AND changed = ?", key
        ).fetchone()
        if found:
            return str(found[0])
        digest = sha256_file(path)
        self._base.execute("INSERT OR REPLACE INTO hashes VALUES (?, ?, ?, ?)", (*key, digest))
        self._new += 1
        if self._new % _COMMIT_EVERY == 0:
            self._base.commit()
        return digest

    def close(self, *, done: bool) -> None:
        """Keep what was hashed for another run, or remove it."""
        self._base.commit()
        self._base.close()
        if done:
            self._path.unlink(missing_ok=True)
