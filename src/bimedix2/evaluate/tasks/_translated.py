"""Arabic versions of English sets: the user's own file, else the sample that ships in ``evaluate/assets``."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bimedix2.errors import RecordError

from ._files import existing, field, json_rows

PACKAGED = Path(__file__).resolve().parents[1] / "assets"
"""Translations of a sample of MMLU, MedMCQA, MedQA and PubMedQA; see ``README.md`` there."""
Arabic = dict[str, tuple[int, dict[str, Any]]]
"""Id of the English item -> (row number from 1, translated row)."""


def source_sha256(question: str, *texts: str) -> str:
    """Hex SHA-256 of an English item as its adapter reads it, white space collapsed.

    Args:
        question: its question.
        texts: its options in order, or its abstract.
    """
    lines = (" ".join(text.split()) for text in (question, *texts))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def arabic_file(own: Path, packaged: str) -> Path:
    """``own`` if the user has it, else the file of this name in ``PACKAGED`` if there is one, else ``own``."""
    shipped = PACKAGED / packaged if packaged else own
    return own if own.exists() or not shipped.is_file() else shipped


def arabic_texts(path: Path, names: Sequence[str]) -> dict[str, dict[str, str]]:
    """Translated texts by the id of the English item: of reports, of which none ship with the package.

    Args:
        path: the user's JSON lines with ``id`` and the named texts.
        names: of the texts, such as ``findings`` and ``impression``.

    Raises:
        RecordError: the file is missing or not such JSON.
    """
    fields = ", ".join(("id", *names))
    existing(
        path,
        f"Arabic needs this file: JSON lines with {fields}, translated from the English set.",
        f"تحتاج العربية إلى هذا الملف: أسطر JSON فيها {fields} مترجمة.",
    )
    return {
        field(path, number, row, "id"): {name: field(path, number, row, name) for name in names}
        for number, row in json_rows(path)
    }


def arabic_rows(path: Path, text: str = "options") -> Arabic:
    """Translated items by the id of the English one.

    Args:
        path: JSON lines with ``id``, ``question``, ``text`` and, to be checked, ``source_sha256``.
        text: name of what goes with the question.

    Raises:
        RecordError: the file is missing or not such JSON.
    """
    existing(
        path,
        f"Arabic needs this file: JSON lines with id, question and {text}, translated from the English set.",
        f"تحتاج العربية إلى هذا الملف: أسطر JSON فيها id وquestion و{text} مترجمة.",
    )
    return {field(path, number, row, "id"): (number, row) for number, row in json_rows(path)}


def check_source(path: Path, number: int, row: Mapping[str, Any], question: str, texts: Sequence[str]) -> None:
    """Does nothing if a translation states no hash of its source.

    Raises:
        RecordError: it was made from another English text than the one here.
    """
    stated = row.get("source_sha256")
    if stated is not None and stated != source_sha256(question, *texts):
        raise RecordError(
            path,
            number,
            "source_sha256",
            f"item {row.get('id')} was translated from another English text than the data set has here. "
            "Use the release of the set that assets/README.md names, or give your own translation.",
            f"تُرجم العنصر {row.get('id')} عن نص إنجليزي غير الموجود هنا. "
            "استعمل إصدار المجموعة المذكور في assets/README.md أو قدم ترجمتك.",
        )
