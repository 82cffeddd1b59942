"""The adapters of the report sets on files of their original formats."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from bimedix2.data.sources.text_sets import indiana, indiana_in_training
from bimedix2.errors import RecordError
from bimedix2.evaluate.registry import all_tasks

REPORT = """                 FINAL REPORT
 EXAMINATION:  CHEST (PA AND LAT)

 FINDINGS:

 The lungs are clear.  There is no [**2150-1-1**] effusion.

 IMPRESSION:

 No acute process.
"""


def test_mimic_cxr_gives_all_images_of_a_study_and_its_findings(tmp_path: Path) -> None:
    folder = tmp_path / "mimic_cxr"
    reports = folder / "files" / "p10" / "p10000032"
    reports.mkdir(parents=True)
    (reports / "s500.txt").write_text(REPORT, encoding="utf-8")
    (reports / "s502.txt").write_text("IMPRESSION: Normal.", encoding="utf-8")
    rows = ["dicom_id,study_id,subject_id,split", "a-1,500,10000032,test", "b-2,500,10000032,test",
            "c-3,501,10000032,test", "d-4,502,10000032,test", "e-5,503,10000032,train"]  # fmt: skip
    with gzip.open(folder / "mimic-cxr-2.0.0-split.csv.gz", "wt") as file:
        file.write("\n".join(rows))
    bad: list[RecordError] = []
    (sample,) = all_tasks()["mimic_cxr"].samples(tmp_path, "en", "test", bad)
    assert sample.images == tuple(f"mimic_cxr/files/p10/p10000032/s500/{name}.jpg" for name in ("a-1", "b-2"))
    assert (sample.reference, sample.cluster) == ("The lungs are clear. There is no effusion.", "10000032")
    assert len(bad) == 1
    assert "row 3, field study_id" in str(bad[0])
    assert "s501.txt is missing" in str(bad[0])
    with pytest.raises(RecordError, match="PhysioNet"):
        list(all_tasks()["mimic_cxr"].samples(tmp_path / "elsewhere", "en", "test"))


def test_mimic_iii_takes_radiology_notes_of_the_listed_rows(tmp_path: Path) -> None:
    folder = tmp_path / "mimic_iii"
    folder.mkdir()
    note = REPORT.replace('"', '""')
    rows = [f'{row},7,Radiology,,"{note}"' for row in (1, 2)] + [f'3,7,Nursing,,"{note}"', f'4,7,Radiology,1,"{note}"']
    (folder / "NOTEEVENTS.csv").write_text("ROW_ID,SUBJECT_ID,CATEGORY,ISERROR,TEXT\n" + "\n".join(rows))
    (folder / "test_ids.txt").write_text("1\n3\n4\n")
    (sample,) = all_tasks()["mimic_iii"].samples(tmp_path, "en", "test")
    assert (sample.id, sample.reference) == ("1", "No acute process.")
    assert sample.prompt.endswith("The lungs are clear. There is no effusion.")
    (folder / "test_ids.txt").unlink()
    parts = [[s.id for s in all_tasks()["mimic_iii"].samples(tmp_path, "en", split)] for split in ("test", "train")]
    assert sorted(name for part in parts for name in part) == ["1", "2"]


def test_indiana_leaves_out_training_reports_and_blanks(tmp_path: Path) -> None:
    reports = [
        {"study_id": str(n), "findings": "Clear.", "impression": "____ normal." if n == 0 else "Normal."}
        for n in range(60)
    ]
    (tmp_path / "indiana").mkdir()
    (tmp_path / "indiana" / "indiana_dev.json").write_text(json.dumps([*reports, {"study_id": "x"}]))
    bad: list[RecordError] = []
    task = all_tasks()["indiana_summary"]
    test, train = ({s.id for s in task.samples(tmp_path, "en", split, bad)} for split in ("test", "train"))
    assert len(test | train) == 59
    assert not test & train
    assert train == {name for name in map(str, range(1, 60)) if indiana_in_training(name)}


def arabic_lines(path: Path, *rows: dict[str, str]) -> None:
    path.parent.mkdir(parents=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def test_reports_in_arabic_come_from_translations_of_the_users_own(tmp_path: Path) -> None:
    name = next(str(n) for n in range(60) if not indiana_in_training(str(n)))
    reports = [{"study_id": study, "findings": "Clear.", "impression": "Normal."} for study in (name, "other")]
    (tmp_path / "indiana").mkdir()
    (tmp_path / "indiana" / "indiana_dev.json").write_text(json.dumps(reports))
    task = all_tasks()["indiana_summary"]
    with pytest.raises(RecordError, match=r"indiana_ar.*id, findings, impression"):
        list(task.samples(tmp_path, "ar", "test"))
    row = {"id": name, "findings": "الرئتان صافيتان.", "impression": "طبيعي."}
    arabic_lines(tmp_path / "indiana_ar" / "dev.jsonl", row)
    (sample,) = task.samples(tmp_path, "ar", "test")
    assert (sample.id, sample.reference) == (name, "طبيعي.")
    assert sample.prompt.endswith("\nالرئتان صافيتان.")

    folder = tmp_path / "mimic_iii"
    folder.mkdir()
    note = REPORT.replace('"', '""')
    rows = [f'{number},7,Radiology,,"{note}"' for number in (1, 2)]
    (folder / "NOTEEVENTS.csv").write_text("ROW_ID,SUBJECT_ID,CATEGORY,ISERROR,TEXT\n" + "\n".join(rows))
    (folder / "test_ids.txt").write_text("1\n2\n")
    arabic_lines(tmp_path / "mimic_iii_ar" / "test.jsonl", {**row, "id": "2"})
    (sample,) = all_tasks()["mimic_iii"].samples(tmp_path, "ar", "test")
    assert (sample.id, sample.language, sample.reference) == ("2", "ar", "طبيعي.")

    study = tmp_path / "mimic_cxr" / "files" / "p10" / "p10"
    study.mkdir(parents=True)
    (study / "s5.txt").write_text(REPORT, encoding="utf-8")
    (tmp_path / "mimic_cxr" / "mimic-cxr-2.0.0-split.csv").write_text(
        "dicom_id,study_id,subject_id,split\na,5,10,test\nb,5,10,test"
    )
    arabic_lines(tmp_path / "mimic_cxr_ar" / "test.jsonl", {"id": "5", "findings": "لا انصباب."})
    (sample,) = all_tasks()["mimic_cxr"].samples(tmp_path, "ar", "test")
    assert (sample.reference, len(sample.images)) == ("لا انصباب.", 2)
    assert sample.prompt.startswith("اكتب")


def test_no_indiana_test_report_is_in_the_training_records(data_root: Path) -> None:
    trained = {record.id.split(":")[1] for record in indiana(data_root)}
    test = {sample.id for sample in all_tasks()["indiana_summary"].samples(data_root, "en", "test")}
    assert trained
    assert len(test) == 1455
    assert not test & trained
