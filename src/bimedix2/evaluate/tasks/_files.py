"""Reading original files with errors that name file, row and field."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bimedix2.errors import RecordError


def existing(path: Path, remedy: str, remedy_ar: str) -> Path:
    """``path`` if it is there.

    Raises:
        RecordError: it is not; says what to do.
    """
    if not path.exists():
        raise RecordError(path, 0, "file", f"not found. {remedy}", f"غير موجود. {remedy_ar}")
    return path


def json_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(row number from 1, object) of a JSON array or JSON-lines file.

    Raises:
        RecordError: not JSON, or a row is not an object.
    """
    text = path.read_text(encoding="utf-8-sig")
    if text.lstrip().startswith("["):
        rows: Iterator[Any] = iter(_parse(path, 0, text))
    else:
        lines = (line for line in text.splitlines() if line.strip())
        rows = (_parse(path, number, line) for number, line in enumerate(lines, 1))
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise RecordError(path, number, "row", "is not a JSON object", "ليس كائن JSON")
        yield number, row


def _parse(path: Path, row: int, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RecordError(path, row, "row", f"not JSON ({error})", "ليس بصيغة JSON") from error


def field(path: Path, number: int, row: dict[str, Any], name: str) -> str:
    """Text of a field, white space collapsed; numbers are taken as their text.

    Raises:
        RecordError: it is missing or empty.
    """
    value = row.get(name)
    text = " ".join(str(value).split()) if value is not None else ""
    if not text:
        raise RecordError(path, number, name, "missing or empty", "مفقود أو فارغ")
    return text


def translations(path: Path) -> dict[str, dict[str, str]]:
    """``{"questions": {english: arabic}, "answers": {…}}`` of an ``…_ar`` folder.

    Raises:
        RecordError: the file is missing or has another shape.
    """
    remedy = "Arabic needs this file: a JSON object with the tables `questions` and `answers`, English to Arabic."
    existing(path, remedy, "تحتاج العربية إلى هذا الملف: كائن JSON فيه الجدولان questions و answers.")
    content = _parse(path, 0, path.read_text(encoding="utf-8"))
    for name in ("questions", "answers"):
        if not isinstance(content, dict) or not isinstance(content.get(name), dict):
            raise RecordError(path, 0, name, "is not a table of translations", "ليس جدول ترجمات")
    return {name: content[name] for name in ("questions", "answers")}


def translated(path: Path, row: int, table: dict[str, str], text: str, name: str) -> str:
    """Arabic of an English string.

    Raises:
        RecordError: the table lacks it.
    """
    if text not in table:
        raise RecordError(path, row, name, f"has no Arabic translation: {text!r}", "لا توجد له ترجمة عربية")
    return table[text]
