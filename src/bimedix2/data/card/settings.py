"""What people must say in a data card, for no file says it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CardSettings:
    """Words of the set's makers.

    Attributes:
        description, description_ar: what the set is.
        limits, limits_ar: known limits beyond those that the reports tell.
        name, name_ar: of the set; the file's name if empty.
        plots: draw pictures of the counts beside the card.
    """

    description: str = ""
    description_ar: str = ""
    limits: tuple[str, ...] = ()
    limits_ar: tuple[str, ...] = ()
    name: str = ""
    name_ar: str = ""
    plots: bool = True
