from __future__ import annotations

import pytest

from bimedix2.text.terminal import for_terminal, terminal_does_bidi


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"VTE_VERSION": "7600"}, True),
        ({"KONSOLE_VERSION": "230800"}, True),
        ({"TERM": "mlterm-256color"}, True),
        ({"TERM_PROGRAM": "Apple_Terminal"}, True),
        ({"TERM": "xterm-256color"}, False),
        ({"TERM_PROGRAM": "vscode"}, False),
        ({"VTE_VERSION": "7600", "BIMEDIX2_BIDI": "visual"}, False),
        ({"TERM": "xterm", "BIMEDIX2_BIDI": "terminal"}, True),
    ],
)
def test_what_terminals_do(environment: dict[str, str], expected: bool) -> None:
    assert terminal_does_bidi(environment) is expected


def test_english_is_only_wrapped() -> None:
    assert for_terminal("one two three", width=7, bidi="visual") == "one two\nthree"


def test_bidi_terminals_get_logical_order_with_isolates() -> None:
    assert for_terminal("حجم الورم 12 × 8 mm", width=80, bidi="terminal") == "حجم الورم \u206612 × 8 mm\u2069"


def test_options_keep_both_dashes() -> None:
    shown = for_terminal("استخدم --model nano هنا", width=80, bidi="terminal")
    assert "\u2066--model nano\u2069" in shown


def test_visual_order_by_hand() -> None:
    pytest.importorskip("bidi")
    pytest.importorskip("arabic_reshaper")
    # "لا" becomes the ligature U+FEFB, and a right-to-left line ends at the right margin.
    assert for_terminal("لا", width=5, bidi="visual") == "    \ufefb"
    # Initial noon, medial ain, final meem, shown from the right: the line reads meem, ain, noon in memory order.
    assert for_terminal("نعم CT", width=6, bidi="visual") == "CT \ufee2\ufecc\ufee7"


def test_measurement_keeps_its_order_in_visual_lines() -> None:
    pytest.importorskip("bidi")
    pytest.importorskip("arabic_reshaper")
    assert "12 × 8 mm" in for_terminal("حجم الورم 12 × 8 mm", width=60, bidi="visual")


def test_lines_are_wrapped_before_they_are_reordered() -> None:
    pytest.importorskip("bidi")
    pytest.importorskip("arabic_reshaper")
    first, second = for_terminal("نعم لا", width=4, bidi="visual").split("\n")
    assert "\ufefb" in second
    assert "\ufefb" not in first
