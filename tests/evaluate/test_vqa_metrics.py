"""Both definitions of the VQA metrics: the published one against its own output, the corrected one by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bimedix2.evaluate.families.vqa import FAMILY
from bimedix2.evaluate.metrics.cleaning import clean_answer
from bimedix2.evaluate.metrics.vqa import score_pair
from bimedix2.evaluate.metrics.vqa_corrected import score_corrected
from bimedix2.evaluate.metrics.words import decide, words
from bimedix2.evaluate.schema import Reply, Sample
from bimedix2.evaluate.scoring import empty_value
from bimedix2.evaluate.statistics import summarize

GOLDEN = json.loads((Path(__file__).parent / "golden" / "vqa_multimedeval.json").read_text(encoding="utf-8"))
UPSTREAM = json.loads((Path(__file__).parent / "golden" / "upstream.json").read_text(encoding="utf-8"))
NAMES = {
    "bleu": "bleu1",
    "F1": "f1",
    "recall": "recall",
    "closedQuestionsAccuracy": "closed_accuracy",
    "openQuestionsRecall": "open_recall",
    "openQuestionsAccuracy": "open_accuracy",
}
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


def test_every_golden_pair_equals_multimedeval() -> None:
    for prediction, reference, *expected in GOLDEN["pairs"]:
        score = score_pair(prediction, reference)
        assert (score.f1, score.bleu1, score.recall) == pytest.approx(expected, abs=1e-6), (prediction, reference)


def samples(pairs: list[tuple[str, str]], **group: str) -> tuple[list[Sample], list[Reply]]:
    asked = [
        Sample(id=str(i), task="t", language="en", prompt="q", reference=reference, group=group)
        for i, (_, reference) in enumerate(pairs)
    ]
    return asked, [Reply(id=str(i), text=prediction) for i, (prediction, _) in enumerate(pairs)]


def test_totals_of_the_family_equal_multimedeval() -> None:
    asked, replies = samples([(row[0], row[1]) for row in GOLDEN["pairs"]])
    found = summarize(FAMILY.score(asked, replies, "multimedeval"), FAMILY.composites, rounds=50)
    names = {
        "bleu1": "bleu", "f1": "F1", "recall": "recall", "closed_accuracy": "closedQuestionsAccuracy",
        "open_recall": "openQuestionsRecall", "open_accuracy": "openQuestionsAccuracy",
    }  # fmt: skip
    for ours, theirs in names.items():
        assert found[ours].value == pytest.approx(GOLDEN["metrics"][theirs], abs=1e-6), ours
    assert found["mean"].value == pytest.approx(sum(GOLDEN["metrics"].values()) / 6, abs=1e-6)


@pytest.mark.parametrize(("text", "cleaned"), CLEANED)
def test_cleaning_equals_upstream(text: str, cleaned: str) -> None:
    assert clean_answer(text) == cleaned


@pytest.mark.parametrize(
    ("text", "decision"),
    [
        ("Yes", "yes"),
        ("No, there is not any fracture.", "no"),
        ("Yes, there is no fracture.", "yes"),
        ("yes and no", "both"),
        ("The lung is not collapsed.", "no"),
        ("The lung", None),
        ("", None),
        ("نعم.", "yes"),
        ("نَعَم، لا يوجد كسر", "yes"),
        ("لا، لا توجد كسور", "no"),
        ("لا يوجد انصباب", "no"),
        ("القلب ليس متضخما", "no"),
        ("نعم ولا", "yes"),  # ولا is one word, "nor"
        ("الرئة", None),
    ],
)
def test_decisions_in_both_languages(text: str, decision: str | None) -> None:
    assert decide(text) == decision


@pytest.mark.parametrize(
    ("prediction", "reference", "answer_type", "correct", "parsed"),
    [
        ("There is not.", "no", "closed", True, True),
        ("yes and no", "no", "closed", False, False),  # the original calls it right for both answers
        ("Normal.", "no", "closed", False, False),
        ("كلا", "لا", "closed", True, True),
        ("Yes", "نعم", "closed", True, True),
        ("The right lung.", "right", "closed", True, True),
        ("Left and right.", "right", "closed", False, True),
        ("الجانب الأيسر والأيمن", "الأيمن", "closed", False, True),
        ("الرئة اليُمنى", "الرئة اليمنى", "open", True, True),
        ("There are two nodules", "2 nodules", "open", True, True),
        ("١٢ مم", "12 مم", "open", True, True),
        ("", "pneumonia", "open", False, False),
        ("pneumonia of the left lower lobe", "left lower lobe pneumonia", "", True, True),
    ],
)
def test_corrected_judgements(prediction: str, reference: str, answer_type: str, correct: bool, parsed: bool) -> None:
    score = score_corrected(prediction, reference, answer_type)
    assert (score.correct, score.parsed) == (correct, parsed)


def test_corrected_values_by_hand() -> None:
    score = score_corrected("The right lung is affected.", "right lung", "open")
    # Words: right, lung, is, affected against right, lung.
    assert (score.bleu1, score.recall, score.exact) == (0.5, 1.0, False)
    assert score.f1 == pytest.approx(2 * 2 / (4 + 2))
    assert score_corrected("Right lung", "the right lung").exact


def test_types_come_from_the_data_set() -> None:
    asked, replies = samples([("axial", "axial")], answer_type="closed")
    (corrected,) = FAMILY.score(asked, replies, "corrected")
    (original,) = FAMILY.score(asked, replies, "multimedeval")
    assert (corrected.values["closed_accuracy"], corrected.values["open_accuracy"]) == (1.0, None)
    assert (original.values["closed_accuracy"], original.values["open_accuracy"]) == (None, 1.0)


def test_words_of_both_languages() -> None:
    assert words("There are TWO nodules in the left-upper lobe.") == [
        "there", "are", "2", "nodules", "in", "left", "upper", "lobe",
    ]  # fmt: skip
    assert words("والرئةُ اليُسرى للصدر ثلاثة") == ["رئه", "يسري", "صدر", "3"]


def test_the_cleaner_equals_multimedeval() -> None:
    for case in UPSTREAM["clean_str"]:
        assert clean_answer(case["in"]) == case["out"], case


@pytest.mark.parametrize("case", UPSTREAM["vqa"], ids=["mixed", "edge", "all closed", "all open"])
def test_the_six_totals_equal_multimedeval_also_where_it_prints_0_for_nothing(case: dict[str, Any]) -> None:
    samples = [
        Sample(id=str(place), task="t", language="en", prompt="?", reference=reference)
        for place, (_, reference) in enumerate(case["pairs"])
    ]
    replies = [Reply(id=str(place), text=prediction) for place, (prediction, _) in enumerate(case["pairs"])]
    scored = FAMILY.score(samples, replies, "multimedeval")
    found = summarize(scored, FAMILY.composites, empty=empty_value(FAMILY, "multimedeval"))
    for name, value in case["metrics"].items():
        assert found[NAMES[name]].value == pytest.approx(value, abs=1e-6), name
    assert found["mean"].value == pytest.approx(sum(case["metrics"].values()) / 6, abs=1e-6)
    if not any(row.values["open_recall"] is not None for row in scored):
        assert summarize(scored, FAMILY.composites)["mean"].value is None
