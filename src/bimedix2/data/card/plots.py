"""Pictures beside the card: records by source and language, and how translations fared in the checks."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bimedix2.data.stats import COLOURS, draw_stats, shaped

from .facts import Facts
from .names import Words

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Tell = Callable[[str, str], None]
_GREY = "#BBBBBB"


def draw(facts: Facts, card: Path, language: str, tell: Tell) -> dict[str, Path]:
    """Draw what there is to draw, and return the pictures by name; without matplotlib tell so and draw none.

    Args:
        facts: what is known.
        card: the pictures are named after it: ``card.counts.ar.png``.
        language: of the words in them.
        tell: takes lines in English and Arabic.
    """
    if find_spec("matplotlib") is None:
        tell(
            "The card has no pictures: matplotlib is not installed. Run: pip install matplotlib",
            "لا رسوم في البطاقة لأن matplotlib غير مثبت. شغل: pip install matplotlib",
        )
        return {}
    counts = card.with_name(f"{card.stem}.counts.{language}.png")
    found = {"counts": draw_stats(facts.stats, counts, language)}
    checks = facts.details("check")
    if checks.get("pairs"):
        found["checks"] = _save(_checks(checks, language), card.with_name(f"{card.stem}.checks.{language}.png"))
    return found


def _checks(found: dict[str, Any], language: str) -> Figure:
    """Failed and passed translations by source, and failures by check."""
    from matplotlib.figure import Figure

    w = Words(language)
    sources, checks = found["by_source"], sorted(found["by_check"].items(), key=lambda item: item[1])
    figure = Figure(figsize=(9, 2.2 + 0.26 * (len(sources) + len(checks))), layout="constrained")
    panels: Any = figure.subplots(2, 1, height_ratios=[len(sources) + 1, len(checks) + 1])
    names = list(sources)
    failed = [sources[name]["failed"] for name in names]
    passed = [sources[name]["pairs"] - sources[name]["failed"] for name in names]
    panels[0].barh(names, passed, color=COLOURS["en"], label=shaped(w("passed"), language))
    panels[0].barh(names, failed, left=passed, color=COLOURS["ar"], label=shaped(w("failed"), language))
    panels[0].invert_yaxis()
    panels[0].legend(frameon=False)
    panels[0].set_title(shaped(w("source"), language), fontsize=10)
    panels[1].barh([shaped(w.value(name), language) for name, _ in checks], [count for _, count in checks], color=_GREY)
    panels[1].set_title(shaped(w("name_check"), language), fontsize=10)
    panels[1].set_xlabel(shaped(w("failed"), language))
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def _save(figure: Figure, path: Path) -> Path:
    scratch = path.with_name(f".{path.stem}.partial{path.suffix}")
    figure.savefig(scratch, dpi=110)
    return scratch.replace(path)
