from __future__ import annotations

from pathlib import Path

import pytest

from bimedix2.data.sources._common import label
from bimedix2.data.sources.rocov2 import read_figures, records
from bimedix2.errors import RecordError
from bimedix2.evaluate.families.classification import named_class
from bimedix2.evaluate.registry import all_tasks
from bimedix2.evaluate.tasks.rocov2 import CLASSES
from bimedix2.records.schema import Language


@pytest.mark.parametrize(
    ("reply", "task", "language", "expected"),
    [
        ("X-ray.", "modality", "en", "X-ray"),
        ("This is an MRI of the spine", "modality", "en", "MRI"),
        ("CT or MRI", "modality", "en", None),
        ("I do not know", "modality", "en", None),
        ("تصوير مقطعي محوسب (CT)", "modality", "ar", "تصوير مقطعي محوسب (CT)"),
        ("أشعة سينية", "modality", "ar", "أشعة سينية"),
        ("إنها الأشعة السينية", "modality", "ar", "أشعة سينية"),
        ("الطرف السُفلي", "region", "ar", "الطرف السفلي"),
        ("Lower extremity", "region", "en", "lower extremity"),
    ],
)
def test_reply_to_class(reply: str, task: str, language: Language, expected: str | None) -> None:
    options = [label(name, language) for name in CLASSES[task]]  # type: ignore[index]
    assert named_class(reply, options) == expected


def test_records_of_a_hand_made_folder(tmp_path: Path) -> None:
    base = tmp_path / "rocov2"
    base.mkdir()
    (base / "sample_train_captions.csv").write_text('ID,Caption\nF1,"A  scan, left."\nF2,No concepts\n')
    (base / "sample_train_concepts_manual.csv").write_text("ID,CUIs\nF1,C1306645;C0817096;C1996865\n")
    first, second = read_figures(tmp_path, "train")
    assert first[2:6] == ("A scan, left.", "X-ray", "chest", "postero-anterior")
    assert second[3:6] == (None, None, None)
    made = list(records(tmp_path, "train"))
    facts = {record.id.split(":")[2] for record in made}
    assert facts == {"caption", "modality", "region", "view", "is_modality", "is_region"}
    closed = [(r.turns[0].text, r.turns[1].text) for r in made if ":is_modality:" in r.id]
    for yes, no, word in (("Yes", "No", "X-ray"), ("نعم", "لا", "أشعة سينية")):
        asked = {answer: question for question, answer in closed}
        assert word in asked[yes]
        assert word not in asked[no]
    english = [r for r in made if r.pair_id == "rocov2:F1:view" and r.turns[1].language == "en"]
    assert {r.turns[1].text for r in english} == {"Postero-anterior"}
    with pytest.raises(RecordError, match="not found"):
        list(read_figures(tmp_path / "elsewhere", "train"))


@pytest.mark.data
def test_real_counts(data_root: Path) -> None:
    figures = [figure for folder in ("train", "valid", "test") for figure in read_figures(data_root, folder)]
    assert len(figures) == 800
    # The data page states 283 CT figures over all splits.
    assert sum(figure.modality == "CT" for figure in figures) == 283


@pytest.mark.data
def test_samples_of_both_languages_are_the_same_items(data_root: Path) -> None:
    task = all_tasks()["rocov2_modality"]
    english, arabic = (list(task.samples(data_root, language, "test")) for language in task.languages)
    assert [sample.id for sample in english] == [sample.id for sample in arabic]
    assert len(english) == 98
    assert all(sample.reference in sample.options for sample in english + arabic)
