"""The size of a record: 1, its supervised tokens, or, without a tokenizer, the words of its answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from bimedix2.records import Record

from .settings import Tell, Unit

_ARABIC = {"samples": "عينات", "words": "كلمات", "characters": "حروف"}


class Counter(NamedTuple):
    """Says how large a record is, and by what that is counted."""

    of: Callable[[Record], int]
    by: str

    @property
    def by_ar(self) -> str:
        """``by`` in Arabic."""
        return _ARABIC.get(self.by) or self.by.replace("tokens of", "رموز")


def counter_for(unit: Unit, tokens: str, tell: Tell) -> Counter:
    """What counts a mix's sizes.

    Args:
        unit: of the mix.
        tokens: as in ``MixSettings``.
        tell: is told where words stand in for tokens.

    Raises:
        ModelError, AssetError: the model that was named cannot be used.
    """
    if unit == "samples":
        return Counter(lambda record: 1, "samples")
    if tokens == "words":
        return Counter(answer_words, "words")
    if tokens == "characters":
        return Counter(answer_characters, "characters")
    if tokens == "auto":
        return _nano_or_words(tell)
    return _with_model(tokens)


def answer_words(record: Record) -> int:
    """Words of the assistant's turns, at least 1."""
    return max(1, sum(len(turn.text.split()) for turn in record.turns if turn.role == "assistant"))


def answer_characters(record: Record) -> int:
    """Characters of the assistant's turns."""
    return sum(len(turn.text) for turn in record.turns if turn.role == "assistant")


def _nano_or_words(tell: Tell) -> Counter:
    from bimedix2.model.nano.assemble import nano_path

    if (nano_path() / "bimedix2.json").is_file():
        try:
            import tokenizers  # noqa: F401 - is it installed?
        except ImportError:
            pass
        else:
            return _with_folder(nano_path(), "nano")
    tell(
        "Words of the answers are counted, not tokens: nano is not on disk. For tokens: bimedix2 pull nano",
        "تُعد كلمات الإجابات لا الرموز لأن nano غير موجود على القرص. للرموز: bimedix2 pull nano",
    )
    return Counter(answer_words, "words")


def _with_model(name: str) -> Counter:
    from bimedix2.model.nano import nano_folder

    if name in ("nano", "nano-base"):
        return _with_folder(nano_folder(), name)
    if (Path(name) / "bimedix2.json").is_file():
        return _with_folder(Path(name), name)
    from bimedix2.data.stats import supervised_counter
    from bimedix2.model import load_bundle

    return Counter(supervised_counter(load_bundle(name, device="cpu")), f"tokens of {name}")


def _with_folder(folder: Path, name: str) -> Counter:
    from bimedix2.data.show import read_text_setup
    from bimedix2.data.stats import supervised_counter

    return Counter(supervised_counter(read_text_setup(folder)), f"tokens of {name}")
