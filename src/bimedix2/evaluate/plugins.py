"""Tasks and scoring families from outside this package: of installed packages, and of files that the user names.

A package lists its modules under the entry-point group ``bimedix2.tasks``. A file is run only when it is named
(``--task-file``). Either holds ``TASK`` or ``TASKS`` as the modules of :mod:`bimedix2.evaluate.tasks` do, and may
hold a scoring ``FAMILY`` of its own.
"""

from __future__ import annotations

import importlib.util
import re
import sys
import warnings
from dataclasses import dataclass, field
from hashlib import blake2b
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from bimedix2.errors import BiMediX2Error, ConfigError

from .schema import Family, Task

GROUP = "bimedix2.tasks"
_MODULE = "bimedix2_task_"
# A task's name becomes a folder and stands before a colon on the command line.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_RESERVED = frozenset(("all",))
_LANGUAGES = frozenset(("en", "ar"))


@dataclass
class Found:
    """Tasks and families by name."""

    tasks: dict[str, Task] = field(default_factory=dict)
    families: dict[str, Family] = field(default_factory=dict)

    def __or__(self, other: Found) -> Found:
        return Found(self.tasks | other.tasks, self.families | other.families)


def from_file(path: Path, known: Found) -> Found:
    """Run a Python file; its tasks and its family.

    Args:
        path: the file; its code can do whatever the user can do.
        known: whose names are taken, and whose families its tasks may use.

    Raises:
        ConfigError: the file is missing or fails, holds no task, or a task cannot be used; says why.
    """
    if not path.is_file():
        raise ConfigError(
            f"--task-file {path}: there is no such file. Give the path of a Python file that holds TASK.",
            f"--task-file {path}: الملف غير موجود. أعط مسار ملف بايثون فيه TASK.",
        )
    name = f"{_MODULE}{path.stem}_{blake2b(str(path.resolve()).encode(), digest_size=4).hexdigest()}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ConfigError(
            f"--task-file {path} is not a Python file; its name must end in .py.",
            f"--task-file {path} ليس ملف بايثون؛ يجب أن ينتهي اسمه بـ ‎.py.",
        )
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and msgspec look their own module up
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise _failed(str(path), error) from error
    return _checked(module, str(path), known)


def from_packages(known: Found) -> Found:
    """What the entry points of installed packages bring; one that fails is told and left out."""
    found = Found()
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        try:
            more = _checked(_loaded(entry), f"entry point {entry.name} = {entry.value}", known | found)
        except BiMediX2Error as error:
            warnings.warn(f"left out: {error.message} / {error.message_ar}", RuntimeWarning, stacklevel=2)
        else:
            found |= more
    return found


def _loaded(entry: EntryPoint) -> ModuleType:
    try:
        module: ModuleType = entry.load()
    except Exception as error:
        raise _failed(f"entry point {entry.name} = {entry.value}", error) from error
    return module


def _failed(where: str, error: Exception) -> ConfigError:
    kind = type(error).__name__
    # Lines of the file itself are what its author can change.
    line = f", line {error.lineno}" if isinstance(error, SyntaxError) else _line_of(error)
    return ConfigError(
        f"{where}{line}: the task file fails with {kind}: {error}. Mend it, or leave it out.",
        f"{where}{line}: فشل ملف المهمة بالخطأ {kind}: {error}. أصلحه أو لا تستخدمه.",
    )


def _line_of(error: Exception) -> str:
    place = error.__traceback__
    lines = []
    while place is not None:
        if place.tb_frame.f_globals.get("__name__", "").startswith(_MODULE):
            lines.append(place.tb_lineno)
        place = place.tb_next
    return f", line {lines[-1]}" if lines else ""


def _checked(module: ModuleType, where: str, known: Found) -> Found:
    """The tasks and the family of a module.

    Raises:
        ConfigError: there is no task, or one that cannot be used.
    """
    single: Any = getattr(module, "TASK", None)
    tasks: Any = (single,) if single is not None else getattr(module, "TASKS", ())
    if not tasks or not all(isinstance(task, Task) for task in tasks):
        raise ConfigError(
            f"{where} holds no task. Define TASK = Task(…) or TASKS = (Task(…), …) from bimedix2.evaluate.authoring.",
            f"{where}: لا توجد مهمة. عرف TASK = Task(…) أو TASKS = (Task(…), …) من bimedix2.evaluate.authoring.",
        )
    family: Family | None = getattr(module, "FAMILY", None)
    if family is not None and family.name in known.families:
        raise _taken(where, "family", "العائلة", family.name)
    found = Found({}, {family.name: family} if family is not None else {})
    for task in tasks:
        _check_task(task, where, known | found)
        found.tasks[task.name] = task
    return found


def _check_task(task: Task, where: str, known: Found) -> None:
    if not _NAME.fullmatch(task.name) or task.name in _RESERVED:
        raise ConfigError(
            f"{where}, field name: {task.name!r} cannot be a task's name. Use letters, digits, '_', '-' and '.'.",
            f"{where}، الحقل name: لا يصلح {task.name!r} اسما لمهمة. استخدم حروفا لاتينية وأرقاما و'_' و'-' و'.'.",
        )
    if task.name in known.tasks:
        raise _taken(where, "task", "المهمة", task.name)
    if not task.splits or not task.languages or not set(task.languages) <= _LANGUAGES:
        raise ConfigError(
            f"{where}, task {task.name}: splits must not be empty, and languages are 'en', 'ar' or both.",
            f"{where}، المهمة {task.name}: يجب ألا تكون splits فارغة، واللغات هي 'en' أو 'ar' أو كلتاهما.",
        )
    if task.family not in known.families:
        families = ", ".join(sorted(known.families))
        raise ConfigError(
            f"{where}, task {task.name}: no family {task.family!r}. Choose one of: {families}; or define FAMILY.",
            f"{where}، المهمة {task.name}: لا توجد عائلة {task.family!r}. اختر من: {families}؛ أو عرف FAMILY.",
        )


def _taken(where: str, kind: str, kind_ar: str, name: str) -> ConfigError:
    return ConfigError(
        f"{where}: there is already a {kind} {name!r}. Choose another name.",
        f"{where}: {kind_ar} {name!r} موجودة من قبل. اختر اسما آخر.",
    )
