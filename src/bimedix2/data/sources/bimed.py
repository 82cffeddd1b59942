"""The text sets of BiMediX v1 (Pieri et al. 2024): multiple choice, questions and dialogues in two languages.

BiMed1.3M was announced and not published, so its layout is not known. Read here is what its makers trained on with
FastChat and Axolotl, conversations of ``from`` and ``value``, and plain rows of questions.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import msgspec

from bimedix2.records import LlavaDefaults, field_in_llava, llava_record
from bimedix2.records.schema import Record
from bimedix2.text import language_of

from ._common import INGEST, exchange
from ._files import Values, json_objects, text
from ._mcq import mcq_record, option_texts, right_option
from ._reading import Reading, Source, SourceInfo, each, files_of

INFO = SourceInfo(
    name="bimed",
    licence="CC-BY-NC-SA-4.0",
    languages=("en", "ar"),
    tasks=("mcq", "qa", "dialogue"),
    splits=("train",),
    files=("bimed/*.jsonl or bimed/*.json",),
    notes="BiMed1.3M was never published. Rows are conversations (from, value), or question with options and answer "
    "(a letter), or question with answer; an optional id and pair_id link translations. Language by script.",
    notes_ar="لم تنشر BiMed1.3M. الصفوف محادثات (from و value)، أو سؤال مع options و answer (حرف)، أو سؤال وجواب، مع "
    "id و pair_id اختياريين لربط الترجمات. تعرف اللغة من الكتابة.",
)
_DIALOGUE = 4  # turns: two exchanges


def read(reading: Reading) -> Iterator[Record]:
    """One record a row, its task by its shape."""
    for _, path in files_of(reading, INFO, {"train": ("bimed/*.jsonl", "bimed/*.json")}):
        yield from each(reading, path, json_objects(reading, path), partial(_make, path), field_in_llava)


def _make(path: Path, number: int, row: Values) -> list[Record]:
    name = str(row.get("id") or f"{path.stem}-{number}")
    pair = row.get("pair_id")
    if "conversations" in row:
        record = _conversation(path, number, row)
    elif "options" in row:
        question = text(path, number, row, "question")
        options = option_texts(path, number, row["options"], "options")
        right = right_option(path, number, text(path, number, row, "answer"), len(options), "answer")
        why = str(row.get("explanation") or "").strip()
        shared = {"source": INFO.name, "licence": INFO.licence, "explanation": why}
        record = mcq_record("bimed::", question, options, right, language_of(question), split="train", **shared)  # type: ignore[arg-type]
    else:
        question, answer = text(path, number, row, "question"), text(path, number, row, "answer")
        language = language_of(question)
        record = exchange(
            "bimed::", question, answer, language, task="qa", modality="text", source=INFO.name, licence=INFO.licence
        )
    return [msgspec.structs.replace(record, id=f"bimed:{name}", source_id=name, pair_id=pair and f"bimed:{pair}")]


def _conversation(path: Path, number: int, row: Values) -> Record:
    record = llava_record(path, number, row, LlavaDefaults(INFO.name, INFO.licence, "qa", "text"))
    spoken = sum(turn.role != "system" for turn in record.turns)
    task = "dialogue" if spoken >= _DIALOGUE else "qa"
    return msgspec.structs.replace(record, task=task, provenance=(INGEST,))


SOURCES = (Source(INFO, read),)
