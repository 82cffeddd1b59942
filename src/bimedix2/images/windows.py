"""The windows that a viewer may offer for a DICOM image, and the side it shows; no free text of a file passes."""

from __future__ import annotations

from typing import Any

from bimedix2.images import dicom_fields as fields
from bimedix2.images.grey import Window

CT_PRESETS = (
    (-600.0, 1500.0, "lung"),
    (40.0, 400.0, "soft tissue"),
    (50.0, 400.0, "abdomen"),
    (400.0, 1800.0, "bone"),
    (40.0, 80.0, "brain"),
    (35.0, 35.0, "stroke"),
)
"""Customary windows for CT in HU: (centre, width, name)."""
NAMES = (
    *(("SOFT", "soft tissue"), ("MEDIASTIN", "mediastinum"), ("LUNG", "lung"), ("BONE", "bone")),
    *(("BRAIN", "brain"), ("ABDOM", "abdomen"), ("LIVER", "liver"), ("STROKE", "stroke"), ("ANGIO", "vessels")),
)
AUTOMATIC = "automatic"
WINDOW_NAMES = frozenset((AUTOMATIC, *(f"file {n}" for n in range(1, 9)), *(name for *_, name in CT_PRESETS)))
WINDOW_NAMES |= {name for _, name in NAMES}
SIDES = ("L", "R", "B", "U")
EXPLANATION = "WindowCenterWidthExplanation"
SHOWN_KEYWORDS = ("Laterality", "ImageLaterality", EXPLANATION)
MOST_FROM_FILE = 8


def file_windows(dataset: Any, frame: int) -> list[tuple[float, float, str]]:
    """Every valid (centre, width, name) of one frame, in the file's order."""
    where = fields.places(dataset, frame, "FrameVOILUTSequence")
    centres, widths = (fields.numbers(fields.first(where, k)) for k in ("WindowCenter", "WindowWidth"))
    if len(centres) != len(widths):
        return []
    explained = fields.first(where, EXPLANATION)
    texts = [explained] if isinstance(explained, str) else list(explained or [])
    found: list[tuple[float, float, str]] = []
    for index, (centre, width) in enumerate(zip(centres[:MOST_FROM_FILE], widths, strict=False)):
        if Window(centre, width).is_valid() and all(window[:2] != (centre, width) for window in found):
            found.append((centre, width, _name(texts, index)))
    return found


def _name(texts: list[Any], index: int) -> str:
    return (known_name(str(texts[index])) if index < len(texts) else None) or f"file {index + 1}"


def known_name(text: str) -> str | None:
    """The known name that an explanation stands for; the explanation itself is anybody's text."""
    return next((name for key, name in NAMES if key in text.upper()), None)


def offered_windows(
    dataset: Any, frame: int, shown: tuple[float, float] | None
) -> tuple[tuple[float, float, str], ...]:
    """The window that the picture is shown with first, the file's others, then presets for CT."""
    own = file_windows(dataset, frame)
    if shown is not None and all(window[:2] != shown for window in own):
        own.insert(0, (*shown, AUTOMATIC))
    presets = CT_PRESETS if fields.text(dataset, "Modality") == "CT" else ()
    taken = {window[:2] for window in own}
    return (*own, *(preset for preset in presets if preset[:2] not in taken))


def laterality(dataset: Any, frame: int) -> str | None:
    """Which side the image shows, where the file says so in one of the standard's four letters."""
    for place in fields.places(dataset, frame, "FrameAnatomySequence"):
        for keyword in ("FrameLaterality", "ImageLaterality", "Laterality"):
            side = fields.text(place, keyword)
            if side in SIDES:
                return side
    return None
