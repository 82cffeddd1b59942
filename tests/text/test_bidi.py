from __future__ import annotations

import time
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bimedix2.text import direction_of, isolate_ltr, ltr_runs, strip_bidi_controls
from bimedix2.text.bidi import LRI, PDI, block_direction


@pytest.mark.parametrize(
    ("block", "default", "direction"),
    [
        ("CT للصدر", "ltr", "rtl"),  # the first letter is Latin
        ("The word صداع means headache", "rtl", "ltr"),
        ("12 × 8", "rtl", "rtl"),
        ("12 × 8", "ltr", "ltr"),
        ("نفذ `pip install something` الآن", "ltr", "rtl"),  # code does not count
        ("```\nlong english code\n```\nنعم", "ltr", "rtl"),
        ("٥٦٧ mm", "rtl", "ltr"),
        ("שלום", "ltr", "rtl"),
        ("", "rtl", "rtl"),
    ],
)
def test_direction_by_majority(block: str, default: str, direction: str) -> None:
    assert direction_of(block, default) == direction  # type: ignore[arg-type]


# ⟦ ⟧ stand for U+2066 and U+2069. A left-to-right run must hold all of a measurement and no more.
ISOLATED = [
    "حجم الورم ⟦12 × 8 mm⟧ في الفص",
    "بتاريخ ⟦2023-05-01⟧ تم",
    "من ⟦5–10⟧ سم",
    "تصنيف ⟦BI-RADS 4⟧ للثدي",
    "الضغط ⟦120/80 mmHg⟧ اليوم",
    "في ⟦T2/FLAIR⟧ و ⟦DWI⟧",
    "القيمة ⟦<5 mg/dL⟧",
    "درجة ⟦37.5 °C⟧ و ⟦38°C⟧",
    "نسبة ⟦5%⟧ و ⟦10 %⟧ تقريبا",
    "الجرعة ⟦0.5 mg/kg/day⟧.",
    "الكريات ⟦4.5 × 10⁹/L⟧",
    "⟦HbA1c 7.2%⟧ مرتفع",
    "⟦p < 0.05⟧ دلالة",
    "⟦≥ -2.5 SD⟧ سليم",
    "قيمة ⟦-5⟧ سم",
    "⟦L4–L5⟧ انزلاق",
    "الساعة ⟦10:30⟧، غدا",
    "⟦IL-6⟧ و ⟦β-hCG⟧",
    "قال ⟦HER2+⟧.",
    "صورة ⟦CT (chest)⟧ هنا",
    "(⟦CT⟧) للصدر",
    "(صورة ⟦CT⟧) ⟦MRI⟧ جيد",  # the bracket belongs to the Arabic
    "⟦CT⟧، ⟦MRI⟧",
    "⟦CT⟧. ⟦MRI⟧ أظهر",
    "كتب ⟦Smith et al. (2020)⟧ ذلك",
    "- ⟦CT⟧ للصدر",
    "العدد 5 فقط",  # a plain number cannot be reordered
    "العدد 1,234.5 فقط",
    "الوزن ٥ ⟦kg⟧",
    "١٢ × ٨ مم",  # Arabic digits keep their right-to-left order
    "صورة طبيعية للصدر",
]


@pytest.mark.parametrize("expected", ISOLATED)
def test_runs_by_hand(expected: str) -> None:
    shown = expected.replace("⟦", LRI).replace("⟧", PDI)
    assert isolate_ltr(strip_bidi_controls(shown)) == shown


def test_english_lines_need_no_isolates_unless_in_an_arabic_block() -> None:
    assert isolate_ltr("Size 12 × 8 mm.\nنعم") == "Size 12 × 8 mm.\nنعم"
    assert isolate_ltr("5–10", "rtl") == f"{LRI}5–10{PDI}"
    assert ltr_runs("5–10") == []
    assert ltr_runs("5–10", "rtl") == [(0, 4)]


def test_controls_that_could_deceive_are_removed() -> None:
    assert strip_bidi_controls("a\u202egnp.exe\u202c\u2067x\u2069\u200f\u061c") == "agnp.exex"
    assert isolate_ltr("صورة \u202eCT\u202c") == f"صورة {LRI}CT{PDI}"


PIECES = st.text(st.sampled_from("ab5٥ابم ()[].,-–×<>%°:!\n/\u2066\u2069\u202eµ"), max_size=60)


@given(PIECES)
def test_isolates_are_balanced_undoable_and_idempotent(text: str) -> None:
    once = isolate_ltr(text)
    assert isolate_ltr(once) == once
    assert strip_bidi_controls(once) == strip_bidi_controls(text)
    for line in once.split("\n"):
        depth = 0
        for character in line:
            depth += (character == LRI) - (character == PDI)
            assert depth in (0, 1)
        assert depth == 0


@given(PIECES)
def test_runs_hold_balanced_brackets_and_no_arabic(text: str) -> None:
    line = strip_bidi_controls(text).replace("\n", " ")
    for start, end in ltr_runs(line):
        run = line[start:end]
        assert run.count("(") == run.count(")")
        assert run.count("[") == run.count("]")
        assert not any("\u0600" <= character <= "\u06ff" for character in run)


def test_hostile_lines_take_linear_time() -> None:
    begin = time.process_time()
    for line in ("س " + "a (a " * 5000, "س " + "1" * 20000 + "-" * 20000, "س " + "a." * 10000 + "<= " * 10000):
        isolate_ltr(line)
    assert time.process_time() - begin < 2


@pytest.mark.parametrize(
    ("block", "message", "expected"),
    [
        ("ورم Grade II (BI-RADS 4)", "rtl", "rtl"),  # Latin letters are more, but it begins in Arabic
        ("ورم Grade II (BI-RADS 4)", "ltr", "ltr"),
        ("12. **ورم** Grade II BI-RADS", "rtl", "rtl"),  # signs and digits are no beginning
        ("Grade II astrocytoma ورم", "rtl", "ltr"),
        ("CT للصدر", "rtl", "rtl"),
        ("12 × 8", "rtl", "rtl"),
        ("12 × 8", "ltr", "ltr"),
    ],
)
def test_a_block_that_begins_in_arabic_stays_arabic_in_an_arabic_message(
    block: str, message: Literal["rtl", "ltr"], expected: str
) -> None:
    assert block_direction(block, message) == expected
