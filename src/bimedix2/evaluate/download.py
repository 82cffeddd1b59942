"""Fetch the data sets of tasks from the Hugging Face Hub: data files alone, never code or pickles.

Files gather in a hidden folder beside the target, where an interrupted fetch goes on later file by file; they are
checked against the Hub's hashes, archives are unpacked under limits, and only then anything is put in place.
"""

from __future__ import annotations

import glob
import hashlib
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

from bimedix2.cache import require_space, sha256_file
from bimedix2.errors import BiMediX2Error, DataError, RecordError
from bimedix2.hub import Kind, hub_errors

from .provenance import FileRecord, Provenance, install, read_provenance, remove_stale, write_provenance
from .schema import Task
from .unpack import unpack, unpacked_size

SUFFIXES = frozenset({".json", ".jsonl", ".csv", ".parquet", ".zip"})
NOTES = re.compile(r"(licen[cs]e|readme)(\.(md|txt|rst))?", re.IGNORECASE)
Tell = Callable[[str, str], None]
"""Shows a line of progress, given in English and Arabic."""
_ELSEWHERE = ("use a --data folder on another disk", "استخدم مجلدا في قرص آخر مع --data")
_DATA_SET = Kind(
    DataError,
    "data set",
    "مجموعة بيانات",
    "copy the data set's files into the data folder",
    "انسخ ملفات المجموعة إلى مجلد البيانات",
)


@dataclass(frozen=True)
class Source:
    """A data set on the Hub that one or more tasks read.

    Attributes:
        hub: its id, ``owner/name``.
        folder: of its files, below the data root.
        patterns: of the files that are read; all data files if empty.
        tasks: names of the tasks.
    """

    hub: str
    folder: str
    patterns: tuple[str, ...]
    tasks: tuple[str, ...]


@dataclass(frozen=True)
class _HubFile:
    name: str
    size: int
    sha256: str  # of large files, else empty
    blob: str  # git's name of the content: SHA-1 over a header and the bytes


def sources(tasks: Sequence[Task]) -> list[Source]:
    """The data sets behind tasks, each once, with all that these tasks read of it; tasks without one are left out."""
    found: dict[tuple[str, str], list[Task]] = {}
    for task in tasks:
        if task.hub:
            found.setdefault((task.hub, task.folder or task.name), []).append(task)
    return [Source(*key, _patterns(group), tuple(task.name for task in group)) for key, group in found.items()]


def _patterns(group: Sequence[Task]) -> tuple[str, ...]:
    if not all(task.hub_files for task in group):
        return ()
    return tuple(dict.fromkeys(pattern for task in group for pattern in task.hub_files))


def is_data(name: str) -> bool:
    """Whether a file of the Hub is data or says what the data are, and lies inside the folder.

    >>> [is_data(name) for name in ("data/test.parquet", "LICENSE", "load.py", "a.pkl", "../a.json")]
    [True, True, False, False, False]
    """
    path = PurePosixPath(name)
    inside = not path.is_absolute() and ".." not in path.parts and not any(bad in name for bad in ("\\", ":", "\0"))
    hidden = any(part.startswith(".") for part in path.parts)
    known = path.suffix.lower() in SUFFIXES or NOTES.fullmatch(path.name) is not None
    return inside and known and not hidden


