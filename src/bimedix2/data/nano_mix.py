"""The bilingual set that nano is trained on, from the public data sets' original files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from bimedix2.records import Record, write_jsonl

from .sources import bccd, pneumoniamnist, rocov2, text_sets, vqa_rad


def nano_records(root: Path, work: Path) -> Iterator[Record]:
    """Every training record of nano's mix.

    Args:
        root: folder of the data sets.
        work: folder for images that have to be written out first.
    """
    return chain(
        vqa_rad.records(root, ("train",)),
        rocov2.records(root, "train"),
        bccd.records(root, "train"),
        pneumoniamnist.records(root, work / "pneumoniamnist"),
        text_sets.indiana(root),
        text_sets.medmcqa(root),
        text_sets.meqsum(root),
    )


def build_nano_mix(root: Path, work: Path) -> dict[str, int]:
    """Write ``records.jsonl`` under ``work`` and return the number of records per source and language."""
    counts: Counter[str] = Counter()

    def counted() -> Iterator[Record]:
        for record in nano_records(root, work):
            counts[f"{record.source} {record.turns[-1].language}"] += 1
            yield record

    work.mkdir(parents=True, exist_ok=True)
    write_jsonl(work / "records.jsonl", counted())
    return dict(sorted(counts.items()))
