"""What a build did, as lines for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bimedix2.data.reason_words import reason_word

from .job import BuildStep
from .line import WHY, Why
from .steps import STEPS


def step_word(name: str, language: str) -> str:
    """Name of a step for people."""
    return next(step.arabic for step in STEPS if step.name == name) if language == "ar" else name


def summary_lines(summary: Mapping[str, Any], out: Path, language: str) -> list[str]:
    """A line a step: rows in, rows out, and what was set aside or only listed, with reasons; then the lists."""
    lines = []
    for one in summary["steps"]:
        rows = one["rows"]
        name = f"{one['folder'][:2]} {step_word(one['step'], language)}"
        head = f"{name:18s} {rows['in']:9,d} -> {rows['out']:9,d}"
        lines.append(head + _added(rows["added"], language))
        for sign, reasons in (("-", one["aside"]), ("*", one["listed"])):
            lines += [f"    {sign} {count:8,d}  {reason_word(code, language)}" for code, count in reasons.items()]
    legend = "- set aside, * kept and listed" if language == "en" else "- متروك، * أبقي وذكر في القائمة"
    lines.append(legend)
    lines += [f"{out / name}" for name in summary["quarantine"]]
    return lines


def _added(count: int, language: str) -> str:
    if not count:
        return ""
    return f"  (+{count:,} new)" if language == "en" else f"  (+{count:,} جديد)"


def plan_lines(steps: Sequence[tuple[BuildStep, Why | None]], language: str) -> list[str]:
    """What would be done, a line a step."""
    lines = []
    for step, why in steps:
        english, arabic = WHY[why] if why else ("follows from the steps before", "تتبع ما قبلها")
        done = "  " if why == "kept" else "> "
        lines.append(f"{done}{step_word(step.name, language):16s} {arabic if language == 'ar' else english}")
    return lines
