"""The report of a mix, its tables in both languages, and whether an earlier run had done the same."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np

from bimedix2 import __version__
from bimedix2.cache import sha256_file, write_whole

from .facts import SPLITS, Facts
from .plan import Plan
from .settings import CellCounts, MixReport, MixSettings, report_path

FORMAT = 1
_CHUNK = 1 << 16
_HEAD = {
    "en": ("there", "planned", "mixed", "share", "copies", "cell"),
    "ar": ("الموجود", "المخطط", "الخليط", "الحصة", "النسخ", "الخلية"),
}
_WIDTHS = (10, 12, 10, 8, 8)


def cell_counts(facts: Facts, plan: Plan) -> tuple[CellCounts, ...]:
    """Of every cell that has a usable record."""
    cell, size, count = facts.rows["cell"], facts.rows["size"], len(facts.cells)

    def by_cell(values: Any, weights: Any = None) -> list[int]:
        """Sums a cell; a part at a time, for the numbers become floats on the way."""
        total = np.zeros(count)
        for start in range(0, len(cell), _CHUNK):
            own = slice(start, start + _CHUNK)
            part = values[own] if weights is None else values[own] * weights[own].astype(np.float64)
            total += np.bincount(cell[own], weights=part, minlength=count)
        return [int(value) for value in total]

    columns = zip(
        facts.cells, by_cell(plan.taken), by_cell(plan.taken, size), plan.planned.tolist(), by_cell(plan.uses),
        by_cell(plan.uses, size), by_cell(np.maximum(plan.uses - 1, 0)), strict=True,
    )  # fmt: skip
    return tuple(
        CellCounts(
            name,
            plan.patterns[int(plan.pattern_of[place])],
            there,
            there_size,
            round(planned, 3),
            mixed,
            mixed_size,
            more,
        )
        for place, (name, there, there_size, planned, mixed, mixed_size, more) in enumerate(columns)
        if there
    )


def left_out(facts: Facts, keep: Any, settings: MixSettings) -> dict[str, int]:
    """Numbers of records that could not be used, by reason, but for those in quarantine."""
    split = facts.rows["split"]
    found = {"repeated": int((~keep).sum())}
    for place, name in enumerate(SPLITS):
        if name not in settings.splits and (count := int((keep & (split == place)).sum())):
            found[f"split_{name}"] = count
    return found


def table(cells: Sequence[CellCounts], unit_by: str, language: Literal["en", "ar"], *, done: bool) -> str:
    """Lines of a table, numbers first; before writing the column of what came out is left empty."""
    heads = _HEAD[language]
    title = {
        ("en", False): f"Plan, counted in {unit_by}:", ("en", True): f"Mixed, counted in {unit_by}:",
        ("ar", False): f"الخطة، محسوبة بوحدة {unit_by}:", ("ar", True): f"الخليط، محسوبا بوحدة {unit_by}:",
    }[language, done]  # fmt: skip
    total = sum(cell.size if done else cell.planned_size for cell in cells) or 1
    lines = [title, "".join(head.rjust(width) for head, width in zip(heads, _WIDTHS, strict=False)) + f"  {heads[-1]}"]
    for cell in cells:
        share = (cell.size if done else cell.planned_size) / total
        values = (
            f"{cell.available_size:,}", f"{cell.planned_size:,.1f}", f"{cell.size:,}" if done else "",
            f"{share:.1%}", f"{cell.copied:,}" if cell.copied else "",
        )  # fmt: skip
        lines.append(
            "".join(value.rjust(width) for value, width in zip(values, _WIDTHS, strict=True)) + f"  {cell.cell}"
        )
    return "\n".join([*lines, *_pattern_lines(cells, total, language, done=done)])


def _pattern_lines(
    cells: Sequence[CellCounts], total: float, language: Literal["en", "ar"], *, done: bool
) -> Iterator[str]:
    """A line a target: its cells together."""
    patterns = dict.fromkeys(cell.pattern for cell in cells)
    if set(patterns) == {""}:
        return
    rest = {"en": "the rest", "ar": "الباقي"}[language]
    for pattern in sorted(patterns, key=lambda name: (not name, name)):
        own = [cell for cell in cells if cell.pattern == pattern]
        planned, mixed = sum(cell.planned_size for cell in own), sum(cell.size for cell in own)
        values = (
            f"{sum(cell.available_size for cell in own):,}", f"{planned:,.1f}", f"{mixed:,}" if done else "",
            f"{(mixed if done else planned) / total:.1%}", "",
        )  # fmt: skip
        yield (
            "".join(value.rjust(width) for value, width in zip(values, _WIDTHS, strict=True)) + f"  = {pattern or rest}"
        )


def targets_of(plan: Plan, cells: Sequence[CellCounts]) -> list[dict[str, Any]]:
    """Planned and realised size and share of every target, and of the rest as the pattern ""."""
    planned, mixed = float(plan.quota.sum()) or 1.0, sum(cell.size for cell in cells) or 1
    made = []
    for pattern, quota in zip(plan.patterns, plan.quota.tolist(), strict=True):
        own = sum(cell.size for cell in cells if cell.pattern == pattern)
        made.append(
            {
                "pattern": pattern, "planned_size": round(quota, 3), "planned_share": round(quota / planned, 6),
                "size": own, "share": round(own / mixed, 6),
            }
        )  # fmt: skip
    return made


def request_of(settings: MixSettings) -> dict[str, Any]:
    """What decides the mix."""
    asked = {
        "inputs": sorted(str(path.absolute()) for path in settings.inputs),
        "targets": list(map(list, settings.targets.items())),
        "splits": sorted(settings.splits),
    }
    plain = ("unit", "total", "seed", "upsample_limit", "pairs_together", "shared_images", "tokens", "contamination")
    asked |= {name: getattr(settings, name) for name in plain}
    if settings.contamination != "report":
        other = settings.decontaminate
        files = [*other.tests, *other.hashes, *other.parents]
        asked["compared_with"] = [facts_of(path) for path in files] + [repr(other)]
    return asked


def facts_of(path: Path) -> dict[str, Any]:
    """Path, size and time of change."""
    own = path.stat()
    return {"path": str(path), "bytes": own.st_size, "changed_ns": own.st_mtime_ns}


def already_done(settings: MixSettings, request: Mapping[str, Any]) -> MixReport | None:
    """The report of a run that was asked the same of the same files."""
    place = report_path(settings.out)
    try:
        content = json.loads(place.read_bytes())
        same = (
            content["format"] == FORMAT
            and content["version"] == __version__
            and content["request"] == dict(request)
            and settings.out.stat().st_size == content["out"]["bytes"]
            and all(
                facts_of(Path(file["path"])) == {key: file[key] for key in ("path", "bytes", "changed_ns")}
                for file in content["inputs"]
            )
        )
        return read_report(settings.out, reused=True) if same else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def read_report(out: Path, *, reused: bool = False) -> MixReport:
    """The report that stands beside a mix.

    Raises:
        OSError, ValueError, KeyError, TypeError: there is none, or it is damaged.
    """
    content = json.loads(report_path(out).read_bytes())
    cells = tuple(CellCounts(**cell) for cell in content["cells"])
    return MixReport(
        out, report_path(out), content["out"]["records"], content["content_sha256"], cells, reused, content
    )


def plan_content(
    settings: MixSettings, request: Mapping[str, Any], facts: Facts, plan: Plan, cells: Sequence[CellCounts]
) -> dict[str, Any]:
    """What is known before writing."""
    return {
        "format": FORMAT,
        "version": __version__,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "request": dict(request),
        "seed": settings.seed,
        "unit": settings.unit,
        "size": {"planned": round(float(plan.quota.sum()), 3), "mixed": sum(cell.size for cell in cells)},
        "targets": targets_of(plan, cells),
        "cells": [msgspec.to_builtins(cell) for cell in cells],
        "whole_pairs": plan.whole_pairs if settings.pairs_together else None,
        "read": len(facts.rows),
    }


def finish(settings: MixSettings, content: dict[str, Any], records: int, content_sha256: str) -> MixReport:
    """Write the report: from now on the mix counts as complete."""
    content["content_sha256"] = content_sha256
    content["out"] = {
        "path": str(settings.out), "records": records, "bytes": settings.out.stat().st_size,
        "sha256": sha256_file(settings.out),
    }  # fmt: skip
    place = report_path(settings.out)
    write_whole(place, (json.dumps(content, ensure_ascii=False, indent=1) + "\n").encode())
    return read_report(settings.out)
