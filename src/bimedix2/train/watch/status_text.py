"""The state of a run in words, English and Arabic."""

from __future__ import annotations

from typing import Any

from .labels import Language, event_word, word
from .status import Checkpoint, RunStatus
from .tables import duration, number, rates_text

_SHOWN = 3  # checkpoints


def state_text(status: RunStatus, language: Language) -> str:
    """What the run does, and what to do if it does not."""
    process: dict[str, Any] = status.process or {}
    who = f"{process.get('host')}, {process.get('pid')}"
    minutes = int((status.quiet_seconds or 0) // 60)
    quiet = (
        (f", but wrote nothing for {minutes} min", f"، لكنه لم يكتب شيئا منذ {minutes} دقيقة")
        if status.late
        else ("", "")
    )
    texts = {
        "preparing": (f"preparing ({who}){quiet[0]}", f"يحضر ({who}){quiet[1]}"),
        "running": (f"running ({who}){quiet[0]}", f"يعمل ({who}){quiet[1]}"),
        "silent": (
            f"no sign of life for {minutes} min; it runs on {process.get('host')}, process {process.get('pid')}: "
            "look there",
            f"لا إشارة منذ {minutes} دقيقة؛ يعمل على {process.get('host')}، العملية {process.get('pid')}: تحقق هناك",
        ),
        "dead": (
            "its process ended without a word; the same train command goes on at the last complete checkpoint",
            "انتهت عمليته دون إشعار؛ أمر التدريب نفسه يستأنف من آخر نقطة حفظ مكتملة",
        ),
        "stopped": (
            "stopped; the same train command goes on from here",
            "متوقف؛ أمر التدريب نفسه يستأنف من هنا",
        ),
        "finished": ("finished", "انتهى"),
        "failed": (
            f"ended with an error: {_message(status)}",
            f"انتهى بخطأ: {_message(status)}",
        ),
    }
    return texts[status.state][language == "ar"]


def facts(status: RunStatus, language: Language) -> list[tuple[str, str]]:
    """Keys of labels and values; what a run does not have yet is left out."""
    rows = [("state", state_text(status, language))]
    if status.step is not None:
        stages = f"/{status.stages}" if status.stages else ""
        place = f"{(status.stage_index or 0) + 1}{stages} {status.stage} · {status.step}/{status.steps}"
        rows += [
            ("stage", f"{place} ({number(status.percent, '.1f')} %)"),
            ("time_left", duration(status.seconds_left)),
            ("loss_mean", f"{number(status.loss_mean)} ({status.window})"),
            ("loss_last", number(status.loss)),
            ("tokens", number(status.tokens_per_second, ",.0f")),
            ("supervised", number(status.supervised_per_second, ",.0f")),
            ("memory", number(status.memory_gb, ".1f", " GB")),
            ("rates", rates_text(status.lr)),
            ("norm", number(status.grad_norm)),
        ]
        if status.seconds_left is None:
            rows = [row for row in rows if row[0] != "time_left"]
    if status.validation is not None:
        rows.append(("validation", f"{number(status.validation.get('loss'))} ({status.validation['step']})"))
    rows += [
        ("checkpoints", _checkpoints(status, language)),
        ("last_event", _event(status, language)),
        ("skipped", _counts(status.skipped)),
        ("nonfinite", str(status.nonfinite_steps)),
    ]
    if status.damaged_lines:
        rows.append(("damaged", str(status.damaged_lines)))
    return rows


def _checkpoints(status: RunStatus, language: Language) -> str:
    if not status.checkpoints:
        return word("none", language)
    rest = f" (+ {more})" if (more := len(status.checkpoints) - _SHOWN) > 0 else ""
    return ", ".join(_checkpoint(found, language) for found in status.checkpoints[-_SHOWN:]) + rest


def _checkpoint(found: Checkpoint, language: Language) -> str:
    state = f"{found.bytes / 1e6:,.1f} MB" if found.complete else word("incomplete", language)
    return f"{found.name} ({state})"


def _event(status: RunStatus, language: Language) -> str:
    row = status.last_event
    if row is None:
        return "–"
    place = " ".join(str(row[key]) for key in ("stage", "step") if row.get(key) is not None)
    return " · ".join(part for part in (event_word(row["event"], language), place, str(row.get("time", ""))) if part)


def _counts(counts: dict[str, int]) -> str:
    total = sum(counts.values())
    return f"{total} ({', '.join(f'{kind} {count}' for kind, count in counts.items())})" if total else "0"


def _message(status: RunStatus) -> str:
    row = status.last_event or {}
    return str(row.get("message", ""))[:300]
