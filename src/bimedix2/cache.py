"""Where converted models live, and how a folder gets there whole or not at all."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import AssetError


def cache_root() -> Path:
    """``BIMEDIX2_CACHE``, else ``$XDG_CACHE_HOME/bimedix2``, else ``~/.cache/bimedix2``."""
    if explicit := os.environ.get("BIMEDIX2_CACHE"):
        return Path(explicit).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "bimedix2"


def sha256_file(path: Path) -> str:
    """Hex SHA-256 of a file's bytes, read in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_whole(path: Path, content: bytes) -> None:
    """Write a file under another name and rename it, so that a reader never sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.partial")
    scratch.write_bytes(content)
    scratch.replace(path)


_ELSEWHERE = ("set BIMEDIX2_CACHE to a folder on another disk", "اضبط BIMEDIX2_CACHE على مجلد في قرص آخر")


def require_space(folder: Path, needed: int, elsewhere: tuple[str, str] = _ELSEWHERE) -> None:
    """Raise ``AssetError`` unless the disk that holds ``folder`` has ``needed`` bytes free.

    Args:
        folder: need not exist yet.
        needed: bytes.
        elsewhere: how to use another disk, in English and Arabic.
    """
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(existing).free
    if free < needed:
        raise AssetError(
            f"{existing} has {free / 1e6:.0f} MB free but {needed / 1e6:.0f} MB are needed. "
            f"Free some space or {elsewhere[0]}.",
            f"المساحة الحرة في {existing} هي {free / 1e6:.0f} MB والمطلوب {needed / 1e6:.0f} MB. "
            f"أفرغ بعض المساحة أو {elsewhere[1]}.",
            code="no_disk_space",
        )


@contextmanager
def atomic_folder(target: Path, needed: int = 0) -> Iterator[Path]:
    """Yield a scratch folder that becomes ``target`` on success and vanishes on any error.

    Args:
        target: final folder; an existing one is replaced only after the new one is complete.
        needed: bytes that the disk must have free.
    """
    require_space(target.parent, needed)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    except OSError as error:
        raise AssetError(
            f"Cannot write to {target.parent}: {error.strerror}. Set BIMEDIX2_CACHE to a folder you can write.",
            f"تعذرت الكتابة في {target.parent}. اضبط BIMEDIX2_CACHE على مجلد قابل للكتابة.",
            code="cache_not_writable",
        ) from error
    try:
        yield scratch
        scratch.chmod(0o755)
        if target.exists():
            shutil.rmtree(target)
        scratch.rename(target)
    except OSError as error:
        raise AssetError(
            f"Writing {target} failed: {error.strerror or error}. Nothing was left behind; "
            "free some space or set BIMEDIX2_CACHE to another disk, then try again.",
            f"فشلت كتابة {target}. لم يبق شيء ناقص؛ أفرغ مساحة أو اضبط BIMEDIX2_CACHE ثم أعد المحاولة.",
            code="no_disk_space",
        ) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
