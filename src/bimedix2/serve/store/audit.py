"""The audit log: who did what, in lines that only grow and each hold the hash of the one before.

A changed, removed or added line breaks the chain at that place. Whoever can rewrite the whole file can also rewrite
the chain: note the last hash somewhere else from time to time, and ``verify`` finds it again or not.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bimedix2.serve.auth.clock import SYSTEM_CLOCK, Clock
from bimedix2.serve.errors import ServeError
from bimedix2.serve.store.failures import StorageError, storage

NAME = "audit.jsonl"
START = "0" * 64
_TAIL = 65_536
_LONGEST = 200


class AuditError(ServeError):
    """The log's end cannot be read, so that nothing can be added to it."""

    code = "audit_broken"
    status = 503

    def __init__(self) -> None:
        super().__init__(
            "The audit log is damaged. Run `bimedix2 audit verify`, move the file aside and start the server again.",
            "سجل التدقيق تالف. شغل الأمر `bimedix2 audit verify`، وانقل الملف ثم أعد تشغيل الخادم.",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What ``verify`` found.

    Attributes:
        lines: whole lines that hold.
        last: hash of the last one.
        broken: number of the first line that does not hold (from 1), or ``None``.
        torn: whether the file ends within a line, as after a crash.
        found: whether the hash asked for is one of the chain's; ``None`` if none was asked for.
    """

    lines: int
    last: str
    broken: int | None
    torn: bool
    found: bool | None = None

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return self.broken is None and not self.torn and self.found is not False


class AuditLog:
    """Adds lines. One process writes; threads may.

    Args:
        path: the file; made with mode 0600.
        clock: for the times.

    Raises:
        AuditError: the last whole line is not one of ours.
        StorageError: the file cannot be opened.
    """

    def __init__(self, path: Path, clock: Clock = SYSTEM_CLOCK) -> None:
        self.path, self._clock = path, clock
        self._write, self._sync = threading.Lock(), threading.Lock()
        with storage():
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
            self._file = os.open(path, flags, 0o600)
            tail = _tail(self._file)
        self._number, self._last, torn = _end_of(tail)
        self._synced = self._number
        if torn:
            self._recover(torn)

    def record(
        self,
        *,
        who: str,
        action: str,
        outcome: str,
        objects: tuple[str, ...] = (),
        status: int = 0,
        model: str = "",
        request: str = "",
        counts: dict[str, int] | None = None,
    ) -> None:
        """Add a line and wait until the disk has it; several threads share one wait.

        Args:
            who: ``Principal.owner``.
            action: such as ``chat``, ``upload``, ``export`` or ``delete``.
            outcome: ``begun``, ``done``, ``stopped`` or ``refused``.
            objects: ids of uploads and conversations; their SHA-256 is written.
            status: HTTP status, 0 where there is none yet.
            model: fingerprint of the model and adapter.
            request: request id.
            counts: numbers such as tokens and images.

        Raises:
            StorageError: it is not on the disk; the request must not be answered.
        """
        entry = _entry(who, action, outcome, objects, status, model, request, counts)
        self.sync(self._append(entry))

    def append(self, line: Mapping[str, Any]) -> int:
        """Add a line without waiting for the disk: a power failure may lose it, a crash of the process does not.

        Args:
            line: arguments of ``record``.

        Returns:
            Its number, for ``sync``.

        Raises:
            StorageError: it is not in the log.
        """
        return self._append(_entry(**line))

    def sync(self, number: int) -> None:
        """Wait until the disk has the first ``number`` lines. Raises ``StorageError`` where it does not take them."""
        with self._sync:
            if self._synced >= number:
                return
            written = self._number
            with storage():
                os.fdatasync(self._file)
            self._synced = written

    def check(self) -> None:
        """Raise ``StorageError`` where a line could not be written now, as far as that can be told without one."""
        with storage():
            os.fstat(self._file)
            free = os.statvfs(self.path)
        if free.f_bavail * free.f_frsize < _TAIL:
            with storage():
                raise OSError

    def flush(self) -> None:
        """Wait until the disk has every line, as far as it takes them."""
        with suppress(StorageError):
            self.sync(self._number)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _append(self, entry: dict[str, Any]) -> int:
        with self._write, storage():
            at = datetime.fromtimestamp(self._clock.wall(), UTC).isoformat(timespec="milliseconds")
            content = {"n": self._number + 1, "at": at, **entry, "previous": self._last}
            digest = _digest(content)
            line = json.dumps({**content, "hash": digest}, ensure_ascii=False).encode() + b"\n"
            self._write_whole(line)
            self._number, self._last = self._number + 1, digest
            return self._number

    def _write_whole(self, line: bytes) -> None:
        """Everything or, where the disk is full, nothing."""
        size = os.fstat(self._file).st_size
        try:
            if os.write(self._file, line) != len(line):
                raise OSError
        except OSError:
            if os.fstat(self._file).st_size > size:
                os.ftruncate(self._file, size)
            raise

    def _recover(self, torn: bytes) -> None:
        """Take off a line that a crash cut short, and say so in the chain."""
        with storage():
            os.ftruncate(self._file, os.fstat(self._file).st_size - len(torn))
        digest = hashlib.sha256(torn).hexdigest()
        entry = {"who": "server", "action": "recovered", "objects": [digest], "outcome": "done"}
        self.sync(self._append({**entry, "counts": {"bytes": len(torn)}}))


def _entry(
    who: str,
    action: str,
    outcome: str,
    objects: tuple[str, ...] = (),
    status: int = 0,
    model: str = "",
    request: str = "",
    counts: dict[str, int] | None = None,
) -> dict[str, Any]:
    """Values of a line; ids as their SHA-256."""
    return {
        "who": who[:_LONGEST],
        "action": action[:_LONGEST],
        "objects": [hashlib.sha256(name.encode()).hexdigest() for name in objects],
        "outcome": outcome[:_LONGEST],
        "status": status,
        "model": model[:_LONGEST],
        "request": request[:_LONGEST],
        "counts": counts or {},
    }


def entries(path: Path) -> Iterator[dict[str, Any]]:
    """Every whole line of a log that is JSON, oldest first; whether the chain holds is not looked at."""
    with path.open("rb") as file:
        for line in file:
            found = _parse(line)
            if found is not None:
                yield found


def verify(path: Path, contains: str | None = None) -> Verdict:
    """Check every line of a log.

    Args:
        path: the file.
        contains: a hash noted earlier; a log that was rewritten or cut does not hold it.

    Raises:
        OSError: the file cannot be read.
    """
    last, number, found = START, 0, contains == START
    with path.open("rb") as file:
        for line in file:
            entry = _parse(line)
            if entry is None and not line.endswith(b"\n"):
                return Verdict(lines=number, last=last, broken=None, torn=True, found=_asked(contains, found))
            if not _holds(entry, number + 1, last):
                return Verdict(lines=number, last=last, broken=number + 1, torn=False, found=_asked(contains, found))
            assert entry is not None
            number, last = number + 1, str(entry["hash"])
            found = found or last == contains
    return Verdict(lines=number, last=last, broken=None, torn=False, found=_asked(contains, found))


def _asked(contains: str | None, found: bool) -> bool | None:
    return None if contains is None else found


def _digest(content: dict[str, Any]) -> str:
    """SHA-256 of the line without its own hash, keys sorted, no spaces; the previous hash is one of the keys."""
    text = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _holds(entry: dict[str, Any] | None, number: int, previous: str) -> bool:
    if entry is None or entry.get("n") != number or entry.get("previous") != previous:
        return False
    return str(entry["hash"]) == _digest({name: value for name, value in entry.items() if name != "hash"})


def _parse(line: bytes) -> dict[str, Any] | None:
    """A line as a dict with number and hash, or ``None``; only a line with its end counts."""
    try:
        entry = json.loads(line) if line.endswith(b"\n") else None
    except ValueError:
        return None
    whole = isinstance(entry, dict) and isinstance(entry.get("n"), int) and isinstance(entry.get("hash"), str)
    return entry if whole else None


def _tail(file: int) -> bytes:
    size = os.fstat(file).st_size
    return os.pread(file, _TAIL, max(0, size - _TAIL))


def _end_of(tail: bytes) -> tuple[int, str, bytes]:
    """Number and hash of the last whole line, and what follows it."""
    whole, newline, torn = tail.rpartition(b"\n")
    if not newline:
        if len(tail) == _TAIL:
            raise AuditError
        return 0, START, torn
    entry = _parse(whole[whole.rfind(b"\n") + 1 :] + b"\n")
    if entry is None or not _holds(entry, entry["n"], str(entry.get("previous"))):
        raise AuditError
    return entry["n"], str(entry["hash"]), torn
