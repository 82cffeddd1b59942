"""Where the files of a data set came from, and putting new ones in place without losing any of the user's own."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

import msgspec

from bimedix2.cache import sha256_file
from bimedix2.errors import DataError

NAME = "hub.json"
"""The file beside the data that says where they came from."""


class FileRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One file as it was put in place.

    Attributes:
        size: bytes.
        sha256: hex, of its bytes.
        commit: of the data set on the Hub, 40 hex digits.
        archive: zip archive that it was unpacked from, or ``""``.
    """

    size: int
    sha256: str
    commit: str
    archive: str = ""


class Provenance(msgspec.Struct, kw_only=True):
    """Content of :data:`NAME`.

    Attributes:
        hub: id of the data set, ``owner/name``.
        revision: branch, tag or commit that was asked for last; empty for the default branch.
        commit: what that was, 40 hex digits.
        fetched: time of the last fetch, ISO 8601, UTC.
        files: path below the folder, with ``/`` -> its record.
        archives: zip archives that were unpacked and not kept.
    """

    hub: str
    revision: str
    commit: str
    fetched: str
    files: dict[str, FileRecord] = {}
    archives: dict[str, FileRecord] = {}

    def holds(self, folder: Path, name: str, commit: str) -> bool:
        """Whether a file of the Hub, or all that came out of it, is in place as of a commit."""
        if name in self.archives:
            members = [path for path, record in self.files.items() if record.archive == name]
            known = self.archives[name].commit == commit
            return known and all(_size(folder / path) == self.files[path].size for path in members)
        record = self.files.get(name)
        return record is not None and record.commit == commit and _size(folder / name) == record.size


def read_provenance(folder: Path, hub: str) -> Provenance:
    """What ``folder`` says of itself; empty where nothing was fetched yet.

    Raises:
        DataError: ``bad_provenance``: the file is damaged or names another data set.
    """
    path = folder / NAME
    if not path.exists():
        return Provenance(hub=hub, revision="", commit="", fetched="")
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Provenance)
    except (msgspec.DecodeError, OSError) as error:
        raise DataError(
            f"{path}: damaged ({error}). Remove this file and fetch again; data in place are kept.",
            f"{path}: ملف تالف. احذفه ونزل من جديد؛ تبقى البيانات الموجودة.",
            code="bad_provenance",
        ) from error
    if found.hub != hub:
        raise DataError(
            f"{path}: the folder holds {found.hub}, not {hub}. Move it away, or use another --data folder.",
            f"{path}: في المجلد {found.hub} وليس {hub}. انقله أو استخدم مجلدا آخر مع --data.",
            code="bad_provenance",
        )
    return found


def install(new: Mapping[str, Path], records: Mapping[str, FileRecord], folder: Path, known: Provenance) -> list[str]:
    """Move new files into ``folder`` and bring ``known`` up to date; each file is there whole or not at all.

    A file that was not fetched, or was changed since, is the user's own and stays.

    Args:
        new: path below the folder -> where the file is now, on the same disk.
        records: of the same files.
        folder: made if need be.
        known: what the folder says of itself; not yet written.

    Returns:
        Paths that the user's own files already held with another content.
    """
    kept = []
    for name, source in new.items():
        target = folder / name
        if _is_own(target, known.files.get(name), records[name].sha256):
            kept.append(name)
            known.files.pop(name, None)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        source.replace(target)
        known.files[name] = records[name]
    return kept


def remove_stale(folder: Path, known: Provenance, stale: Collection[str]) -> None:
    """Remove files that an earlier commit had and the new one has not, unless the user changed them."""
    for name in stale:
        record = known.files.pop(name)
        if not _is_own(folder / name, record, ""):
            (folder / name).unlink(missing_ok=True)


def write_provenance(folder: Path, known: Provenance) -> None:
    """Write :data:`NAME`, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    scratch = folder / f".{NAME}"
    scratch.write_bytes(msgspec.json.format(msgspec.json.encode(known), indent=1) + b"\n")
    scratch.replace(folder / NAME)


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else -1


def _is_own(path: Path, record: FileRecord | None, coming: str) -> bool:
    """Whether a file is the user's own and not equal to the one that is coming."""
    if not path.exists() and not path.is_symlink():
        return False
    if not path.is_file():
        return True
    found = sha256_file(path)
    return found != coming and (record is None or found != record.sha256)
