"""The texts that judges read: ours, or a user's own, such as a protocol's exact words."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path

import msgspec

from bimedix2.errors import ConfigError

Wording = Mapping[str, str]


@cache
def wording() -> Wording:
    """The texts of ``wording.json``."""
    texts = msgspec.json.decode(files(__package__).joinpath("wording.json").read_bytes(), type=dict[str, str])
    texts.pop("about")
    return texts


def read_wording(path: Path) -> Wording:
    """Our texts with those of a user's file in their place.

    Args:
        path: a JSON object with some of the names of ``wording.json``.

    Raises:
        ConfigError: it cannot be read, or has a name that no protocol uses.
    """
    try:
        own = msgspec.json.decode(path.read_bytes(), type=dict[str, str])
    except (OSError, msgspec.DecodeError) as error:
        raise ConfigError(
            f"{path} is not a JSON object of texts ({error}). Give names of wording.json with their texts.",
            f"الملف {path} ليس كائن JSON من نصوص ({error}). أعط أسماء من wording.json مع نصوصها.",
        ) from error
    unknown = sorted(own.keys() - wording().keys() - {"about"})
    if unknown:
        raise ConfigError(
            f"{path}: no protocol uses the text {unknown[0]!r}. Choose from: {', '.join(wording())}.",
            f"{path}: لا يستخدم أي بروتوكول النص {unknown[0]!r}. اختر من: {', '.join(wording())}.",
        )
    return {**wording(), **own}


def digest(texts: Wording) -> str:
    """Short hash of all texts; stored with every judged figure.

    >>> len(digest(wording()))
    12
    """
    return hashlib.blake2b(msgspec.json.encode(sorted(texts.items())), digest_size=6).hexdigest()
