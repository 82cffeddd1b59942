"""What the translation step needs of deterministic checks, and the package's own behind it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import NamedTuple, Protocol

from bimedix2.records.schema import Language


class Fault(NamedTuple):
    """One finding of a check, in both languages."""

    check: str
    english: str
    arabic: str

    def text(self, language: Language) -> str:
        """The finding with the name of its check."""
        return f"{self.check}: {self.arabic if language == 'ar' else self.english}"


class TranslationCheck(Protocol):
    """Compares one text with its translation. Pure: the same pair always gives the same faults.

    Attributes:
        fingerprint: changes whenever findings may.
    """

    fingerprint: str

    def __call__(self, source: str, translation: str, source_language: Language) -> Sequence[Fault]:
        """Faults that fail the pair; empty for a good one."""
        ...


class NoCheck:
    """Finds nothing."""

    fingerprint = "none"

    def __call__(self, source: str, translation: str, source_language: Language) -> Sequence[Fault]:
        """No faults."""
        return ()


class PairChecks:
    """The deterministic checks of ``bimedix2.data.check``: rules and word lists, without an encoder."""

    def __init__(self) -> None:
        state = hashlib.blake2b(digest_size=6)
        for path in sorted(_files(files("bimedix2.data.check"))):
            state.update(path.read_bytes())
        self.fingerprint = state.hexdigest()

    def __call__(self, source: str, translation: str, source_language: Language) -> list[Fault]:
        """Findings that fail the pair; mere notes are left out."""
        from bimedix2.data.check import CHECKS, Context

        context = Context(source_language)
        found = (finding for check in CHECKS for finding in check(source, translation, context))
        return [Fault(item.check, item.english, item.arabic) for item in found if item.severity != "note"]


def _files(folder: Traversable) -> Iterator[Path]:
    """Code and word lists of a package: whatever findings depend on."""
    for item in folder.iterdir():
        if item.is_dir() and item.name != "__pycache__":
            yield from _files(item)
        elif item.name.endswith((".py", ".json", ".yaml", ".txt", ".tsv", ".csv")):
            yield Path(str(item))


def find_check(*, wanted: bool) -> TranslationCheck:
    """The package's own checks, or none where they are not wanted."""
    return PairChecks() if wanted else NoCheck()
