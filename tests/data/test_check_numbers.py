"""Numbers and units: hand-written medical pairs, in both directions."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bimedix2.data.check import Context
from bimedix2.data.check.fold import fold
from bimedix2.data.check.number_words import arabic_numbers, english_numbers
from bimedix2.data.check.numbers import check_numbers, figures
from bimedix2.data.check.units import check_units
from bimedix2.text import to_arabic_digits

GOOD = [
    ("A 3.4 cm mass", "كتلة بحجم 3.4 سم"),
    ("A 3.4 cm mass", "كتلة بحجم ٣٫٤ سم"),
    ("A 3.4 cm mass", "كتلة بحجم ۳٫۴ سم"),
    ("About 1,234 patients", "نحو ١٬٢٣٤ مريضا"),
    ("About 10,000 cases", "نحو 10 آلاف حالة"),
    ("1.5 million infections", "1.5 مليون إصابة"),
    ("Twenty-five patients were included.", "شملت الدراسة خمسة وعشرين مريضا."),
    ("Three nodules in the lung", "ثلاث عقيدات في الرئة"),
    ("for 2 days", "لمدة يومين"),
    ("two kidneys", "كليتان"),
    ("the 7th rib", "الضلع السابع"),
    ("Is this a T2 weighted image?", "هل هذه صورة مرجحة بزمن T2؟"),
    ("at the level of L4", "على مستوى L4"),
    ("Diabetes type II", "السكري من النوع الثاني"),
    ("COVID-19 pneumonia", "الالتهاب الرئوي الناجم عن كوفيد-19"),
    ("Blood pressure was 120/80 mmHg.", "كان ضغط الدم 120/80 ملم زئبق."),
    ("ages 18-64 years", "الأعمار من 18 إلى 64 عاما"),
    ("on 11 March 2020", "في 11 مارس 2020"),
    ("on 11 March 2020", "في ١١ آذار ٢٠٢٠"),
    ("a third of the patients", "ثلث المرضى"),
    ("It may be seen on 5 slices.", "قد يرى في 5 شرائح."),
    ("100-200 thousand deaths", "100-200 ألف وفاة"),
    ("fifteen years", "خمس عشرة سنة"),
    ("from 3/15/2020", "من 15 مارس 2020"),
    ("SARS-CoV-2 infections passed one million.", "تجاوزت إصابات سارس-كوف-2 مليون إصابة."),
    ("ACE2 binds the S1 protein", "يرتبط ACE2 ببروتين S1"),
]
BAD = [
    ("A 3.4 cm mass", "كتلة بحجم 4.3 سم"),
    ("A 3.4 cm mass", "كتلة بحجم 34 سم"),
    ("571,678 cases", "571,178 حالة"),
    ("Give 5 mg daily.", "أعط ٥٠ ملغ يوميا."),
    ("Blood pressure was 120/80 mmHg.", "كان ضغط الدم 120/90 ملم زئبق."),
    ("Three nodules in the lung", "أربع عقيدات في الرئة"),
    ("on 11 March 2020", "في 11 أبريل 2020"),
    ("Is this a T2 weighted image?", "هل هذه صورة مرجحة بزمن T1؟"),
    ("1.5 million infections", "1.5 مليار إصابة"),
    ("The dose is 10 units.", "الجرعة كبيرة."),
    ("from 2019-2020", "من 2019-2021"),
    ("infection with SARS-CoV-2", "عدوى سارس-كوف-5"),
    # A changed figure must not take a month, an ordinal or another name for its partner.
    ("from 1 January to 15 March 2020", "من 3 يناير حتى 15 مارس 2020"),
    ("the first of 3 cases, 2 of them severe", "أول حالة من 3 حالات، 1 منها شديدة"),
    ("ACE2 and rhACE2 were studied", "درس ACE2 و rhACE4"),
    ("SARS-CoV-2 was found", "عثر على سارس-كوف-3"),
    ("COVID-19 pneumonia", "الالتهاب الرئوي الناجم عن كوفيد-79"),
]


def both_ways(check, english: str, arabic: str) -> list[bool]:
    return [bool(check(english, arabic, Context("en"))), bool(check(arabic, english, Context("ar")))]


@pytest.mark.parametrize(("english", "arabic"), GOOD)
def test_equal_numbers_pass(english: str, arabic: str) -> None:
    assert both_ways(check_numbers, english, arabic) == [False, False]


@pytest.mark.parametrize(("english", "arabic"), BAD)
def test_changed_numbers_fail(english: str, arabic: str) -> None:
    assert both_ways(check_numbers, english, arabic) == [True, True]


def test_spans_point_at_the_text_as_written() -> None:
    source, translation = "Mass of 12 mm in the liver", "كُتْلَةٌ بحجم ٢١ مم في الكبد"
    (finding,) = check_numbers(source, translation, Context("en"))
    assert [source[slice(*span)] for span in finding.source] == ["12"]
    assert [translation[slice(*span)] for span in finding.translation] == ["٢١"]
    assert (finding.severity, "12" in finding.english, "٢١" in finding.arabic) == ("critical", True, True)
    (turned,) = check_numbers(translation, source, Context("ar"))
    assert (turned.source, turned.translation) == (finding.translation, finding.source)


@given(st.integers(3, 10**9), st.integers(0, 99))
def test_a_number_survives_a_change_of_digits_and_marks(whole: int, part: int) -> None:
    english = f"value {whole:,}.{part:02d} was seen"
    arabic = "بلغت القيمة " + to_arabic_digits(f"{whole:,}.{part:02d}")
    assert check_numbers(english, arabic, Context("en")) == []


@given(st.integers(3, 10**9), st.integers(3, 10**9) | st.integers(-9, 9))
@example(1_000_000, 999_999)
@example(999_999_999, 0)
def test_two_different_numbers_never_pass(one: int, step: int) -> None:
    other = step if step > 9 else max(3, one + step)  # also neighbours, which are hard to tell apart
    found = check_numbers(f"{one} cells", f"عدد الخلايا {other}", Context("en"))
    assert bool(found) == (one != other)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("one hundred and twenty patients", {120}),
        ("two thousand and five", {2005}),
        ("forty-seven", {47}),
        ("two or three", {2, 3}),
    ],
)
def test_english_number_words(text: str, values: set[float]) -> None:
    assert {v for n in english_numbers(text, text) for v in n.readings} == values


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("خمسة وعشرون", {25}),
        ("مئة وعشرون", {120}),
        ("ثلاثمئة وخمسة وستون", {365}),
        ("أربع عشرة", {14}),
        ("خمسة آلاف", {5000}),
        ("ألفان", {2000}),
        ("بسبعة", {7}),
        ("ثلاثة وأربعة", {3, 4}),
    ],
)
def test_arabic_number_words(text: str, values: set[float]) -> None:
    # No figure is joined over a plain "and": three and four stay two numbers.
    assert {v for n in arabic_numbers(fold(text).text) for v in n.readings} == values


def test_marks_are_read_by_language() -> None:
    assert [n.readings for n in figures(fold("1,234"), False)] == [{1234.0}]
    assert [n.readings for n in figures(fold("1.234"), False)] == [{1.234}]
    assert [n.readings for n in figures(fold("١٬٢٣٤٫٥"), True)] == [{1234.5}]
    assert [n.readings for n in figures(fold("2,5"), True)] == [{2.5}]
    assert [n.readings for n in figures(fold("3.10.2020"), False)] == [{3.0}, {10.0}, {2020.0}]


UNITS_GOOD = [
    ("5 mm nodule", "عقيدة 5 مم"),
    ("5 mm nodule", "عقيدة 5 ملم"),
    ("5 mm nodule", "عقيدة ٥ ملليمتر"),
    ("Give 500 mg", "أعط 500 مجم"),
    ("10 mL of saline", "10 مل من المحلول الملحي"),
    ("120/80 mmHg", "120/80 ملم زئبق"),
    ("27%", "٢٧٪"),
    ("27%", "27 في المئة"),
    ("for 14 days", "لمدة 14 يومًا"),
    ("two weeks", "أسبوعين"),
    ("between 5 and 6 cm", "بين 5 و6 سم"),
    ("38 °C", "38 درجة مئوية"),
    ("5 patients", "5 مرضى"),
]
UNITS_BAD = [
    ("5 mm nodule", "عقيدة 5 سم"),
    ("Give 500 mg", "أعط 500 غرام"),
    ("Give 500 mcg", "أعط 500 ملغ"),
    ("10 mL of saline", "10 لتر من المحلول الملحي"),
    ("for 14 days", "لمدة 14 أسبوعا"),
    ("27%", "27 ملم"),
    ("two weeks", "شهرين"),
    ("glucose 5 mmol/L", "الجلوكوز 5 ملغ/ل"),
    ("Give 500 mg", "أعط 500"),
]


@pytest.mark.parametrize(("english", "arabic"), UNITS_GOOD)
def test_equal_units_pass(english: str, arabic: str) -> None:
    assert both_ways(check_units, english, arabic) == [False, False]


@pytest.mark.parametrize(("english", "arabic"), UNITS_BAD)
def test_another_unit_with_the_same_number_fails(english: str, arabic: str) -> None:
    assert both_ways(check_units, english, arabic) == [True, True]
    assert both_ways(check_numbers, english, arabic) == [False, False]
