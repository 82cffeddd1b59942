from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bimedix2.text import (
    ScriptCounts,
    language_of,
    normalize_for_search,
    script_counts,
    to_arabic_digits,
    to_western_digits,
)

ALPHABET = st.one_of(
    st.characters(min_codepoint=0x600, max_codepoint=0x6FF),
    st.characters(min_codepoint=0xFB50, max_codepoint=0xFEFF),
    st.characters(min_codepoint=0x20, max_codepoint=0x7E),
    st.characters(blacklist_categories=("Cs",)),
)
TEXT = st.text(ALPHABET, max_size=40)


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("صورة CT للصدر", (9, 2, 0)),
        ("", (0, 0, 0)),
        ("12 × 8 ٣٤ ٫ ،", (0, 0, 0)),
        ("مـــرض", (3, 0, 0)),  # tatweel is no letter
        ("مُحَمَّد", (4, 0, 0)),  # harakat are marks
        ("ﻣﺮﺽ", (3, 0, 0)),  # presentation forms
        ("β-hCG", (0, 3, 1)),
        ("CT", (0, 2, 0)),
    ],
)
def test_script_counts_by_hand(text: str, counts: tuple[int, int, int]) -> None:
    assert script_counts(text) == ScriptCounts(*counts)


@pytest.mark.parametrize(
    ("text", "default", "language"),
    [
        ("What is the modality?", "en", "en"),
        ("ما نوع الصورة؟", "en", "ar"),
        ("ما نتيجة MRI وCT؟", "en", "ar"),
        ("The word صداع means headache", "ar", "en"),
        ("12 × 8", "en", "en"),
        ("12 × 8", "ar", "ar"),
        ("نعم yes", "ar", "ar"),  # three letters each: a tie
        ("نعم yes", "en", "en"),
        ("", "ar", "ar"),
    ],
)
def test_language_by_majority(text: str, default: str, language: str) -> None:
    assert language_of(text, default) == language  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arabic", "western"),
    [
        ("٠١٢٣٤٥٦٧٨٩", "0123456789"),
        ("١٬٢٣٤٫٥ مم", "1,234.5 مم"),
        ("٥٫٢٪ و ٨ ٪", "5.2% و 8 %"),
        ("٢٠٢٣-٠٥-٠١", "2023-05-01"),
        ("من ٥–١٠", "من 5–10"),
        ("١٢٠/٨٠", "120/80"),
    ],
)
def test_digits_both_ways_by_hand(arabic: str, western: str) -> None:
    assert to_western_digits(arabic) == western
    assert to_arabic_digits(western) == arabic


@pytest.mark.parametrize(
    ("text", "western"),
    [
        ("۰۱۲۳۴۵۶۷۸۹", "0123456789"),  # Persian
        ("قال٫ ثم ٥", "قال٫ ثم 5"),  # a decimal mark used as a comma
        ("١، ٢، ٣", "1، 2، 3"),  # the Arabic comma separates a list
        ("٫٥", ".5"),
        ("نسبة ٪", "نسبة ٪"),
    ],
)
def test_western_digits_keep_other_marks(text: str, western: str) -> None:
    assert to_western_digits(text) == western


@pytest.mark.parametrize(
    ("text", "arabic"),
    [
        ("1.2.3", "١.٢.٣"),  # a section number, no decimal
        ("1,2,3", "١,٢,٣"),  # a list
        ("12,345,678.9", "١٢٬٣٤٥٬٦٧٨٫٩"),
        ("5. 6", "٥. ٦"),
        ("01.05.2023", "٠١.٠٥.٢٠٢٣"),
    ],
)
def test_arabic_digits_touch_marks_of_numbers_only(text: str, arabic: str) -> None:
    assert to_arabic_digits(text) == arabic
    assert to_western_digits(arabic) == text


@given(st.text(st.one_of(st.sampled_from("0123456789.,% "), ALPHABET), max_size=30))
def test_digits_round_trip(text: str) -> None:
    plain = "".join(character for character in text if character not in "٫٬٪" and not _is_eastern(character))
    assert to_western_digits(to_arabic_digits(plain)) == plain


@given(TEXT)
def test_western_digits_keep_length_and_are_idempotent(text: str) -> None:
    once = to_western_digits(text)
    assert len(once) == len(text)
    assert to_western_digits(once) == once
    assert not any(_is_eastern(character) for character in once)


def _is_eastern(character: str) -> bool:
    return "٠" <= character <= "٩" or "۰" <= character <= "۹"


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("الأَشِعَّةُ  السِّينيّة", "الاشعه السينيه"),
        ("إصابة آلام أورام ٱلقلب", "اصابه الام اورام القلب"),
        ("مستشفى", "مستشفي"),
        ("مـــرض", "مرض"),
        ("  CT\tScan\n", "ct scan"),
        ("ﺻﻮﺭﺓ ﻻ", "صوره لا"),  # presentation forms, lam-alef ligature
        ("کلی", "كلي"),  # Farsi keheh and yeh
        ("١٢٫٥ ملغ", "12.5 ملغ"),
        ("Straße", "strasse"),
        ("10⁹/L", "10⁹/l"),  # never 109
        ("½ cm²", "½ cm²"),
        ("5 µg", "5 μg"),
        ("\u202eabc\u2066 د\u200d", "abc د"),
        ("مسؤول طارئ ماء", "مسؤول طارئ ماء"),
        ("cafe\u0301", "café"),
        ("ا\u0654", "ا"),  # alef and a combining hamza
        ("ＣＴ", "ct"),
    ],
)
def test_search_form_by_hand(text: str, normal: str) -> None:
    assert normalize_for_search(text) == normal


def test_hamza_folding_is_a_choice() -> None:
    assert normalize_for_search("مسؤول طارئ ماء", fold_hamza=True) == "مسوول طاري ما"


@given(TEXT, st.booleans())
def test_search_form_is_idempotent(text: str, fold: bool) -> None:
    once = normalize_for_search(text, fold_hamza=fold)
    assert normalize_for_search(once, fold_hamza=fold) == once


@given(TEXT)
def test_search_form_ignores_unicode_form_and_case(text: str) -> None:
    normal = normalize_for_search(text)
    assert normalize_for_search(unicodedata.normalize("NFD", text)) == normal
    assert normalize_for_search(text + " ") == normal


@given(st.text("ابتثجحخدذرزسشصضطظعغفقكلمنهوي ", max_size=20), st.data())
def test_search_form_ignores_harakat_and_tatweel(text: str, data: st.DataObject) -> None:
    marks = data.draw(st.lists(st.sampled_from(["", "َ", "ِ", "ّ", "ً", "ـ"]), min_size=len(text), max_size=len(text)))
    marked = "".join(a + b if a != " " else a for a, b in zip(text, marks, strict=True))
    assert normalize_for_search(marked) == normalize_for_search(text)
