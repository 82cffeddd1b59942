"""MIMIC-CXR (images to findings) and MIMIC-III (findings to impression), from a copy that the user is entitled to.

PhysioNet's terms forbid passing the data on. Nothing is downloaded, and no text of a report stands in an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from itertools import groupby
from pathlib import Path

from bimedix2.errors import RecordError
from bimedix2.records.schema import ImageRef, Record, Split, Turn

from ._common import INGEST, asset, exchange, stable_fraction
from ._files import csv_objects, line
from ._reading import Reading, Source, SourceInfo, each, missing

CXR = SourceInfo(
    name="mimic_cxr",
    licence="PhysioNet Credentialed Health Data License 1.5.0",
    languages=("en",),
    tasks=("report",),
    splits=("train", "dev", "test"),
    files=(
        "mimic_cxr/mimic-cxr-2.0.0-split.csv[.gz]",
        "mimic_cxr/files/pXX/pSUBJECT/sSTUDY.txt",
        "mimic_cxr/files/pXX/pSUBJECT/sSTUDY/DICOM.{jpg,dcm}",
    ),
    notes="One record a study with a findings section and all of its images. Do not send it to a hosted model.",
    notes_ar="سجل لكل دراسة فيها قسم موجودات مع كل صورها. لا ترسلها إلى نموذج مستضاف.",
)
III = SourceInfo(
    name="mimic_iii",
    licence="PhysioNet Credentialed Health Data License 1.5.0",
    languages=("en",),
    tasks=("summarization",),
    splits=("train", "test"),
    files=("mimic_iii/NOTEEVENTS.csv[.gz]", "mimic_iii/test_ids.txt (optional: ROW_ID, one a line)"),
    notes="Radiology notes with findings and impression. Without test_ids.txt a tenth of the patients, by hash, is "
    "test, the same as for `bimedix2 evaluate mimic_iii`. Do not send it to a hosted model.",
    notes_ar="تقارير الأشعة ذات الموجودات والانطباع. من دون test_ids.txt يعد عشر المرضى باختيار ثابت قسم اختبار كما في "
    "bimedix2 evaluate mimic_iii. لا ترسلها إلى نموذج مستضاف.",
)
REPORT_PROMPT = "Write the findings section of the radiology report for this study."
PARTS: dict[str, Split] = {"train": "train", "validate": "dev", "test": "test"}
TEST_SHARE = 0.1
_HEADER = re.compile(r"^[ \t]*([A-Z][A-Z /&()-]{2,60}):", re.MULTILINE)
_BLANK = re.compile(r"\[\*\*.*?\*\*\]", re.DOTALL)


def sections(report: str) -> dict[str, str]:
    """Header in lower case -> text below it, white space collapsed; de-identified spans become blanks.

    >>> sections("FINDINGS:  The lungs\\n are clear.\\nIMPRESSION: Normal.")
    {'findings': 'The lungs are clear.', 'impression': 'Normal.'}
    """
    headers = list(_HEADER.finditer(report))
    ends = [header.start() for header in headers[1:]] + [len(report)]
    return {
        header[1].strip().lower(): " ".join(_BLANK.sub(" ", report[header.end() : end]).split())
        for header, end in zip(headers, ends, strict=True)
    }


def _table(reading: Reading, info: SourceInfo) -> Path | None:
    """The first file of a source, plain or gzip."""
    plain = reading.root / info.files[0].removesuffix("[.gz]")
    found = next((path for path in (plain.with_name(f"{plain.name}.gz"), plain) if path.exists()), None)
    if found is None and not reading.peek:
        raise missing(plain, info, reading)
    return found


def read_cxr(reading: Reading) -> Iterator[Record]:
    """One record a study; the rows of a study stand together in the split file."""
    path = _table(reading, CXR)
    if path is not None:
        yield from each(reading, path, _studies(reading, path), partial(_study_record, reading, path))


Study = tuple[Split, str, str, tuple[str, ...]]
"""Split, subject, study, images."""


def _studies(reading: Reading, path: Path) -> Iterator[tuple[int, Study]]:
    rows = ((number, row) for number, row in csv_objects(reading, path) if _wanted(reading, path, number, row))
    for study, group in groupby(rows, key=lambda item: item[1]["study_id"]):
        members = list(group)
        number, first = members[0]
        images = tuple(row["dicom_id"] for _, row in members)
        yield number, (PARTS[first["split"]], first["subject_id"], study, images)


def _wanted(reading: Reading, path: Path, number: int, row: dict[str, str]) -> bool:
    try:
        for name in ("dicom_id", "study_id", "subject_id"):
            line(path, number, row, name)
        if row.get("split") not in PARTS:
            raise RecordError(path, number, "split", "is not train, validate or test", "قيمة غير معروفة")
    except RecordError as error:
        reading.refuse(error)
        return False
    return PARTS[row["split"]] in reading.splits


def _study_record(reading: Reading, path: Path, number: int, item: Study) -> list[Record]:
    split, subject, study, images = item
    base = f"mimic_cxr/files/p{subject[:2]}/p{subject}/s{study}"
    report = reading.root / f"{base}.txt"
    if not report.is_file():
        raise RecordError(path, number, "study_id", f"its report {report} is missing", "تقرير الدراسة مفقود")
    findings = sections(report.read_text(encoding="utf-8", errors="replace")).get("findings")
    if not findings:
        reading.skip("study without a findings section", "دراسة بلا قسم موجودات")
        return []
    dicom = (reading.root / base / f"{images[0]}.dcm").exists()
    paths = [f"{base}/{image}.{'dcm' if dicom else 'jpg'}" for image in images]
    shown = tuple(range(len(paths)))
    return [
        Record(
            id=f"mimic_cxr:{study}:findings:en",
            turns=(
                Turn(role="user", text=REPORT_PROMPT, language="en", images=shown),
                Turn(role="assistant", text=findings, language="en"),
            ),
            images=tuple(ImageRef(path=image) for image in paths),
            task="report",
            modality="xray",
            source=CXR.name,
            source_id=study,
            licence=CXR.licence,
            split=split,
            provenance=(INGEST,),
        )
    ]


def read_iii(reading: Reading) -> Iterator[Record]:
    """One record a note."""
    path = _table(reading, III)
    if path is None:
        return
    listed = reading.root / "mimic_iii" / "test_ids.txt"
    ids = frozenset(listed.read_text(encoding="ascii").split()) if listed.is_file() else None
    yield from each(reading, path, csv_objects(reading, path), partial(_note_record, reading, ids, path))


def _note_record(
    reading: Reading, ids: frozenset[str] | None, path: Path, number: int, row: dict[str, str]
) -> list[Record]:
    if row.get("CATEGORY", "").strip() != "Radiology" or row.get("ISERROR", "").strip() == "1":
        reading.skip("not a radiology note, or marked as an error", "ليس تقرير أشعة أو موسوم بالخطأ")
        return []
    name, subject = line(path, number, row, "ROW_ID"), line(path, number, row, "SUBJECT_ID")
    test = name in ids if ids is not None else stable_fraction(f"mimic_iii:{subject}") < TEST_SHARE
    if "TEXT" not in row:
        raise RecordError(path, number, "TEXT", "there is no such column", "لا يوجد هذا العمود")
    parts = sections(row["TEXT"])
    if not parts.get("findings") or not parts.get("impression"):
        reading.skip("note without findings or impression", "تقرير بلا موجودات أو انطباع")
        return []
    instruction = asset("phrases.json")["instruction"]["impression_en"]
    return [
        exchange(
            f"mimic_iii:{name}:impression:en",
            f"{instruction}\n{parts['findings']}",
            parts["impression"],
            "en",
            task="summarization",
            modality="text",
            source=III.name,
            licence=III.licence,
            split="test" if test else "train",
        )
    ]


SOURCES = (Source(CXR, read_cxr), Source(III, read_iii))
