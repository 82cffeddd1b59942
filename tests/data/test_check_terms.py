"""Drugs, abbreviations, glossary: hand-written medical pairs, in both directions."""

from __future__ import annotations

from pathlib import Path

import pytest

from bimedix2.data.check import Context, Glossary, read_glossary
from bimedix2.data.check.abbreviations import check_abbreviations
from bimedix2.data.check.drugs import check_drugs
from bimedix2.data.check.terms import check_glossary
from bimedix2.data.check.transliterate import likeness
from bimedix2.errors import ConfigError, RecordError


def both_ways(check, english: str, arabic: str, glossary: Glossary | None = None) -> list[bool]:
    glossary = glossary or Glossary()
    return [
        bool(check(english, arabic, Context("en", glossary))),
        bool(check(arabic, english, Context("ar", glossary))),
    ]


@pytest.mark.parametrize(
    ("english", "arabic"),
    [
        ("Take metformin twice a day.", "تناول الميتفورمين مرتين يوميا."),
        ("Take metformin twice a day.", "تناول metformin مرتين يوميا."),
        ("He is on atorvastatin.", "يتناول أتورفاستاتين."),  # not listed: by stem and sound
        ("He is on amlodipine.", "يتناول أملوديبين."),
        ("Omeprazole was started.", "بدأ إعطاء الأوميبرازول."),
        ("hydroxychloroquine", "الهيدروكسي كلوروكين"),
        ("Acetaminophen for pain", "الباراسيتامول للألم"),
        ("insulin therapy", "العلاج بالأنسولين"),
        ("A reservoir of infection", "مستودع للعدوى"),
        ("lopinavir and ritonavir", "لوبينافير وريتونافير"),
    ],
)
def test_kept_drugs_pass(english: str, arabic: str) -> None:
    assert both_ways(check_drugs, english, arabic) == [False, False]


@pytest.mark.parametrize(
    ("english", "arabic"),
    [
        ("Take metformin twice a day.", "تناول الوارفارين مرتين يوميا."),
        ("He is on atorvastatin.", "يتناول ميتوبرولول."),
        ("Give aspirin.", "أعط الدواء."),
        ("Give the drug.", "أعط الأسبرين."),
        ("lopinavir and ritonavir", "لوبينافير ومورفين"),
    ],
)
def test_lost_and_exchanged_drugs_fail(english: str, arabic: str) -> None:
    assert both_ways(check_drugs, english, arabic) == [True, True]


@pytest.mark.parametrize(
    ("name", "arabic"),
    [
        ("metformin", "ميتفورمين"),
        ("gabapentin", "غابابنتين"),
        ("gabapentin", "جابابنتين"),
        ("vancomycin", "فانكومايسين"),
    ],
)
def test_spellings_of_one_name_sound_alike(name: str, arabic: str) -> None:
    assert likeness(name, arabic) >= 0.9
    assert likeness(name, "ميتوبرولول") < 0.6


@pytest.mark.parametrize(
    ("english", "arabic"),
    [
        ("CT of the chest", "CT للصدر"),
        ("CT of the chest", "تصوير مقطعي محوسب للصدر"),
        ("MRI of the brain", "الرنين المغناطيسي للدماغ"),
        ("magnetic resonance imaging", "تصوير MRI"),
        ("infected with HIV", "مصاب بفيروس نقص المناعة البشري"),
        ("the WHO said", "قالت منظمة الصحة العالمية"),
        ("Centers for Disease Control (CDC)", "مراكز مكافحة الأمراض (سي دي سي)"),
        ("The RCGP study", "دراسة الكلية"),  # not in the list: a translator may write it out
        ("Acute kidney injury", "إصابة كلوية حادة (AKI)"),
    ],
)
def test_kept_and_written_out_abbreviations_pass(english: str, arabic: str) -> None:
    assert both_ways(check_abbreviations, english, arabic) == [False, False]


@pytest.mark.parametrize(
    ("english", "arabic"),
    [
        ("CT of the chest", "MRI للصدر"),
        ("CT of the chest", "صورة للصدر"),
        ("infected with HIV", "مصاب بفيروس"),
        ("Acute kidney injury", "إصابة كلوية حادة (CKD)"),
    ],
)
def test_lost_and_exchanged_abbreviations_fail(english: str, arabic: str) -> None:
    assert both_ways(check_abbreviations, english, arabic) == [True, True]


def test_the_users_glossary_adds_terms_drugs_and_abbreviations(tmp_path: Path) -> None:
    path = tmp_path / "glossary.csv"
    path.write_text(
        "english,arabic,kind\npneumothorax,استرواح الصدر|استرواح صدري,term\nPanadol,بنادول,drug\n"
        "RSC,مركز البحوث,abbreviation\n",
        encoding="utf-8",
    )
    glossary = read_glossary(path)
    assert both_ways(check_glossary, "A left pneumothorax", "استرواح الصدر الأيسر", glossary) == [False, False]
    assert both_ways(check_glossary, "A left pneumothorax", "هواء في الصدر الأيسر", glossary) == [True, True]
    assert both_ways(check_drugs, "Take panadol.", "تناول البنادول.", glossary) == [False, False]
    assert both_ways(check_drugs, "Take panadol.", "تناول الدواء.", glossary) == [True, True]
    assert both_ways(check_abbreviations, "The RSC said", "قال مركز البحوث", glossary) == [False, False]
    assert both_ways(check_abbreviations, "The RSC said", "قال المركز", glossary) == [True, True]


def test_ticos_own_glossary_is_read(tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    path.write_text("id,sourceLang,targetLang,sourceString,targetString\n1,en,ar_AR,fever,حمى\n", encoding="utf-8")
    assert read_glossary(path).terms == {"fever": ("حمى",)}
    path.write_text("id,sourceLang,targetLang,sourceString,targetString\n1,ar,en,جائحة,pandemic\n", encoding="utf-8")
    assert read_glossary(path).terms == {"pandemic": ("جائحة",)}


def test_a_bad_glossary_names_file_row_and_field(tmp_path: Path) -> None:
    path = tmp_path / "g.csv"
    path.write_text("english,arabic,kind\nfever,حمى,term\ncough,,term\n", encoding="utf-8")
    with pytest.raises(RecordError, match="row 3, field arabic") as caught:
        read_glossary(path)
    assert "الصف 3" in caught.value.message_ar
    path.write_text("english,arabic,kind\nfever,حمى,word\n", encoding="utf-8")
    with pytest.raises(RecordError, match="field kind"):
        read_glossary(path)
    with pytest.raises(ConfigError):
        read_glossary(tmp_path / "none.csv")
