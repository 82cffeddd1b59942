"""Multiple choice: MultiMedEval's picks and lm-evaluation-harness's accuracy from their output, the rest by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bimedix2.evaluate.families.choice import FAMILY
from bimedix2.evaluate.metrics.choice import (
    ARABIC,
    pick_by_logprob,
    pick_from_reply,
    pick_multimedeval,
    pick_yes_no_maybe,
)
from bimedix2.evaluate.schema import Reply, Sample
from bimedix2.evaluate.statistics import summarize

UPSTREAM = json.loads((Path(__file__).parent / "golden" / "upstream.json").read_text(encoding="utf-8"))
ORGANS, ORGANS_AR = ("Liver", "Kidney", "Lung", "Spleen"), ("الكبد", "الكلية", "الرئة", "الطحال")


def test_multimedeval_picks_are_the_same_defects_included() -> None:
    drugs = [option["value"] for option in UPSTREAM["medqa"]["sample"]["options"]]
    for name, options, names, colon in (
        ("medqa", drugs, "abcd", False),
        ("mmlu", ORGANS, "1234", False),
        ("medmcqa", ORGANS, "1234", True),
    ):
        for case in UPSTREAM[name]["replies"]:
            picked = pick_multimedeval(case["reply"], "ABCD", options, colon=colon)
            assert ("Invalid answer" if picked is None else names[picked]) == case["picked"], (name, case)
    for case in UPSTREAM["pubmedqa"]:
        picked = pick_yes_no_maybe(case["reply"])
        assert ("Invalid answer" if picked is None else ("yes", "no", "maybe")[picked]) == case["picked"], case


def test_log_likelihood_accuracy_equals_lm_evaluation_harness() -> None:
    rows = UPSTREAM["lm_eval"]["rows"]
    samples = [
        Sample(
            id=str(place),
            task="pubmedqa",
            language="en",
            prompt="?",
            reference=row["gold"],
            options=tuple(row["choices"]),
            letters=tuple(row["choices"]),
        )
        for place, row in enumerate(rows)
    ]
    replies = [Reply(id=str(i), option_logprobs=tuple(row["loglikelihoods"])) for i, row in enumerate(rows)]
    scored = FAMILY.score(samples, replies, "lenient")
    assert [row.values["accuracy"] for row in scored] == [row["acc"] for row in rows]
    assert [row.values["accuracy_norm"] for row in scored] == [row["acc_norm"] for row in rows]
    found = summarize(scored)
    assert found["accuracy"].value == UPSTREAM["lm_eval"]["acc"]
    assert found["accuracy_norm"].value == UPSTREAM["lm_eval"]["acc_norm"]
    assert pick_by_logprob([-1.0, -1.0], ["a", "b"]) == 0


@pytest.mark.parametrize(
    ("reply", "lenient", "strict"),
    [
        ("B", 1, 1),
        ("a", 0, 0),
        ("(C)", 2, 2),
        ("**D**", 3, 3),
        ("B. Kidney", 1, 1),
        ("Answer: A", 0, 0),
        ("The answer is D.", 3, None),
        ("The correct option is (c), because it is aerated.", 2, None),
        ("It is the spleen", 3, None),
        ("Kidney", 1, 1),
        ("A patient with a kidney stone", 1, None),
        ("A or D", None, None),
        ("Liver and lung", None, None),
        ("", None, None),
        ("none", None, None),
        ("ب", 1, 1),
        ("الإجابة الصحيحة هي: ج", 2, 2),
        ("الجواب: د", 3, 3),
        ("answer: B. Wait, the answer is C", None, None),
    ],
)
def test_reply_parser_reads_both_scripts(reply: str, lenient: int | None, strict: int | None) -> None:
    assert pick_from_reply(reply, "ABCD", ORGANS) == lenient
    assert pick_from_reply(reply, "ABCD", ORGANS, strict=True) == strict


@pytest.mark.parametrize(
    ("reply", "picked"),
    [("ب", 1), ("أ. الكبد", 0), ("ا", 0), ("B", 1), ("الخيار د", 3), ("العضو هو الرئة", 2), ("لا أعرف", None)],
)
def test_arabic_options_are_picked_by_letter_in_any_spelling_or_by_text(reply: str, picked: int | None) -> None:
    assert pick_from_reply(reply, ARABIC[:4], ORGANS_AR) == picked


def test_fifth_arabic_letter_and_words_as_labels() -> None:
    options = (*ORGANS_AR, "المعدة")
    assert [pick_from_reply(text, ARABIC[:5], options) for text in ("هـ", "ه", "ه. المعدة", "E")] == [4, 4, 4, 4]
    labels = ("نعم", "لا", "ربما")
    assert [pick_from_reply(text, labels, labels) for text in ("نعم.", "الجواب: لا", "ربما", "غير واضح")] == [
        0,
        1,
        2,
        None,
    ]


def test_longer_option_wins_over_one_inside_it() -> None:
    assert pick_from_reply("It is the left lung", "AB", ("lung", "left lung")) == 1


def test_unparsed_replies_are_wrong_and_counted_and_references_may_be_texts() -> None:
    texts = ("B", "no idea", "Lung")
    samples = [
        Sample(id=str(i), task="t", language="en", prompt="?", reference=r, options=ORGANS, letters=tuple("ABCD"))
        for i, r in enumerate(("B", "B", "lung"))
    ]
    scored = FAMILY.score(samples, [Reply(id=str(i), text=t) for i, t in enumerate(texts)], "lenient")
    assert [row.values["accuracy"] for row in scored] == [1.0, 0.0, 1.0]
    assert [row.parsed for row in scored] == [True, False, True]
