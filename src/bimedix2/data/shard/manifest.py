"""The manifest: what a folder of shards holds, and whether it still does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from bimedix2.cache import sha256_file
from bimedix2.errors import DataError

from .settings import ShardReport, Tell
from .tar import damaged

FORMAT, MANIFEST = 1, "manifest.json"
SCHEMA = 1
"""Version of the record schema; raise it when a field of ``Record`` changes its meaning."""


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a folder of shards.

    Raises:
        DataError: ``no_manifest``: there is none, it is damaged, or a newer version made it.
    """
    try:
        content: dict[str, Any] = json.loads((folder / MANIFEST).read_bytes())
        if content["format"] != FORMAT or content["schema"] != SCHEMA:
            raise ValueError(f"format {content['format']}, schema {content['schema']}")
        for file in content["files"]:
            _inside(str(file["path"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{folder} has no usable {MANIFEST} ({error}). Finish `bimedix2 data shard`, or get the folder again.",
            f"لا يوجد {MANIFEST} صالح في {folder} ({error}). أكمل bimedix2 data shard أو نزل المجلد من جديد.",
            code="no_manifest",
        ) from error
    return content


def _inside(name: str) -> None:
    """A manifest may come from anywhere: its files lie in its folder."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or path.parts[:1] not in (("records",), ("images",)):
        raise ValueError(f"{name} lies outside")


def request_of(folder: Path) -> dict[str, Any] | None:
    """What the shards in a folder were asked for; ``None`` without a manifest."""
    try:
        return dict(read_manifest(folder)["request"])
    except DataError:
        return None


def done_before(folder: Path, request: Mapping[str, Any]) -> ShardReport | None:
    """The report of a run that was asked the same and whose files have their sizes."""
    try:
        content = read_manifest(folder)
    except DataError:
        return None
    if content["request"] != dict(request):
        return None
    for file in content["files"]:
        path = folder / file["path"]
        if not path.is_file() or path.stat().st_size != file["bytes"]:
            return None
    return ShardReport(
        folder, folder / MANIFEST, content["records"], content["images"], content["image_bytes"], True, content
    )


def verify(folder: Path, tell: Tell | None = None) -> int:
    """Hash every file of the shards and return their number.

    Raises:
        DataError: ``no_manifest``; ``damaged_shards``: names the files that are missing or changed.
    """
    content, bad = read_manifest(folder), []
    for file in content["files"]:
        path = folder / file["path"]
        if not path.is_file():
            bad.append(f"{file['path']} (missing)")
        elif path.stat().st_size != file["bytes"] or sha256_file(path) != file["sha256"]:
            bad.append(file["path"])
        elif tell is not None:
            tell(f"{file['path']} is whole", f"{file['path']} سليم")
    if bad:
        raise damaged(bad)
    return len(content["files"])