def fetch(
    source: Source,
    root: Path,
    *,
    revision: str | None = None,
    include: Sequence[str] = (),
    tell: Tell = lambda english, arabic: None,
) -> Provenance:
    """Bring a data set to ``root / source.folder``; what is there already as of the same commit is not fetched again.

    Args:
        source: what to fetch.
        root: of the data sets.
        revision: branch, tag or commit; the default branch if ``None``. The commit goes into ``hub.json``.
        include: further patterns that files must fit, such as ``data/test-*``.
        tell: shows progress.

    Returns:
        What the folder now holds.

    Raises:
        DataError: ``hub_unreachable``, ``hub_not_found``, ``hub_gated``, ``nothing_to_fetch``, ``bad_download``,
            ``bad_provenance``, or what :func:`bimedix2.evaluate.unpack.unpack` raises.
        AssetError: ``no_disk_space``.
    """
    folder, scratch = root / source.folder, root / f".{source.folder}.partial"
    commit, listed = _listed(source, revision)
    chosen = _chosen(source, listed, include)
    known = read_provenance(folder, source.hub)
    missing = [file for file in chosen if not known.holds(folder, file.name, commit)]
    if missing:
        size = sum(file.size for file in missing)
        require_space(root, size, _ELSEWHERE)
        tell(
            f"{source.hub} at {commit[:12]}: {len(missing)} files, {size / 1e6:.1f} MB -> {folder}",
            f"{source.hub} عند {commit[:12]}: {len(missing)} ملفات، {size / 1e6:.1f} MB -> {folder}",
        )
    known.revision, known.commit = revision or "", commit
    known.fetched = datetime.now(UTC).isoformat(timespec="seconds")
    with _written(root):
        if missing:
            _download(source.hub, commit, missing, scratch / "files")
        kept = _put_in_place(missing, commit, scratch, folder, known)
        remove_stale(folder, known, _stale(known, commit, {file.name for file in listed}, source))
        write_provenance(folder, known)
        shutil.rmtree(scratch, ignore_errors=True)
    if kept:
        tell(
            f"kept {len(kept)} files of your own that differ from the Hub's: {', '.join(kept[:3])}",
            f"أبقيت {len(kept)} من ملفاتك المختلفة عن ملفات المنصة: {', '.join(kept[:3])}",
        )
    return known


@contextmanager
def _written(root: Path) -> Iterator[None]:
    try:
        root.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise DataError(
            f"{error.filename or root}: {error.strerror or error}. Nothing in place was changed half way; free some "
            "space or check the permissions, then run the same command again.",
            f"{error.filename or root}: تعذرت الكتابة. أفرغ مساحة أو تحقق من الصلاحيات ثم نفذ الأمر نفسه من جديد.",
            code="data_not_written",
        ) from error


def fetch_missing(tasks: Sequence[Task], root: Path, splits: Callable[[Task], Sequence[str]], tell: Tell) -> None:
    """Fetch the data sets of those tasks whose files are not there; a failure is told, and the next one is tried.

    Args:
        tasks: what will be asked; those without a data set on the Hub are passed over.
        root: of the data sets.
        splits: the splits of a task that are needed.
        tell: shows progress and failures.
    """
    wanting = [task for task in tasks if task.hub and not all(_readable(task, root, part) for part in splits(task))]
    for source in sources(wanting):
        try:
            fetch(source, root, tell=tell)
        except BiMediX2Error as error:
            tell(error.message, error.message_ar)


def _readable(task: Task, root: Path, split: str) -> bool:
    try:
        next(iter(task.read(root, task.languages[0], split)), None)
    except RecordError:
        return False
    return True


def _listed(source: Source, revision: str | None) -> tuple[str, list[_HubFile]]:
    """The commit that a revision names, and its data files."""
    from huggingface_hub import HfApi

    with hub_errors(source.hub, revision, _DATA_SET):
        info = HfApi().dataset_info(source.hub, revision=revision, files_metadata=True)
    files = [
        _HubFile(file.rfilename, file.size or 0, file.lfs.sha256 if file.lfs else "", file.blob_id or "")
        for file in info.siblings or ()
        if is_data(file.rfilename)
    ]
    return str(info.sha), files


def _chosen(source: Source, listed: list[_HubFile], include: Sequence[str]) -> list[_HubFile]:
    chosen = [file for file in listed if _fits(file.name, source.patterns) and _fits(file.name, include)]
    if all(NOTES.fullmatch(file.name) for file in chosen):
        patterns = ", ".join((*source.patterns, *include)) or "*"
        raise DataError(
            f"{source.hub} has no data files that fit {patterns}. Check --include and --revision.",
            f"لا توجد في {source.hub} ملفات بيانات توافق {patterns}. تحقق من --include و --revision.",
            code="nothing_to_fetch",
        )
    return chosen


