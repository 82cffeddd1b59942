"""Stored predictions: what a row may look like, and what is said about bad ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bimedix2.errors import RecordError
from bimedix2.evaluate.predictions import read_predictions

GOOD = {"id": 1, "prediction": "yes", "reference": "Yes"}


def write(path: Path, *rows: Any) -> Path:
    lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_rows_of_every_kind(tmp_path: Path) -> None:
    path = write(
        tmp_path / "p.jsonl",
        GOOD,
        "",
        {"id": "a", "prediction": None, "reference": 3, "question": "كم عدد العقيدات؟", "extra": [1]},
        {
            "id": "b",
            "prediction": "",
            "reference": "B",
            "options": ["x", "y"],
            "language": "en",
            "answer_type": "CLOSED ",
        },
        {
            "id": "c",
            "prediction": "ب",
            "reference": "ب",
            "options": ["س", "ص"],
            "question": "ما هذا؟",
            "image": "i.png",
        },
        {
            "id": "d",
            "prediction": "C",
            "reference": "C",
            "options": {"C": "x", "D": "y"},
            "option_logprobs": [-1, -2.5],
        },
    )
    samples, replies = read_predictions(path)
    assert [sample.id for sample in samples] == ["1", "a", "b", "c", "d"]
    assert [sample.language for sample in samples] == ["en", "ar", "en", "ar", "en"]
    assert [reply.text for reply in replies] == ["yes", "", "", "ب", "C"]
    assert samples[1].reference == "3"
    assert samples[2].group == {"answer_type": "closed"}
    assert (samples[2].letters, samples[3].letters, samples[4].letters) == (("A", "B"), ("أ", "ب"), ("C", "D"))
    assert (samples[2].cluster, samples[3].cluster) == ("b", "i.png")
    assert replies[4].option_logprobs == (-1.0, -2.5)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("{", "row 2, field row"),
        ("[1]", "row 2, field row"),
        ({"id": 2, "prediction": "x"}, "row 2, field reference: .*missing"),
        ({"id": 2, "prediction": ["x"], "reference": "x"}, "row 2, field prediction"),
        ({"id": 1, "prediction": "x", "reference": "x"}, "row 2, field id: '1' comes twice"),
        ({"id": 2, "prediction": "x", "reference": "x", "language": "zh"}, "row 2, field language"),
        (
            {"id": 2, "prediction": "x", "reference": "A", "options": ["x"], "option_logprobs": [1, 2]},
            "option_logprobs",
        ),
    ],
)
def test_bad_rows_are_named_and_lose_nothing_else(tmp_path: Path, row: Any, message: str) -> None:
    path = write(tmp_path / "p.jsonl", GOOD, row, {**GOOD, "id": 3})
    with pytest.raises(RecordError, match=message) as caught:
        read_predictions(path)
    assert "p.jsonl" in str(caught.value)
    bad: list[RecordError] = []
    samples, _ = read_predictions(path, bad=bad)
    assert [sample.id for sample in samples] == ["1", "3"]
    assert [error.row for error in bad] == [2]


def test_the_same_id_in_two_languages_is_a_pair(tmp_path: Path) -> None:
    path = write(tmp_path / "p.jsonl", {**GOOD, "language": "en"}, {**GOOD, "reference": "نعم", "language": "ar"})
    assert len(read_predictions(path)[0]) == 2


def test_missing_and_empty_files(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="cannot be read"):
        read_predictions(tmp_path / "none.jsonl")
    with pytest.raises(RecordError, match="holds no predictions"):
        read_predictions(write(tmp_path / "p.jsonl", ""))
