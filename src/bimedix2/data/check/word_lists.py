"""The word lists beside this file, folded like the texts they are looked for in."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

from .fold import fold

_FOLDER = Path(__file__).parent / "words"
# Particles written as one word with the next: and, then; by, for, like; the.
CLITICS = r"(?:[وف])?(?:[بلك])?(?:ال|لل)?"
# Endings of possession and of the accusative, the dual and the sound plurals.
ENDINGS = r"(?:ا|ه|ها|هم|هما|هن|ي|ك|كم|نا|ين|ان|ون|ات|يه|تين|تان|تها|ته|تي|يا|ينا|تا)?"


@lru_cache(maxsize=32)
def load_words(name: str) -> dict[str, Any]:
    """A YAML list of ``words/``, as written."""
    import yaml

    loaded = yaml.safe_load((_FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
    if not isinstance(loaded, dict):
        raise TypeError(f"{name}.yaml is not a mapping")
    return loaded


def folded(forms: Iterable[str]) -> list[str]:
    """Forms as they stand in a folded text, longest first."""
    return sorted({fold(str(form)).text for form in forms}, key=lambda form: (-len(form), form))


def english_words(forms: Iterable[str]) -> str:
    """A pattern for whole English words or phrases."""
    return r"(?<![\w])(?:" + "|".join(re.escape(form) for form in folded(forms)) + r")(?![\w])"


def arabic_words(forms: Iterable[str], *, clitics: bool = True, endings: bool = False) -> str:
    """A pattern for Arabic words or phrases with what may be written together with them."""
    core = "|".join(re.escape(form).replace(r"\ ", r"\s+") for form in folded(forms))
    return rf"(?<!\w){CLITICS if clitics else ''}(?:{core}){ENDINGS if endings else ''}(?!\w)"
