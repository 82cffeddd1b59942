"""Images of records, hashed: those of training through the store of prints, those of test sets in all their parts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from bimedix2.errors import ImageError
from bimedix2.images import DecodeLimits, ImageDecoder
from bimedix2.images.prints import Picture, Print, PrintStore
from bimedix2.records.schema import ImageRef, Record

from .prints import ImageCodes, codes_of_parts, training_codes
from .testset import Looks

_KEPT = 4096  # images that neighbouring records may share


class Look(NamedTuple):
    """One image of a training record.

    Attributes:
        place: of the image in its record.
        file: key of the file's bytes, as the file or else the record says; None where neither does.
        pixels: key of the decoded pixels.
        codes: perceptual hashes.
        error: why it cannot be read.
    """

    place: int
    file: int | None
    pixels: int | None = None
    codes: ImageCodes | None = None
    error: ImageError | None = None


def short_key(digest: str) -> int:
    """The first 64 bits of a hex SHA-256."""
    return int(digest[:16], 16)


class Pictures:
    """Looks at the images of training records; a context manager.

    Args:
        root: folder that relative paths start from.
        store: SQLite file that keeps prints between runs; the cache's own if not given.
        limits: on decoding one image.
        mirrored: also hash the mirror image.
    """

    def __init__(
        self, root: Path, store: Path | None = None, limits: DecodeLimits | None = None, *, mirrored: bool = True
    ) -> None:
        self._root, self._mirrored = root, mirrored
        self._store = PrintStore(store, limits)
        self._known: dict[Picture, Look] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._store.__exit__(kind, error, trace)

    def looks(self, records: Sequence[Record]) -> list[list[Look]]:
        """All images of each record, unreadable ones with their error; those not met lately are hashed in one go."""
        shown = [[self._picture(reference) for reference in record.images] for record in records]
        wanted = {
            picture: reference
            for record, pictures in zip(records, shown, strict=True)
            for picture, reference in zip(pictures, record.images, strict=True)
        }
        known = {picture: self._known[picture] for picture in wanted if picture in self._known}
        fresh = [picture for picture in wanted if picture not in known]
        for picture, found in zip(fresh, self._store.prints(fresh, crops=False), strict=True):
            known[picture] = self._look(found, wanted[picture])
        self._known = dict(islice(chain(known.items(), self._older(known)), _KEPT))
        return [[known[picture]._replace(place=at) for at, picture in enumerate(own)] for own in shown]

    def _picture(self, reference: ImageRef) -> Picture:
        return Picture((self._root / reference.path).absolute(), reference.frame, reference.window)

    def _older(self, known: dict[Picture, Look]) -> Iterator[tuple[Picture, Look]]:
        return ((picture, look) for picture, look in self._known.items() if picture not in known)

    def _look(self, found: Print | ImageError, reference: ImageRef) -> Look:
        if not isinstance(found, Print):
            return Look(0, stated_key(reference), error=found)
        codes = training_codes(self._store.thumbnails(found), mirrored=self._mirrored)
        return Look(0, short_key(found.file), short_key(found.pixels), codes)


def stated_key(reference: ImageRef) -> int | None:
    """Key of the file's bytes as the record states it."""
    return short_key(reference.sha256) if reference.sha256 else None


def stated_looks(records: Sequence[Record]) -> list[list[Look]]:
    """What records say about their images, where they are not to be opened."""
    return [[Look(at, stated_key(reference)) for at, reference in enumerate(record.images)] for record in records]


class TestPictures:
    """Looks at the images of test items; a context manager.

    Args:
        root: folder that relative paths start from.
        limits: on decoding one image.
    """

    __test__ = False  # its name looks like a test's

    def __init__(self, root: Path, limits: DecodeLimits | None = None) -> None:
        self._root = root
        self._decoder = ImageDecoder(limits or DecodeLimits())
        self._known: dict[tuple[int, int | None, tuple[float, float] | None], Looks] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._decoder.close()

    def looks(self, record: Record) -> list[Looks]:
        """File key, pixel key and codes of every image.

        Raises:
            ImageError: one cannot be read; a test image that is not looked at would never be found.
        """
        return [self._look(reference) for reference in record.images]

    def _look(self, reference: ImageRef) -> Looks:
        path = self._root / reference.path
        image = None
        try:
            file = short_key(hashlib.sha256(path.read_bytes()).hexdigest())
        except OSError:
            image = self._decoder.decode(path)  # fails, and says why
            file = 0
        key = (file, reference.frame, reference.window)
        if key not in self._known:
            image = image or self._decoder.decode(path, frame=reference.frame, window=reference.window)
            self._known[key] = (file, short_key(image.sha256), codes_of_parts(image.pixels))
        return self._known[key]
