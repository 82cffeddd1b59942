"""Errors that a user can act on: what is wrong, where, and what to do about it.

The command line prints these without a traceback and exits with a status other than 0.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any


class BiMediX2Error(Exception):
    """Base class of every error this package raises on purpose.

    Attributes:
        code: stable, machine-readable name, such as ``image_unreadable``.
        message: English text, one sentence of fault and one of remedy.
        message_ar: the same in Arabic.
    """

    code: str = "error"
    exit_status: int = 1

    def __init__(self, message: str, message_ar: str | None = None, *, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.message_ar = message_ar or message
        if code is not None:
            self.code = code

    def in_language(self, language: str) -> str:
        """The message in ``"ar"`` or ``"en"``."""
        return self.message_ar if language == "ar" else self.message

    def __reduce__(self) -> tuple[Any, ...]:
        """Subclasses take other arguments than ``args``, so pickling, by which errors leave a worker, needs help."""
        return _unpickled, (type(self), self.args, self.__dict__)


def _unpickled(kind: type[BiMediX2Error], args: tuple[Any, ...], state: dict[str, Any]) -> BiMediX2Error:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


class RecordError(BiMediX2Error):
    """A row of a data file does not fit the record schema. Names the file, the row and the field."""

    code = "bad_record"

    def __init__(self, path: str | Path, row: int, field: str, problem: str, problem_ar: str | None = None) -> None:
        where = f"{path}, row {row}, field {field}"
        where_ar = f"{path}، الصف {row}، الحقل {field}"
        super().__init__(f"{where}: {problem}", f"{where_ar}: {problem_ar or problem}")
        self.path, self.row, self.field = str(path), row, field
        self.problem, self.problem_ar = problem, problem_ar or problem


class ImageError(BiMediX2Error):
    """An image cannot be used. ``code`` is one of the names listed in ``docs/images.md``."""

    code = "image_unreadable"


class ModelError(BiMediX2Error):
    """A model folder, hub id or adapter cannot be used."""

    code = "bad_model"


class AssetError(BiMediX2Error):
    """A downloaded part of a model is missing or differs from its pinned hash."""

    code = "bad_asset"


class DataError(BiMediX2Error):
    """A data set cannot be fetched or unpacked. ``code`` says what is wrong."""

    code = "bad_data"


class ConfigError(BiMediX2Error):
    """A recipe or an option is wrong."""

    code = "bad_config"
    exit_status = 2
