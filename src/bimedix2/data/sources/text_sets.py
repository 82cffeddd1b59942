"""Text-only sources: Indiana report sections, MeQSum question summaries, MedMCQA items held out for training."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from bimedix2.errors import RecordError
from bimedix2.records.schema import Language, Record, Step

from ._common import asset, exchange, existing, stable_fraction

TRANSLATION = Step(name="translate", tool="large language model", date="2026-11", note="not verified by a clinician")
LETTERS: dict[Language, str] = {"en": "ABCD", "ar": "أبجد"}
_SHEET = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


INDIANA_SHARE = 0.15


def indiana_in_training(study_id: str, share: float = INDIANA_SHARE) -> bool:
    """Whether a report belongs to the part that is used for training; evaluation takes the others."""
    return stable_fraction(f"indiana:{study_id}") < share


def indiana(root: Path, share: float = INDIANA_SHARE) -> Iterator[Record]:
    """Findings to impression, English only: the collection's terms allow no derivatives, so no translation.

    Args:
        share: part of the reports that is used, chosen by hash of the study id.
    """
    path = existing(root / "indiana" / "indiana_dev.json")
    instruction = asset("phrases.json")["instruction"]["impression_en"]
    for row, report in enumerate(json.loads(path.read_text(encoding="utf-8")), start=1):
        for field in ("study_id", "findings", "impression"):
            if not isinstance(report.get(field), str):
                raise RecordError(path, row, field, "missing or not a string", "مفقود أو ليس نصا")
        blanked = "____" in report["impression"]  # a de-identified name or date is no answer to learn
        if blanked or not report["findings"].strip() or not indiana_in_training(report["study_id"], share):
            continue
        yield exchange(
            f"indiana:{report['study_id']}:impression:en",
            f"{instruction}\n{report['findings'].strip()}",
            report["impression"].strip(),
            "en",
            task="summarization",
            modality="text",
            source="indiana",
            licence="Open-i non-commercial, no derivatives",
        )


def medmcqa(root: Path) -> Iterator[Record]:
    """The items listed in ``assets/medmcqa_ar.jsonl``: used to train, hence excluded from every evaluation."""
    path = existing(root / "medmcqa" / "dev.json")
    items = {}
    for row, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        item = json.loads(line)
        if item.get("cop") not in (1, 2, 3, 4):
            raise RecordError(path, row, "cop", f"{item.get('cop')!r} is not 1-4")
        items[item["id"]] = item
    instruction = asset("phrases.json")["instruction"]
    for arabic in asset("medmcqa_ar.jsonl"):
        item = items[arabic["id"]]
        english = {"question": item["question"], "options": [item[f"op{letter}"] for letter in "abcd"]}
        for language, text in _both(english, arabic):
            letters = LETTERS[language]
            options = "\n".join(f"{letter}. {option}" for letter, option in zip(letters, text["options"], strict=True))
            right = item["cop"] - 1
            yield exchange(
                f"medmcqa:{item['id']}:mcq:{language}",
                f"{instruction[f'mcq_{language}']}\n{text['question']}\n{options}",
                f"{letters[right]}. {text['options'][right]}",
                language,
                task="mcq",
                modality="text",
                source="medmcqa",
                licence="MIT",
                pair_id=f"medmcqa:{item['id']}",
                parent=f"medmcqa:{item['id']}:mcq:en" if language == "ar" else None,
                steps=(TRANSLATION,) if language == "ar" else (),
            )


def meqsum(root: Path) -> Iterator[Record]:
    """Consumer health questions and their one-line summaries, in both languages."""
    path = existing(next((root / "meqsum").glob("*.xlsx"), root / "meqsum"))
    rows = read_sheet(path)
    instruction = asset("phrases.json")["instruction"]
    for arabic in asset("meqsum_ar.jsonl"):
        number = arabic["row"]
        cells = rows[number]
        english = {"question": " ".join(cells[1].split()), "summary": " ".join(cells[2].split())}
        for language, text in _both(english, arabic):
            yield exchange(
                f"meqsum:{number}:summary:{language}",
                f"{instruction[f'summary_{language}']}\n{text['question']}",
                text["summary"],
                language,
                task="summarization",
                modality="text",
                source="meqsum",
                licence="CC-BY-4.0",
                pair_id=f"meqsum:{number}",
                parent=f"meqsum:{number}:summary:en" if language == "ar" else None,
                steps=(TRANSLATION,) if language == "ar" else (),
            )


def _both(english: Mapping[str, Any], arabic: Mapping[str, Any]) -> tuple[tuple[Language, Mapping[str, Any]], ...]:
    return (("en", english), ("ar", arabic))


def read_sheet(path: Path) -> list[list[str]]:
    """Cell texts of the first sheet of an .xlsx file, row by row (row 0 is the header).

    Only shared strings are read, which is all that MeQSum holds; this saves a spreadsheet dependency.
    """
    with zipfile.ZipFile(path) as archive:
        strings = [
            "".join(node.text or "" for node in item.iter(f"{_SHEET}t"))
            for item in ElementTree.fromstring(archive.read("xl/sharedStrings.xml"))  # noqa: S314
        ]
        sheet = ElementTree.fromstring(archive.read("xl/worksheets/sheet1.xml"))  # noqa: S314
    return [
        [strings[int(cell.findtext(f"{_SHEET}v", "0"))] for cell in row if cell.get("t") == "s"]
        for row in sheet.iter(f"{_SHEET}row")
    ]
