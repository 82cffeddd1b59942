"""The files of a workspace, written anew from the ledger: the same bytes however often a run was cut short."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec

from bimedix2.data.quarantine import Reason, quarantine_path
from bimedix2.errors import RecordError
from bimedix2.records import Record, read_records, write_records

from .ledger import Ledger, digest, put_fault

REVIEW, SUMMARY = "review.jsonl", "summary.json"
_ORDERED = "FROM rows WHERE run = ? AND {where} ORDER BY position"


def read_inputs(paths: Iterable[Path], ledger: Ledger) -> Iterator[Record]:
    """Records of several files; bad rows and repeated ids go to the ledger's faults and nothing else is lost."""

    def note(error: RecordError) -> None:
        ledger.post(put_fault(ledger.run, error.path, error.row, error.field, error.problem, error.problem_ar))

    yield from unique(paths, note)


def unique(paths: Iterable[Path], note: Callable[[RecordError], None]) -> Iterator[Record]:
    """Records of several files, without those whose id came before in another; ``note`` is told of what is left out."""
    seen: set[str] = set()
    files = list(dict.fromkeys(paths))
    for path in files:
        for record in read_records(path, on_error=note):
            if len(files) > 1:
                mark = digest(record.id)
                if mark in seen:
                    note(RecordError(path, 0, "id", f"{record.id!r} is in another input too", "المعرف في ملف آخر أيضا"))
                    continue
                seen.add(mark)
            yield record


def write_results(ledger: Ledger, out: Path, work: Path) -> dict[str, int]:
    """Write ``out``, its quarantine and ``review.jsonl`` from what is decided, and return their counts."""
    return {
        "records": write_records(out, _outputs(ledger)),
        "review": _write_lines(work / REVIEW, _blobs(ledger, "review")),
        "quarantine": _write_quarantine(quarantine_path(out), ledger),
    }


def _write_quarantine(path: Path, ledger: Ledger) -> int:
    """The quarantine beside the output; none where nothing was left out, as for every step."""
    count = _write_lines(path, _quarantine(ledger))
    if not count:
        path.unlink()
    return count


def _outputs(ledger: Ledger) -> Iterator[Record]:
    decoder = msgspec.json.Decoder(Record)
    return (decoder.decode(line) for line in _blobs(ledger, "outputs"))


def _blobs(ledger: Ledger, column: str) -> Iterator[bytes]:
    """Lines of a column of the accepted rows, in the order of the input."""
    where = _ORDERED.format(where="state = 'accepted'")
    for (blob,) in ledger.select(f"SELECT {column} {where}", (ledger.run,)):
        yield from (blob or b"").splitlines()


class GivenUp(Reason, frozen=True):
    """A line of the quarantine: a row that could not be read, or a record that was given up.

    Attributes:
        stage: of the question that failed.
        reply: start of the last reply.
        record: the record as it came in; ``null`` for a row that is none.
    """

    stage: str = ""
    reply: str = ""
    record: msgspec.Raw = msgspec.Raw(b"null")


def _quarantine(ledger: Ledger) -> Iterator[bytes]:
    """Rows of the input that could not be read, then records that were given up."""
    faults = ledger.select(
        "SELECT file, row, field, problem, problem_ar FROM faults WHERE run = ? ORDER BY rowid", (ledger.run,)
    )
    for file, row, field, problem, problem_ar in faults:
        yield msgspec.json.encode(GivenUp(file, row, field, "bad_row", problem, problem_ar))
    columns = "id, reason, detail, detail_ar, stage, reply, record"
    where = _ORDERED.format(where="state = 'tombstone'")
    for record_id, code, reason, reason_ar, stage, reply, record in ledger.select(
        f"SELECT {columns} {where}",
        (ledger.run,),
    ):
        yield msgspec.json.encode(
            GivenUp("", 0, "", code, reason, reason_ar, record_id, stage, reply, msgspec.Raw(record))
        )


def _write_lines(path: Path, lines: Iterable[bytes]) -> int:
    """Lines of a file that appears whole or not at all."""
    scratch, count = path.with_name(f".{path.name}.partial"), 0
    with scratch.open("wb") as file:
        for count, line in enumerate(lines, start=1):  # noqa: B007 -- the count is returned
            file.write(line + b"\n")
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(path)
    return count
