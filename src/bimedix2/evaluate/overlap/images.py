"""Which evaluation images are in training: the same file, the same pixels, or a copy that was changed a little."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import numpy as np

from bimedix2.errors import ImageError
from bimedix2.images.phash import FRAMES, correlation, distances
from bimedix2.images.prints import Picture, Print, PrintStore, Say, unpack

MAX_BITS = 8
MIN_CORRELATION = 0.95
"""Both are needed, for films of one region share coarse frequencies: of 2.0 million pairs of different chest films at
28 × 28 pixels 6,577 are within 8 bits, and 3 once their thumbnails have to agree too; of 0.62 million pairs of
different images of VQA-RAD and ROCOv2 it is 45 and none. Copies found: 98 to 100 % of those that were re-encoded,
halved, mirrored, padded with black or lit differently, 96 % of even crops of 5 %, 28 % of uneven crops of up to 8 % a
side (``benchmarks/overlap_thresholds.py``)."""
_ASKED, _KNOWN, _SAY = 64, 8192, 512
Kind = Literal["file", "pixels", "near", "path"]
KINDS: tuple[Kind, ...] = ("file", "pixels", "near", "path")


class Match(NamedTuple):
    """One training image that an evaluation image is taken for.

    Attributes:
        known: its place.
        kind: ``file`` same bytes, ``pixels`` same decoded pixels, ``near`` a changed copy, ``path`` the same path
            where the file cannot be read.
        bits: different bits of the perceptual hashes, of 64.
    """

    known: int
    kind: Kind
    bits: int = 0


Prints = Sequence[Print | ImageError]


def match_images(
    asked: tuple[Sequence[Picture], Prints],
    known: tuple[Sequence[Picture], Prints],
    store: PrintStore,
    *,
    max_bits: int = MAX_BITS,
    say: Say = lambda _: None,
) -> list[list[Match]]:
    """Training images that each evaluation image is taken for, the surest kind first.

    Args:
        asked, known: pictures of evaluation and of training with their prints.
        store: has the thumbnails.
        max_bits: hashes that differ in more bits are of different images; 0 finds only equal hashes.
        say: receives progress lines.
    """
    found: list[dict[int, Match]] = [{} for _ in asked[0]]
    paths = {picture: place for place, picture in enumerate(known[0])}
    files, pixels = defaultdict(list), defaultdict(list)
    for place, item in enumerate(known[1]):
        if isinstance(item, Print):
            files[item.file].append(place)
            pixels[item.pixels].append(place)
    for own, picture, item in zip(found, *asked, strict=True):
        if isinstance(item, Print):
            own |= {place: Match(place, "pixels") for place in pixels[item.pixels]}
            own |= {place: Match(place, "file") for place in files[item.file]}
        elif picture in paths:
            own[paths[picture]] = Match(paths[picture], "path")
    for one, other, bits in _near(asked[1], known[1], store, max_bits, say):
        found[one].setdefault(other, Match(other, "near", bits))
    return [sorted(own.values(), key=lambda match: (KINDS.index(match.kind), match.bits)) for own in found]


def _near(asked: Prints, known: Prints, store: PrintStore, max_bits: int, say: Say) -> Iterator[tuple[int, int, int]]:
    """(asked, known, bits) of the pairs within ``max_bits`` whose thumbnails agree, block by block."""
    ones = [(place, item) for place, item in enumerate(asked) if isinstance(item, Print)]
    others = [(place, item) for place, item in enumerate(known) if isinstance(item, Print)]
    for start in range(0, len(ones), _ASKED):
        block = ones[start : start + _ASKED]
        bits = np.stack([unpack(item) for _, item in block])  # (N, F, V, 64)
        for first in range(0, len(others), _KNOWN):
            against = others[first : first + _KNOWN]
            own = np.stack([unpack(item)[:, 0] for _, item in against])  # (M, F, 64)
            least = np.full((len(block), len(against)), 255, np.uint8)
            for frame in range(FRAMES):
                apart = distances(bits[:, frame].reshape(-1, bits.shape[-1]), own[:, frame])
                least = np.minimum(least, apart.reshape(len(block), -1, len(against)).min(1))
            for row, column in zip(*np.nonzero(least <= max_bits), strict=True):
                (one, print_one), (other, print_other) = block[row], against[column]
                if print_one.pixels != print_other.pixels and _agree(print_one, print_other, store, max_bits):
                    yield one, other, int(least[row, column])
        if (done := start + len(block)) % _SAY == 0:
            say(f"images compared: {done}/{len(ones)}")


def _agree(asked: Print, known: Print, store: PrintStore, max_bits: int) -> bool:
    """Whether, in a variant whose hash is near, the thumbnail correlates too."""
    variants, bits = store.thumbnails(asked), unpack(asked)
    own, own_bits = store.thumbnails(known), unpack(known)
    return any(
        correlation(variants[frame, place], own[frame, 0]) >= MIN_CORRELATION
        for frame in range(FRAMES)
        for place in np.flatnonzero(distances(bits[frame], own_bits[frame, :1])[:, 0] <= max_bits)
    )
