"""Options, structure, script, repetition, length and brackets: hand-written pairs, in both directions."""

from __future__ import annotations

import pytest

from bimedix2.data.check import Context
from bimedix2.data.check.brackets import check_brackets, unbalanced
from bimedix2.data.check.meaning import check_length
from bimedix2.data.check.options import check_options
from bimedix2.data.check.repetition import check_repetition
from bimedix2.data.check.script import check_script
from bimedix2.data.check.structure import check_structure

QUESTION = "Where is the lesion?\nA. Liver\nB. Spleen\nC. Left kidney\nD. Colon"
FORTH, BACK = Context("en"), Context("ar")


def both_ways(check, english: str, arabic: str) -> list[bool]:
    return [bool(check(english, arabic, FORTH)), bool(check(arabic, english, BACK))]


@pytest.mark.parametrize(
    ("arabic", "fails"),
    [
        ("أين الآفة؟\nA. الكبد\nB. الطحال\nC. الكلية اليسرى\nD. القولون", False),
        ("أين الآفة؟\nأ. الكبد\nب. الطحال\nج. الكلية اليسرى\nد. القولون", False),
        ("أين الآفة؟\nأ) الكبد\nب) الطحال\nج) الكلية اليسرى\nد) القولون", False),
        ("أين الآفة؟ (أ) الكبد (ب) الطحال (ج) الكلية اليسرى (د) القولون", False),
        ("أين الآفة؟\nأ. الكبد\nب. الطحال\nج. الكلية اليسرى", True),  # one lost
        ("أين الآفة؟\nأ. الكبد\nج. الكلية اليسرى\nب. الطحال\nد. القولون", True),  # another order
        ("أين الآفة؟\nأ. الطحال\nب. الكبد\nج. الكلية اليسرى\nد. القولون", True),  # exchanged
        ("أين الآفة؟ الكبد أو الطحال أو الكلية اليسرى أو القولون", True),  # all lost
    ],
)
def test_options(arabic: str, fails: bool) -> None:
    assert both_ways(check_options, QUESTION, arabic) == [fails, fails]


def test_exchanged_figures_and_drugs_among_options() -> None:
    english = "Which dose?\nA. 5 mg\nB. 10 mg\nC. 20 mg"
    assert both_ways(check_options, english, "ما الجرعة؟\nأ. 5 ملغ\nب. 10 ملغ\nج. 20 ملغ") == [False, False]
    assert both_ways(check_options, english, "ما الجرعة؟\nأ. 10 ملغ\nب. 5 ملغ\nج. 20 ملغ") == [True, True]
    english = "Which drug?\nA. Warfarin\nB. Metformin"
    assert both_ways(check_options, english, "أي دواء؟\nأ. وارفارين\nب. ميتفورمين") == [False, False]
    assert both_ways(check_options, english, "أي دواء؟\nأ. ميتفورمين\nب. وارفارين") == [True, True]


@pytest.mark.parametrize(
    ("english", "arabic", "fails"),
    [
        ("- fever\n- cough", "- حمى\n- سعال", False),
        ("1. fever\n2. cough", "١. حمى\n٢. سعال", False),
        ("- fever\n- cough", "- حمى وسعال", True),
        ("<image>\nWhat is seen?", "<image>\nما الذي يظهر؟", False),
        ("<image>\nWhat is seen?", "ما الذي يظهر؟", True),
        ("First line.\nSecond line.", "السطر الأول. السطر الثاني.", True),
        ("See https://example.org/a.", "انظر https://example.org/a.", False),
        ("See https://example.org/a.", "انظر https://example.org/b.", True),
        ("Dear {name}, rest.", "عزيزي {name}، استرح.", False),
        ("Dear {name}, rest.", "عزيزي {الاسم}، استرح.", True),
        ('{"type": "ct"}', '{"type": "مقطعي"}', False),
        ('{"type": "ct"}', '{"النوع": "مقطعي"}', True),
        ("# Findings\nNormal.", "# الموجودات\nطبيعي.", False),
        ("# Findings\nNormal.", "الموجودات\nطبيعي.", True),
    ],
)
def test_structure(english: str, arabic: str, fails: bool) -> None:
    assert bool(check_structure(english, arabic, FORTH)) == fails


