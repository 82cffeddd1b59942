"""What every source adapter needs: hashed choices, phrases, and making a pair of records in two languages."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec

from bimedix2.errors import RecordError
from bimedix2.records.schema import ImageRef, Language, Modality, Record, Split, Step, Task, Turn

INGEST = Step(name="ingest", tool="bimedix2", version="1")


def stable_fraction(key: str) -> float:
    """A number in [0, 1) that depends on ``key`` alone, for splits and choices that never move."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") / 2**64


def stable_order(items: Iterable[str]) -> list[str]:
    """Items sorted by their hash: a shuffle that does not depend on the order in which they came."""
    return sorted(items, key=lambda item: hashlib.sha256(item.encode()).hexdigest())


def choose(options: Sequence[str], key: str, count: int = 1) -> list[str]:
    """``count`` different options, picked by the hash of ``key``."""
    ranked = sorted(options, key=lambda option: hashlib.sha256(f"{key}|{option}".encode()).hexdigest())
    return ranked[:count]


@cache
def asset(name: str) -> Any:
    """A JSON file (or list of rows of a JSON-lines file) that ships in ``data/assets``."""
    text = files("bimedix2.data").joinpath("assets", name).read_text(encoding="utf-8")
    if name.endswith(".jsonl"):
        return [json.loads(line) for line in text.splitlines() if line]
    return json.loads(text)


def phrases(name: str, language: Language) -> list[str]:
    """Ways to ask for one simple fact, from ``assets/phrases.json``."""
    found: list[str] = asset("phrases.json")[name][f"questions_{language}"]
    return found


def label(name: str, language: Language) -> str:
    """Name of a modality, region or view in the language asked for."""
    if language == "en":
        return name
    found: str = asset("phrases.json")["labels"][name]
    return found


def existing(path: Path) -> Path:
    """``path``, or ``RecordError`` if the data set's file is not there."""
    if not path.exists():
        raise RecordError(path, 0, "file", "not found; set the data root to the folder of the data sets", "غير موجود")
    return path


def exchange(  # one place where the many constant fields of a source are filled in
    record_id: str,
    question: str,
    answer: str,
    language: Language,
    *,
    task: Task,
    modality: Modality,
    source: str,
    licence: str,
    image: str | None = None,
    source_id: str | None = None,
    pair_id: str | None = None,
    parent: str | None = None,
    split: Split = "train",
    steps: tuple[Step, ...] = (),
) -> Record:
    """A record of one question and one answer, about one image or none."""
    return Record(
        id=record_id,
        turns=(
            Turn(role="user", text=question, language=language, images=(0,) if image else ()),
            Turn(role="assistant", text=answer, language=language),
        ),
        images=(ImageRef(path=image),) if image else (),
        task=task,
        modality=modality,
        source=source,
        source_id=record_id.split(":")[1] if source_id is None else source_id,
        licence=licence,
        parent=parent,
        pair_id=pair_id,
        split=split,
        provenance=(INGEST, *steps),
    )


def answered_in(record: Record, language: Language) -> Record:
    """The record with its answer marked as being in another language than its question."""
    answer = msgspec.structs.replace(record.turns[1], language=language)
    return msgspec.structs.replace(record, turns=(record.turns[0], answer))


def phrased(base: str, fact: str, answers: dict[Language, str], variants: int = 2, **fields: Any) -> Iterator[Record]:
    """A fact asked in both languages, each in ``variants`` phrasings that share one ``pair_id``.

    Args:
        base: ``source:item`` of the thing asked about.
        fact: key of ``assets/phrases.json``.
        answers: the answer in each language.
    """
    for language, answer in answers.items():
        for number, question in enumerate(choose(phrases(fact, language), f"{base}:{language}", variants)):
            yield exchange(
                f"{base}:{fact}:{language}{number}",
                question,
                answer,
                language,
                pair_id=f"{base}:{fact}",
                **fields,
            )
