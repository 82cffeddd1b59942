"""The image files that records name: which are there, which are the same picture, and what their bytes hash to."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from bimedix2.cache import sha256_file
from bimedix2.records.schema import ImageRef, Record
from bimedix2.train.progress import Tell, silent

from .journal import sole_builder, writing

_BATCH = 256


@dataclass(frozen=True)
class ImageItem:
    """A picture to store: one frame of a file under one window.

    Attributes:
        path: absolute.
        sha256: of the file's bytes.
        frame, window: as in :class:`ImageRef`.
    """

    path: str
    sha256: str
    frame: int | None = None
    window: tuple[float, float] | None = None

    def content(self) -> tuple[object, ...]:
        """What makes two pictures the same: bytes, frame and window; where the file lies does not matter."""
        return self.sha256, self.frame, self.window


class ImageFiles:
    """Every image of some records.

    Attributes:
        items: distinct pictures; the place is the index in the image store. Files with equal bytes share one.
        digests: resolved path -> SHA-256, for every file that is there.
    """

    def __init__(self, records: Sequence[Record], root: Path, digests: Callable[[list[str]], dict[str, str]]) -> None:
        self.items: list[ImageItem] = []
        self._resolved: dict[str, str] = {}
        self._places: dict[tuple[object, ...], int] = {}
        for image in _images(records):
            if image.path not in self._resolved:
                self._resolved[image.path] = _resolve(root, image.path)
        self.digests = digests([path for path in dict.fromkeys(self._resolved.values()) if _is_file(path)])
        for image in _images(records):
            self._enter(image)

    def place(self, image: ImageRef) -> int | None:
        """Index of an image in the image store; ``None`` if there is no such file."""
        digest = self.digests.get(self._resolved[image.path])
        return None if digest is None else self._places[digest, image.frame, image.window]

    def path(self, image: ImageRef) -> str:
        """Absolute path of an image."""
        return self._resolved[image.path]

    def _enter(self, image: ImageRef) -> None:
        path = self._resolved[image.path]
        digest = self.digests.get(path)
        if digest is None:
            return
        item = ImageItem(path, digest, image.frame, image.window)
        if self._places.setdefault(item.content(), len(self.items)) == len(self.items):
            self.items.append(item)


def find_images(records: Sequence[Record], root: Path, folder: Path, say: Tell = silent) -> ImageFiles:
    """Look for the images of all records.

    Files are told apart by the SHA-256 of their bytes and not by path, size and time: a store then survives moving
    or copying the data, one picture in two data sets is stored once, and a run's data hash needs the digests
    anyway. Reading every file is paid for once, since ``image-digests.jsonl`` remembers the digest for a path, size
    and time of change (in nanoseconds), as git's index does.

    Args:
        records: the conversations.
        root: folder that relative paths start from.
        folder: where digests are remembered.
        say: receives progress lines.
    """
    memory = folder / "image-digests.jsonl"
    return ImageFiles(records, root, lambda paths: _digests(paths, memory, say) if paths else {})


def _images(records: Sequence[Record]) -> Iterator[ImageRef]:
    return (image for record in records for image in record.images)


def _resolve(root: Path, name: str) -> str:
    try:
        return str((root / name).resolve())
    except (OSError, ValueError, RuntimeError):  # a NUL in the name, a loop of links
        return str(root / name)


def _is_file(path: str) -> bool:
    try:
        return Path(path).is_file()
    except (OSError, ValueError):
        return False


def _digests(paths: Sequence[str], memory: Path, say: Tell) -> dict[str, str]:
    """Digest of every file that can be read, from memory where path, size and time are known."""
    with sole_builder(memory):
        known = _remembered(memory)
        stamps = {path: stamp for path in paths if (stamp := _stamp(path)) is not None}
        found = {path: known[path][1] for path, stamp in stamps.items() if known.get(path, ("", ""))[0] == stamp}
        new = [path for path in stamps if path not in found]
        for batch in _hashed(new):
            found |= batch
            _remember(memory, {path: (stamps[path], digest) for path, digest in batch.items()})
            done, total = len(found), len(stamps)
            say(f"image files read: {done} of {total}", f"ملفات الصور المقروءة: {done} من {total}")
    return found


def _hashed(paths: Sequence[str]) -> Iterator[dict[str, str]]:
    # Hashing lets go of the interpreter's lock, and on a network disk most of the time is waiting.
    with ThreadPoolExecutor(min(8, (os.cpu_count() or 1) + 2)) as pool:
        for start in range(0, len(paths), _BATCH):
            batch = paths[start : start + _BATCH]
            pairs = zip(batch, pool.map(_digest, batch), strict=True)
            yield {path: digest for path, digest in pairs if digest is not None}


def _digest(path: str) -> str | None:
    try:
        return sha256_file(Path(path))
    except OSError:
        return None


def _stamp(path: str) -> str | None:
    try:
        state = Path(path).stat()
    except OSError:
        return None
    return f"{state.st_size}:{state.st_mtime_ns}"


def _remembered(memory: Path) -> dict[str, tuple[str, str]]:
    known: dict[str, tuple[str, str]] = {}
    if memory.is_file():
        for line in memory.read_bytes().splitlines():
            try:
                path, stamp, digest = json.loads(line)
            except ValueError:  # the line at which an earlier process was killed
                continue
            known[path] = stamp, digest
    return known


def _remember(memory: Path, entries: dict[str, tuple[str, str]]) -> None:
    # The line break comes first, so that a torn line spoils itself alone.
    lines = "".join("\n" + json.dumps([path, *entry]) for path, entry in entries.items())
    with writing(memory.parent), memory.open("ab") as file:
        file.write(lines.encode())


def manifest_hash(records: Sequence[Record], digests: Sequence[str]) -> str:
    """Digest of every record's id and text and of every image's bytes, whatever their order.

    Args:
        records: all that were given, bad ones included.
        digests: SHA-256 of every distinct image file that is there.
    """
    digest = hashlib.sha256()
    for index in sorted(range(len(records)), key=lambda place: records[place].id):
        record = records[index]
        digest.update(repr((record.id, [(turn.role, turn.text) for turn in record.turns])).encode())
    for hexdigest in sorted(digests):
        digest.update(hexdigest.encode())
    return digest.hexdigest()
