"""Files that only grow, with a journal beside them, so that a build that was killed goes on where it was."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bimedix2.cache import write_whole
from bimedix2.errors import AssetError

_JOURNAL = "journal.json"


class GrowingFolder:
    """Append-only files in ``NAME.partial``, which is renamed to ``NAME`` when the build is whole.

    Opening cuts off what was written since the last :meth:`commit`. So after a kill at any moment the files hold
    what ``state`` says, no more and no less.

    Args:
        target: the finished folder, which must not exist yet.
        files: names of the files.

    Attributes:
        state: what the last commit said; empty at the start of a build.
        folder: where the files are for now.

    Raises:
        AssetError: ``cannot_write``, here and in the methods.
    """

    def __init__(self, target: Path, files: Sequence[str]) -> None:
        self.target = target
        self.folder = target.with_name(f"{target.name}.partial")
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            journal = self._read(files)
            self.state: dict[str, Any] = journal["state"]
            self._files = {name: (self.folder / name).open("r+b") for name in files}
            for name, file in self._files.items():
                file.truncate(journal["sizes"].get(name, 0))
                file.seek(0, os.SEEK_END)

    def _read(self, files: Sequence[str]) -> dict[str, Any]:
        fresh: dict[str, Any] = {"state": {}, "sizes": {}}
        for name in files:
            (self.folder / name).touch()
        try:
            journal: dict[str, Any] = json.loads((self.folder / _JOURNAL).read_bytes())
            whole = all((self.folder / name).stat().st_size >= journal["sizes"][name] for name in files)
        except (OSError, ValueError, KeyError, TypeError):
            return fresh
        return journal if whole else fresh

    def append(self, name: str, data: bytes) -> None:
        """Add to a file. It counts only after the next commit."""
        with writing(self.folder):
            self._files[name].write(data)

    def commit(self, state: dict[str, Any]) -> None:
        """Make all that was appended, and ``state``, what a later build goes on from."""
        with writing(self.folder):
            for file in self._files.values():
                file.flush()
                os.fsync(file.fileno())
            sizes = {name: file.tell() for name, file in self._files.items()}
            write_whole(self.folder / _JOURNAL, json.dumps({"state": state, "sizes": sizes}).encode())
        self.state = state

    def close(self) -> None:
        """Leave the build unfinished; appended data without a commit may or may not be in the files."""
        for file in self._files.values():
            with suppress(OSError):  # on a full disk; what is left to write does not count anyway
                file.close()

    def finish(self, remove: Sequence[str] = ()) -> None:
        """Give the folder its final name, and take away files that only the build needed."""
        self.close()
        with writing(self.folder):
            self.folder.rename(self.target)
            for name in remove:
                (self.target / name).unlink()


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn a failed write into an ``AssetError`` that says what to do."""
    try:
        yield
    except OSError as error:
        raise AssetError(
            f"Writing {folder} failed: {error.strerror or error}. What was done so far is kept: free some space or "
            "correct the folder's permissions, and run the same command again.",
            f"فشلت الكتابة في {folder}: {error.strerror or error}. حفظ ما أنجز حتى الآن: أفرغ بعض المساحة "
            "أو صحح أذونات المجلد، ثم أعد تشغيل الأمر نفسه.",
            code="cannot_write",
        ) from error


@contextmanager
def sole_builder(target: Path) -> Iterator[None]:
    """Wait until no other process builds ``target``; a process that dies lets go.

    File systems and platforms without locks do not wait.
    """
    with writing(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
        file = (target.parent / f".{target.name}.lock").open("wb")
    with file:
        if sys.platform != "win32":
            import fcntl

            with suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_EX)
        yield


def save_column(path: Path, column: NDArray[Any]) -> None:
    """Write an ``.npy`` file that survives a power cut once this returns."""
    with writing(path.parent), path.open("wb") as file:
        np.save(file, column, allow_pickle=False)
        file.flush()
        os.fsync(file.fileno())


def load_column(path: Path) -> NDArray[Any]:
    """An ``.npy`` file as an array whose pages are read when they are needed; read-only."""
    # A plain view: indexing the memmap class itself costs several times as much.
    return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))


def load_flat(path: Path, kind: type[np.generic]) -> NDArray[Any]:
    """A file of bare numbers, mapped like :func:`load_column`."""
    if path.stat().st_size == 0:  # nothing to map
        return np.zeros(0, kind)
    return np.asarray(np.memmap(path, dtype=kind, mode="r"))
