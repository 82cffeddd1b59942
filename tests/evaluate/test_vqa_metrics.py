from __future__ import annotations

import json
from pathlib import Path

import pytest

from bimedix2.evaluate.baselines import Known, always_no, blind_lookup, same_image_lookup
from bimedix2.evaluate.cleaning import clean_answer
from bimedix2.evaluate.vqa_metrics import bootstrap_interval, score_pair, score_vqa

# MultiMedEval 1.0.0 run on these pairs: prediction, reference, F1, BLEU-1, recall.
UPSTREAM = [
    ("Yes", "yes", 0.999999995, 1.0, 1.0),
    ("No, there is not any fracture.", "no", 0.2857142833, 0.1666666567, 1.0),
    ("The right lung is affected.", "right lung", 0.6666666622, 0.5, 1.0),
    ("", "pneumonia", 0.0, 0.0, 0.0),
    ("yes and no", "no", 0.4999999963, 0.3333333135, 1.0),
    ("left", "right", 0.0, 0.0, 0.0),
    ("There are two nodules in the left upper lobe", "2", 0.2222222202, 0.125, 1.0),
    ("CT", "computed tomography (CT)", 0.4999999963, 0.1353352815, 0.3333333333),
]
CLEANED = [
    ("A 3.5 cm mass, in the left lobe.", "3.5 cm mass in left lobe"),
    ("1,000 ml; (approx)", "1000 ml approx"),
    ("x-ray/CT", "x ray ct"),
    ("e.g. pneumonia.", "eg pneumonia"),
    ("None of the above", "0 of above"),
    ("dont", "don't"),
    ("5,6", "56"),
    ("1.a", "1a"),
    ("a. " * 40, "a. a. a. a. a. a. a. a."),
    ("it's; its", "it's its"),
    ("الرئة، اليمنى؟", "الرئة، اليمنى؟"),
    ("- - -", ""),
    ("1.5T MRI", "1.5t mri"),
]


@pytest.mark.parametrize(("prediction", "reference", "f1", "bleu1", "recall"), UPSTREAM)
def test_pairs_equal_upstream(prediction: str, reference: str, f1: float, bleu1: float, recall: float) -> None:
    score = score_pair(prediction, reference)
    assert score.f1 == pytest.approx(f1, abs=1e-6)
    assert score.bleu1 == pytest.approx(bleu1, abs=1e-6)
    assert score.recall == pytest.approx(recall, abs=1e-6)


def test_totals_equal_upstream() -> None:
    scores = score_vqa([row[:2] for row in UPSTREAM])
    assert scores.bleu1 == pytest.approx(0.28254190646, abs=1e-6)
    assert scores.f1 == pytest.approx(0.3968253941543, abs=1e-6)
    assert scores.recall == pytest.approx(2 / 3, abs=1e-6)
    assert scores.closed_accuracy == 1.0
    assert scores.open_recall == pytest.approx(0.46666666, abs=1e-6)
    assert scores.open_accuracy == pytest.approx(0.4, abs=1e-6)
    assert scores.mean == pytest.approx((0.28254191 + 0.39682539 + 2 / 3 + 1 + 0.46666667 + 0.4) / 6, abs=1e-6)


@pytest.mark.parametrize(("text", "cleaned"), CLEANED)
def test_cleaning_equals_upstream(text: str, cleaned: str) -> None:
    assert clean_answer(text) == cleaned


@pytest.mark.data
def test_all_golden_pairs(data_root: Path) -> None:
    path = data_root.parent / "reference" / "golden" / "vqa_multimedeval.json"
    if not path.is_file():
        pytest.skip(f"golden values not found at {path}")
    golden = json.loads(path.read_text(encoding="utf-8"))
    for pair in golden["pairs"]:
        score = score_pair(pair["prediction"], pair["reference"])
        assert (score.f1, score.bleu1, score.recall) == pytest.approx(
            (pair["f1"], pair["bleu1"], pair["recall"]), abs=1e-6
        ), pair
    scores = score_vqa([(pair["prediction"], pair["reference"]) for pair in golden["pairs"]])
    assert scores.closed_accuracy == pytest.approx(golden["metrics"]["closedQuestionsAccuracy"], abs=1e-6)
    assert scores.open_accuracy == pytest.approx(golden["metrics"]["openQuestionsAccuracy"], abs=1e-6)


@pytest.mark.parametrize(
    ("prediction", "reference", "correct"),
    [
        ("نعم.", "نعم", True),
        ("لا، لا توجد كسور", "لا", True),
        ("نعم", "لا", False),
        ("No", "no", True),
        ("There is not", "no", True),
        ("normal", "no", False),
    ],
)
def test_closed_questions(prediction: str, reference: str, correct: bool) -> None:
    language = "ar" if any(letter > "\u0600" for letter in reference) else "en"
    score = score_pair(prediction, reference, language)  # type: ignore[arg-type]
    assert score.closed
    assert score.correct is correct


def test_arabic_words_are_compared_after_normalisation() -> None:
    score = score_pair("الرئـة اليُمنى", "الرئة اليمني", "ar")
    assert score.recall == 1.0
    assert score.bleu1 == 1.0
    assert not score.closed


def test_interval_brackets_the_mean_and_follows_the_seed() -> None:
    scores = [score_pair("yes" if i % 3 else "no", "yes") for i in range(60)]
    mean = score_vqa([("yes" if i % 3 else "no", "yes") for i in range(60)]).mean
    low, high = bootstrap_interval(scores, seed=1)
    assert low < mean < high
    assert (low, high) == bootstrap_interval(scores, seed=1)


def test_blind_lookup_ignores_the_image_and_same_image_does_not() -> None:
    known = [
        Known("Is there a fracture?", "no", "a"),
        Known("Is there a fracture?", "no", "b"),
        Known("Is there a fracture?", "yes", "c"),
        Known("Which organ is this?", "liver", "c"),
    ]
    asked = ["Is there a fracture here?", "Which organ?"]
    assert blind_lookup(known, asked) == ["no", "liver"]
    assert same_image_lookup(known, asked, ["c", "new"]) == ["yes", "liver"]
    assert always_no(asked, "ar") == ["لا", "لا"]
