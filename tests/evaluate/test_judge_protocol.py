"""What a judge is asked, and what its answers in both orders are worth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from mbench_files import FILES, row, write_mbench

from bimedix2.errors import ConfigError, RecordError
from bimedix2.evaluate.families.judged import FAMILY
from bimedix2.evaluate.families.uphill import FAMILY as UPHILL
from bimedix2.evaluate.judge.protocols import MODEL_FIRST, ORIGINAL, REFERENCE_FIRST, mention_texts
from bimedix2.evaluate.judge.wording import digest, read_wording, wording
from bimedix2.evaluate.registry import all_tasks
from bimedix2.evaluate.report.published import published
from bimedix2.evaluate.schema import Reply, Sample, Verdict

TASK = all_tasks()["bimed_mbench"]


def item(language: Any = "en", **group: str) -> Sample:
    return Sample(id="1", task="t", language=language, prompt="?", reference="R", group=group)


def judged(*verdicts: Verdict, mode: str = "fixed", sample: Sample | None = None) -> Any:
    (scored,) = FAMILY.score([sample or item()], [Reply(id="1", text="M", verdicts=verdicts)], mode)
    return scored


def both(first: str, second: str) -> tuple[Verdict, Verdict]:
    return Verdict(question=REFERENCE_FIRST, text=first), Verdict(question=MODEL_FIRST, text=second)


def test_scores_are_averaged_over_the_orders_before_they_are_divided() -> None:
    # Reference first: 8 to 6. Model first: 9 for the model, 4 for the reference. (6 + 9) / (8 + 4) = 1.25,
    # where the mean of the two ratios would be (0.75 + 2.25) / 2 = 1.5.
    scored = judged(*both("8 6", "9 4"))
    assert scored.values["relative_score"] == 1.25
    assert (scored.values["model_score"], scored.values["reference_score"]) == (7.5, 6.0)
    assert scored.values["order_agreement"] == 0.0  # each time the first one won
    assert scored.values["first_place"] == 3.5  # leads of 2 and 5 for the first place
    assert judged(*both("8 6", "5 9")).values["order_agreement"] == 1.0


def test_a_liking_for_the_first_place_cancels_out_in_fixed_and_not_in_original() -> None:
    biased = "9 5\nThe first one is better."
    assert judged(*both(biased, biased)).values["relative_score"] == 1.0
    assert judged(*both(biased, biased)).values["first_place"] == 4.0
    original = judged(Verdict(question=ORIGINAL, text=biased), mode="original")
    assert original.values["relative_score"] == pytest.approx(5 / 9)


def test_repeats_are_averaged_and_compared() -> None:
    repeated = [Verdict(question=REFERENCE_FIRST, repeat=i, text=text) for i, text in enumerate(("8 6", "6 8", "?"))]
    scored = judged(*repeated, Verdict(question=MODEL_FIRST, text="7 7"))
    assert scored.values["relative_score"] == 1.0  # (7 + 7) / (7 + 7); the third repeat has no scores
    assert scored.values["repeat_agreement"] == 0.0
    assert scored.parsed
    report = FAMILY.judging([], [Reply(id="1", verdicts=tuple(repeated))], [scored], "fixed", configured=True)
    assert (report["verdicts"], report["unparsed_verdicts"], report["missing"]) == (3, 1, 1)
    assert report["parse_fail_rate"] == pytest.approx(1 / 3)


def test_an_order_without_scores_or_a_reference_score_of_0_is_not_parsed() -> None:
    for pair in (("8 6", "good"), ("0 5", "5 0")):
        scored = judged(*both(*pair))
        assert not scored.parsed
        assert scored.values["relative_score"] is None


def test_without_verdicts_there_is_a_reason_and_no_figure() -> None:
    replies = [Reply(id="1", text="M")]
    for family in (FAMILY, UPHILL):
        (scored,) = family.score([item()], replies, "original")
        assert set(scored.values.values()) == {None}
        english, arabic = family.unjudged(replies, "original")[family.headline]
        assert english.startswith("judge missing")
        assert "محكم" in arabic
    one_order = [Reply(id="1", verdicts=(Verdict(question=REFERENCE_FIRST, scores=(8, 6)),))]
    assert FAMILY.unjudged(one_order, "fixed")["relative_score"][0].startswith("only verdicts of one order")


def test_original_questions_keep_the_protocol_and_its_quirks(tmp_path: Path) -> None:
    write_mbench(tmp_path)
    english, arabic = (next(TASK.samples(tmp_path, language, "test")) for language in ("en", "ar"))
    (question,) = FAMILY.questions(english, Reply(id="0", text="An effusion."), "original", wording())
    text = question.messages[1]["content"]
    assert str(row(0, "en")["in_text_mention"]) in text  # a Python list, quotes and braces included
    places = [text.index(part) for part in ("Figure 1: Chest film 0", "What does item 0 show?", "Reference 0",
                                            "An effusion.", "from 1 to 10")]  # fmt: skip
    assert places == sorted(places)
    assert "Moders Standard Arabic" not in text
    assert "<image>" not in text
    (question,) = FAMILY.questions(arabic, Reply(id="0", text="انصباب."), "original", wording())
    text = question.messages[1]["content"]
    assert text.count("'Moders Standard Arabic'") == 2
    assert "Deduct" in text
    assert "الشكل 1: صورة صدر 0 فيها انصباب." in text


def test_fixed_questions_come_in_both_orders_and_the_items_language(tmp_path: Path) -> None:
    write_mbench(tmp_path)
    arabic = next(TASK.samples(tmp_path, "ar", "test"))
    first, second = FAMILY.questions(arabic, Reply(id="0", text="إجابة النموذج"), "fixed", wording())
    assert (first.name, second.name) == (REFERENCE_FIRST, MODEL_FIRST)
    a, b = (question.messages[1]["content"] for question in (first, second))
    assert a.index("المرجع 0") < a.index("إجابة النموذج")
    assert b.index("المرجع 0") > b.index("إجابة النموذج")
    assert "- تظهر الصورة انصبابا (الشكل 0)." in a
    assert "tokens" not in a
    assert not any("a" <= mark <= "z" for mark in (a + first.messages[0]["content"]).lower())
    english = next(TASK.samples(tmp_path, "en", "test"))
    a = FAMILY.questions(english, Reply(id="0", text="x"), "fixed", wording())[0].messages[1]["content"]
    assert "[Assistant 1]\nReference 0" in a


def test_mentions_in_every_shape() -> None:
    assert mention_texts([{"tokens": ["See", "figure", "1"]}, "plain", {"entities": []}, ""]) == [
        "See figure 1",
        "plain",
    ]


def test_task_reads_both_files_and_no_item_loses_its_group(tmp_path: Path) -> None:
    write_mbench(tmp_path)
    english, arabic = (list(TASK.samples(tmp_path, language, "test")) for language in TASK.languages)
    assert [sample.id for sample in english] == [sample.id for sample in arabic]
    assert [sample.group["type"] for sample in english] == [sample.group["type"] for sample in arabic]
    # The first flag in the order chest X-ray, MRI, histology, gross, CT decides.
    assert {s.group["type"]: s.group["domain"] for s in english} == {
        "conversation": "chest_xray",
        "detailed_description": "histology",
    }
    assert (arabic[6].group["type_in_file"], arabic[6].cluster) == ("وصف تفصيلي", "figure2")
    assert (tmp_path / arabic[6].images[0]).is_file()
    replies = [Reply(id=sample.id) for sample in arabic]
    fixed, original = (FAMILY.score(arabic, replies, mode) for mode in ("fixed", "original"))
    assert sum(row.group["type"] == "detailed_description" for row in fixed) == 6
    assert sum(row.group["type"] == "detailed_description" for row in original) == 2
    notes = FAMILY.judging(arabic, replies, original, "original", configured=False)["notes"]
    assert [line["en"].partition(", which is a group of its own")[0] for line in notes] == [
        "1 items have the type 'شرح'",
        "2 items have the type 'وصف تفصيلي'",
        "1 items have the type 'وصف مفصل'",
    ]
    assert "مجموعة مستقلة" in notes[0]["ar"]
    assert FAMILY.judging(arabic, replies, fixed, "fixed", configured=False)["notes"] == []


def test_without_the_english_file_known_translations_are_read_and_others_get_a_group(tmp_path: Path) -> None:
    write_mbench(tmp_path)
    (tmp_path / "bimed_mbench" / FILES["en"]).unlink()
    arabic = list(TASK.samples(tmp_path, "ar", "test"))
    assert [sample.group["type"] for sample in arabic[6:]] == [
        *["detailed_description"] * 4,
        "شرح",
        "detailed_description",
    ]
    scored = FAMILY.score(arabic, [Reply(id=sample.id) for sample in arabic], "fixed")
    (line,) = FAMILY.judging(arabic, [], scored, "fixed", configured=False)["notes"]
    assert "'شرح'" in line["en"]


def test_bad_rows_are_named_and_leave_the_others(tmp_path: Path) -> None:
    write_mbench(tmp_path)
    path = tmp_path / "bimed_mbench" / FILES["en"]
    rows = [row(0, "en"), {**row(1, "en"), "domain": None}, {**row(2, "en"), "gpt4_answer": ""}]
    path.write_text("\n".join(json.dumps(content) for content in rows))
    bad: list[RecordError] = []
    assert [sample.id for sample in TASK.samples(tmp_path, "en", "test", bad)] == ["0"]
    assert [(error.row, error.field) for error in bad] == [(2, "domain"), (3, "gpt4_answer")]
    with pytest.raises(RecordError, match=r"qa\.jsonl, row 0, field file: not found"):
        list(TASK.samples(tmp_path / "elsewhere", "en", "test"))


def test_published_columns_are_groups_that_results_have() -> None:
    tables = {table.id: table for table in published().tables if table.family == "judged"}
    assert tables.keys() == {"3", "4"}
    for table in tables.values():
        assert {column.task for column in table.columns} == {TASK.name}
        assert {column.metric for column in table.columns} == {FAMILY.headline}
        assert table.mode in FAMILY.modes


def test_a_user_can_put_the_exact_words_of_a_protocol(tmp_path: Path) -> None:
    path = tmp_path / "texts.json"
    path.write_text(json.dumps({"comparison_original_ar": "كلمات أخرى"}), encoding="utf-8")
    texts = read_wording(path)
    (question,) = FAMILY.questions(item("ar"), Reply(id="1", text="x"), "original", texts)
    assert "كلمات أخرى" in question.messages[1]["content"]
    assert digest(texts) != digest(wording())
    path.write_text('{"comparison": "x"}')
    with pytest.raises(ConfigError, match="no protocol uses the text 'comparison'"):
        read_wording(path)
    path.write_text("[]")
    with pytest.raises(ConfigError, match="not a JSON object of texts"):
        read_wording(path)
