"""Reading pairs from JSON lines, one bad line at a time."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from bimedix2.data.seen import Seen

from .pairs import PairRow

_FIELDS = ("id", "source", "translation")


class BadRow(NamedTuple):
    """A line that is no pair: its number from 1, its id where it has one, the reason in both languages, the line."""

    number: int
    id: str | None
    english: str
    arabic: str
    line: bytes


def _fault(loaded: object) -> tuple[str, str] | None:
    if not isinstance(loaded, dict):
        return "not an object with id, source and translation", "ليس كائنا فيه id وsource وtranslation"
    for name in _FIELDS:
        value = loaded.get(name)
        if name == "id" and isinstance(value, int) and not isinstance(value, bool):
            continue
        if name not in loaded:
            return f"field {name} is missing", f"الحقل {name} مفقود"
        if not isinstance(value, str):
            return f"field {name} is not text", f"الحقل {name} ليس نصا"
        if any("\ud800" <= character <= "\udfff" for character in value):
            return f"field {name} has half a character (a lone surrogate)", f"في الحقل {name} نصف محرف"
    if not str(loaded["id"]).strip():
        return "field id is empty", "الحقل id فارغ"
    if not loaded["source"].strip():
        return "field source is empty", "الحقل source فارغ"
    return None


def _read(number: int, line: bytes) -> PairRow | BadRow:
    try:
        loaded = json.loads(line.decode("utf-8-sig" if number == 1 else "utf-8"))
    except UnicodeDecodeError:
        return BadRow(
            number, None, "not UTF-8; save the file as UTF-8", "الترميز ليس UTF-8؛ احفظ الملف بهذا الترميز", line
        )
    except (json.JSONDecodeError, RecursionError) as error:
        return BadRow(number, None, f"not JSON: {error}", f"ليس JSON: {error}", line)
    fault = _fault(loaded)
    if fault is None:
        return PairRow(str(loaded["id"]), loaded["source"], loaded["translation"])
    own = loaded.get("id") if isinstance(loaded, dict) else None
    return BadRow(number, own if isinstance(own, str) and own.isprintable() else None, *fault, line)


def repeated_id(number: int, row_id: str, line: bytes) -> BadRow:
    """A row whose id another one has before it."""
    return BadRow(number, row_id, f"id {row_id!r} came before", f"المعرف {row_id!r} ورد من قبل", line)


def read_pairs(lines: Iterable[bytes]) -> Iterator[PairRow | BadRow]:
    """Pairs and bad rows in the order of the lines; empty lines are skipped, an id that came before is a bad row."""
    with Seen() as seen:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            row = _read(number, line.rstrip(b"\r\n"))
            if isinstance(row, PairRow) and seen.first(row.id) is not None:
                yield repeated_id(number, row.id, line)
            else:
                yield row
