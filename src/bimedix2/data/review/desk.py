"""What a reviewer gets to see and may say: the next item, verdicts, undo, progress."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from bimedix2.records import Record
from bimedix2.records.validate import find_fault

from .board import Board
from .entry import Action, Entry, Role
from .errors import ReviewError
from .reasons import REASONS
from .store import Row, Workspace

CLAIM_SECONDS = 1800.0
_LONGEST_NOTE = 2000


class Said(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A verdict as it arrives: see :class:`bimedix2.data.review.store.Entry`."""

    item: int
    action: Action
    key: str
    reason: str = ""
    note: str = ""
    turns: tuple[str, ...] | None = None
    seconds: float | None = None


class Progress(NamedTuple):
    """How far a reviewer is.

    Attributes:
        mine: items that the reviewer judged.
        left: items that wait for the reviewer.
        decided, total: of the queue, by all reviewers together.
    """

    mine: int
    left: int
    decided: int
    total: int


class Desk:
    """The one place through which verdicts enter a workspace; threads may share it.

    Args:
        workspace: opened for writing.
        roles: reviewers and what they do.
    """

    def __init__(self, workspace: Workspace, roles: Mapping[str, Role]) -> None:
        self.workspace, self.roles = workspace, dict(roles)
        self.board = Board(workspace.require_ready())
        self._claims: dict[str, tuple[int, float]] = {}

    def next_item(self, reviewer: str) -> int | None:
        """The next item for a reviewer, kept for that reviewer for half an hour; ``None`` if all is done."""
        with self.workspace.mutex:
            held = self._claims.get(reviewer)
            for row in self.board.queue():
                if self._is_for(row, reviewer):
                    chosen = row
                    if held is not None and held[0] != row.number and self._still_for(held[0], reviewer):
                        chosen = self.workspace.row(held[0]) or row
                    self._claims[reviewer] = (chosen.number, time.monotonic())
                    return chosen.number
            return None

    def may_see(self, reviewer: str, number: int) -> bool:
        """Whether a reviewer holds an item or judged it before."""
        with self.workspace.mutex:
            held = self._claims.get(reviewer)
            return (held is not None and held[0] == number) or self.board.mine(reviewer, number) is not None

    def others(self, reviewer: str, number: int) -> list[Entry]:
        """What the readers said, for the adjudicator alone: a reviewer reads without knowing of others."""
        if self.roles[reviewer] != "adjudicator":
            return []
        with self.workspace.mutex:
            return [entry for entry in self.board.judged(number) if entry.reviewer != reviewer]

    def submit(self, reviewer: str, said: Said, origin: str = "page", at: str = "") -> Entry:
        """Write a verdict down.

        Raises:
            ReviewError: the item is not the reviewer's, or the verdict is not complete.
        """
        with self.workspace.mutex:
            if origin == "page" and not self.may_see(reviewer, said.item):
                raise _refused("not_yours", "This item is not yours to judge.", "هذا العنصر ليس من نصيبك.")
            turns = self._checked(said)
            seconds = None if said.seconds is None else min(max(said.seconds, 0.0), 86_400.0)
            entry = Entry(
                reviewer=reviewer,
                role=self.roles[reviewer],
                action=said.action,
                item=said.item,
                reason=said.reason if said.action in ("edit", "reject") else "",
                note=said.note.strip(),
                turns=turns,
                seconds=seconds,
                origin=origin,
                key=said.key,
                at=at,
            )
            before = self.workspace.by_key(said.key)
            if before is not None and (before.reviewer, before.item, before.action) != (
                reviewer,
                said.item,
                said.action,
            ):
                raise _refused("key_used", "This key belongs to another verdict.", "هذا المفتاح لحكم آخر.")
            if before is None:
                before = self.workspace.append(entry)
                self.board.note(before)
            self._claims.pop(reviewer, None)
            return before

    def undo(self, reviewer: str, key: str) -> int:
        """Take back the reviewer's last verdict, keep its item for the reviewer and return its number.

        Raises:
            ReviewError: there is nothing to take back.
        """
        with self.workspace.mutex:
            before, last = self.workspace.by_key(key), self.board.last_of(reviewer)
            if before is None and last is not None:
                role = self.roles[reviewer]
                before = self.workspace.append(
                    Entry(reviewer=reviewer, role=role, action="undo", item=last.item, undoes=last.seq, key=key)
                )
                self.board.note(before)
            if before is None or before.item is None or (before.reviewer, before.action) != (reviewer, "undo"):
                raise _refused("nothing_to_undo", "There is nothing to undo.", "لا يوجد ما يمكن التراجع عنه.")
            self._claims[reviewer] = (before.item, time.monotonic())
            return before.item

    def progress(self, reviewer: str) -> Progress:
        """How far a reviewer is."""
        with self.workspace.mutex:
            queue = self.board.queue()
            mine = sum(self.board.mine(reviewer, row.number) is not None for row in queue)
            left = sum(self._is_for(row, reviewer) for row in queue)
            if self.roles[reviewer] == "adjudicator":
                mine = sum(entry.role == "adjudicator" for row in queue for entry in self.board.judged(row.number))
            return Progress(mine, left, sum(self.board.final(row).decided for row in queue), len(queue))

    def _still_for(self, number: int, reviewer: str) -> bool:
        row = self.workspace.row(number)
        return row is not None and self._is_for(row, reviewer)

    def _is_for(self, row: Row, reviewer: str) -> bool:
        """Whether a reviewer should read an item: not read by the reviewer, and by too few others."""
        if self.board.mine(reviewer, row.number) is not None:
            return False
        if self.roles[reviewer] == "adjudicator":
            return self.board.final(row).state == "disputed"
        judged = {entry.reviewer for entry in self.board.judged(row.number)}
        since = time.monotonic() - CLAIM_SECONDS
        for other, (number, at) in self._claims.items():
            if number == row.number and at > since and other != reviewer and self.roles[other] == "reviewer":
                judged.add(other)
        return len(judged) < row.readers

    def _checked(self, said: Said) -> tuple[str, ...] | None:
        """The texts of an edit; ``ReviewError`` where a verdict is not complete."""
        if said.action not in ("accept", "edit", "reject", "skip"):
            raise _refused("bad_action", f"{said.action} is no verdict.", f"القيمة {said.action} ليست حكما.")
        if not said.key or len(said.key) > 100:
            raise _refused("bad_key", "A verdict needs a key of its own.", "يحتاج الحكم إلى مفتاح خاص به.")
        if len(said.note) > _LONGEST_NOTE:
            raise _refused("long_note", "The note is too long.", "الملاحظة أطول من اللازم.")
        if said.action in ("edit", "reject") and said.reason not in REASONS:
            raise _refused("no_reason", "Choose a reason from the list.", "اختر سببا من القائمة.")
        if said.action in ("edit", "reject") and said.reason == "other" and not said.note.strip():
            raise _refused("no_note", "Say what the other reason is.", "اذكر السبب الآخر.")
        _encodable(said.note)
        if said.action != "edit":
            return None
        row = self.workspace.row(said.item)
        if row is None:
            raise _refused("no_item", "There is no such item.", "لا يوجد عنصر كهذا.")
        return checked_edit(self.workspace.pair(said.item)[0], said.turns)