def _fits(name: str, patterns: Sequence[str]) -> bool:
    """Whether a file is among those wanted; licence and readme always are."""
    return not patterns or NOTES.fullmatch(name) is not None or any(fnmatch(name, pattern) for pattern in patterns)


def _stale(known: Provenance, commit: str, listed: set[str], source: Source) -> list[str]:
    """Files of an earlier commit that the new one has no longer, among those that these tasks read."""
    return [
        path
        for path, record in known.files.items()
        if record.commit != commit
        and _fits(record.archive or path, source.patterns)
        # Gone from the Hub, or from the newer archive that took the place of the one it came from.
        and (
            (record.archive or path) not in listed
            or (record.archive and known.archives[record.archive].commit == commit)
        )
    ]


def _download(hub: str, commit: str, files: Sequence[_HubFile], folder: Path) -> None:
    """Fetch files of one commit; those that a former attempt completed stay."""
    from huggingface_hub import snapshot_download

    names = [glob.escape(file.name) for file in files]
    with hub_errors(hub, commit, _DATA_SET):  # the library shows bytes, rate and time left
        snapshot_download(hub, repo_type="dataset", revision=commit, local_dir=folder, allow_patterns=names)
    for file in files:
        path = folder / file.name
        if not path.is_file() or path.is_symlink() or not _is_whole(path, file):
            path.unlink(missing_ok=True)
            raise DataError(
                f"{hub}: {file.name} did not arrive as the Hub has it. Run the same command again.",
                f"{hub}: لم يصل الملف {file.name} كما هو في المنصة. نفذ الأمر نفسه من جديد.",
                code="bad_download",
            )


def _is_whole(path: Path, file: _HubFile) -> bool:
    if path.stat().st_size != file.size:
        return False
    if file.sha256:
        return sha256_file(path) == file.sha256
    if not file.blob:
        return True
    digest = hashlib.sha1(b"blob %d\0" % file.size, usedforsecurity=False)
    digest.update(path.read_bytes())
    return digest.hexdigest() == file.blob


def _put_in_place(files: Sequence[_HubFile], commit: str, scratch: Path, folder: Path, known: Provenance) -> list[str]:
    """Unpack archives and move everything to ``folder``, in one step where it is new; gives the files kept as is."""
    new: dict[str, Path] = {}
    records: dict[str, FileRecord] = {}
    shutil.rmtree(scratch / "unpacked", ignore_errors=True)
    for file in files:
        path = scratch / "files" / file.name
        if path.suffix.lower() != ".zip":
            new[file.name], records[file.name] = path, _record(path, commit)
            continue
        known.archives[file.name] = _record(path, commit)
        base = PurePosixPath(file.name).parent
        for member, found in _unpacked(path, scratch / "unpacked" / file.name):
            name = str(base / member)
            new[name], records[name] = found, _record(found, commit, file.name)
    if folder.exists():
        return install(new, records, folder, known)
    whole = scratch / "whole"
    shutil.rmtree(whole, ignore_errors=True)
    kept = install(new, records, whole, known)
    write_provenance(whole, known)
    whole.rename(folder)
    return kept


def _unpacked(archive: Path, folder: Path) -> Iterator[tuple[str, Path]]:
    try:
        require_space(folder, unpacked_size(archive), _ELSEWHERE)
        for member in unpack(archive, folder):
            yield member, folder / member
    except DataError:
        archive.unlink()  # so that the next attempt fetches it anew
        raise


def _record(path: Path, commit: str, archive: str = "") -> FileRecord:
    return FileRecord(size=path.stat().st_size, sha256=sha256_file(path), commit=commit, archive=archive)
