"""The prompts: versioned text files in both languages, or a user's own files of the same names."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

from bimedix2.errors import ConfigError
from bimedix2.records.schema import Language

Message = dict[str, str]
_PLACE = re.compile(r"\{\{(\w+)\}\}")
_PARTS = re.compile(r"\[system\]\n(?P<system>.*?)\n\[user\]\n(?P<user>.*)", re.DOTALL)
_VERSION = re.compile(r"(?P<name>\w+)\.v(?P<version>\d+)\.(?P<language>en|ar)\.txt")


@dataclass(frozen=True)
class Prompt:
    """One prompt file.

    Attributes:
        name, version, language: parts of the file's name, ``NAME.vVERSION.LANGUAGE.txt``.
        system, user: the two messages, with places such as ``{{material}}``.
        digest: short hash of the file's bytes.
    """

    name: str
    version: int
    language: Language
    system: str
    user: str
    digest: str

    @property
    def label(self) -> str:
        """Name for provenance, such as ``translate.v1.en@0f3a…``."""
        return f"{self.name}.v{self.version}.{self.language}@{self.digest}"

    def messages(self, **given: str) -> tuple[Message, ...]:
        """Both messages with the places filled; the values are put in as they are, so braces in them do no harm.

        Raises:
            ConfigError: the file has a place that nothing fills.
        """
        return tuple(
            {"role": role, "content": self._filled(text, given)}
            for role, text in (("system", self.system), ("user", self.user))
            if text
        )

    def _filled(self, text: str, given: Mapping[str, str]) -> str:
        unknown = sorted({place[1] for place in _PLACE.finditer(text)} - given.keys())
        if unknown:
            raise ConfigError(
                f"Prompt {self.label} has the place {{{{{unknown[0]}}}}}; it can use: {', '.join(sorted(given))}.",
                f"في القالب {self.label} الموضع {{{{{unknown[0]}}}}}؛ المتاح: {'، '.join(sorted(given))}.",
            )
        return _PLACE.sub(lambda place: given[place[1]], text)


class Prompts:
    """Finds prompts by name and language.

    Args:
        folder: a user's own files, which take the place of ours of the same name and language.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._own = {} if folder is None else _own_prompts(folder)

    def get(self, name: str, language: Language) -> Prompt:
        """The newest version of a prompt."""
        return self._own.get((name, language)) or bundled()[name, language]


@cache
def bundled() -> dict[tuple[str, Language], Prompt]:
    """The newest version of each prompt that ships with the package."""
    folder = files(__package__).joinpath("prompts")
    return _newest([(item.name, item.read_bytes()) for item in folder.iterdir() if item.name.endswith(".txt")])


def _own_prompts(folder: Path) -> dict[tuple[str, Language], Prompt]:
    try:
        found = [(path.name, path.read_bytes()) for path in sorted(folder.iterdir()) if path.suffix == ".txt"]
    except OSError as error:
        raise ConfigError(
            f"The folder of prompts {folder} cannot be read ({error.strerror}).",
            f"تعذرت قراءة مجلد القوالب {folder} ({error.strerror}).",
        ) from error
    own = _newest(found)
    known = bundled().keys()
    if not own or not own.keys() <= known:
        wrong = next((f"{name}.…{language}.txt" for name, language in own if (name, language) not in known), "")
        raise ConfigError(
            f"{folder}: {wrong or 'no file'} is no prompt that a step uses. Names: "
            f"{', '.join(sorted({name for name, _ in known}))}, such as translate.v2.en.txt.",
            f"{folder}: {wrong or 'لا ملف'} ليس قالبا تستخدمه أي خطوة. الأسماء: "
            f"{'، '.join(sorted({name for name, _ in known}))}، مثل translate.v2.ar.txt.",
        )
    return own


def _newest(found: list[tuple[str, bytes]]) -> dict[tuple[str, Language], Prompt]:
    newest: dict[tuple[str, Language], Prompt] = {}
    for name, data in found:
        prompt = read_prompt(name, data)
        held = newest.get((prompt.name, prompt.language))
        if held is None or held.version < prompt.version:
            newest[prompt.name, prompt.language] = prompt
    return newest


def read_prompt(name: str, data: bytes) -> Prompt:
    """A prompt from its file name and content.

    Raises:
        ConfigError: the name or the layout is wrong.
    """
    named = _VERSION.fullmatch(name)
    try:
        parts = _PARTS.fullmatch(data.decode("utf-8-sig").replace("\r\n", "\n").strip())
    except UnicodeDecodeError:
        parts = None
    if named is None or parts is None:
        raise ConfigError(
            f"{name} is not a prompt: it must be UTF-8, named NAME.v1.en.txt, with the lines [system] and [user].",
            f"الملف {name} ليس قالبا: يجب أن يكون بترميز UTF-8 واسمه مثل NAME.v1.ar.txt وفيه السطران [system] و[user].",
        )
    language: Language = "ar" if named["language"] == "ar" else "en"
    digest = hashlib.blake2b(data, digest_size=6).hexdigest()
    version = int(named["version"])
    return Prompt(named["name"], version, language, parts["system"].strip(), parts["user"].strip(), digest)
