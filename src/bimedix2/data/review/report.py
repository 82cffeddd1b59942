"""Where a review stands in figures: lots with their confidence statements, agreement, reviewers, checks."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import combinations
from statistics import median
from typing import Any

import msgspec

from .acceptance import at_most, at_most_in_lot, chance_to_pass
from .agreement import cohen_kappa, gwet_ac1, krippendorff_alpha, share_equal
from .board import JUDGEMENTS, Board, Final, Lot
from .entry import Entry
from .intake import OWNER
from .plan import Plan
from .store import Workspace

KINDS = ("critical", "minor", "any")
_KIND_WORDS = {
    "critical": ("a critical fault", "خطأ خطير"),
    "minor": ("a minor fault", "خطأ طفيف"),
    "any": ("any fault", "أي خطأ"),
}


def review_report(workspace: Workspace) -> dict[str, Any]:
    """All figures, as values for JSON; sentences come in both languages."""
    with workspace.snapshot():
        return _figures(workspace.require_ready())


def _figures(workspace: Workspace) -> dict[str, Any]:
    board, plan = Board(workspace), workspace.plan
    finals = [(row, board.final(row)) for row in board.queue()]
    states: Counter[str] = Counter(final.state for _, final in finals)
    return {
        "records": workspace.select("SELECT count(*) FROM records")[0][0],
        "items": sum(lot.size for lot in board.lots.values()),
        "queue": len(finals),
        "states": {name: states[name] for name in (*JUDGEMENTS, "waiting", "disputed", "open")},
        "plan": msgspec.to_builtins(plan),
        "strata": [_stratum(board, lot, plan) for lot in board.lots.values()],
        "flagged": _flagged(board, workspace),
        "agreement": agreement(board),
        "reviewers": reviewers(workspace.entries()),
        "log": {"lines": len(workspace.entries()), "broken_at": workspace.broken_at()},
    }


def _stratum(board: Board, lot: Lot, plan: Plan) -> dict[str, Any]:
    finals = [board.final(row) for row in lot.rows]
    counts: Counter[str] = Counter(final.state for final in finals)
    plans = {}
    for kind, sampling in lot.samplings.items():
        passing = {f"{share:g}": round(chance_to_pass(sampling, share), 4) for share in (0.005, 0.01, 0.02, 0.05, 0.1)}
        plans[kind] = {**sampling._asdict(), "state": lot.states[kind], "chance_to_pass": passing}
    bounds = {kind: bound(finals, lot.size, kind, plan.confidence) for kind in KINDS}
    return {
        "name": lot.name,
        "size": lot.size,
        "state": lot.state,
        "plans": plans,
        "drawn": len(lot.rows),
        "counts": {name: counts[name] for name in (*JUDGEMENTS, "waiting", "disputed", "open")},
        "bounds": bounds,
        "statement": statement(lot, bounds["critical"], "critical", plan.confidence),
        "statement_any": statement(lot, bounds["any"], "any", plan.confidence),
        "trigger": trigger(board, lot),
    }


def bound(finals: list[Final], size: int, kind: str, confidence: float) -> dict[str, Any]:
    """How much of a lot can be defective, from its rows in random order.

    A row on which readers disagree counts as defective until a third reader has spoken: leaving it out would make
    the lot look better than it may be.
    """
    known = [final for final in finals if final.decided or final.state == "disputed"]
    n = len(known)
    defects = sum(final.state == "disputed" or final.has_fault(kind) for final in known)
    if not n:
        return {"n": 0, "defects": 0, "share": None, "at_most": None, "at_most_rows": None}
    whole = n == size
    return {
        "n": n,
        "defects": defects,
        "share": defects / n,
        "at_most": defects / n if whole else at_most(defects, n, confidence),
        "at_most_rows": at_most_in_lot(defects, n, size, confidence),
    }


def statement(lot: Lot, found: dict[str, Any], kind: str, confidence: float) -> dict[str, str]:
    """What the verdicts allow to say about a lot."""
    english, arabic = _KIND_WORDS[kind]
    n, defects, rows = found["n"], found["defects"], found["at_most_rows"]
    if not n:
        return {"en": f"{lot.name}: nothing can be said yet.", "ar": f"{lot.name}: لا يمكن قول شيء بعد."}
    share = f"{100 * found['at_most']:.2f}"
    if n == lot.size:
        return {
            "en": f"{lot.name}: all {n} rows were read; {defects} ({share} %) have {english}.",
            "ar": f"{lot.name}: قرئت كل الصفوف، وعددها {n}؛ عدد ما فيه {arabic}: {defects} ({share}%).",
        }
    sure = f"{100 * confidence:g}"
    return {
        "en": f"{lot.name}: with {sure} % confidence at most {share} % of the rows have {english} ({defects} of {n} "
        f"read at random, Clopper-Pearson); of this lot's {lot.size} rows at most {rows}.",
        "ar": f"{lot.name}: بثقة {sure}% لا تتجاوز نسبة الصفوف التي فيها {arabic} {share}% (العدد {defects} من {n} "
        f"قرئت عشوائيا، Clopper-Pearson)؛ ولا تتجاوز {rows} من صفوف هذه المجموعة، وعددها {lot.size}.",
    }


def trigger(board: Board, lot: Lot) -> dict[str, str] | None:
    """What a failed lot makes necessary."""
    if lot.state != "failed":
        return None
    if board.closed(lot):
        return {
            "en": f"{lot.name} failed: translate all of it anew (export lists its rows in *.retranslate.jsonl) and "
            "review a new sample.",
            "ar": f"لم تجتز {lot.name} الفحص: أعد ترجمتها كلها (يسرد التصدير صفوفها في ‎*.retranslate.jsonl) ثم راجع "
            "عينة جديدة.",
        }
    left = sum(not board.final(row).decided for row in lot.rows)
    return {
        "en": f"{lot.name} failed: all of its {lot.size} rows are now in the queue; {left} have no verdict yet.",
        "ar": f"لم تجتز {lot.name} الفحص: كل صفوفها في قائمة المراجعة، وعددها {lot.size}؛ منها بلا حكم: {left}.",
    }


def _flagged(board: Board, workspace: Workspace) -> dict[str, Any]:
    """How often a check that fired was right, over flagged items that were read: reported apart from the lots."""
    by_check: dict[str, Counter[str]] = defaultdict(Counter)
    read = faulty = 0
    for number in board.seen():
        row = workspace.row(number)
        if row is None or not row.flagged or not board.final(row).decided:
            continue
        found, fault = workspace.found(workspace.pair(number)[0].id), board.final(row).has_fault("any")
        read, faulty = read + 1, faulty + fault
        for check in found.failed if found else ():
            by_check[check].update(read=1, faulty=int(fault))
    items = workspace.select("SELECT count(*) FROM items WHERE flagged = 1")[0][0]
    checks = {name: {"read": counts["read"], "faulty": counts["faulty"]} for name, counts in sorted(by_check.items())}
    return {"items": items, "read": read, "faulty": faulty, "checks": checks}


def agreement(board: Board) -> dict[str, Any]:
    """Agreement of blind readers on the items that at least two of them read; adjudicators do not count."""
    units = []
    pairs: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for number in board.seen():
        readers = sorted((e for e in board.judged(number) if e.role != "adjudicator"), key=lambda entry: entry.reviewer)
        if len(readers) < 2:
            continue
        units.append([entry.action for entry in readers])
        for one, other in combinations(readers, 2):
            pairs[one.reviewer, other.reviewer].append((one.action, other.action))
    every = [pair for found in pairs.values() for pair in found]
    table = Counter(every)
    return {
        "items": len(units),
        "equal": share_equal(every),
        "alpha": krippendorff_alpha(units),
        "ac1": gwet_ac1(every, len(JUDGEMENTS)),
        "pairs": [
            {"readers": list(names), "items": len(found), "equal": share_equal(found), "kappa": cohen_kappa(found)}
            for names, found in sorted(pairs.items())
        ],
        "table": {f"{one}/{other}": table[one, other] for one in JUDGEMENTS for other in JUDGEMENTS},
    }


def reviewers(entries: list[Entry]) -> list[dict[str, Any]]:
    """What each reviewer did; the pace is of the page alone."""
    found = []
    for name in sorted({entry.reviewer for entry in entries} - {OWNER}):
        own = [entry for entry in entries if entry.reviewer == name]
        counts: Counter[str] = Counter(entry.action for entry in own)
        paces = [entry.seconds for entry in own if entry.seconds is not None and entry.action in JUDGEMENTS]
        found.append(
            {
                "name": name,
                "roles": sorted({entry.role for entry in own}),
                "counts": {action: counts[action] for action in (*JUDGEMENTS, "skip", "undo")},
                "median_seconds": median(paces) if paces else None,
            }
        )
    return found
