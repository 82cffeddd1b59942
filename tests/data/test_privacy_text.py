"""Identifying text in both languages: what is found, what is not, and that no value gets out."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from bimedix2.cli.app import app
from bimedix2.data.privacy.plain import plain
from bimedix2.data.privacy.records import redacted, scan_records
from bimedix2.data.privacy.text import LABELS, Found, redact, scan_text, shape
from bimedix2.errors import ConfigError, RecordError
from bimedix2.records import Record, Step, Turn, read_records, write_records


def values(text: str) -> list[tuple[str, str]]:
    return [(one.kind, text[one.start : one.end]) for one in scan_text(text)]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Seen by Dr. Smith today", [("name", "Smith")]),
        ("Prof. A. O'Neil and Mrs Jean-Marie van Dyke", [("name", "A. O'Neil"), ("name", "Jean-Marie van Dyke")]),
        ("Patient Name: SMITH, JOHN  DOB: 12/03/1965", [("name", "SMITH, JOHN"), ("date", "12/03/1965")]),
        ("Dictated by: Maria Lopez", [("name", "Maria Lopez")]),
        ("Exam of 2021-03-12, 3rd March 2021", [("date", "2021-03-12"), ("date", "3rd March 2021")]),
        ("Seen on Mar 4", [("date", "Mar 4")]),
        ("Comparison: chest film, March 2019.", [("date", "March 2019")]),
        ("MRN: 00123456, accession no. A-778812", [("record_number", "00123456"), ("record_number", "A-778812")]),
        ("Call (555) 123-4567 or +971 50 123 4567", [("phone", "(555) 123-4567"), ("phone", "+971 50 123 4567")]),
        ("SSN 123-45-6789; passport no: X1234567", [("national_id", "123-45-6789"), ("national_id", "X1234567")]),
        ("Write to j.smith+ct@st-mary.example.org.", [("email", "j.smith+ct@st-mary.example.org")]),
        ("Lives at 221 Baker Street, P.O. Box 12", [("address", "221 Baker Street"), ("address", "P.O. Box 12")]),
        ("A 94-year-old man, aged 101 at death", [("age", "94-year-old"), ("age", "101")]),
        ("راجع د. خالد الشمري بتاريخ ١٢/٠٣/٢٠٢١", [("name", "خالد الشمري"), ("date", "١٢/٠٣/٢٠٢١")]),
        ("المريض محمد أحمد العتيبي، عمره ٩٣ عامًا", [("name", "محمد أحمد العتيبي"), ("age", "٩٣ عامًا")]),
        ("اسم المريض: سعاد بنت عبد الله", [("name", "سعاد بنت عبد الله")]),
        ("أحيلت إلى الدُّكتورة مُنى علي في العيادة", [("name", "مُنى علي")]),
        ("السيدة فاطمة الزهراء، رقم الملف الطبي: ١٢٣٤٥٦", [("name", "فاطمة الزهراء"), ("record_number", "١٢٣٤٥٦")]),
        ("وصل خالد بن سعود الشمري مع Mary O'Neil", [("name", "خالد بن سعود الشمري"), ("name", "Mary O'Neil")]),
        ("Pt #7654321 (no label), مسن في 95 سنة", [("record_number", "7654321"), ("age", "95 سنة")]),
        ("رقم الجوال ٠٥٠١٢٣٤٥٦٧ ورقم الهوية ١٠٨٧٦٥٤٣٢١", [("phone", "٠٥٠١٢٣٤٥٦٧"), ("national_id", "١٠٨٧٦٥٤٣٢١")]),
        ("الرقم القومي 29001011234567", [("national_id", "29001011234567")]),
        ("أجريت يوم ١٥ رمضان ١٤٤٢ وراجعت في 3 آذار 2021", [("date", "١٥ رمضان ١٤٤٢"), ("date", "3 آذار 2021")]),
        ("الموعد 12/05/1443هـ", [("date", "12/05/1443")]),
        ("تسكن في حي النخيل، شارع الملك فهد", [("address", "حي النخيل"), ("address", "شارع الملك فهد")]),
        ("المراسلات على ص.ب 4567", [("address", "ص.ب 4567")]),
        ("العنوان: الرياض، حي النخيل", [("address", "الرياض، حي النخيل")]),
        ("Reviewed with د. سعاد الحربي on 12/3/2021", [("name", "سعاد الحربي"), ("date", "12/3/2021")]),
    ],
)  # fmt: skip
def test_what_identifies_is_found_where_it_stands(text: str, wanted: list[tuple[str, str]]) -> None:
    assert values(text) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "T2 FLAIR hyperintensity at L4-L5, nodule of 12/8 mm, pressure 120/80 mmHg, strength 5/5",
        "C3/4/5 roots; levels 10-20-30; ratio 10/20/40 mg; dose may 10 mg; mar 5 cm",
        "Parkinson disease, Bell palsy, Crohn disease, Foley catheter, Ms: murmur, MR angiography, MS lesions",
        "HbA1c 7.5 %, WBC 12,000/mm3, platelets 250000, sodium 140.5, pH 7.35-7.45, 1.5 T",
        "A 54-year-old man with 90 % stenosis, 95 ms, 120 kV; 10 year old scar; age 12",
        "Grade 3 of 5, case 3, file attached, patient number of lesions, chart review, phone call",
        "PMID 31243576, NCT01234567, C0040405, ROCOv2_2023_test_003891, 10.1001/jama.2020.1585",
        "Charles Bonnet syndrome, John Cunningham virus, Paul Bunnell test, John Hopkins University, Mary Hospital",
        "platelets 250000, 150000/mm3, 1234567 copies, PMID 31243576, 120000 cells, RNA 345678 IU",
        "المعروفة باسم الخانوق، بنسبة كريم الجلد، انزياح لبنى الخط المتوسط، منذ 95 سنة، فؤاد المعدة",
        "Dr. Google said so. Doctor Who? Is Dr. The right word? In March 2020 the pandemic spread.",
        "XXXX-year-old XXXX with dyspnea, compared with ____, Dr. ____",
        "د. التهاب رئوي\nأ. كسر في الفخذ\nب. انصباب\nج. ورم",
        "المريض يعاني من سعال، والمريضة المصابة بالسكري، استشر الطبيب المختص، الدكتور المعالج",
        "انتظر 30 د. ثم أعد القياس؛ لمدة 93 سنة؛ بنسبة 95٪؛ 12/8 مم؛ الفقرات L4-L5",
        "على المريض أن يصوم، ولدى المريض سعال، عمر المريض 54 عاما، حي أو ميت، شارع في المدينة",
        "قال الدكتور إن الصورة طبيعية، ينصح الدكتور بالراحة، السيد القلب",
        "",
        "؟؟ … ٪",
    ],
)
def test_medical_text_does_not_fire(text: str) -> None:
    assert values(text) == []


def test_impossible_dates_and_ids_do_not_count() -> None:
    assert values("45/13/2020 and 2020-13-45 and 31.31.2020 and 12/12/2999") == []
    assert values("29913451234567 and 000-12-3456 and 123-00-4567") == []


def test_offsets_are_those_of_the_text_as_written() -> None:
    text = "الدُّكتُور \u200fمُحَمَّد عَلِيّ"
    (one,) = scan_text(text)
    assert text[one.start : one.end].startswith("مُ")
    looked = plain("أ\u064eب١")
    assert (looked.text, looked.span(0, 2), looked.span(2, 3)) == ("أب1", (0, 3), (3, 4))


@given(st.text(max_size=80))
def test_spans_are_in_order_apart_and_inside(text: str) -> None:
    found = scan_text(text)
    assert all(0 <= one.start < one.end <= len(text) for one in found)
    assert all(one.end <= other.start for one, other in itertools.pairwise(found))


PARTS = st.sampled_from(
    ["Dr. Smith", "12/03/2021", "MRN: 123456", "د. سعاد الحربي", "رقم الهاتف ٠١٢٣٤٥٦٧٨٩", "العنوان: جدة، حي", "x@y.org",
     "Address: 5 Main Street", "a 95-year-old man", "effusion", "لا انصباب", "1234", "Patient: JOHN DOE"]
)  # fmt: skip


@given(st.lists(PARTS, max_size=6).map(", ".join))
def test_redacted_text_is_clean_and_keeps_the_rest(text: str) -> None:
    clean = redact(text)
    assert scan_text(clean) == []
    kept, last = [], 0
    for one in scan_text(text):
        kept.append(text[last : one.start])
        last = one.end
    rest = clean
    for piece in [*kept, text[last:]]:
        assert piece in rest
        rest = rest[rest.index(piece) + len(piece) :]


def test_labels_are_in_the_language_of_the_text() -> None:
    assert redact("رأته د. سعاد الحربي في 12/3/2021") == "رأته د. [اسم] في [تاريخ]"
    assert redact("Seen by Dr. Smith on 12/3/2021") == "Seen by Dr. [NAME] on [DATE]"
    assert len(set(LABELS.values())) == len(LABELS)


@given(st.text(min_size=1, max_size=30))
def test_a_shape_shows_no_letter_and_no_digit_but_its_kind(text: str) -> None:
    assert {sign for sign in shape(text) if sign.isalnum()} <= set("Aa9ء")


def record(text: str, language: str = "en", **fields: str) -> Record:
    turns = (
        Turn(role="user", text=text, language=language),
        Turn(role="assistant", text="Normal." if language == "en" else "طبيعي", language=language),
    )
    made = {"id": "own:1", "task": "qa", "modality": "text", "source": "own", "licence": "MIT"} | fields
    return Record(turns=turns, **made)


def test_records_are_screened_in_turns_and_names_and_nothing_else_of_them_changes(tmp_path: Path) -> None:
    rows = []
    write_records(
        tmp_path / "r.jsonl",
        [record("Seen by Dr. Smith"), record("رأته د. سعاد الحربي", "ar", id="own:2"), record("Clear", id="own:3")],
    )
    counts = scan_records(tmp_path / "r.jsonl", rows.append)
    assert counts == {"records": 3, "with_findings": 2, "findings": {"name": 2}}
    assert [(row.row, row.field, row.start, row.end, row.shape) for row in rows] == [
        (1, "turns[0].text", 12, 17, "Aa"),
        (2, "turns[0].text", 8, 19, "ء ء"),
    ]
    clean = record("Clear lungs")
    assert redacted(clean) is clean
    made = redacted(record("Seen by Dr. Smith and Dr. Jones"))
    assert made.turns[0].text == "Seen by Dr. [NAME] and Dr. [NAME]"
    assert made.turns[1].text == "Normal."
    assert made.provenance[-1] == Step(
        name="redact", tool="bimedix2", version=made.provenance[-1].version, note="name 2"
    )


def test_an_id_that_is_a_name_is_found_and_not_printed(tmp_path: Path) -> None:
    write_records(tmp_path / "r.jsonl", [record("Clear", id="own:MRN 0012345")])
    rows = []
    scan_records(tmp_path / "r.jsonl", rows.append)
    assert [(row.field, row.kind) for row in rows] == [("id", "record_number")]
    assert "0012345" not in str(rows)


@pytest.mark.parametrize("language", ["en", "ar"])
def test_the_command_tells_where_and_never_what(tmp_path: Path, language: str) -> None:
    text = "Seen by Dr. Zebulon, MRN: 7765431" if language == "en" else "رأته د. سعاد الحربي، رقم الملف 7765431"
    write_records(tmp_path / "r.jsonl", [record(text, language), record("Clear", id="own:2")])
    result = CliRunner().invoke(app, ["data", "phi", str(tmp_path / "r.jsonl")])
    assert result.exit_code == 1
    assert "own:1  turns[0].text" in result.stdout
    as_json = CliRunner().invoke(app, ["data", "phi", str(tmp_path / "r.jsonl"), "--json"])
    *rows, counts = map(json.loads, as_json.stdout.splitlines())
    assert [row["kind"] for row in rows] == ["name", "record_number"]
    assert counts == {"records": 2, "with_findings": 1, "findings": {"name": 1, "record_number": 1}}
    for output in (result.output, as_json.output):
        assert not any(secret in output for secret in ("Zebulon", "7765431", "سعاد", "الحربي"))
    out = tmp_path / "clean.jsonl"
    done = CliRunner().invoke(app, ["data", "phi", str(tmp_path / "r.jsonl"), "--redact", "--out", str(out)])
    assert done.exit_code == 0, done.stderr
    assert len(list(read_records(out))) == 2
    again = CliRunner().invoke(app, ["data", "phi", str(out)])
    assert again.exit_code == 0
    assert "not a guarantee" in again.stderr
    assert "ليس ضمانا" in again.stderr


def test_a_text_file_is_screened_by_line(tmp_path: Path) -> None:
    path, out = tmp_path / "report.txt", tmp_path / "clean.txt"
    path.write_text("FINDINGS: clear.\nReported by: Jane Roe\nرقم الهاتف ٠١٢٣٤٥٦٧٨٩\n", encoding="utf-8")
    result = CliRunner().invoke(app, ["data", "phi", str(path), "--json"])
    assert [json.loads(line).get("row") for line in result.stdout.splitlines()] == [2, 3, None]
    assert CliRunner().invoke(app, ["data", "phi", str(path), "--redact", "--out", str(out)]).exit_code == 0
    assert out.read_text(encoding="utf-8") == "FINDINGS: clear.\nReported by: [NAME]\nرقم الهاتف [هاتف]\n"


def test_bad_input_is_told(tmp_path: Path) -> None:
    write_records(tmp_path / "r.jsonl", [record("Clear")])
    for arguments, kind in (
        ([str(tmp_path / "missing.jsonl")], RecordError),
        ([str(tmp_path / "r.jsonl"), "--redact"], ConfigError),
        ([str(tmp_path / "r.jsonl"), "--out", "x.jsonl"], ConfigError),
        ([str(tmp_path / "r.jsonl"), "--redact", "--out", str(tmp_path / "r.jsonl")], ConfigError),
    ):
        result = CliRunner().invoke(app, ["data", "phi", *arguments])
        assert result.exit_code == kind.exit_status
        assert f"[{kind.code}]" in result.stderr
    (tmp_path / "bad.txt").write_bytes(b"\xff\xfe\x00\x80")
    assert "[bad_text_file]" in CliRunner().invoke(app, ["data", "phi", str(tmp_path / "bad.txt")]).stderr


def test_reports_that_are_already_clean_stay_as_they_are(data_root: Path) -> None:
    """Indiana's reports were de-identified by their makers."""
    reports = json.loads((data_root / "indiana" / "indiana_dev.json").read_text(encoding="utf-8"))
    texts = [f"{row['background']}\n{row['findings']}\n{row['impression']}" for row in reports[:400]]
    assert [found for text in texts for found in scan_text(text)] == []


def test_found_is_a_plain_tuple() -> None:
    assert scan_text("aged 95") == [Found("age", 5, 7)]
