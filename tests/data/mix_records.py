"""Records for the tests of mixes and shards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bimedix2.data.decontaminate.run import DecontaminateSettings
from bimedix2.data.mix import MixReport, MixSettings, run_mix
from bimedix2.records import ImageRef, Record, Turn, read_records, write_records


def made(name: str, cell: str = "en/text/qa", answer: str = "one two three", **fields: Any) -> Record:
    """A question and an answer in a cell."""
    language, modality, task = cell.split("/")
    images = tuple(
        ImageRef(**image) if isinstance(image, dict) else ImageRef(path=image) for image in fields.pop("images", ())
    )
    question, spoken = f"What about item {name}?", answer
    return Record(
        id=name,
        turns=(
            Turn(role="user", text=question, language=language, images=tuple(range(len(images)))),
            Turn(role="assistant", text=spoken, language=language),
        ),
        images=images,
        **({"task": task, "modality": modality, "source": "made", "licence": "MIT"} | fields),
    )


def many(cell: str, count: int, prefix: str = "", **fields: Any) -> list[Record]:
    """``count`` records of a cell."""
    return [made(f"{prefix or cell}:{number}", cell, **fields) for number in range(count)]


def pairs(count: int, first: str = "en/ct/vqa", second: str = "ar/ct/vqa") -> list[Record]:
    """Both languages of ``count`` samples."""
    return [
        made(f"p{number}:{cell[:2]}", cell, pair_id=f"p{number}") for number in range(count) for cell in (first, second)
    ]


def test_set(folder: Path) -> DecontaminateSettings:
    """One test item, so that comparing is quick and needs no data."""
    path = folder / "test_set.jsonl"
    question = "Which nerve is most likely injured in a man who cannot lift his wrist after a fracture of the humerus?"
    turns = (Turn(role="user", text=question, language="en"), Turn(role="assistant", text="Radial", language="en"))
    write_records(
        path, [Record(id="t1", turns=turns, task="mcq", modality="text", source="t", licence="MIT", split="test")]
    )
    return DecontaminateSettings(tests=(path,), use_shipped=False, data=folder, images=False)


test_set.__test__ = False  # type: ignore[attr-defined]  # its name looks like a test's


def mixed(folder: Path, *files: list[Record], out: str = "mix.jsonl", **options: Any) -> MixReport:
    """Write the files and mix them."""
    inputs = []
    for number, records in enumerate(files):
        inputs.append(folder / f"in{number}.jsonl")
        write_records(inputs[-1], records)
    settings = {"contamination": "refuse", "decontaminate": test_set(folder)} | options
    return run_mix(MixSettings(tuple(inputs), folder / out, **settings))


def ids(path: Path) -> list[str]:
    return [record.id for record in read_records(path)]
