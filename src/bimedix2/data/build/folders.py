"""Folders of a build: each step's appears whole or not at all, and says what it was made from."""

from __future__ import annotations

import errno
import json
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bimedix2.cache import sha256_file, write_whole
from bimedix2.errors import BiMediX2Error, DataError

STATE = "step.json"
RECORDS = "records.jsonl"
_LIST = re.compile(r"quarantine|offences|conflicts|decontamination")
_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO}
_BY_SIZE = 256 * 1024 * 1024  # bytes from which a finished file is known by its size alone


@contextmanager
def step_folder(target: Path) -> Iterator[Path]:
    """Yield a scratch folder that takes the place of ``target`` when the block ends well.

    Lists that an error names are kept in ``failed/`` beside the target, and the error then names them there.

    Raises:
        DataError: the disk cannot be written.
    """
    shutil.rmtree(_failed(target), ignore_errors=True)
    try:
        scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
        yield scratch
        for left in scratch.rglob(".*"):
            if left.is_file():  # locks of the work inside
                left.unlink()
        scratch.chmod(0o755)
        old = target.with_name(f".{target.name}-old")
        if target.exists():
            target.rename(old)
        scratch.rename(target)
        shutil.rmtree(old, ignore_errors=True)
    except BiMediX2Error as error:
        _keep_lists(scratch, _failed(target), error)
        raise
    except OSError as error:
        if error.errno not in _DISK:
            raise
        raise DataError(
            f"Writing {target} failed: {error.strerror or error}. Free some space or check the folder's rights, then "
            "run the same command again; finished steps are kept.",
            f"فشلت كتابة {target}. أفرغ مساحة أو تحقق من صلاحيات المجلد ثم شغل الأمر نفسه؛ الخطوات المكتملة محفوظة.",
            code="not_written",
        ) from error
    finally:
        if "scratch" in locals():
            shutil.rmtree(scratch, ignore_errors=True)


def _failed(target: Path) -> Path:
    return target.parent / "failed" / target.name


def _keep_lists(scratch: Path, kept: Path, error: BiMediX2Error) -> None:
    """Move the lists of what was wrong out of a scratch folder, and let the error name their new place."""
    for path in [path for path in scratch.rglob("*") if path.is_file() and _LIST.search(path.name)]:
        place = kept / path.relative_to(scratch)
        place.parent.mkdir(parents=True, exist_ok=True)
        path.rename(place)
    error.message, error.message_ar = (
        text.replace(str(scratch), str(kept)) for text in (error.message, error.message_ar)
    )
    error.args = (error.message,)


def clear_leftovers(out: Path) -> None:
    """Remove what killed runs left half written; only the holder of the build's lock may call this."""
    for left in out.glob(".[0-9][0-9]-*-*"):
        shutil.rmtree(left, ignore_errors=True)


def read_state(folder: Path) -> dict[str, Any] | None:
    """What a finished step said of itself; ``None`` if there is none."""
    try:
        state = json.loads((folder / STATE).read_bytes())
    except (OSError, ValueError):
        return None
    return state if isinstance(state, dict) else None


def write_state(folder: Path, state: Mapping[str, Any]) -> None:
    """Put the step's own account into its folder, with the hashes of all files there."""
    files = {
        path.relative_to(folder).as_posix(): {"bytes": path.stat().st_size, "sha256": sha256_file(path)}
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }
    write_json(folder / STATE, {**state, "files": files})


def write_json(path: Path, content: Any) -> None:
    """A JSON file for people too."""
    write_whole(path, (json.dumps(content, ensure_ascii=False, indent=1) + "\n").encode())


def files_intact(folder: Path, state: Mapping[str, Any]) -> bool:
    """Whether every file of a finished step is there as it was written; large ones are known by their size."""
    try:
        return all(_intact(folder / name, facts) for name, facts in state["files"].items())
    except (OSError, KeyError, TypeError):
        return False


def _intact(path: Path, facts: Mapping[str, Any]) -> bool:
    size = path.stat().st_size
    return size == facts["bytes"] and (size >= _BY_SIZE or sha256_file(path) == facts["sha256"])


def facts_of(paths: Sequence[Path], data: Path) -> list[dict[str, Any]]:
    """What tells later whether original files have changed; paths below the data root are relative to it."""
    found = []
    for path in dict.fromkeys(path.absolute() for path in paths):
        name = path.relative_to(data).as_posix() if path.is_relative_to(data) else str(path)
        if not path.is_file():
            found.append({"path": name, "absent": True})
            continue
        facts = path.stat()
        sha256 = sha256_file(path)
        found.append({"path": name, "bytes": facts.st_size, "changed_ns": facts.st_mtime_ns, "sha256": sha256})
    return sorted(found, key=lambda one: str(one["path"]))


def unchanged(facts: Sequence[Mapping[str, Any]], data: Path) -> bool:
    """Whether original files are as they were: by size and time of change, or else by content."""
    for one in facts:
        path = data / one["path"]
        if one.get("absent") or not path.is_file():
            if path.is_file() or not one.get("absent"):
                return False
            continue
        stat = path.stat()
        same_time = stat.st_mtime_ns == one["changed_ns"]
        if stat.st_size != one["bytes"] or not (same_time or sha256_file(path) == one["sha256"]):
            return False
    return True
