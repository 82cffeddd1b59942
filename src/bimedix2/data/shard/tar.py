"""Image shards: plain tar files of ``<sha256>.<ending>``, the same bytes for the same images in the same order."""

from __future__ import annotations

import hashlib
import os
import re
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from bimedix2.errors import DataError

from .state import Picture

BLOCK = 512
NAME = re.compile(r"(?P<sha256>[0-9a-f]{64})\.[a-z0-9]{1,8}")


def packed_bytes(size: int) -> int:
    """Bytes of a member with its header."""
    return BLOCK + -(-size // BLOCK) * BLOCK


def groups(pictures: Iterator[Picture], most: int) -> Iterator[list[Picture]]:
    """Images of each shard, in order: as many as fit into ``most`` bytes, at least one."""
    group: list[Picture] = []
    total = 0
    for picture in pictures:
        size = packed_bytes(picture.size)
        if group and total + size > most:
            yield group
            group, total = [], 0
        group.append(picture)
        total += size
    if group:
        yield group


def write_tar(path: Path, pictures: Sequence[Picture], data: Path) -> None:
    """Write a shard, whole or not at all.

    Raises:
        DataError: ``changed``: a file is not what it was when it was hashed.
    """
    scratch = path.with_name(f".{path.name}.partial")
    with scratch.open("wb") as file:
        with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as archive:
            for picture in pictures:
                member = tarfile.TarInfo(picture.name)  # its defaults: no time, no owner, mode 0644
                member.size = picture.size
                with (data / picture.path).open("rb") as image:
                    reader = _Hashing(image)
                    archive.addfile(member, reader)
                    if reader.digest.hexdigest() != picture.sha256 or image.read(1):
                        raise _changed(data / picture.path)
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(path)


class _Hashing:
    def __init__(self, file: IO[bytes]) -> None:
        self._file, self.digest = file, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        content = self._file.read(size)
        self.digest.update(content)
        return content


def _changed(path: Path) -> DataError:
    return DataError(
        f"{path} was changed while it was being packed. Run again when the images are complete.",
        f"تغير الملف {path} أثناء التعبئة. أعد التشغيل بعد اكتمال الصور.",
        code="changed",
    )


def members(path: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """Names and contents of a shard's images.

    Raises:
        DataError: ``damaged_shards``: not a tar file of images.
    """
    try:
        with tarfile.open(path, "r:") as archive:
            for member in archive:
                content = archive.extractfile(member) if member.isreg() and NAME.fullmatch(member.name) else None
                if content is None:
                    raise damaged([path.name])
                yield member.name, content
                archive.members = []  # type: ignore[attr-defined]  # or it keeps all headers in memory
    except (OSError, tarfile.TarError) as error:
        raise damaged([f"{path.name} ({error})"]) from error


def damaged(names: Sequence[str]) -> DataError:
    """Files of the shards are not what the manifest says."""
    return DataError(
        f"Damaged or missing: {', '.join(names)}. Get these files again, or make the shards again.",
        f"ملفات تالفة أو مفقودة: {'، '.join(names)}. نزل هذه الملفات أو أنشئ الأجزاء من جديد.",
        code="damaged_shards",
    )
