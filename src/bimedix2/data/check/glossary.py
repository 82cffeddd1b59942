"""The user's terms: what must be translated how.

A file of rows ``english, arabic`` with an optional ``kind`` (``term``, ``drug`` or ``abbreviation``): CSV, TSV or JSON
lines with those names, or TICO-19's own CSV (``sourceLang``, ``targetLang``, ``sourceString``, ``targetString``).
Several Arabic forms of one term stand in several rows or are separated by ``|``.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bimedix2.errors import ConfigError, RecordError

KINDS = ("term", "drug", "abbreviation")


@dataclass(frozen=True)
class Glossary:
    """English term in lower case (abbreviations in capitals) → its accepted Arabic forms, by kind."""

    terms: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    drugs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    abbreviations: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def _raw_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    text = path.read_text(encoding="utf-8-sig")
    if path.suffix in (".jsonl", ".ndjson"):
        for number, line in enumerate(text.splitlines(), 1):
            if line.strip():
                yield number, json.loads(line)
        return
    dialect = "excel-tab" if path.suffix == ".tsv" else "excel"
    yield from enumerate(csv.DictReader(text.splitlines(keepends=True), dialect=dialect), 2)


def _fields(row: Mapping[str, Any]) -> tuple[str, str, str]:
    """English, Arabic and kind of a row in either layout; empty where the row has none."""
    if "sourceString" in row:
        source, target = str(row["sourceString"] or ""), str(row["targetString"] or "")
        return (target, source, "term") if str(row.get("sourceLang", "")).startswith("ar") else (source, target, "term")
    return str(row.get("english") or ""), str(row.get("arabic") or ""), str(row.get("kind") or "term")


def read_glossary(path: Path) -> Glossary:
    """Read a glossary file.

    Raises:
        ConfigError: the file cannot be read as text.
        RecordError: a row lacks English or Arabic, or its kind is unknown.
    """
    tables: dict[str, dict[str, tuple[str, ...]]] = {kind: {} for kind in KINDS}
    number = 0
    try:
        for number, row in _raw_rows(path):
            _add(tables, path, number, row)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(
            f"The glossary {path} cannot be read ({error}). Give a UTF-8 CSV with the columns english, arabic, kind.",
            f"تعذرت قراءة المسرد {path}. أعط ملف CSV بترميز UTF-8 أعمدته english وarabic وkind.",
        ) from error
    except json.JSONDecodeError as error:
        raise RecordError(path, number + 1, "row", f"not JSON ({error})", "ليس JSON") from error
    return Glossary(tables["term"], tables["drug"], tables["abbreviation"])


def _add(tables: dict[str, dict[str, tuple[str, ...]]], path: Path, number: int, row: Any) -> None:
    if not isinstance(row, dict):
        raise RecordError(path, number, "row", "not an object with english and arabic", "ليس كائنا فيه english وarabic")
    english, arabic, kind = (value.strip() for value in _fields(row))
    if not english or not arabic:
        raise RecordError(path, number, "english" if not english else "arabic", "is empty", "فارغ")
    if kind not in KINDS:
        raise RecordError(path, number, "kind", f"{kind!r} is none of {', '.join(KINDS)}", f"{kind!r} غير معروف")
    key = english.upper() if kind == "abbreviation" else english.lower()
    forms = tuple(form.strip() for form in arabic.split("|") if form.strip())
    tables[kind][key] = tuple(dict.fromkeys((*tables[kind].get(key, ()), *forms)))
