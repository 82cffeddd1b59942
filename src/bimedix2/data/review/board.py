"""Where a review stands: the audit log played through, and what it means for items and lots."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, cast

from .acceptance import SamplingPlan, standing
from .entry import Entry
from .reasons import severity
from .store import Row, Workspace

State = Literal["open", "waiting", "disputed", "accept", "edit", "reject"]
LotState = Literal["open", "passed", "failed"]
JUDGEMENTS = ("accept", "edit", "reject")


class Final(NamedTuple):
    """What is decided about an item.

    Attributes:
        state: a verdict, or why there is none: nobody judged it, a second reader is awaited, or readers disagree.
        verdicts: the judgements that count, one a reviewer, in order; the adjudicator's last.
    """

    state: State
    verdicts: tuple[Entry, ...]

    @property
    def decided(self) -> bool:
        """Whether there is a verdict."""
        return self.state in JUDGEMENTS

    @property
    def deciding(self) -> Entry:
        """The verdict that counts where several agree: the adjudicator's, or the one with the gravest reason."""
        arbiters = [entry for entry in self.verdicts if entry.role == "adjudicator"]
        return arbiters[-1] if arbiters else min(self.verdicts, key=_gravity)

    def has_fault(self, kind: str) -> bool:
        """Whether it was found to have a fault of a severity; ``any`` asks for any fault."""
        if self.state not in ("edit", "reject"):
            return False
        return kind == "any" or severity(self.deciding.reason) == kind


def _gravity(entry: Entry) -> tuple[int, int]:
    return int(severity(entry.reason) != "critical"), entry.seq


@dataclass
class Lot:
    """One stratum under acceptance sampling.

    Attributes:
        name: of the stratum.
        size: items in it.
        samplings: plan of each class of faults.
        rows: the items drawn so far, in random order.
        state, states: whether it passed, in all and by class.
    """

    name: str
    size: int
    samplings: dict[str, SamplingPlan]
    rows: list[Row] = field(default_factory=list)
    state: LotState = "open"
    states: dict[str, str] = field(default_factory=dict)


class Board:
    """State of a workspace, kept up to date by :meth:`note`.

    Args:
        workspace: started.
    """

    def __init__(self, workspace: Workspace) -> None:
        self.workspace, self.plan = workspace, workspace.plan
        self._said: defaultdict[int, dict[str, list[Entry]]] = defaultdict(dict)
        self._order: defaultdict[str, list[Entry]] = defaultdict(list)
        self._stratum: dict[int, str] = {}
        for entry in workspace.entries():
            self._play(entry)
        self.lots = {name: self._new_lot(name, size) for name, size in workspace.strata().items()}
        self.extra = workspace.extra()
        self._queue: list[Row] | None = None

    def note(self, entry: Entry) -> None:
        """Take in a line that was added to the log."""
        self._play(entry)
        if entry.item is not None:
            self._settle(self.lots[self.stratum(entry.item)])

    def _play(self, entry: Entry) -> None:
        if entry.item is None:
            return
        said = self._said[entry.item].setdefault(entry.reviewer, [])
        order = self._order[entry.reviewer]
        if entry.action == "undo":
            said[:] = [other for other in said if other.seq != entry.undoes]
            order[:] = [other for other in order if other.seq != entry.undoes]
        elif entry.action != "start":
            said.append(entry)
            order.append(entry)

    # Items

    def stratum(self, number: int) -> str:
        """Stratum of an item."""
        if number not in self._stratum:
            self._stratum[number] = self.workspace.stratum_of(number)
        return self._stratum[number]

    def last_of(self, reviewer: str) -> Entry | None:
        """The reviewer's last judgement that was not taken back."""
        return self._order[reviewer][-1] if self._order[reviewer] else None

    def before(self, reviewer: str, number: int | None) -> int | None:
        """The item that a reviewer judged before the given one, or last."""
        numbers = list(dict.fromkeys(entry.item for entry in reversed(self._order[reviewer]) if entry.item))
        if number in numbers:
            numbers = numbers[numbers.index(number) + 1 :]
        return numbers[0] if numbers else None

    def mine(self, reviewer: str, number: int) -> Entry | None:
        """What a reviewer last said of an item."""
        said = self._said[number].get(reviewer, []) if number in self._said else []
        return said[-1] if said else None

    def judged(self, number: int) -> list[Entry]:
        """The newest judgement of each reviewer on an item, in the order of the log; skipping is none."""
        newest = [said[-1] for said in self._said.get(number, {}).values() if said]
        return sorted((entry for entry in newest if entry.action in JUDGEMENTS), key=lambda entry: entry.seq)

    def seen(self) -> list[int]:
        """Items that somebody judged."""
        return [number for number in list(self._said) if self.judged(number)]

    def final(self, row: Row) -> Final:
        """What is decided about an item."""
        judged = self.judged(row.number)
        arbiters = [entry for entry in judged if entry.role == "adjudicator"]
        readers = [entry for entry in judged if entry.role != "adjudicator"]
        verdicts = (*readers, *arbiters)
        if arbiters:
            return Final(_state(arbiters[-1]), verdicts)
        if len(readers) < row.readers:
            return Final("waiting" if readers else "open", verdicts)
        if len({(entry.action, entry.turns) for entry in readers}) > 1:
            return Final("disputed", verdicts)
        return Final(_state(readers[0]), verdicts)

    # Lots

    def queue(self) -> list[Row]:
        """The items to review, in random order over all strata."""
        if self._queue is None:
            open_lots = [lot for lot in self.lots.values() if not self.closed(lot)]
            rows = {row.number: row for lot in open_lots for row in lot.rows}
            rows |= {row.number: row for row in self.extra if not self.closed(self.lots[self.stratum(row.number)])}
            self._queue = sorted(rows.values(), key=lambda row: (row.draw, row.number))
        return self._queue

    def closed(self, lot: Lot) -> bool:
        """Whether a lot is to be translated anew, so that looking at more of it is lost time."""
        return self.plan.on_fail == "retranslate" and lot.state == "failed"

    def _new_lot(self, name: str, size: int) -> Lot:
        lot = Lot(name, size, self.plan.samplings(size))
        self._settle(lot)
        return lot

    def _settle(self, lot: Lot) -> None:
        """Apply the plans to the verdicts so far, and draw what they ask for."""
        self._queue = None
        wanted = max(min(plan.n1, lot.size) for plan in lot.samplings.values())
        while True:
            if len(lot.rows) < wanted:
                lot.rows = self.workspace.drawn(lot.name, wanted)
            needed = self._decide(lot)
            if needed <= len(lot.rows):
                lot.rows = lot.rows[:needed]  # fewer after an undo
                return
            wanted = needed

    def _decide(self, lot: Lot) -> int:
        """Set the states of a lot, and return how many rows must be drawn."""
        finals = [self.final(row) for row in lot.rows]
        needed = 0
        for kind, plan in lot.samplings.items():
            defective = [final.has_fault(kind) if final.decided else None for final in finals]
            defective += [None] * (min(plan.n1 + plan.n2, lot.size) - len(defective))
            state, rows = standing(plan, defective)
            lot.states[kind], needed = state, max(needed, rows)
        states = set(lot.states.values())
        lot.state = "failed" if "failed" in states else "open" if "open" in states else "passed"
        return lot.size if lot.state == "failed" and self.plan.on_fail == "review_all" else needed


def _state(entry: Entry) -> State:
    return cast("State", entry.action)  # judgements alone come here
