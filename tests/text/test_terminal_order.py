"""Display order worked out by hand with UAX #9, and what must hold for any text."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bimedix2.errors import ConfigError
from bimedix2.text import cell_width, choose_bidi, for_terminal, isolate_ltr
from bimedix2.text.terminal import has_visual_tools, to_visual, wrap_logical

needs_tools = pytest.mark.skipif(not has_visual_tools(), reason="python-bidi and arabic-reshaper are not installed")
# Every capital is an Arabic letter, so that expected orders can be read from left to right.
LATIN_TO_ARABIC = str.maketrans("ABGDHWZ", "ابجدهوز")
ARABIC_TO_LATIN = str.maketrans("ابجدهوز", "ABGDHWZ")


def _shown(text: str, direction: str) -> str:
    visual = to_visual(text.translate(LATIN_TO_ARABIC), direction)  # type: ignore[arg-type]
    return unicodedata.normalize("NFKC", visual).translate(ARABIC_TO_LATIN)


@needs_tools
@pytest.mark.parametrize(
    ("logical", "direction", "visual"),
    [
        ("ABG", "rtl", "GBA"),
        ("AB ct GD", "rtl", "DG ct BA"),
        ("AB 12 × 8 mm GD", "rtl", "DG 12 × 8 mm BA"),
        ("AB 2023-05-01", "rtl", "2023-05-01 BA"),
        ("AB 5–10 GD", "rtl", "DG 5–10 BA"),
        ("5–10", "rtl", "5–10"),
        ("AB -5%", "rtl", "-5% BA"),
        ("AB (ct) GD", "rtl", "DG (ct) BA"),  # brackets are mirrored in right-to-left text
        ("AB (GD) H", "rtl", "H (DG) BA"),
        ("a) ABG", "rtl", "GBA (a"),
        ("x (ABG) y", "ltr", "x (GBA) y"),
        ("AB ((ct)) GD", "rtl", "DG ((ct)) BA"),
        ("ABG > ct < 5", "rtl", "ct < 5 < GBA"),
        ("«ABG» D", "rtl", "D «GBA»"),
        ("AB ct.", "rtl", ".ct BA"),
        ("ab: AB", "ltr", "ab: BA"),
    ],
)
def test_visual_order_of_brackets_and_measurements(logical: str, direction: str, visual: str) -> None:
    assert _shown(logical, direction) == visual


@needs_tools
def test_harakat_stay_on_their_letters() -> None:
    # sad with damma, then ra: in visual order ra comes first and the damma follows its sad.
    shown = unicodedata.normalize("NFKC", to_visual("صُر", "rtl"))
    assert shown == "رصُ"


@needs_tools
def test_lines_of_a_paragraph_share_its_direction_and_margin() -> None:
    text = "تظهر صورة الصدر ورما قياسه 12 × 8 mm في CT scan of chest"
    lines = for_terminal(text, width=22, bidi="visual").split("\n")
    assert all(cell_width(line) == 22 for line in lines)
    assert lines[-1].endswith(" scan of chest")
    assert any("12 × 8 mm" in line for line in lines)


def test_measurements_are_not_broken_over_lines() -> None:
    assert wrap_logical("قياس الورم 12 × 8 mm", 14) == ["قياس الورم", "12 × 8 mm"]
    assert wrap_logical("الورم 12 × 8 mm", 6) == ["الورم", "12 × 8", "mm"]


def test_long_words_break_before_letters_not_marks() -> None:
    assert wrap_logical("abcdefgh", 3) == ["abc", "def", "gh"]
    assert wrap_logical("بَبَبَبَ", 2) == ["بَبَ", "بَبَ"]
    assert wrap_logical("漢字", 1) == ["漢", "字"]


def test_escape_sequences_and_overrides_do_not_reach_the_terminal() -> None:
    hostile = "نعم\x1b]0;x\x07\x9b2J\u202e\r\x00"
    for mode in ("terminal", "visual"):
        shown = for_terminal(hostile, width=40, bidi=mode)
        assert not any(unicodedata.category(character) == "Cc" for character in shown)
        assert "\u202e" not in shown


@pytest.mark.parametrize(
    ("environment", "is_tty", "expected"),
    [
        ({"TERM": "xterm-256color"}, True, "visual"),
        ({"TERM": "xterm-256color"}, False, "terminal"),
        ({"BIMEDIX2_BIDI": "visual"}, False, "terminal"),  # a file keeps logical order whatever is set
        ({"VTE_VERSION": "5202"}, True, "visual"),  # before VTE had any bidirectional support
        ({"VTE_VERSION": "5800"}, True, "terminal"),
        ({"VTE_VERSION": "x"}, True, "visual"),
        ({"KONSOLE_VERSION": "230804", "BIMEDIX2_BIDI": "nonsense"}, True, "terminal"),
    ],
)
def test_who_reorders(environment: dict[str, str], is_tty: bool, expected: str) -> None:
    assert choose_bidi(environment=environment, is_tty=is_tty) == expected


def test_an_argument_beats_everything() -> None:
    assert choose_bidi("visual", environment={"BIMEDIX2_BIDI": "terminal"}, is_tty=False) == "visual"


def test_a_wrong_argument_is_named_in_both_languages() -> None:
    with pytest.raises(ConfigError, match="terminal or visual") as caught:
        for_terminal("x", width=9, bidi="both")  # type: ignore[arg-type]
    assert "استعمل" in caught.value.message_ar


def test_a_pipe_gets_logical_order_and_a_terminal_its_own() -> None:
    text = "حجم 12 × 8 mm"
    code = f"from bimedix2.text import for_terminal; print(for_terminal({text!r}, width=30))"
    environment = {**os.environ, "TERM": "xterm", "BIMEDIX2_BIDI": "visual", "PYTHONIOENCODING": "utf-8"}
    environment["PYTHONPATH"] = str(Path(__file__).resolve().parents[2] / "src")
    piped = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True).stdout
    assert piped.decode().strip("\n") == isolate_ltr(text)
    if has_visual_tools():
        assert _run_in_terminal(code, environment) == for_terminal(text, width=30, bidi="visual")


def _run_in_terminal(code: str, environment: dict[str, str]) -> str:
    leader, follower = pty.openpty()
    subprocess.run([sys.executable, "-c", code], env=environment, stdout=follower, check=True)
    os.close(follower)
    output = os.read(leader, 4096).decode()
    os.close(leader)
    return output.strip("\r\n")


LINES = st.text(st.sampled_from("ab5٥ابملأَ ()[].,-–×<>%:\nاللهـ漢"), max_size=60)


@settings(max_examples=60, deadline=None)
@given(LINES, st.integers(2, 30))
def test_wrapping_fits_and_loses_nothing_but_spaces(text: str, width: int) -> None:
    for paragraph in text.split("\n"):
        lines = wrap_logical(paragraph, width, "rtl")
        assert all(cell_width(line) <= width for line in lines)
        assert "".join(lines).replace(" ", "") == paragraph.replace(" ", "")


@needs_tools
@settings(max_examples=60, deadline=None)
@given(LINES)
def test_visual_order_keeps_every_letter(text: str) -> None:
    line = text.replace("\n", " ")
    shown = unicodedata.normalize("NFKC", to_visual(line, "rtl"))
    mirrored = str.maketrans("()[]<>", "((((((")
    expected = unicodedata.normalize("NFKC", line)
    assert sorted(shown.translate(mirrored)) == sorted(expected.translate(mirrored))
