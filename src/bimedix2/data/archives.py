"""Archives as they are published: told when half downloaded, and unpacked whole or not at all."""

from __future__ import annotations

import tarfile
import zipfile
import zlib
from pathlib import Path

from bimedix2.cache import atomic_folder, require_space
from bimedix2.errors import DataError

_BROKEN = (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, OSError, NotImplementedError)


def require_unpacked(archive: Path, folder: Path, *, unpack: bool) -> None:
    """See to it that ``folder`` is there where ``archive`` is; without the archive nothing is asked.

    Args:
        archive: ``.zip``, ``.tar``, ``.tar.gz`` or the like.
        folder: what it unpacks to.
        unpack: do so if need be.

    Raises:
        DataError: ``half_archive``: it is damaged or cut off; ``packed_archive``: it is whole and not unpacked.
    """
    if folder.is_dir() or not archive.is_file():
        return
    check_archive(archive)
    if unpack:
        unpack_archive(archive, folder)
        return
    raise DataError(
        f"{archive} is not unpacked: {folder} is missing. Run again with --unpack, or unpack it yourself.",
        f"الملف {archive} غير مفكوك والمجلد {folder} مفقود. أعد التشغيل مع --unpack أو فكه بنفسك.",
        code="packed_archive",
    )


def check_archive(archive: Path) -> None:
    """Read an archive's table of contents to its end.

    Raises:
        DataError: ``half_archive``: it cannot be read to the end.
    """
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive):
                return
        if archive.suffix == ".zip":
            raise zipfile.BadZipFile("its table of contents, which comes last, is missing")
        with tarfile.open(archive) as tar:
            while tar.next() is not None:
                tar.members = []  # type: ignore[attr-defined]  # the list would grow with the archive
    except _BROKEN as error:
        raise _half(archive, error) from error


def unpack_archive(archive: Path, folder: Path) -> None:
    """Unpack to ``folder``, which appears when it is complete. A single folder of that name in it is taken off.

    Raises:
        DataError: ``half_archive``: damaged or cut off; ``unsafe_archive``: a member would land elsewhere.
        AssetError: the disk is full.
    """
    try:
        with atomic_folder(folder) as scratch:
            _extract(archive, scratch)
            inner = scratch / folder.name
            if [item.name for item in scratch.iterdir()] == [folder.name] and inner.is_dir():
                for item in list(inner.iterdir()):
                    item.rename(scratch / f".{item.name}.moved")
                inner.rmdir()
                for item in list(scratch.iterdir()):
                    item.rename(scratch / item.name[1:].removesuffix(".moved"))
    except tarfile.FilterError as error:
        raise DataError(
            f"{archive}: {error}. Nothing was unpacked; get it from its publisher again.",
            f"{archive}: فيه ملف يخرج عن المجلد. لم يفك شيء؛ نزله من ناشره من جديد.",
            code="unsafe_archive",
        ) from error
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError) as error:
        raise _half(archive, error) from error


def _extract(archive: Path, scratch: Path) -> None:
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as packed:
            require_space(scratch, sum(info.file_size for info in packed.infolist()))
            packed.extractall(scratch)  # noqa: S202 - keeps members inside and checks their sums
        return
    with tarfile.open(archive) as tar:
        tar.extractall(scratch, filter="data")


def _half(archive: Path, error: Exception) -> DataError:
    return DataError(
        f"{archive} is damaged or only half downloaded ({error}). Delete it and download it again.",
        f"الملف {archive} تالف أو لم يكتمل تنزيله ({error}). احذفه ونزله من جديد.",
        code="half_archive",
    )
