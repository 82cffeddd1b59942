"""What a mix is asked for, and what comes back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from bimedix2.data.decontaminate.run import DecontaminateSettings

Unit = Literal["samples", "tokens"]
Contamination = Literal["report", "refuse", "drop"]
Tell = Callable[[str, str], None]


@dataclass(frozen=True)
class MixSettings:
    """How to mix.

    Attributes:
        inputs: files of records, ``.jsonl`` or ``.parquet``.
        out: the mix, ``.jsonl`` or ``.parquet``; its report is ``OUT.json`` with the same stem.
        targets: pattern of cells ``language/modality/task`` (``ar/*/*``) -> its part of the mix: shares that sum to
            at most 1, or amounts greater than 1 in ``unit``. The first pattern that fits counts. What no pattern
            names fills the rest in its own proportions.
        unit: what is counted: records, or supervised tokens.
        total: size of the mix in ``unit``; ``None`` takes the most that the targets allow.
        seed: chooses the records.
        upsample_limit: most uses of one record; copies have the id ``ID~2``, ``ID~3`` and so on.
        pairs_together: translations of one sample are taken or left together.
        splits: taken; records of other splits are left out, those of ``test`` refused.
        shared_images: allow one image in train and dev.
        tokens: what counts tokens: a model's name or folder, ``words``, ``characters``; ``auto`` is nano's tokenizer
            if it is on disk and else ``words``.
        contamination: ``report`` wants a clean decontamination report beside each input; ``refuse`` compares with
            the test sets now; ``drop`` also leaves out what is found.
        decontaminate: for the last two, what to compare with; its ``drop`` is not looked at.
        strict: a bad row ends the run instead of going to ``OUT.quarantine.jsonl``.
        plot: picture of the cells (``.png``, ``.svg``).
        dry_run: plan only, and write nothing.
        force: do it again though nothing changed.
    """

    inputs: tuple[Path, ...]
    out: Path
    targets: Mapping[str, float] = field(default_factory=dict)
    unit: Unit = "samples"
    total: int | None = None
    seed: int = 0
    upsample_limit: int = 1
    pairs_together: bool = False
    splits: frozenset[str] = frozenset({"train"})
    shared_images: bool = False
    tokens: str = "auto"
    contamination: Contamination = "report"
    decontaminate: DecontaminateSettings = field(default_factory=DecontaminateSettings)
    strict: bool = False
    plot: Path | None = None
    dry_run: bool = False
    force: bool = False


@dataclass(frozen=True)
class CellCounts:
    """One cell ``language/modality/task`` of a mix.

    Attributes:
        cell, pattern: the pattern is the target's that names it, or empty.
        available, available_size: records and their size in the mix's unit.
        planned_size: size that the plan asks of it.
        records, size: as they came out, copies counted.
        copied: records that are second or later copies.
    """

    cell: str
    pattern: str
    available: int
    available_size: int
    planned_size: float
    records: int
    size: int
    copied: int


@dataclass(frozen=True)
class MixReport:
    """What came out; ``content`` is all of ``OUT.json``.

    Attributes:
        out: the mix; not there after a dry run.
        report: ``OUT.json``.
        records: of the mix.
        content_sha256: over its canonical JSON lines in order, the same for ``.jsonl`` and ``.parquet``.
        cells: sorted.
        reused: an earlier run had done the same already.
        content: the report file.
    """

    out: Path
    report: Path
    records: int
    content_sha256: str
    cells: tuple[CellCounts, ...]
    reused: bool
    content: Mapping[str, Any]


def report_path(out: Path) -> Path:
    """``mix.jsonl`` has ``mix.json``."""
    return out.with_name(f"{out.stem}.json")
