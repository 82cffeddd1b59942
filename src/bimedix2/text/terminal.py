"""Readable Arabic in terminals, some of which reorder right-to-left text themselves and some of which do not."""

from __future__ import annotations

import os
import shutil
import textwrap
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Literal

from bimedix2.text.bidi import direction_of, isolate_ltr, strip_bidi_controls

Bidi = Literal["auto", "terminal", "visual"]
# Terminals that apply the bidirectional algorithm announce themselves in one of these variables.
_BIDI_VARIABLES = ("VTE_VERSION", "KONSOLE_VERSION", "MLTERM")
_BIDI_PROGRAMS = ("Apple_Terminal", "mintty", "WezTerm")


def terminal_does_bidi(environment: Mapping[str, str] | None = None) -> bool:
    """Whether this terminal orders right-to-left text itself, by what its environment says.

    VTE (GNOME Terminal and kin), Konsole, mlterm, mintty and Apple's Terminal do; xterm, kitty, the Windows
    console and editors' terminals do not. ``BIMEDIX2_BIDI`` = ``terminal`` or ``visual`` overrides the guess.
    """
    environment = os.environ if environment is None else environment
    override = environment.get("BIMEDIX2_BIDI")
    if override in ("terminal", "visual"):
        return override == "terminal"
    if any(environment.get(name) for name in _BIDI_VARIABLES):
        return True
    return environment.get("TERM_PROGRAM") in _BIDI_PROGRAMS or environment.get("TERM", "").startswith("mlterm")


def for_terminal(text: str, *, width: int | None = None, bidi: Bidi = "auto") -> str:
    """Text ready to be printed: wrapped, and right-to-left lines in an order that can be read.

    Lines are wrapped first and reordered afterwards, for a line that is reordered as a whole would show its end
    above its beginning.

    Args:
        text: logical order.
        width: columns; ``None`` takes the terminal's.
        bidi: ``terminal`` leaves the order to the terminal and isolates measurements; ``visual`` reorders and
            joins letters here; ``auto`` chooses by :func:`terminal_does_bidi`.
    """
    columns = width or shutil.get_terminal_size().columns
    lines = [wrapped for line in text.split("\n") for wrapped in _wrap(strip_bidi_controls(line), columns)]
    if all(direction_of(line) == "ltr" and line.isascii() for line in lines):
        return "\n".join(lines)
    visual = bidi == "visual" or (bidi == "auto" and not terminal_does_bidi())
    if visual and find_spec("bidi") and find_spec("arabic_reshaper"):
        return "\n".join(_visual(line, columns) for line in lines)
    return "\n".join(isolate_ltr(line) for line in lines)


def _wrap(line: str, columns: int) -> list[str]:
    return textwrap.wrap(line, columns, drop_whitespace=True, break_on_hyphens=False) or [""]


def _visual(line: str, columns: int) -> str:
    """One line in display order with joined letter forms, right-to-left lines at the right margin."""
    import arabic_reshaper
    from bidi import get_display

    if direction_of(line) == "ltr" and line.isascii():
        return line
    rtl = direction_of(line) == "rtl"
    shaped = arabic_reshaper.reshape(isolate_ltr(line))
    shown = strip_bidi_controls(str(get_display(shaped, base_dir="R" if rtl else "L")))
    return shown.rjust(columns) if rtl else shown
