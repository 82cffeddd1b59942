"""Write a card, whole or not at all."""

from __future__ import annotations

from pathlib import Path

from bimedix2.cache import write_whole
from bimedix2.errors import ConfigError

from .facts import gather
from .plots import Tell, draw
from .render import markdown, page
from .sections import sections
from .settings import CardSettings


def write_card(source: Path, out: Path, settings: CardSettings | None = None, tell: Tell | None = None) -> int:
    """Write ``out`` (Markdown), the page of the same name and the pictures; return the number of records.

    Args:
        source: a folder that ``bimedix2 data build`` wrote, or a file of records.
        out: ends in ``.md``; ``card.html`` and ``card.counts.en.png`` stand beside ``card.md``.
        settings: what no file says.
        tell: takes lines in English and Arabic.

    Raises:
        ConfigError: there are no records, or ``out`` has another ending.
        RecordError: a row is bad.
    """
    if out.suffix != ".md":
        raise ConfigError(f"--out {out} must end in .md.", f"يجب أن ينتهي --out {out} بـ .md.")
    settings, tell = settings or CardSettings(), tell or (lambda english, arabic: None)
    facts = gather(source)
    out.parent.mkdir(parents=True, exist_ok=True)
    pictures = {language: draw(facts, out, language, tell) if settings.plots else {} for language in ("en", "ar")}
    parts = [(language, sections(facts, settings, language, pictures[language])) for language in ("en", "ar")]
    write_whole(out, markdown(parts).encode())
    write_whole(out.with_suffix(".html"), page(parts[0][1][0].title, parts).encode())
    return facts.stats.records
