"""One line of the audit log."""

from __future__ import annotations

import hashlib
from typing import Any, Literal

import msgspec

Action = Literal["start", "accept", "edit", "reject", "skip", "undo"]
Role = Literal["reviewer", "adjudicator", "owner"]


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the audit log.

    Attributes:
        seq: its number; 0 before it is written.
        at: UTC, ISO 8601.
        reviewer: pseudonym.
        role: in which the reviewer spoke.
        action: what was done.
        item: number of the item.
        reason: key of :data:`bimedix2.data.review.reasons.REASONS`.
        note: the reviewer's own words.
        turns: all texts of the translation after an edit.
        seconds: that the item was on the screen.
        undoes: number of the line that an undo takes back.
        origin: ``page``, or the format of the file that it was read from.
        key: given by the sender, so that a line sent twice is written once.
        previous, hash: SHA-256 of the line before and of this one together with it.
    """

    reviewer: str
    action: Action
    key: str
    role: Role = "reviewer"
    item: int | None = None
    reason: str = ""
    note: str = ""
    turns: tuple[str, ...] | None = None
    seconds: float | None = None
    undoes: int | None = None
    origin: str = "page"
    at: str = ""
    seq: int = 0
    previous: str = ""
    hash: str = ""

    def chained(self, previous: str) -> str:
        """Hash of this line after the one with the hash ``previous``."""
        said = (self.at, self.reviewer, self.role, self.action, self.item, self.reason, self.note, self.turns)
        rest = (self.seconds, self.undoes, self.origin, self.key, previous)
        return hashlib.sha256(msgspec.json.encode((*said, *rest))).hexdigest()


COLUMNS = "seq, at, reviewer, role, action, item, reason, note, turns, seconds, undoes, origin, key, previous, hash"
"""The line as columns of the table ``log``."""


def entry_of(values: dict[str, Any]) -> Entry:
    """The line that columns hold."""
    turns = values["turns"]
    if turns is not None:
        values["turns"] = msgspec.json.decode(turns, type=tuple[str, ...])
    return Entry(**values)
