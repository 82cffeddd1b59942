"""Parts of a card, the same for Markdown and for the page."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Text:
    """A paragraph; ``strong`` where it must not be passed over."""

    text: str
    strong: bool = False


@dataclass(frozen=True)
class Items:
    """A list."""

    items: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A table; figures are columns whose cells are all numbers."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def is_number(self, column: int) -> bool:
        """Whether a column holds numbers alone."""
        return bool(self.rows) and all(row[column].replace(",", "").strip(" %+.").isdigit() for row in self.rows)


@dataclass(frozen=True)
class Picture:
    """A picture beside the card."""

    path: Path
    alt: str


Block = Text | Items | Table | Picture


@dataclass
class Section:
    """A heading and what stands below it."""

    title: str
    blocks: list[Block] = field(default_factory=list)
