from __future__ import annotations

from pathlib import Path

import pytest

from bimedix2.data.sources.rocov2 import Figure, read_figures, records
from bimedix2.errors import RecordError
from bimedix2.evaluate.rocov2 import fact_accuracy, parse_class


@pytest.mark.parametrize(
    ("reply", "fact", "language", "expected"),
    [
        ("X-ray.", "modality", "en", "X-ray"),
        ("This is an MRI of the spine", "modality", "en", "MRI"),
        ("CT or MRI", "modality", "en", None),
        ("I do not know", "modality", "en", None),
        ("تصوير مقطعي محوسب (CT)", "modality", "ar", "CT"),
        ("أشعة سينية", "modality", "ar", "X-ray"),
        ("الطرف السُفلي", "region", "ar", "lower extremity"),
        ("Lower extremity", "region", "en", "lower extremity"),
    ],
)
def test_reply_to_class(reply: str, fact: str, language: str, expected: str | None) -> None:
    assert parse_class(reply, fact, language) == expected  # type: ignore[arg-type]


def test_accuracy_and_majority_by_hand() -> None:
    def figure(name: str, modality: str | None) -> Figure:
        return Figure(name, f"{name}.jpg", "", modality, None, None, "test")

    figures = [figure("a", "CT"), figure("b", "MRI"), figure("c", "CT"), figure("d", None), figure("e", "X-ray")]
    train = [figure("t1", "MRI"), figure("t2", "MRI"), figure("t3", "CT")]
    replies = {"a.jpg": "CT", "b.jpg": "ct", "c.jpg": "nothing", "e.jpg": "X ray"}
    result = fact_accuracy(figures, train, "modality", "en", lambda asked: [replies[image] for _, image in asked])
    assert result.n == 4  # d has no checked modality
    assert result.accuracy == 2 / 4
    assert result.majority == 1 / 4  # MRI is the most frequent in training
    assert result.unparsed == 1 / 4


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
    assert facts == {"caption", "modality", "region", "view"}
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
