"""Hand-made files in the formats of public sets, and reading them through the registry."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bimedix2.data.sources._reading import Reading
from bimedix2.data.sources.registry import find_source, settings_of
from bimedix2.errors import RecordError
from bimedix2.records import Record, find_fault

ALL = frozenset({"train", "dev", "test"})
JPEG = b"\xff\xd8\xff\xe0 not a picture, but it begins like one"


def put(path: Path, content: str | bytes) -> Path:
    """Write a file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def put_lines(path: Path, rows: Iterable[Any]) -> Path:
    """Write JSON lines."""
    return put(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


class Taken:
    """What a source gave and refused."""

    def __init__(self, name: str, root: Path, splits: Iterable[str] = ALL, /, **options: str) -> None:
        source = find_source(name)
        self.errors: list[RecordError] = []
        self.reading = Reading(
            root, frozenset(splits), self.errors.append, settings_of(source.info, options), pictures=root / "pictures"
        )  # type: ignore[arg-type]
        self.records: list[Record] = list(source.read(self.reading))
        assert all(find_fault(record) is None for record in self.records)
        assert all(record.provenance[0].name == "ingest" and record.provenance[0].note for record in self.records)

    def ids(self, split: str | None = None) -> list[str]:
        return [record.id for record in self.records if split in (None, record.split)]

    def only(self) -> Record:
        (record,) = self.records
        return record


def run_command(*arguments: str, lang: str | None = None) -> Any:
    """``bimedix2`` in this process, with both languages of messages or with one."""
    from typer.testing import CliRunner

    from bimedix2.cli.app import app

    unset = dict.fromkeys(("LC_ALL", "LC_MESSAGES", "LANG"))
    return CliRunner().invoke(app, arguments, env={**unset, "BIMEDIX2_LANG": lang})
