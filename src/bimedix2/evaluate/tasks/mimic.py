"""MIMIC-CXR (images to findings, Table 7) and MIMIC-III (findings to impression, Table 6) from a user's own copy.

PhysioNet's terms forbid passing the data on; nothing is downloaded and no text is kept outside the run's folder.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from bimedix2.data.sources._common import stable_fraction
from bimedix2.errors import RecordError
from bimedix2.evaluate.schema import Sample, Task
from bimedix2.records.schema import Language

from ._files import csv_rows, each, existing, field
from ._translated import arabic_texts

CXR_PROMPT: dict[Language, str] = {
    "en": "Write the findings section of the radiology report for this study.",
    "ar": "اكتب قسم الموجودات من تقرير الأشعة لهذه الدراسة.",
}
SUMMARY_PROMPT: dict[Language, str] = {
    "en": "Summarize these findings as the impression of the report.",
    "ar": "لخص هذه الموجودات في صورة انطباع التقرير.",
}
_HEADER = re.compile(r"^[ \t]*([A-Z][A-Z /&()-]{2,60}):", re.MULTILINE)
_BLANK = re.compile(r"\[\*\*.*?\*\*\]", re.DOTALL)
_TEST_SHARE = 0.1


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


def _present(folder: Path, *names: str) -> Path:
    remedy = f"Get it from PhysioNet with your own access and put it at {folder}."
    found = next((folder / name for name in names if (folder / name).exists()), folder / names[0])
    return existing(found, remedy, f"احصل عليه من PhysioNet بحسابك وضعه في {folder}.")


def read_cxr(root: Path, language: Language, split: str) -> Iterator[Sample | RecordError]:
    """One sample a study with a findings section, with all of its images in the order of the split file.

    Reads ``mimic_cxr/mimic-cxr-2.0.0-split.csv[.gz]`` (dicom_id, study_id, subject_id, split), reports
    ``files/pXX/pSUBJECT/sSTUDY.txt`` and images ``files/pXX/pSUBJECT/sSTUDY/DICOM.jpg``. Arabic asks the studies of
    ``mimic_cxr_ar/<split>.jsonl`` (id: study, findings).
    """
    folder = root / "mimic_cxr"
    arabic = arabic_texts(root / "mimic_cxr_ar" / f"{split}.jsonl", ("findings",)) if language == "ar" else None
    path = _present(folder, "mimic-cxr-2.0.0-split.csv.gz", "mimic-cxr-2.0.0-split.csv")
    studies: dict[str, tuple[int, str, list[str]]] = {}
    for number, row in csv_rows(path):
        if row.get("split") == split:
            study = field(path, number, row, "study_id")
            images = studies.setdefault(study, (number, field(path, number, row, "subject_id"), []))[2]
            images.append(field(path, number, row, "dicom_id"))

    def make(_: int, item: tuple[str, tuple[int, str, list[str]]]) -> Sample | None:
        study, (number, subject, images) = item
        base = f"files/p{subject[:2]}/p{subject}/s{study}"
        report = folder / f"{base}.txt"
        if not report.is_file():
            raise RecordError(path, number, "study_id", f"its report {report} is missing", "تقرير الدراسة مفقود")
        findings = sections(report.read_text(encoding="utf-8", errors="replace")).get("findings")
        if arabic is not None and findings:
            findings = arabic.get(study, {}).get("findings")
        if not findings:
            return None
        return Sample(
            id=study,
            task="mimic_cxr",
            language=language,
            prompt=CXR_PROMPT[language],
            question=CXR_PROMPT[language],
            reference=findings,
            images=tuple(f"mimic_cxr/{base}/{image}.jpg" for image in images),
            cluster=subject,
        )

    yield from each(enumerate(studies.items(), 1), make)


def read_iii(root: Path, language: Language, split: str) -> Iterator[Sample | RecordError]:
    """Radiology notes of ``mimic_iii/NOTEEVENTS.csv[.gz]`` that have findings and an impression.

    ``test`` is the rows listed in ``mimic_iii/test_ids.txt`` (ROW_ID, one a line) where that file is there, so that
    a published split can be used; otherwise a tenth of the patients by hash. Arabic asks the notes of
    ``mimic_iii_ar/<split>.jsonl`` (id: ROW_ID, findings, impression).
    """
    folder = root / "mimic_iii"
    path = _present(folder, "NOTEEVENTS.csv.gz", "NOTEEVENTS.csv")
    listed = folder / "test_ids.txt"
    ids = set(listed.read_text(encoding="ascii").split()) if listed.is_file() else None
    texts = ("findings", "impression")
    arabic = arabic_texts(root / "mimic_iii_ar" / f"{split}.jsonl", texts) if language == "ar" else None

    def make(number: int, row: dict[str, str]) -> Sample | None:
        if row.get("CATEGORY", "").strip() != "Radiology" or row.get("ISERROR", "").strip() == "1":
            return None
        name, subject = field(path, number, row, "ROW_ID"), field(path, number, row, "SUBJECT_ID")
        test = name in ids if ids is not None else stable_fraction(f"mimic_iii:{subject}") < _TEST_SHARE
        if test != (split == "test"):
            return None
        parts = sections(field_text(path, number, row))
        if arabic is not None:
            parts = arabic.get(name, {})
        findings, impression = parts.get("findings"), parts.get("impression")
        if not findings or not impression:
            return None
        return Sample(
            id=name,
            task="mimic_iii",
            language=language,
            prompt=f"{SUMMARY_PROMPT[language]}\n{findings}",
            question=findings,
            reference=impression,
            cluster=subject,
        )

    yield from each(csv_rows(path), make)


def field_text(path: Path, number: int, row: dict[str, str]) -> str:
    """The note with its line breaks.

    Raises:
        RecordError: there is no column TEXT.
    """
    if "TEXT" not in row:
        raise RecordError(path, number, "TEXT", "there is no such column", "لا يوجد هذا العمود")
    return row["TEXT"]


TASKS = (
    Task(
        name="mimic_cxr",
        family="report",
        read=read_cxr,
        splits=("test", "validate", "train"),
        max_new_tokens=256,
        title={"en": "MIMIC-CXR report generation", "ar": "كتابة تقارير MIMIC-CXR"},
        licence="PhysioNet credentialed",
        table="7",
    ),
    Task(
        name="mimic_iii",
        family="report",
        read=read_iii,
        splits=("test", "train"),
        max_new_tokens=128,
        title={"en": "MIMIC-III summarisation", "ar": "تلخيص تقارير MIMIC-III"},
        licence="PhysioNet credentialed",
        table="6",
    ),
)
