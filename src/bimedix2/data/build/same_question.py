"""Training questions that equal a held-out question about the same image file, with all of their translations.

For sets whose development questions share images with training on purpose: comparing images alone would empty the
training set, comparing questions alone too, since "Is there a fracture?" is asked of many images.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

from bimedix2.cache import sha256_file
from bimedix2.data.quarantine import Quarantine, quarantine_path
from bimedix2.errors import RecordError
from bimedix2.records import Record, read_jsonl, write_jsonl
from bimedix2.text.canonical import canonical

_REASON = ("asks the question of {held} about the same image", "يسأل سؤال {held} عن الصورة نفسها")
Key = tuple[str, tuple[str, ...]]


def leave_out_same_questions(source: Path, held: Iterable[Record], data: Path, out: Path) -> tuple[int, int]:
    """Write ``out`` without the records in question; its quarantine file lists them.

    Args:
        source: training records, JSON lines.
        held: evaluated records.
        data: folder that image paths start from.
        out: JSON lines.

    Returns:
        Records read, and left out.
    """
    questions = _Questions(held, data)
    names: dict[str, str] = {}  # name of a record or pair that goes -> the held-out record
    while True:  # until no translation, original or pair of a record that goes is left
        before = len(names)
        for record in read_jsonl(source, unique_ids=False):
            found = questions.of(record) or _of_names(record, names)
            if found:
                names.setdefault(f"i:{record.id}", found)
                if record.pair_id:
                    names.setdefault(f"p:{record.pair_id}", found)
        if len(names) == before:
            break
    rows = 0
    quarantine, done = Quarantine(quarantine_path(out)), False

    def kept() -> Iterator[Record]:
        nonlocal rows
        for rows, record in enumerate(read_jsonl(source, unique_ids=False), start=1):
            found = names.get(f"i:{record.id}")
            if found is None:
                yield record
                continue
            english, arabic = (text.format(held=found) for text in _REASON)
            quarantine.add(RecordError(source, rows, "turns", english, arabic), "same_question", record.id)

    try:
        write_jsonl(out, kept())
        done = True
    finally:
        quarantine.close(keep=done)
    return rows, sum(quarantine.counts.values())


def _of_names(record: Record, names: dict[str, str]) -> str | None:
    """The held-out record by which the record's own, its original or its pair goes."""
    keys = (f"i:{record.id}", f"i:{record.parent}", f"p:{record.pair_id}")
    return next((names[key] for key in keys if key in names), None)


class _Questions:
    """Held-out questions with the bytes of their images; files of training are read only where the words fit."""

    def __init__(self, held: Iterable[Record], data: Path) -> None:
        self._data = data
        self._bytes = lru_cache(maxsize=65536)(self._hash)
        self._words: set[str] = set()
        self._known: dict[Key, str] = {}
        for record in held:
            if record.images:
                self._words.add(_asked(record))
                self._known.setdefault(self._key(record), record.id)

    def _hash(self, path: str) -> str:
        file = self._data / path
        return sha256_file(file) if file.is_file() else f"missing {path}"

    def _key(self, record: Record) -> Key:
        return _asked(record), tuple(self._bytes(image.path) for image in record.images)

    def of(self, record: Record) -> str | None:
        """Id of the held-out record that asks the same of the same images."""
        if not record.images or _asked(record) not in self._words:
            return None
        return self._known.get(self._key(record))


def _asked(record: Record) -> str:
    return "\n".join(canonical(turn.text) for turn in record.turns if turn.role == "user")