def test_turns_of_a_dialogue_in_one_text() -> None:
    english = "Patient: I have a cough.\nDoctor: Since when?"
    assert check_structure(english, "المريض: لدي سعال.\nالطبيب: منذ متى؟", FORTH) == []
    assert check_structure(english, "المريض: لدي سعال.\nمنذ متى؟", FORTH) != []


@pytest.mark.parametrize(
    ("source", "translation", "fails"),
    [
        ("The chest is clear.", "الصدر صاف.", False),
        ("The chest is clear.", "The chest is clear.", True),
        ("Axial", "Axial", True),
        ("CXR", "CXR", False),
        ("T2 FLAIR", "T2 FLAIR", False),
        ("There is a fracture of the left wrist.", "يوجد كسر of the left wrist.", True),
        ("Axial CT with contrast", "CT محوري مع مادة ظليلة", False),
        ("We used the XYZ system.", "استعملنا نظام XYZ.", False),
        ("The pneumonia is severe.", "الالتهاب الرئوي (pneumonia) شديد.", False),
        ("The chest is clear.", "الصدر 清楚.", True),
        ("The chest is clear.", "الصدر чист.", True),
        ("with contrast", "مع مادةcontrast", True),
        ("the CT", "الCT", False),
    ],
)
def test_script_into_arabic(source: str, translation: str, fails: bool) -> None:
    assert any(finding.severity != "note" for finding in check_script(source, translation, FORTH)) == fails


@pytest.mark.parametrize(
    ("source", "translation", "fails"),
    [
        ("الصدر صاف.", "The chest is clear.", False),
        ("الصدر صاف.", "الصدر صاف.", True),
        ("يوجد كسر في الرسغ.", "There is a fracture في الرسغ.", True),
        ("الحمى", "Fever (الحمى)", False),
    ],
)
def test_script_into_english(source: str, translation: str, fails: bool) -> None:
    assert bool(check_script(source, translation, BACK)) == fails


def test_persian_letters_are_a_note() -> None:
    (finding,) = check_script("Paris", "پاريس", FORTH)
    assert finding.severity == "note"


@pytest.mark.parametrize(
    ("source", "translation", "fails"),
    [
        ("The liver is normal.", "الكبد طبيعي طبيعي طبيعي طبيعي طبيعي.", True),
        ("The liver is normal.", "الكبد طبيعي.", False),
        ("No mass is seen in the liver today.", "لا ترى كتلة في الكبد اليوم لا ترى كتلة في الكبد اليوم.", True),
        ("very very very very small", "صغير جدا جدا جدا جدا", False),
        ("The lungs are clear; the lungs are clear.", "الرئتان صافيتان؛ الرئتان صافيتان.", False),
    ],
)
def test_repetition(source: str, translation: str, fails: bool) -> None:
    assert bool(check_repetition(source, translation, FORTH)) == fails


def test_english_articles_do_not_make_a_phrase_long() -> None:
    arabic = "هل كثافات الأنسجة الرخوة في النقير الأيسر مساوية لتلك التي في الأيمن؟"
    english = "Are {0} left hilum equal to {0} right hilum?".format("the soft tissue densities in the")
    assert check_repetition(arabic, english, BACK) == []
    longer = english.replace("right hilum", "left hilum")
    assert check_repetition(arabic, longer, BACK) != []


def test_length_has_wider_limits_for_short_strings() -> None:
    assert check_length("CVA", "حادث وعائي دماغي", FORTH) == []
    assert check_length("Is there a fracture?", "هل يوجد كسر؟", FORTH) == []
    assert check_length("The patient was admitted with chest pain and dyspnoea for three days.", "ألم.", FORTH) != []
    assert check_length("Is there a fracture?", "هل يوجد كسر؟ " * 5, FORTH) != []
    assert check_length("هل يوجد كسر؟ " * 5, "Is there a fracture?", BACK) != []


def test_brackets_and_isolates() -> None:
    assert check_brackets("A mass (3 cm).", "كتلة (3 سم.", FORTH) != []
    assert check_brackets("A mass (3 cm).", "كتلة (3 سم).", FORTH) == []
    assert check_brackets("3 cm", "\u20663 cm", FORTH) != []
    assert check_brackets("3 cm", "\u20663 cm\u2069", FORTH) == []
    assert unbalanced("1) fever 2) cough أ) حمى") == []
    assert unbalanced("a ) b") == [(2, 3)]
