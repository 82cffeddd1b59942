"""Readable Arabic in a terminal, whichever kind it is.

Some terminals run the bidirectional algorithm and join Arabic letters themselves; they must get the text in
logical order. Most do neither, and there the text is shaped and put in visual order first. Pipes and files always
get logical order.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Literal, NamedTuple

from bimedix2.errors import ConfigError
from bimedix2.text.bidi import Direction, direction_of, isolate_ltr, ltr_runs, strip_bidi_controls

BidiMode = Literal["auto", "terminal", "visual"]
VARIABLE = "BIMEDIX2_BIDI"

_FIRST_VTE_WITH_BIDI = 5800
_BIDI_PROGRAMS = frozenset({"Apple_Terminal", "mintty"})
_HELD_TOGETHER = 24  # cells: a measurement up to this wide is not broken over two lines
# C0 (but for tab and line feed), DEL and C1: model output and file names must not steer the terminal.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
# A non-spacing character that no font or keyboard uses (variation selector 256): it tells the level of a sign.
_LEVEL_MARK = "\U000e01ef"
_MARKS_THEN_BASE = re.compile(r"([\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06dc]+)([^\u0300-\u036f\u0610-\u061a])")


def terminal_does_bidi(environment: Mapping[str, str] | None = None) -> bool:
    """Whether the terminal reorders and joins right-to-left text itself, by what its environment says.

    ``BIMEDIX2_BIDI`` = ``terminal`` or ``visual`` decides; any other word in it is as good as none, because error
    messages pass through here too. Else the signs are ``VTE_VERSION`` of at least 5800 (GNOME Terminal and its
    kin), ``KONSOLE_VERSION``, ``TERM`` or ``MLTERM`` of mlterm, and ``TERM_PROGRAM`` of macOS Terminal or mintty.
    Over SSH these are usually lost: set ``BIMEDIX2_BIDI=terminal`` there.
    """
    environment = os.environ if environment is None else environment
    wanted = environment.get(VARIABLE)
    if wanted in ("terminal", "visual"):
        return wanted == "terminal"
    vte = environment.get("VTE_VERSION", "")
    return (
        (vte.isascii() and vte.isdigit() and int(vte) >= _FIRST_VTE_WITH_BIDI)
        or bool(environment.get("KONSOLE_VERSION"))
        or bool(environment.get("MLTERM"))
        or environment.get("TERM", "").startswith("mlterm")
        or environment.get("TERM_PROGRAM") in _BIDI_PROGRAMS
    )


def choose_bidi(
    bidi: BidiMode = "auto", *, environment: Mapping[str, str] | None = None, is_tty: bool | None = None
) -> Literal["terminal", "visual"]:
    """Decide who reorders right-to-left text: the ``"terminal"``, or this package (``"visual"``).

    An explicit argument wins. ``"auto"`` gives ``"terminal"``, that is logical order, when the text goes to no
    terminal (``is_tty``; ``None`` asks standard output), and else what ``terminal_does_bidi`` says.

    Raises:
        ConfigError: ``bidi`` is another word.
    """
    if bidi not in ("auto", "terminal", "visual"):
        raise ConfigError(
            f"bidi is {bidi!r}; use auto, terminal or visual.",
            f"قيمة bidi هي {bidi!r}؛ استعمل auto أو terminal أو visual.",
        )
    if bidi != "auto":
        return bidi
    if not (sys.stdout.isatty() if is_tty is None else is_tty):
        return "terminal"
    return "terminal" if terminal_does_bidi(environment) else "visual"


@lru_cache(maxsize=4096)
def _cells(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def cell_width(text: str) -> int:
    """Terminal cells that ``text`` takes: 0 for marks and invisible controls, 2 for wide characters, else 1."""
    return sum(map(_cells, text))


def _held_spaces(line: str, direction: Direction) -> set[int]:
    """Positions of the spaces inside short left-to-right runs, where a line must not break."""
    return {
        position
        for start, end in ltr_runs(line, direction)
        if cell_width(line[start:end]) <= _HELD_TOGETHER
        for position in range(start, end)
        if line[position] == " "
    }


def _words(line: str, direction: Direction) -> Iterator[str]:
    """The words of a line, each with the spaces before it."""
    held, start, in_word = _held_spaces(line, direction), 0, False
    for position, character in enumerate(line):
        is_space = character == " " and position not in held
        if is_space and in_word:
            yield line[start:position]
            start = position
        in_word = not is_space
    if start < len(line):
        yield line[start:]


def _hard_split(word: str, width: int) -> Iterator[str]:
    """Cut a word that is wider than a whole line, never before a combining mark."""
    start = used = 0
    for position, character in enumerate(word):
        cells = _cells(character)
        if cells and used and used + cells > width:
            yield word[start:position]
            start, used = position, 0
        used += cells
    yield word[start:]


def _fitting_words(line: str, width: int, direction: Direction) -> Iterator[str]:
    """``_words`` of a line; one that is wider than ``width`` may break at its held spaces after all."""
    for word in _words(line, direction):
        if cell_width(word.lstrip(" ")) <= width:
            yield word
        else:
            yield from re.findall(r" *[^ ]+| +$", word)


def wrap_logical(line: str, width: int, direction: Direction = "ltr") -> list[str]:
    """Break one paragraph in logical order into lines of at most ``width`` cells.

    Measurements stay on one line where they fit. Leading spaces of the paragraph are kept, those at a break
    dropped.
    """
    if cell_width(line) <= width:
        return [line]
    lines, current = [], ""
    for word in _fitting_words(line, width, direction):
        if cell_width(current) + cell_width(word) <= width:
            current += word
            continue
        if current.strip(" "):
            lines.append(current)
        *full, current = _hard_split(word.lstrip(" "), width)
        lines += full
    return [*lines, current] if current or not lines else lines


class _Tools(NamedTuple):
    join: Callable[[str], str]  # Arabic letters to their joined forms
    reorder: Callable[..., str]  # UAX #9, without its mirroring (L4)
    mirrored: Mapping[str, str]
    marked_sign: re.Pattern[str]  # a mirrored sign with its level mark after it (1) or before it (2)


@lru_cache(maxsize=1)
def _visual_tools() -> _Tools | None:
    """The two libraries of the ``terminal`` extra, or ``None`` without it."""
    try:
        from arabic_reshaper import ArabicReshaper
        from bidi import get_display
        from bidi.mirror import MIRRORED
    except ImportError:
        return None
    # Harakat carry meaning, and the one-cell sign for الله is missing from most monospaced fonts.
    settings = {"delete_harakat": False, "ARABIC LIGATURE ALLAH": False}
    signs = "[" + re.escape("".join(MIRRORED)) + "]"
    marked_sign = re.compile(f"({signs}){_LEVEL_MARK}|{_LEVEL_MARK}({signs})")
    return _Tools(ArabicReshaper(configuration=settings).reshape, get_display, MIRRORED, marked_sign)


def has_visual_tools() -> bool:
    """Whether the ``terminal`` extra is installed, so that ``"visual"`` can work."""
    return _visual_tools() is not None


def to_visual(line: str, direction: Direction) -> str:
    """One line as a terminal without any bidirectional support must receive it: joined letters, visual order.

    Args:
        line: at most one display line, in logical order.
        direction: base direction of the paragraph that the line belongs to.

    Without the ``terminal`` extra the line comes back unchanged.
    """
    tools = _visual_tools()
    if tools is None:
        return line
    shown = tools.join(isolate_ltr(line.replace(_LEVEL_MARK, ""), direction))
    shown = "".join(character + _LEVEL_MARK if character in tools.mirrored else character for character in shown)
    shown = tools.reorder(shown, base_dir="R" if direction == "rtl" else "L")
    # L4: the mark shares its sign's level, so it comes first exactly where the sign was reversed.
    shown = tools.marked_sign.sub(lambda match: match[1] or tools.mirrored[match[2]], shown)
    # L3: reversal leaves marks before their letter; a terminal draws a mark on the letter before it.
    shown = _MARKS_THEN_BASE.sub(lambda match: match[2] + match[1][::-1], shown)
    return strip_bidi_controls(shown)


def _show(line: str, direction: Direction, mode: Literal["terminal", "visual"], width: int) -> str:
    if mode == "terminal":
        return isolate_ltr(line, direction)
    shown = to_visual(line, direction)
    if direction == "rtl" and has_visual_tools():
        return " " * max(0, width - cell_width(shown)) + shown
    return shown


def for_terminal(
    text: str,
    *,
    width: int | None = None,
    bidi: BidiMode = "auto",
    default_direction: Direction | None = None,
    is_tty: bool | None = None,
) -> str:
    """Make ``text`` readable in this terminal: wrapped, in the right order, right-to-left blocks set right.

    Lines are broken in logical order and only then reordered. Control characters, escape sequences included, and
    bidirectional controls in ``text`` are removed, so add colours to the result. Never store the result: in
    visual order it is for the eye only.

    Args:
        text: paragraphs separated by ``"\\n"``, logical order.
        width: cells of a line, at least 1; ``None`` takes the terminal's.
        bidi: see ``choose_bidi``. In ``"visual"`` without the ``terminal`` extra the order stays logical.
        default_direction: of paragraphs without letters; ``None`` takes the direction of the whole text.
        is_tty: whether the text goes to a terminal; ``None`` asks standard output, so pass it for another stream.

    Raises:
        ConfigError: unknown ``bidi``.
    """
    mode = choose_bidi(bidi, is_tty=is_tty)
    if mode == "visual" and not has_visual_tools():
        mode = "terminal"
    width = max(1, shutil.get_terminal_size().columns if width is None else width)
    text = _CONTROLS.sub("", strip_bidi_controls(text).expandtabs(4))
    fallback = default_direction or direction_of(text)
    shown: list[str] = []
    for paragraph in text.split("\n"):
        direction = direction_of(paragraph, fallback)
        shown += [_show(line, direction, mode, width) for line in wrap_logical(paragraph, width, direction)]
    return "\n".join(shown)
