"""Unpack zip archives that come from elsewhere: under limits, and never outside the folder."""

from __future__ import annotations

import shutil
import stat
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from bimedix2.errors import DataError

SUFFIXES = frozenset({".json", ".jsonl", ".csv", ".parquet", ".txt", ".jpg", ".jpeg", ".png"})
"""What is taken out of an archive; scripts, pickles and the like stay in it."""
_COPY = 1 << 20


@dataclass(frozen=True)
class Limits:
    """What an archive may hold at the most.

    Attributes:
        members: files and folders.
        bytes: unpacked, in total.
        ratio: unpacked bytes per byte of the archive; text packs at about 10.
        free: unpacked bytes up to which the ratio does not matter.
    """

    members: int = 200_000
    bytes: int = 64 * 10**9
    ratio: int = 100
    free: int = 50 * 10**6


DEFAULT = Limits()


def unpacked_size(archive: Path, limits: Limits = DEFAULT) -> int:
    """Bytes that unpacking will write.

    Raises:
        DataError: as for :func:`unpack`.
    """
    with _opened(archive) as file:
        return sum(member.file_size for member in _checked(archive, file, limits))


def unpack(archive: Path, folder: Path, limits: Limits = DEFAULT) -> list[str]:
    """Write the members of a zip archive below ``folder``; all is checked before the first byte is written.

    Args:
        archive: zip file.
        folder: made if need be; the caller throws it away after an error.
        limits: on count and size.

    Returns:
        Paths of the files written, relative to ``folder``, with ``/``.

    Raises:
        DataError: ``unsafe_archive`` (a path outside the folder, a link, a member twice), ``archive_too_large``,
            ``bad_archive`` (damaged or encrypted) or ``no_disk_space``.
    """
    written: list[str] = []
    with _opened(archive) as file:
        for member in _checked(archive, file, limits):
            target = folder / member.filename
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                with file.open(member) as source, target.open("xb") as sink:
                    shutil.copyfileobj(source, sink, _COPY)
            except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
                raise _damaged(archive, f"{member.filename}: {error}") from error
            except OSError as error:
                raise DataError(
                    f"{archive}, member {member.filename!r}: cannot be written ({error.strerror or error}). "
                    "Free some space, or use a folder on another disk.",
                    f"{archive}، العضو {member.filename!r}: تعذرت كتابته. أفرغ مساحة أو استخدم مجلدا في قرص آخر.",
                    code="no_disk_space",
                ) from error
            written.append(member.filename)
    return written


def _opened(archive: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(archive)
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise _damaged(archive, str(error)) from error


def _checked(archive: Path, file: zipfile.ZipFile, limits: Limits) -> list[zipfile.ZipInfo]:
    """The members to write; every member is checked, also those that stay in the archive."""
    members = file.infolist()
    if len(members) > limits.members:
        raise _too_large(archive, f"{len(members)} members, more than {limits.members}")
    seen: set[str] = set()
    for member in members:
        _check_name(archive, member, seen)
    total = sum(member.file_size for member in members)
    allowed = min(limits.bytes, max(limits.free, limits.ratio * archive.stat().st_size))
    if total > allowed:
        raise _too_large(archive, f"{total / 1e6:.0f} MB unpacked, more than {allowed / 1e6:.0f} MB")
    return [member for member in members if not member.is_dir() and _is_data(member.filename)]


def _is_data(name: str) -> bool:
    path = PurePosixPath(name)
    return path.suffix.lower() in SUFFIXES and path.parts[0] != "__MACOSX" and not path.name.startswith(".")


def _check_name(archive: Path, member: zipfile.ZipInfo, seen: set[str]) -> None:
    name = member.filename
    path = PurePosixPath(name)
    kind = stat.S_IFMT(member.external_attr >> 16)
    if not path.parts or path.is_absolute() or ".." in path.parts or any(bad in name for bad in ("\\", ":", "\0")):
        raise _unsafe(archive, name, "leads out of the folder", "يشير إلى خارج المجلد")
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise _unsafe(archive, name, "is a link or a device", "رابط أو جهاز")
    if str(path) in seen:
        raise _unsafe(archive, name, "stands there twice", "مكرر")
    seen.add(str(path))


def _unsafe(archive: Path, name: str, problem: str, problem_ar: str) -> DataError:
    return DataError(
        f"{archive}, member {name!r}: {problem}; nothing was unpacked. Get the archive from its official source.",
        f"{archive}، العضو {name!r}: {problem_ar}؛ لم يفك شيء. احصل على الأرشيف من مصدره الرسمي.",
        code="unsafe_archive",
    )


def _too_large(archive: Path, problem: str) -> DataError:
    return DataError(
        f"{archive}: {problem}; nothing was unpacked. Get the archive from its official source.",
        f"{archive}: أكبر من المسموح ({problem})؛ لم يفك شيء. احصل على الأرشيف من مصدره الرسمي.",
        code="archive_too_large",
    )


def _damaged(archive: Path, problem: str) -> DataError:
    return DataError(
        f"{archive}: not a zip archive that can be read ({problem}). Fetch it again.",
        f"{archive}: أرشيف zip تالف أو مشفر ({problem}). نزله من جديد.",
        code="bad_archive",
    )
