"""Finds tasks and scoring families by looking into their folders: a new one is one new file.

Those of installed packages and of files that the user names come beside them (:mod:`.plugins`).
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from types import ModuleType

from bimedix2.errors import ConfigError

from .importers._base import Importer
from .plugins import Found, from_file, from_packages
from .schema import Family, Task


def all_tasks() -> dict[str, Task]:
    """Every task by name, in alphabetical order."""
    return dict(sorted(_known().tasks.items()))


def all_families() -> dict[str, Family]:
    """Every scoring family by name."""
    return _known().families


_named: dict[Path, Found] = {}
"""Task files that were named in this process."""


def add_task_file(path: Path) -> list[str]:
    """Run a Python file and know its tasks for the rest of the process; their names.

    Raises:
        ConfigError: the file is missing or fails, holds no task, or a task cannot be used.
    """
    place = path.resolve()
    _named.pop(place, None)  # a file that is named again may have changed
    _named[place] = from_file(path, _known())
    return list(_named[place].tasks)


def _known() -> Found:
    found = _installed()
    for more in _named.values():
        found = found | more
    return found


@cache
def _installed() -> Found:
    """Of this package and of others."""
    own = Found()
    for module in _modules("tasks"):
        several: tuple[Task, ...] = getattr(module, "TASKS", ())
        single: Task | None = getattr(module, "TASK", None)
        own.tasks |= {task.name: task for task in ((single,) if single else several)}
    modules = [module for module in _modules("families") if hasattr(module, "FAMILY")]
    own.families |= {module.FAMILY.name: module.FAMILY for module in modules}
    return own | from_packages(own)


@cache
def all_importers() -> dict[str, Importer]:
    """Every format of prediction files by the name of ``--format``."""
    return {module.IMPORTER.name: module.IMPORTER for module in _modules("importers")}


def find_tasks(names: Sequence[str], modes: Sequence[str] = ()) -> list[Task]:
    """Tasks by name; a name that ends in ``*`` stands for all that begin with it, ``all`` for every task.

    Raises:
        ConfigError: a name fits none, or one of ``modes`` none of the tasks; says which ones are near.
    """
    known = all_tasks()
    chosen: dict[str, Task] = {}
    for name in names:
        fitting = [task for task in known if name == "all" or task == name or _begins(task, name)]
        if not fitting:
            raise unknown("task", "المهمة", name, list(known))
        chosen |= {task: known[task] for task in fitting}
    scoring = list(dict.fromkeys(mode for task in chosen.values() for mode in find_family(task.family).modes))
    for mode in [mode for mode in modes if mode not in scoring]:
        raise unknown("mode", "النمط", mode, scoring)
    return list(chosen.values())


def _begins(task: str, pattern: str) -> bool:
    return pattern.endswith("*") and task.startswith(pattern[:-1])


def find_family(name: str) -> Family:
    """A scoring family by its name or the name of one of its tasks.

    Raises:
        ConfigError: there is none; says which ones there are.
    """
    families, tasks = all_families(), all_tasks()
    if name in tasks:
        return families[tasks[name].family]
    if name not in families:
        raise unknown("task or family", "المهمة", name, [*families, *tasks])
    return families[name]


def check_mode(family: Family, mode: str) -> str:
    """``mode`` if the family has it.

    Raises:
        ConfigError: it has not; lists those it has.
    """
    if mode not in family.modes:
        raise unknown("mode", "النمط", mode, list(family.modes))
    return mode


def unknown(kind: str, kind_ar: str, name: str, known: list[str]) -> ConfigError:
    """The error for a name that is not among ``known``."""
    near = get_close_matches(name, known, 3) or known
    return ConfigError(
        f"{kind} {name!r} is not known. Choose one of: {', '.join(near)}.",
        f"{kind_ar} {name!r} غير معروف. اختر من: {', '.join(near)}.",
    )


def _modules(folder: str) -> list[ModuleType]:
    package = importlib.import_module(f"{__package__}.{folder}")
    names = sorted(info.name for info in pkgutil.iter_modules(package.__path__))
    return [importlib.import_module(f"{package.__name__}.{name}") for name in names if not name.startswith("_")]
