"""Is there writing in a picture? By DICOM attributes, and by pixels.

The pixel rule is cheap and coarse: a line of writing is a band of rows in which, within a short stretch, dark and
bright change many times with full contrast, between calmer rows above and below. It cannot tell a patient's name from
a scale or the letter L; it says where a person, or text recognition, has to look.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bimedix2.errors import ImageError

CONTRAST, WINDOW, CHANGES = 90, 96, 14
"""Grey levels between neighbours, columns of a stretch, and changes in it that a row of writing has at least."""
LEAST_ROWS, MOST_ROWS = 5, 40
_LONGEST = 1024


def has_writing(pixels: NDArray[np.uint8]) -> bool:
    """Whether a picture (H, W, 3) or (H, W) seems to have a line of writing."""
    from PIL import Image

    image = Image.fromarray(pixels).convert("L")
    if max(image.size) > _LONGEST:
        image.thumbnail((_LONGEST, _LONGEST))
    grey = np.asarray(image).astype(np.int16)
    if min(grey.shape) < 2 * LEAST_ROWS or grey.shape[1] <= WINDOW:
        return False
    # Two columns apart, for a stroke that was smoothed takes two steps to change.
    steps = np.abs(grey[:, 2:] - grey[:, :-2]) >= CONTRAST
    edges = steps & ~np.pad(steps, ((0, 0), (1, 0)))[:, :-1]
    sums = np.cumsum(np.pad(edges, ((0, 0), (1, 0))), axis=1)
    window = min(WINDOW, sums.shape[1] - 1)
    inside = (sums[:, window:] - sums[:, :-window]).max(1) >= CHANGES
    return any(LEAST_ROWS <= size <= MOST_ROWS for size in _runs(inside))


def _runs(rows: NDArray[np.bool_]) -> list[int]:
    """Lengths of runs of True."""
    turns = np.flatnonzero(np.diff(np.concatenate([[0], rows.astype(np.int8), [0]])))
    return [int(size) for size in turns[1::2] - turns[::2]]


def picture_notes(path: Path, frame: int | None = None) -> tuple[str, ...]:
    """Why a picture may show who it is; empty if nothing says so, ``("unreadable",)`` if nobody can tell."""
    from bimedix2.images import load_image

    from .records import is_dicom

    try:
        notes: list[str] = []
        if path.is_file() and is_dicom(path):
            from .dicom import scan_dicom

            notes += scan_dicom(path).burned_in
        if has_writing(load_image(path, frame=frame).pixels):
            notes.append("seems to have writing")
    except ImageError:
        return ("unreadable",)
    return tuple(notes)
