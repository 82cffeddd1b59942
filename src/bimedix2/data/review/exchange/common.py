"""What both formats share: a conversation as one text, and verdicts on their way into the log."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, cast

import msgspec

from bimedix2.data.review.board import Board
from bimedix2.data.review.desk import Desk, Said
from bimedix2.data.review.entry import Action
from bimedix2.data.review.errors import ReviewError
from bimedix2.data.review.reasons import REASONS
from bimedix2.data.review.store import Workspace
from bimedix2.errors import RecordError
from bimedix2.records import OnError, Record, bad_row, json_rows

VERDICTS = ("accept", "edit", "reject", "skip")
_MARK = re.compile(r"\[\[(\d+) (?:system|user|assistant)\]\]")
GUIDE = (
    "Compare the translation with its original. accept: as it is; edit: correct it in the field 'edit' and keep the "
    "lines [[number role]]; reject: it cannot be saved; skip: you cannot judge it. edit and reject need a reason.\n\n"
    "قارن الترجمة بأصلها. accept: مقبولة كما هي؛ edit: صححها في الحقل edit وأبق أسطر [[الرقم الدور]]؛ reject: لا تصلح؛"
    " skip: تعذر الحكم. يحتاج edit وreject إلى سبب."
)


class Answer(NamedTuple):
    """A verdict from a file.

    Attributes:
        row: of the file, from 1.
        field: where the verdict stands in the row, for errors.
        record_id: of the translation.
        user: as the file names the reviewer; never stored.
        action, reason, edit, note: the verdict; ``edit`` is the conversation as one text.
        at, seconds: when it was given and how long it took, if the file says so.
    """

    row: int
    field: str
    record_id: str
    user: str
    action: str
    reason: str = ""
    edit: str = ""
    note: str = ""
    at: str = ""
    seconds: float | None = None


class Task(NamedTuple):
    """An item of the queue for another tool."""

    record: Record
    original: str
    translation: str
    stratum: str
    readers: int


def tasks(workspace: Workspace) -> Iterator[Task]:
    """The items of the queue that have no verdict yet, in random order."""
    board = Board(workspace.require_ready())
    for row in board.queue():
        if not board.final(row).decided:
            record, original = workspace.pair(row.number)
            source = as_text(original) if original is not None else "–"
            yield Task(record, source, as_text(record), board.stratum(row.number), row.readers)


def as_text(record: Record) -> str:
    """A conversation as one text; a line ``[[1 user]]`` comes before each turn."""
    return "\n".join(f"[[{n} {turn.role}]]\n{turn.text}" for n, turn in enumerate(record.turns, start=1))


def turns_of(text: str, record: Record) -> tuple[str, ...]:
    """The turns of a text that :func:`as_text` made and someone edited.

    Raises:
        ReviewError: the marks are not those of the record.
    """
    expected = [(n, f"[[{n} {turn.role}]]") for n, turn in enumerate(record.turns, start=1)]
    lines = text.replace("\r\n", "\n").split("\n")
    at = [index for index, line in enumerate(lines) if _MARK.fullmatch(line.strip())]
    found = [lines[index].strip() for index in at]
    if found != [mark for _, mark in expected]:
        raise ReviewError(
            f"has the turns {' '.join(found) or 'none'}; the record has {' '.join(mark for _, mark in expected)}",
            "أسطر الأدوار فيه لا تطابق أدوار السجل",
            code="bad_turns",
        )
    ends = [*at[1:], len(lines)]
    return tuple("\n".join(lines[start + 1 : end]).strip("\n") for start, end in zip(at, ends, strict=True))


def pseudonym(tool: str, user: str) -> str:
    """A name for a user of another tool that does not give the address or id away.

    >>> pseudonym("argilla", "someone@example.org")
    'argilla-f4eaa38d'
    """
    return f"{tool}-{hashlib.sha256(f'{tool}|{user}'.encode()).hexdigest()[:8]}"


def rows(path: Path, on_error: OnError) -> Iterator[tuple[int, dict[str, Any]]]:
    """Objects of a JSON array or of JSON lines; the others go to ``on_error``."""
    if not path.is_file():
        raise RecordError(path, 0, "file", "does not exist; check the path", "غير موجود؛ تحقق من المسار")
    for row, raw in json_rows(path) if path.stat().st_size else ():
        try:
            yield row, msgspec.json.decode(raw, type=dict[str, Any])
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            on_error(bad_row(path, row, error))


def at(value: Any, *path: str | int) -> Any:
    """What stands at a place of a value; ``None`` where there is no such place."""
    for step in path:
        fits = isinstance(value, dict) if isinstance(step, str) else isinstance(value, list) and step < len(value)
        if not fits:
            return None
        value = value.get(step) if isinstance(step, str) else value[step]
    return value


class Taker:
    """Takes answers of one file into a workspace; the same answer twice is one.

    Args:
        workspace: opened for writing.
        path: of the file, for errors.
        tool: name of the format.
        on_error: gets each answer that cannot be used.
    """

    def __init__(self, workspace: Workspace, path: Path, tool: str, on_error: OnError) -> None:
        self.workspace, self.path, self.tool, self.on_error = workspace, path, tool, on_error
        self.desk = Desk(workspace, {})
        self.taken = self.known = 0

    def take(self, answer: Answer) -> None:
        """Write an answer down, or say why not."""
        try:
            self._take(answer)
        except RecordError as error:
            self.on_error(error)
        except ReviewError as error:
            self.on_error(self._bad(answer, self._where(error.code), error.message, error.message_ar))

    def _take(self, answer: Answer) -> None:
        number = self.workspace.number_of(answer.record_id)
        if number is None:
            problem = f"{answer.record_id!r} is no item of this review"
            raise RecordError(self.path, answer.row, "id", problem, "ليس عنصرا في هذه المراجعة")
        if answer.action not in VERDICTS:
            problem = f"is {answer.action!r}; expected one of {', '.join(VERDICTS)}"
            raise self._bad(answer, "verdict", problem, "ليس حكما معروفا")
        if answer.action in ("edit", "reject") and answer.reason not in REASONS:
            problem = f"is {answer.reason!r}; expected one of {', '.join(REASONS)}"
            raise self._bad(answer, "reason", problem, "ليس سببا معروفا")
        action = cast("Action", answer.action)  # one of VERDICTS
        turns = turns_of(answer.edit, self.workspace.pair(number)[0]) if action == "edit" else None
        name = pseudonym(self.tool, answer.user)
        self.desk.roles.setdefault(name, "reviewer")
        said = Said(
            item=number,
            action=action,
            key=self._key(answer),
            reason=answer.reason,
            note=answer.note,
            turns=turns,
            seconds=answer.seconds,
        )
        known = self.workspace.by_key(said.key) is not None
        self.desk.submit(name, said, origin=self.tool, at=answer.at)
        self.taken, self.known = self.taken + (not known), self.known + known

    def _key(self, answer: Answer) -> str:
        said = (
            self.tool,
            answer.record_id,
            answer.user,
            answer.action,
            answer.reason,
            answer.edit,
            answer.note,
            answer.at,
        )
        return hashlib.sha256(msgspec.json.encode(said)).hexdigest()[:40]

    def _where(self, code: str) -> str:
        return {
            "bad_turns": "edit",
            "bad_edit": "edit",
            "no_change": "edit",
            "no_note": "note",
            "long_note": "note",
        }.get(code, "verdict")

    def _bad(self, answer: Answer, name: str, problem: str, problem_ar: str) -> RecordError:
        field = answer.field.replace("{}", name)
        return RecordError(self.path, answer.row, field, problem, problem_ar)
