"""The report as lines of text, in English and Arabic."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Language = str
_STATES = {
    "passed": ("passed", "اجتازت"),
    "failed": ("failed", "لم تجتز"),
    "open": ("open", "مفتوحة"),
}
_VERDICTS = {
    "accept": ("accepted", "مقبول"),
    "edit": ("edited", "معدل"),
    "reject": ("rejected", "مرفوض"),
    "waiting": ("waiting for a second reader", "ينتظر قارئا ثانيا"),
    "disputed": ("disputed", "مختلف فيه"),
    "open": ("open", "مفتوح"),
    "skip": ("not judged", "تعذر الحكم"),
    "undo": ("undone", "تراجع"),
}


def summary_lines(report: dict[str, Any], language: Language) -> Iterator[str]:
    """The report in one language, line by line."""
    ar = language == "ar"
    yield (
        f"السجلات: {report['records']}، العناصر: {report['items']}، في قائمة المراجعة: {report['queue']}"
        if ar
        else f"records: {report['records']}, items: {report['items']}, in the queue: {report['queue']}"
    )
    yield _counts(report["states"], ar)
    for stratum in report["strata"]:
        yield ""
        state = _STATES[stratum["state"]][ar]
        yield f"[{state}] {stratum['statement'][language]}"
        yield f"  {_counts(stratum['counts'], ar)}"
        yield f"  {stratum['statement_any'][language]}"
        if stratum["trigger"]:
            yield f"  ! {stratum['trigger'][language]}"
    yield ""
    yield from _agreement(report["agreement"], ar)
    yield from _flagged(report["flagged"], ar)
    for reviewer in report["reviewers"]:
        pace = reviewer["median_seconds"]
        seconds = "" if pace is None else (f"، الوسيط {pace:g} ثانية" if ar else f", median {pace:g} s")
        yield f"{reviewer['name']}: {_counts(reviewer['counts'], ar)}{seconds}"
    yield _log(report["log"], ar)


def _counts(counts: dict[str, int], ar: bool) -> str:
    return ("، " if ar else ", ").join(f"{_VERDICTS[name][ar]}: {count}" for name, count in counts.items())


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _agreement(found: dict[str, Any], ar: bool) -> Iterator[str]:
    if not found["items"]:
        yield "لم يقرأ أي عنصر مرتين بعد" if ar else "no item was read twice yet"
        return
    alpha, ac1, equal = (_figure(found[name]) for name in ("alpha", "ac1", "equal"))
    if ar:
        yield f"قرئ مرتين: {found['items']}؛ نسبة الاتفاق {equal}، ألفا كريبندورف {alpha}، Gwet AC1 {ac1}"
    else:
        yield f"read twice: {found['items']}; agreement {equal}, Krippendorff's alpha {alpha}, Gwet's AC1 {ac1}"
    for pair in found["pairs"]:
        names, kappa = " / ".join(pair["readers"]), _figure(pair["kappa"])
        yield f"  {names}: {'كابا كوهين' if ar else 'Cohen’s kappa'} {kappa} (n = {pair['items']})"


def _flagged(found: dict[str, Any], ar: bool) -> Iterator[str]:
    if not found["items"]:
        return
    if ar:
        yield f"عناصر وجدت فيها الفحوص شيئا: {found['items']}؛ قرئ منها {found['read']}، وفيها خطأ {found['faulty']}"
    else:
        yield f"items with failed checks: {found['items']}; read {found['read']}, with a fault {found['faulty']}"
    for name, counts in found["checks"].items():
        yield f"  {name}: {counts['faulty']}/{counts['read']}"


def _log(log: dict[str, Any], ar: bool) -> str:
    if log["broken_at"] is None:
        return f"سجل التدقيق سليم، عدد سطوره {log['lines']}" if ar else f"audit log: {log['lines']} lines, chain intact"
    return (
        f"! سجل التدقيق معدل من خارج البرنامج عند السطر {log['broken_at']}"
        if ar
        else f"! the audit log was changed from outside at line {log['broken_at']}"
    )
