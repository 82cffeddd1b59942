"""``review export``: verdicts flow back into the data; every record goes to exactly one file."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import msgspec

from bimedix2 import __version__
from bimedix2.errors import ConfigError
from bimedix2.records import Record, Step, write_records

from .board import Board, Final
from .desk import edited
from .report import bound, statement
from .store import Row, Workspace

SIDES = ("rejected", "adjudicate", "pending", "retranslate", "audit")


def side_file(out: Path, name: str) -> Path:
    """Path of a file beside the main one: ``set.jsonl`` gets ``set.rejected.jsonl``."""
    return out.with_name(f"{out.stem}.{name}.jsonl")


def export(workspace: Workspace, out: Path) -> dict[str, int]:
    """Write the reviewed set and the files beside it, and return the number of lines of each.

    The main file holds the records that were not under review, those accepted or edited, and the unread rows of lots
    that passed. Beside it: ``rejected`` with reasons, ``adjudicate`` with the verdicts that differ, ``pending``
    without a decision, ``retranslate`` of failed lots, and ``audit``, the whole log.

    Raises:
        ConfigError: ``out`` has another ending than .jsonl or .parquet.
    """
    if out.suffix not in (".jsonl", ".parquet"):
        raise ConfigError(
            f"--out {out} must end in .jsonl or .parquet.", f"يجب أن ينتهي --out {out} بـ .jsonl أو .parquet."
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    with workspace.snapshot(), _Sides(out) as sides:
        run = _Export(workspace, sides)
        count = write_records(out, run.records())
        for entry in workspace.entries():
            sides.put("audit", entry)
        return {"records": count, **sides.counts}


class _Sides:
    """The files beside the main one; they appear whole, and together, when the block ends well."""

    def __init__(self, out: Path) -> None:
        self._paths = {name: side_file(out, name) for name in SIDES}
        self._files: dict[str, BinaryIO] = {}
        self.counts: Counter[str] = Counter(dict.fromkeys(SIDES, 0))

    def put(self, name: str, value: Any) -> None:
        self._files[name].write(msgspec.json.encode(value) + b"\n")
        self.counts[name] += 1

    def __enter__(self) -> _Sides:
        for name, path in self._paths.items():
            self._files[name] = path.with_name(f".{path.name}.partial").open("wb")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name, file in self._files.items():
            file.flush()
            os.fsync(file.fileno())
            file.close()
            scratch = Path(file.name)
            if kind is None:
                scratch.replace(self._paths[name])
            else:
                scratch.unlink(missing_ok=True)


class _Export:
    def __init__(self, workspace: Workspace, sides: _Sides) -> None:
        self.workspace, self.sides, self.board = workspace, sides, Board(workspace.require_ready())
        self._passed: dict[str, Step] = {}

    def records(self) -> Iterator[Record]:
        """Records of the main file in the order of the input; the others are put aside on the way."""
        sql = (
            "SELECT r.body, i.number, i.draw, i.readers, i.flagged, i.stratum, i.original FROM records r "
            "LEFT JOIN items i ON i.record = r.id ORDER BY r.position"
        )
        decoder = msgspec.json.Decoder(Record)
        for body, number, draw, readers, flagged, stratum, original in self.workspace.stream(sql):
            record = decoder.decode(body)
            if number is None:
                yield record
                continue
            row = Row(number, draw, readers, bool(flagged))
            reviewed = self._reviewed(record, original, row, stratum)
            if reviewed is not None:
                yield reviewed

    def _reviewed(self, record: Record, original: str | None, row: Row, stratum: str) -> Record | None:
        final, lot = self.board.final(row), self.board.lots[stratum]
        head = {"id": record.id, "original": original, "stratum": stratum}
        if final.state == "reject":
            entry = final.deciding
            reasons = [e.reason for e in final.verdicts if e.action == "reject"]
            reasons = list(dict.fromkeys((entry.reason, *reasons)))
            self.sides.put("rejected", {**head, "reasons": reasons, "verdicts": _said(final), "record": record})
        elif final.decided:
            return _with_step(_corrected(record, final), _step(final))
        elif final.state == "disputed":
            self.sides.put("adjudicate", {**head, "verdicts": _said(final), "record": record})
        elif self.board.closed(lot):
            self.sides.put("retranslate", {**head, "record": record})
        elif lot.state == "passed" and final.state == "open" and not row.flagged:
            return _with_step(record, self._lot_step(stratum))
        else:
            self.sides.put("pending", {**head, "state": final.state, "record": record})
        return None

    def _lot_step(self, stratum: str) -> Step:
        """Provenance of a row that nobody read, in a lot that passed."""
        if stratum not in self._passed:
            lot, plan = self.board.lots[stratum], self.workspace.plan
            finals = [self.board.final(row) for row in lot.rows]
            said = statement(lot, bound(finals, lot.size, "critical", plan.confidence), "critical", plan.confidence)
            date = max(entry.at for final in finals for entry in final.verdicts)[:10]
            note = f"not read itself; lot passed: {said['en']}"
            self._passed[stratum] = Step(name="review", tool="bimedix2", version=__version__, date=date, note=note)
        return self._passed[stratum]


def _corrected(record: Record, final: Final) -> Record:
    turns = final.deciding.turns
    return edited(record, turns) if final.state == "edit" and turns is not None else record


def _step(final: Final) -> Step:
    """Provenance of a verdict: who, what, when, and where the log says so."""
    entry = final.deciding
    names = ", ".join(dict.fromkeys(e.reviewer for e in final.verdicts if e.action == entry.action))
    words = {"accept": "accepted", "edit": "edited"}
    note = f"{words[entry.action]} by {names}"
    note += f"; reason {entry.reason}" if entry.reason else ""
    note += "; adjudicated" if entry.role == "adjudicator" else ""
    note += f"; log {','.join(str(e.seq) for e in final.verdicts)}"
    return Step(name="review", tool="bimedix2", version=__version__, date=entry.at[:10], note=note)


def _with_step(record: Record, step: Step) -> Record:
    return msgspec.structs.replace(record, provenance=(*record.provenance, step))


def _said(final: Final) -> list[dict[str, Any]]:
    names = ("seq", "at", "reviewer", "role", "action", "reason", "note", "turns")
    return [{name: getattr(entry, name) for name in names} for entry in final.verdicts]
