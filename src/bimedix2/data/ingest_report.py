"""The report of an ingest run: what was asked, read, written and left out; it also tells that a run is complete."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bimedix2 import __version__
from bimedix2.cache import sha256_file, write_whole

from .quarantine import Quarantine, quarantine_path
from .sources._reading import Reading, SourceInfo

FORMAT = 1


def report_path(out: Path) -> Path:
    """``records.jsonl`` has ``records.ingest.json``."""
    return out.with_name(f"{out.stem}.ingest.json")


def new_report(
    request: Mapping[str, Any], info: SourceInfo, out: Path, reading: Reading, quarantine: Quarantine
) -> dict[str, Any]:
    """What a run was and what it left out; counts of what it wrote are the caller's."""
    total = sum(quarantine.counts.values())
    return {
        "format": FORMAT,
        "version": __version__,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "request": dict(request),
        "licence": info.licence,
        "out": {"path": str(out), "bytes": out.stat().st_size, "sha256": sha256_file(out)},
        "files": [_facts(path) | {"sha256": sha256_file(path)} for path in reading.files],
        "absent": sorted({str(path) for path in reading.absent}),
        "skipped": [
            {"reason": said.en, "reason_ar": said.ar, "rows": rows} for said, rows in sorted(reading.skipped.items())
        ],
        "quarantine": {
            "path": str(quarantine_path(out)) if total else None,
            "rows": total,
            "by_code": dict(sorted(quarantine.counts.items())),
        },
    }


def _facts(path: Path) -> dict[str, Any]:
    facts = path.stat()
    return {"path": str(path), "bytes": facts.st_size, "changed_ns": facts.st_mtime_ns}


def write_report(out: Path, report: Mapping[str, Any]) -> None:
    """Put the report beside the output: from now on the run counts as complete."""
    write_whole(report_path(out), (json.dumps(report, ensure_ascii=False, indent=1) + "\n").encode())


def already_done(out: Path, request: Mapping[str, Any]) -> dict[str, Any] | None:
    """The report of a complete run that was asked the same of the same files and set nothing aside.

    A run with rows in quarantine is done again: what kept them out, such as missing images, may have been mended.
    """
    try:
        report: dict[str, Any] = json.loads(report_path(out).read_bytes())
        same = (
            report["format"] == FORMAT
            and report["version"] == __version__
            and report["request"] == dict(request)
            and not report["quarantine"]["rows"]
            and out.stat().st_size == report["out"]["bytes"]
            and not any(Path(path).exists() for path in report["absent"])
            and all(
                _facts(Path(file["path"])) == {key: file[key] for key in ("path", "bytes", "changed_ns")}
                for file in report["files"]
            )
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return report if same else None
