"""What is read from a judge's reply: the original scripts' readings from their output, the rest by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bimedix2.evaluate.families.judged import FAMILY
from bimedix2.evaluate.judge.labels import Label, lenient_label, original_label
from bimedix2.evaluate.judge.scores import lenient_scores, original_scores
from bimedix2.evaluate.schema import Reply, Sample, Verdict
from bimedix2.evaluate.scoring import _by_group
from bimedix2.evaluate.statistics import summarize
from bimedix2.evaluate.tasks.bimed_mbench import DOMAINS

UPSTREAM = json.loads((Path(__file__).parent / "golden" / "upstream.json").read_text(encoding="utf-8"))
JUDGE = UPSTREAM["llava_med_judge"]


def test_relative_scores_are_those_of_the_original_summary() -> None:
    samples, replies = [], []
    for row in JUDGE["rows"] * 5:  # categories are reported from five items on
        domain = next(name for name in DOMAINS if row["domain"][name])
        name = str(len(samples))
        group = {"type": row["type"], "domain": domain}
        samples.append(Sample(id=name, task="t", language="en", prompt="?", reference="r", group=group))
        replies.append(Reply(id=name, verdicts=(Verdict(question="original", text=row["judge_reply"]),)))
    scored = FAMILY.score(samples, replies, "original")
    found = {"overall": {"metrics": {k: v._asdict() for k, v in summarize(scored).items()}}}
    found |= {name.partition("=")[2]: part for name, part in _by_group(scored, FAMILY, 0).items()}
    assert found.keys() == JUDGE["summary"].keys()
    for name, wanted in JUDGE["summary"].items():
        metrics = found[name]["metrics"]
        assert metrics["relative_score"]["value"] * 100 == pytest.approx(wanted["relative_score"], abs=1e-9)
        for metric in ("model_score", "reference_score"):
            assert metrics[metric]["value"] == pytest.approx(wanted[metric], abs=1e-9)
        assert metrics["relative_score"]["n"] == wanted["n"] * 5


def test_what_stops_the_original_summary_is_not_parsed() -> None:
    for text in JUDGE["original_parser_on_odd_replies"]:
        reply = Reply(id="1", verdicts=(Verdict(question="original", text=f"{text}\nwhy"),))
        sample = Sample(id="1", task="t", language="en", prompt="?", reference="r")
        (scored,) = FAMILY.score([sample], [reply], "original")
        # A blank line in front is stripped from the whole reply before the original stores it.
        read = text == "\n8 6"
        assert (scored.parsed, scored.values["relative_score"]) == ((True, 0.75) if read else (False, None)), text
        assert original_scores(text) == ((0.0, 5.0) if text == "0 5" else None)
        assert lenient_scores(text) == ((0.0, 5.0) if text == "0 5" else (8.0, 6.0))


@pytest.mark.parametrize(
    ("text", "scores"),
    [
        ("8 6", (8, 6)),
        ("8.5, 6", (8.5, 6)),
        ("8 and 6", (8, 6)),
        ("8/10, 6/10", (8, 6)),
        ("8 out of 10 and 6 out of 10", (8, 6)),
        ("**8 6**\nThe second is short.", (8, 6)),
        ("8\n6\nBoth are right.", (8, 6)),
        ("Here are the scores:\n\n8 6", (8, 6)),
        ("Scores: 8, 6", (8, 6)),
        ("Assistant 1: 8\nAssistant 2: 6", (8, 6)),
        ("**Assistant 1:** 8/10\n**Assistant 2:** 6.5/10", (8, 6.5)),
        ("Assistant 1 gets 8 and Assistant 2 gets 6", (8, 6)),
        ("Assistant 1: 10\nAssistant 2: 9", (10, 9)),
        ("<think>perhaps 9 9</think>\n8 6", (8, 6)),
        ('{"assistant_2": 6, "assistant_1": 8}', (8, 6)),
        ('```json\n{"scores": [8, 6], "why": "short"}\n```', (8, 6)),
        ('{"score_1": 8, "score_2": "6/10", "why": ""}', (8, 6)),
        ('{"Assistant 1": {"score": 8}, "Assistant 2": {"score": 6}}', (8, 6)),
        ("[8, 6]", (8, 6)),
        ("٨ ٦", (8, 6)),
        ("٨٫٥ ٦\nالإجابة الثانية أقصر.", (8.5, 6)),
        ("الدرجات: ٨ و٦", (8, 6)),
        ("المساعد 1: 8\nالمساعد 2: 6", (8, 6)),
        ("المساعد الأول: ٩/١٠، المساعد الثاني: ٧/١٠", (9, 7)),
        ("٨ من ١٠، ٦ من ١٠", (8, 6)),
        ("", None),
        ("Both answers are good.", None),
        ("كلتا الإجابتين جيدة.", None),
        ("There are 2 nodules in 3 lobes.", None),
        ("8 7 6", None),
        ("85 70", None),
        ("{" * 100_000, None),
        ("[" * 100_000 + "]" * 100_000, None),
    ],
)
def test_lenient_reader_of_scores(text: str, scores: tuple[float, float] | None) -> None:
    assert lenient_scores(text) == scores


def test_original_labels_are_those_of_the_original_script() -> None:
    for case in UPSTREAM["uphill"]["judge_reply_parse"]:
        wanted = None if case["label"] == "UnboundLocalError" else case["label"]
        assert original_label(case["reply"]) == wanted, case


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ('{"reasoning": "It may disagree.", "agreement": "agree"}', "agree"),
        ('```json\n{"agreement": "Disagree"}\n```', "disagree"),
        ('{"reasoning": "bad "quote" here", "agreement": "Neutral"}', "neutral"),
        ("agreement: Agree\nSome would disagree.", "agree"),
        ("I think it is Agree", "agree"),
        ("The evidence neither agrees nor disagrees.", "neutral"),
        ("It does not agree.", None),
        ("It agrees, or it disagrees.", None),
        ("I cannot tell.", None),
        ("", None),
        ('{"agreement": null}', None),
        ('{"reasoning": "س", "agreement": "يوافق"}', "agree"),
        ('{"agreement": "يخالف"}', "disagree"),
        ("الحكم: محايد", "neutral"),
        ("الرد لا يتفق مع الادعاء", "disagree"),
        ("الأدلة تتفق مع النص", "agree"),
        ("لا يوافق ولا يخالف", "neutral"),
        ("لا يخالف الادعاء", None),
        ("لا أستطيع التحديد", None),
    ],
)
def test_lenient_reader_of_labels(text: str, label: Label | None) -> None:
    assert lenient_label(text) == label
