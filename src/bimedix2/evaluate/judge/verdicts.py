"""Every verdict of a judge on disk as it arrives, so that none is lost and none is paid for twice."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Iterable
from pathlib import Path

import msgspec

from bimedix2.evaluate.schema import Verdict
from bimedix2.evaluate.store import read_lines

from .protocols import Messages

VERDICTS = "verdicts.jsonl"


class StoredVerdict(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A verdict with what it cost.

    Attributes:
        key: digest of all that it depends on.
        task, language, condition, sample: what was judged first under this key; equal questions share a verdict.
        question, repeat, text: as in :class:`bimedix2.evaluate.schema.Verdict`.
        finish_reason: ``stop``, or ``length`` where it was cut off.
        model: the judge, as the server names it.
        prompt_tokens, completion_tokens: as the server counts them.
        cost: in the currency of the price; 0 without one.
    """

    key: str
    task: str
    language: str
    sample: str
    question: str
    text: str
    condition: str = "model"
    repeat: int = 0
    finish_reason: str = ""
    model: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0

    def verdict(self) -> Verdict:
        """Without key and cost."""
        return Verdict(question=self.question, repeat=self.repeat, text=self.text)


class VerdictFile:
    """Verdicts as JSON lines, appended one by one and on disk before the next; safe to share between threads.

    Args:
        path: the file; a last line that a kill cut off is removed from it.

    Raises:
        RecordError: a line is no verdict; names file and row.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._rows = {row.key: row for row in read_lines(path, StoredVerdict, repair=True)}
        self._lock = threading.Lock()

    def get(self, key: str) -> StoredVerdict | None:
        """The verdict under a key."""
        return self._rows.get(key)

    def rows(self) -> Iterable[StoredVerdict]:
        """All of them."""
        return list(self._rows.values())

    def add(self, row: StoredVerdict) -> None:
        """Append one."""
        with self._lock:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab") as file:
                file.write(msgspec.json.encode(row) + b"\n")
                file.flush()
                os.fsync(file.fileno())
            self._rows[row.key] = row


def verdict_key(judge: str, messages: Messages, repeat: int) -> str:
    """Digest of judge, settings, every word it reads, and the number of the repeat."""
    content = json.dumps([judge, messages, repeat], ensure_ascii=False, sort_keys=True)
    return hashlib.blake2b(content.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