def checked_edit(record: Record, turns: tuple[str, ...] | None) -> tuple[str, ...]:
    """The texts of an edited translation, or ``ReviewError`` where they make no record or change nothing."""
    if turns is None or len(turns) != len(record.turns):
        count = 0 if turns is None else len(turns)
        raise _refused(
            "bad_turns",
            f"The edit has {count} turns; the conversation has {len(record.turns)}.",
            f"عدد الأدوار في التعديل {count}؛ وفي المحادثة {len(record.turns)}.",
        )
    for text in turns:
        _encodable(text)
    fault = find_fault(edited(record, turns))
    if fault is not None:
        raise _refused("bad_edit", f"{fault.field} {fault.problem}.", f"{fault.field}: {fault.problem_ar}.")
    if all(text == turn.text for text, turn in zip(turns, record.turns, strict=True)):
        raise _refused("no_change", "Nothing was changed: accept the item.", "لم يتغير شيء: اقبل العنصر.")
    return turns


def edited(record: Record, turns: tuple[str, ...]) -> Record:
    """The record with other texts."""
    changed = (msgspec.structs.replace(turn, text=text) for turn, text in zip(record.turns, turns, strict=True))
    return msgspec.structs.replace(record, turns=tuple(changed))


def new_key() -> str:
    """A key for a line of the log."""
    return secrets.token_urlsafe(12)


def _encodable(text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise _refused("bad_text", "The text is not valid Unicode.", "النص ليس يونيكود صالحا.") from None


def _refused(code: str, english: str, arabic: str) -> ReviewError:
    return ReviewError(english, arabic, code=code)
