"""What a step is given and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from bimedix2.cache import sha256_file
from bimedix2.data.quarantine import Reason
from bimedix2.data.runner import LocalRunner, Runner
from bimedix2.errors import ConfigError

from .folders import RECORDS
from .recipe import BuildRecipe

Tell = Callable[[str, str], None]


@dataclass(frozen=True)
class Place:
    """Where a build happens.

    Attributes:
        recipe: what is built.
        near: folder that the recipe's own files start from.
        data: folder of the public sets, absolute.
        out: folder of the build, absolute.
        tell: takes progress in English and Arabic.
        runner: does what can be done record by record; the files come out the same with every one.
    """

    recipe: BuildRecipe
    near: Path
    data: Path
    out: Path
    tell: Tell
    runner: Runner = field(default_factory=lambda: LocalRunner(1))

    @property
    def pictures(self) -> Path:
        """Pictures that lie inside data files: kept outside the steps' folders, since records name their paths."""
        return self.out / "pictures"

    def file(self, name: str, key: str) -> Path:
        """A file that the recipe names.

        Raises:
            ConfigError: it is not there.
        """
        path = self.near / name
        if not path.is_file():
            raise ConfigError(
                f"{key}: {path} does not exist. Paths start from the recipe's folder.",
                f"{key}: الملف {path} غير موجود. تبدأ المسارات من مجلد الوصفة.",
            )
        return path

    def hashes(self, names: Sequence[str], key: str) -> dict[str, str]:
        """SHA-256 of files that the recipe names."""
        return {name: sha256_file(self.file(name, key)) for name in names}


@dataclass(frozen=True)
class Job:
    """One step at work.

    Attributes:
        place: where.
        settings: the step's part of the recipe.
        folder: where its files go; becomes the step's folder when it is complete.
        source: records of the step before; the ingest step has none.
        before: account and folder of each finished step, by name.
    """

    place: Place
    settings: Any
    folder: Path
    source: Path
    before: Mapping[str, tuple[dict[str, Any], Path]]

    @property
    def out(self) -> Path:
        """The step's records."""
        return self.folder / RECORDS

    def file_before(self, step: str, name: str) -> Path | None:
        """A file of an earlier step, if there is one."""
        found = self.before.get(step)
        return found[1] / name if found and (found[1] / name).is_file() else None


@dataclass
class Outcome:
    """What a step did.

    Attributes:
        rows_in, rows_out: records before and after.
        added: new records among them.
        aside: records that were left out, by reason.
        listed: records that were only listed, by reason.
        details: figures for the data card; nothing in them may differ between two runs on the same input.
        watched: original files that were read; absent ones too.
    """

    rows_in: int = 0
    rows_out: int = 0
    added: int = 0
    aside: dict[str, int] = field(default_factory=dict)
    listed: dict[str, int] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)
    watched: list[Path] = field(default_factory=list)


class BuildStep(NamedTuple):
    """A step of the line.

    Attributes:
        name: in recipes and folders.
        arabic: for people.
        run: does it.
        depends: what it depends on beside its settings and the files of the steps before.
    """

    name: str
    arabic: str
    run: Callable[[Job], Outcome]
    depends: Callable[[Job], dict[str, Any]] = lambda job: {}


def no_reason(code: str, record_id: str, english: str, arabic: str, *, field: str = "") -> Reason:
    """A line for a list of records that were kept but marked."""
    return Reason("", 0, field, code, english, arabic, record_id)
