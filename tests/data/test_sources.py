"""Adapters on hand-made files of the original formats, and counts on the real ones."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from bimedix2.data.sources import bccd, pneumoniamnist, text_sets
from bimedix2.data.sources._common import asset, choose, stable_fraction
from bimedix2.errors import RecordError
from bimedix2.records import find_fault

XML = "<annotation>{}</annotation>"
CELL = "<object><name>{}</name></object>"


def make_bccd(root: Path, cells: str) -> None:
    base = root / "bccd" / "BCCD"
    (base / "ImageSets" / "Main").mkdir(parents=True)
    (base / "Annotations").mkdir()
    (base / "ImageSets" / "Main" / "train.txt").write_text("I1\nI2\n")
    (base / "Annotations" / "I1.xml").write_text(XML.format("".join(CELL.format(c) for c in cells.split())))


def test_bccd_counts_cells_in_both_languages(tmp_path: Path) -> None:
    make_bccd(tmp_path, "RBC RBC WBC")
    with pytest.raises(RecordError, match=r"train\.txt, row 2, field annotation"):
        list(bccd.read_counts(tmp_path, "train"))
    (tmp_path / "bccd/BCCD/Annotations/I2.xml").write_text(XML.format(CELL.format("Platelets")))
    made = list(bccd.records(tmp_path))
    assert all(find_fault(record) is None for record in made)
    answers = {(r.source_id, r.id.split(":")[2], r.turns[1].language): r.turns[1].text for r in made}
    assert answers["I1", "cells_present", "en"] == "Red blood cells, white blood cells"
    assert answers["I2", "cells_present", "ar"] == "الصفائح الدموية"
    assert answers["I1", "count", "en"] == answers["I1", "count", "ar"]


def test_pneumoniamnist_is_balanced_and_repeatable(tmp_path: Path) -> None:
    (tmp_path / "pneumoniamnist").mkdir()
    images = np.arange(20, dtype=np.uint8)[:, None, None] * np.ones((20, 28, 28), np.uint8)
    labels = np.array([[index % 4 == 0] for index in range(20)], dtype=np.uint8)
    np.savez(tmp_path / "pneumoniamnist" / "pneumoniamnist.npz", train_images=images, train_labels=labels)
    chosen = pneumoniamnist.export_images(tmp_path, tmp_path / "out", 3)
    assert sorted(value for _, value in chosen) == [False] * 3 + [True] * 3
    assert chosen == pneumoniamnist.export_images(tmp_path, tmp_path / "out", 3)
    made = list(pneumoniamnist.records(tmp_path, tmp_path / "out", 3))
    by_fact = {(r.source_id, r.id.split(":")[2]): r.turns[1].text for r in made if r.turns[1].language == "ar"}
    for name, pneumonia in chosen:
        item = Path(name).stem.split("_")[1]
        assert by_fact[item, "pneumonia"] == ("نعم" if pneumonia else "لا")
        assert by_fact[item, "normal"] == ("لا" if pneumonia else "نعم")


def test_indiana_skips_blanked_impressions_and_names_bad_fields(tmp_path: Path) -> None:
    (tmp_path / "indiana").mkdir()
    path = tmp_path / "indiana" / "indiana_dev.json"
    reports = [
        {"study_id": "1", "findings": "Clear lungs.", "impression": "Normal."},
        {"study_id": "2", "findings": "Stable.", "impression": "Seen by ____."},
    ]
    path.write_text(json.dumps(reports))
    (only,) = text_sets.indiana(tmp_path, share=1.0)
    assert only.turns[0].text.endswith("\nClear lungs.")
    assert only.turns[1].text == "Normal."
    path.write_text(json.dumps([reports[0], {"study_id": "3", "findings": None, "impression": "x"}]))
    with pytest.raises(RecordError, match="row 2, field findings"):
        list(text_sets.indiana(tmp_path, share=1.0))


def test_medmcqa_letters_and_key(tmp_path: Path) -> None:
    arabic = asset("medmcqa_ar.jsonl")
    (tmp_path / "medmcqa").mkdir()
    rows = [
        {"id": row["id"], "question": "Q?", "opa": "a1", "opb": "b1", "opc": "c1", "opd": "d1", "cop": 3}
        for row in arabic
    ]
    path = tmp_path / "medmcqa" / "dev.json"
    path.write_text("\n".join(map(json.dumps, rows)))
    made = list(text_sets.medmcqa(tmp_path))
    assert len(made) == 2 * len(arabic)
    assert made[0].turns[1].text == "C. c1"  # cop counts from 1
    assert made[1].turns[1].text == f"ج. {arabic[0]['options'][2]}"
    assert made[0].pair_id == made[1].pair_id
    rows[0]["cop"] = 5
    path.write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(RecordError, match="row 1, field cop"):
        list(text_sets.medmcqa(tmp_path))


def test_sheet_reader(tmp_path: Path) -> None:
    space = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    path = tmp_path / "x.xlsx"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(
            "xl/sharedStrings.xml", f"<sst {space}><si><t>A</t></si><si><r><t>B</t></r><r><t>C</t></r></si></sst>"
        )
        cells = '<c t="s"><v>1</v></c><c t="s"><v>0</v></c>'
        archive.writestr(
            "xl/worksheets/sheet1.xml", f"<worksheet {space}><sheetData><row>{cells}</row></sheetData></worksheet>"
        )
    assert text_sets.read_sheet(path) == [["BC", "A"]]


def test_choices_depend_on_the_key_alone() -> None:
    # First eight bytes of SHA-256("abc") over 2^64.
    assert stable_fraction("abc") == 0xBA7816BF8F01CFEA / 2**64
    assert choose(["x", "y", "z"], "k", 2) == choose(["z", "y", "x"], "k", 2)
