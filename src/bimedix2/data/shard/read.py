"""Shards back to records and image files."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from bimedix2.data.locks import only_one
from bimedix2.records import Record, read_records, write_records

from .manifest import read_manifest, verify
from .settings import Tell
from .tar import NAME, damaged, members


def read(folder: Path) -> Iterator[Record]:
    """Stream the records of all shards, in the order of the mix.

    Raises:
        DataError: there is no manifest.
        RecordError: a shard is missing or damaged.
    """
    for file in read_manifest(folder)["files"]:
        if file["path"].startswith("records/"):
            yield from read_records(folder / file["path"], unique_ids=False)


def images(folder: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """Name ``<sha256>.<ending>`` and content of every image; a content is to be read before the next is taken."""
    for file in read_manifest(folder)["files"]:
        if file["path"].startswith("images/"):
            yield from members(folder / file["path"])


def unpack(folder: Path, out: Path, tell: Tell | None = None) -> int:
    """Write ``OUT/records.jsonl`` and ``OUT/images/``, ready for a training run with ``OUT`` as its data folder.

    All hashes are checked. Images that an interrupted run has written are not written twice; the records come last.

    Args:
        folder: of the shards.
        out: may be there already.
        tell: takes progress.

    Returns:
        The number of records.

    Raises:
        DataError: ``no_manifest``, ``damaged_shards`` or ``busy``.
    """
    tell = tell or (lambda english, arabic: None)
    verify(folder)
    with only_one(out / "records.jsonl"):
        target = out / "images"
        target.mkdir(exist_ok=True)
        for left in target.glob(".*.partial"):
            left.unlink()
        written = 0
        for name, content in images(folder):
            written += _write(target / name, content)
        tell(f"{written:,} images written", f"كُتبت {written:,} صورة")
        return write_records(out / "records.jsonl", read(folder))


def _write(path: Path, content: IO[bytes]) -> bool:
    """Write an image unless it is there; it appears whole."""
    match = NAME.fullmatch(path.name)
    assert match is not None
    if path.is_file() and _sha256(path) == match["sha256"]:
        return False
    scratch, digest = path.with_name(f".{path.name}.partial"), hashlib.sha256()
    with scratch.open("wb") as file:
        while block := content.read(1 << 20):
            digest.update(block)
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
    if digest.hexdigest() != match["sha256"]:
        scratch.unlink()
        raise damaged([path.name])
    scratch.replace(path)
    return True


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
