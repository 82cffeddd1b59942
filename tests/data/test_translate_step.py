"""Translation as a pure step: what is sent, what must not change, and how the critique loop ends."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from llm_records import record, turns
from llm_server import objects, translated

from bimedix2.data.llm.step import Answered, Ask, Outcome, Parked, PassedOver
from bimedix2.data.translate.checks import Fault, find_check
from bimedix2.data.translate.glossary import Glossary, Term, read_terms, read_tico19
from bimedix2.data.translate.outcome import in_audit, translated_id
from bimedix2.data.translate.parts import Parts, option_block
from bimedix2.data.translate.replies import Critique, CritiqueError, Translation
from bimedix2.data.translate.settings import TranslateSettings
from bimedix2.data.translate.step import Translate
from bimedix2.errors import ConfigError
from bimedix2.records import Record
from bimedix2.records.schema import Language

NO_AUDIT = TranslateSettings(audit_share=0.0)


def upper(parts: Parts) -> list[list[str]]:
    return [[f"<{text}>" for text in texts] for texts in parts.texts]


def test_options_letters_and_answers_stay_bound_together() -> None:
    item = record(
        "m:1:en",
        "Which one?\nA. Left lung\nB. Right lung\nC) Both\nChoose.",
        "B. Right lung\nIt is opaque.",
        task="mcq",
    )
    parts = Parts(item, "en")
    assert parts.texts == [["Which one?", "Left lung", "Right lung", "Both", "Choose."], ["It is opaque."]]
    question, answer = parts.rebuilt(upper(parts), "ar")
    assert question.text == "<Which one?>\nأ. <Left lung>\nب. <Right lung>\nج) <Both>\n<Choose.>"
    assert answer.text == "ب. <Right lung>\n<It is opaque.>"
    assert {turn.language for turn in (question, answer)} == {"ar"}


@pytest.mark.parametrize(
    ("answer", "sent", "shown"),
    [
        ("B", [], "ب"),
        ("(B)", [], "(ب)"),
        ("Right lung", [], "<Right lung>"),
        ("B: right lung, mostly", [["right lung, mostly"]], "ب: <right lung, mostly>"),
        ("A cyst.", [["A cyst."]], "<A cyst.>"),
        ("D. None", [["D. None"]], "<D. None>"),
    ],
)
def test_answers_to_a_choice(answer: str, sent: list[list[str]], shown: str) -> None:
    parts = Parts(record("m", "Which?\nA. Left lung\nB. Right lung", answer, task="mcq"), "en")
    assert parts.texts[1:] == sent
    assert parts.rebuilt(upper(parts), "ar")[1].text == shown


def test_arabic_options_become_latin_ones() -> None:
    item = record("m:ar", "أيهما؟\nأ. الرئة اليسرى\nب. الرئة اليمنى", "أ. الرئة اليسرى", language="ar", task="mcq")
    parts = Parts(item, "ar")
    question, answer = parts.rebuilt(upper(parts), "en")
    assert question.text == "<أيهما؟>\nA. <الرئة اليسرى>\nB. <الرئة اليمنى>"
    assert answer.text == "A. <الرئة اليسرى>"


def test_a_sentence_that_begins_like_an_option_is_no_option() -> None:
    assert option_block(["A. Left", "and so on"]) == (0, 0)
    assert option_block(["B. Left", "C. Right"]) == (0, 0)
    assert Parts(record("x", "A. Smith reports pain.", "Yes"), "en").texts == [["A. Smith reports pain."], ["Yes"]]


def test_images_white_space_and_turns_in_the_other_language_stay() -> None:
    item = record("x", "  What?\n", "A mass.", "وماذا أيضا؟", "لا شيء", images=2)
    mixed = msgspec.structs.replace(
        item, turns=(*item.turns[:2], *(msgspec.structs.replace(turn, language="ar") for turn in item.turns[2:]))
    )
    parts = Parts(mixed, "en")
    assert parts.texts == [["What?"], ["A mass."]]
    new = parts.rebuilt([["ما؟"], ["كتلة."]], "ar")
    assert [turn.text for turn in new] == ["  ما؟\n", "كتلة.", "وماذا أيضا؟", "لا شيء"]
    assert new[0].images == (0, 1)


def test_ids() -> None:
    assert translated_id("a:en", "ar") == "a:ar"
    assert translated_id("a:ar", "en") == "a:en"
    assert translated_id("a", "ar") == "a:ar"


class Model:
    """Answers the questions of a job from lists, as a script."""

    def __init__(self, translations: Sequence[Any] = (), critiques: Sequence[Critique] = ()) -> None:
        self.translations, self.critiques = list(translations), list(critiques)
        self.asked: list[Ask[Any]] = []

    def run(self, step: Translate, item: Record) -> Outcome:
        job = step.job(item, 0)
        try:
            ask = next(job)
            while True:
                self.asked.append(ask)
                ask = job.send(Answered(self.reply(ask), f"{ask.by}-model", f"key{len(self.asked)}", "2026-11-24"))
        except StopIteration as end:
            outcome: Outcome = end.value
            return outcome

    def reply(self, ask: Ask[Any]) -> Any:
        if ask.reply is Critique:
            return self.critiques.pop(0)
        if self.translations:
            return Translation(self.translations.pop(0))
        source = objects(ask.messages[1]["content"])[0]["turns"]
        more = " و" * len(self.asked)  # each version differs from the last
        return Translation([[translated(text, True) + more for text in texts] for texts in source])

    @property
    def stages(self) -> list[str]:
        return [ask.stage for ask in self.asked]


ITEM = record("s:1:en", "Is the heart enlarged?", "No, the heart is normal.", images=1, pair_id=None)


def test_a_good_translation_takes_one_call_of_each_model() -> None:
    model = Model([[["هل القلب متضخم؟"], ["لا، القلب طبيعي."]]], [Critique(92)])
    outcome = model.run(Translate(NO_AUDIT), ITEM)
    (new,) = outcome.records
    assert model.stages == ["translate", "critique0"]
    assert [ask.by for ask in model.asked] == ["writer", "critic"]
    assert outcome.review == ()
    assert (new.id, new.parent, new.pair_id) == ("s:1:ar", "s:1:en", "s:1:en")
    assert [turn.text for turn in new.turns] == ["هل القلب متضخم؟", "لا، القلب طبيعي."]
    assert (new.images, new.turns[0].images, new.licence, new.split) == (ITEM.images, (0,), "CC0-1.0", "train")
    ingest, step, judged = new.provenance
    assert (ingest.name, step.name, judged.name) == ("ingest", "translate", "critique")
    assert step.tool == "writer-model"
    assert step.version.startswith("translate.v1.en@")
    assert (step.date, "reply key1" in step.note, "en to ar" in step.note) == ("2026-11-24", True, True)
    assert (judged.tool, judged.note.startswith("score 92 of 100; 0 rounds back")) == ("critic-model", True)


def test_a_low_score_goes_back_with_the_critique_and_the_best_is_taken() -> None:
    bad, better = [["سيئ"], ["سيئ"]], [["جيد"], ["جيد"]]
    fault = CritiqueError("سيئ", "wrong term", "جيد")
    model = Model([bad, better], [Critique(60, [fault]), Critique(88)])
    outcome = model.run(Translate(NO_AUDIT), ITEM)
    assert model.stages == ["translate", "critique0", "revise1", "critique1"]
    sent = model.asked[2].messages[1]["content"]
    assert "- سيئ | wrong term | جيد" in sent
    assert json.dumps({"turns": bad}, ensure_ascii=False, separators=(",", ":")) in sent
    assert outcome.records[0].turns[0].text == "جيد"
    assert "score 88 of 100; 1 rounds back" in outcome.records[0].provenance[-1].note
    assert "revise.v1.en@" in outcome.records[0].provenance[-2].version


def test_rounds_are_bounded_the_best_version_goes_to_review_and_not_among_the_records() -> None:
    versions = [[["ا"], ["ا"]], [["ب"], ["ب"]], [["ج"], ["ج"]]]
    model = Model(versions, [Critique(50), Critique(80), Critique(70)])
    outcome = model.run(Translate(NO_AUDIT), ITEM)
    assert model.stages.count("critique0") + sum(stage.startswith("revise") for stage in model.stages) == 3
    assert outcome.records == ()
    (item,) = outcome.review
    assert (item.reason, item.score, item.record.turns[0].text) == ("low_score", 80, "ب")
    # The second revision started from the best version, the first.
    assert '"ب"' in model.asked[4].messages[1]["content"]


def test_a_critical_error_fails_whatever_the_score() -> None:
    model = Model(critiques=[Critique(99, critical=True), Critique(86)])
    outcome = model.run(Translate(NO_AUDIT), ITEM)
    assert model.stages == ["translate", "critique0", "revise1", "critique1"]
    assert len(outcome.records) == 1
    settings = msgspec.structs.replace(NO_AUDIT, rounds=0, keep_low=True)
    outcome = Model(critiques=[Critique(99, critical=True)]).run(Translate(settings), ITEM)
    assert [item.reason for item in outcome.review] == ["low_score"]
    assert len(outcome.records) == 1


def test_threshold_audit_and_originals_are_settings() -> None:
    settings = TranslateSettings(threshold=70, audit_share=1.0, with_originals=True)
    outcome = Model(critiques=[Critique(70)]).run(Translate(settings), ITEM)
    assert [(item.id, item.pair_id) for item in outcome.records] == [("s:1:en", "s:1:en"), ("s:1:ar", "s:1:en")]
    assert [(item.reason, item.score) for item in outcome.review] == [("audit", 70)]
    share = sum(in_audit(f"id{number}", 0.05, 0) for number in range(20_000)) / 20_000
    assert abs(share - 0.05) < 0.006  # four standard errors
    assert [in_audit("x", 0.5, seed) for seed in range(20)].count(True) not in (0, 20)


class Digits:
    """Fails a translation that holds other digits."""

    fingerprint = "digits"

    def __call__(self, source: str, translation: str, source_language: Language) -> list[Fault]:
        mine, theirs = ({c for c in text if c.isdigit()} for text in (source, translation))
        return [] if mine == theirs else [Fault("numbers", "digits differ", "الأرقام مختلفة")]


def test_failed_checks_go_back_once_with_the_findings() -> None:
    item = record("n", "Size?", "12 mm")
    wrong, right = [["الحجم؟"], ["13 مم"]], [["الحجم؟"], ["12 مم"]]
    settings = msgspec.structs.replace(NO_AUDIT, critique=False)
    model = Model([wrong, right])
    outcome = model.run(Translate(settings, check=Digits()), item)
    assert model.stages == ["translate", "recheck"]
    assert "- numbers: digits differ" in model.asked[1].messages[1]["content"]
    assert outcome.records[0].turns[1].text == "12 مم"
    model = Model([wrong, wrong])
    outcome = model.run(Translate(settings, check=Digits()), item)
    assert model.stages == ["translate", "recheck"]
    assert (outcome.records, [item.reason for item in outcome.review]) == ((), ["failed_checks"])
    arabic = msgspec.structs.replace(settings, prompt_language="ar")
    model = Model([wrong, right])
    model.run(Translate(arabic, check=Digits()), item)
    assert "- numbers: الأرقام مختلفة" in model.asked[1].messages[1]["content"]


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        ([["ا"]], "turns"),
        ([["ا"], ["ب", "ج"]], "[1, 2]"),
        ([["ا"], [" "]], "empty"),
        ([["Is the heart enlarged?"], ["No, the heart is normal."]], "not in Modern Standard Arabic"),
        ([["هل القلب متضخم؟"], ["لا، القلب طبيعي."]], ""),
    ],
)
def test_the_form_of_a_translation_is_checked(reply: list[list[str]], words: str) -> None:
    ask = next(Translate(NO_AUDIT).job(ITEM, 0))
    assert words in "; ".join(ask.problems(Translation(reply)))
    assert bool(ask.problems(Translation(reply))) is bool(words)


def test_an_abbreviation_may_stay() -> None:
    ask = next(Translate(NO_AUDIT).job(record("x", "Modality?", "MRI"), 0))
    assert not ask.problems(Translation([["نوع التصوير؟"], ["MRI"]]))


def test_arabic_to_english_with_arabic_instructions() -> None:
    item = record("s:2:ar", "هل القلب متضخم؟", "لا.", language="ar")
    step = Translate(msgspec.structs.replace(NO_AUDIT, target="en"))
    model = Model([[["Is the heart enlarged?"], ["No."]]], [Critique(90)])
    (new,) = model.run(step, item).records
    assert (new.id, new.turns[0].language) == ("s:2:en", "en")
    assert "ترجم كل سلسلة نصية أدناه من العربية الفصحى إلى الإنجليزية" in model.asked[0].messages[1]["content"]


def test_records_that_the_step_is_not_for() -> None:
    with pytest.raises(PassedOver, match="other_language"):
        next(Translate(NO_AUDIT).job(record("x", "ما هذا؟", "ورم", language="ar"), 0))
    closed = msgspec.structs.replace(ITEM, licence="CC-BY-ND-4.0")
    with pytest.raises(Parked, match="licence_no_derivatives"):
        next(Translate(NO_AUDIT).job(closed, 0))
    next(Translate(msgspec.structs.replace(NO_AUDIT, allow_no_derivatives=True)).job(closed, 0))


def test_the_estimate_has_the_calls_of_a_job() -> None:
    step = Translate(NO_AUDIT)
    calls = step.expected(ITEM)
    assert [(call.by, call.sure) for call in calls] == [
        ("writer", True), ("critic", True), ("writer", False), ("critic", False), ("writer", False), ("critic", False),
    ]  # fmt: skip
    model = Model(critiques=[Critique(10)] * 3)
    model.run(step, ITEM)
    assert len(model.asked) == len(calls)
    for ask, call in zip(model.asked[:1], calls, strict=False):
        assert call.prompt_bytes == sum(len(message["content"].encode()) for message in ask.messages)


TERMS = [
    Term("heart failure", "فشل القلب"), Term("heart", "القلب"), Term("CT", "تصوير مقطعي"), Term("mask", "كمامة"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "source", "found"),
    [
        ("Acute Heart  Failure and masks", "en", ["heart failure", "mask"]),
        ("The heart; the ct.", "en", ["heart", "CT"]),
        ("hearty factor", "en", []),
        ("بسبب فَشَل القلب", "ar", ["heart failure"]),
        ("ارتدى الكمامة", "ar", ["mask"]),
        ("", "en", []),
    ],
)
def test_terms_are_found_as_whole_words(text: str, source: Language, found: list[str]) -> None:
    assert [term.en for term in Glossary(TERMS).find([text], source)] == found


def test_terms_reach_the_model_and_change_the_fingerprint() -> None:
    step = Translate(NO_AUDIT, glossary=Glossary([Term("heart", "قلب")]))
    assert "heart = قلب" in next(step.job(ITEM, 0)).messages[1]["content"]
    assert step.fingerprint != Translate(NO_AUDIT).fingerprint
    assert "(none)" in next(Translate(NO_AUDIT).job(ITEM, 0)).messages[1]["content"]


def test_a_user_table_comes_first_and_must_name_its_columns(tmp_path: Path) -> None:
    path = tmp_path / "terms.csv"
    path.write_text("﻿en,ar,note\nheart,قلب,x\n,فارغ,\nliver,كبد|الكبد,\n", "utf-8")
    assert read_terms(path) == [Term("heart", "قلب"), Term("liver", "كبد")]
    assert Glossary([*read_terms(path), *TERMS]).find(["heart"], "en") == [Term("heart", "قلب")]
    path.write_text("a,b\n1,2\n", "utf-8")
    with pytest.raises(ConfigError, match="must name en and ar"):
        read_terms(path)
    path.write_bytes(b"en,ar\n\xff\xfe")
    with pytest.raises(ConfigError, match="UTF-8"):
        read_terms(path)


@pytest.mark.data
def test_tico19_terms(data_root: Path) -> None:
    terms = read_tico19(data_root / "tico19")
    assert 500 < len(terms) < 900
    glossary = Glossary(terms)
    found = glossary.find(["Patients with acute bronchitis and low blood pressure were isolated."], "en")
    assert {"acute bronchitis", "blood pressure"} <= {term.en for term in found}
    assert len(glossary.find([" ".join(term.en for term in terms)], "en")) == glossary.most


def test_turn_helper_is_valid() -> None:
    assert [turn.role for turn in turns("a", "b", "c", "d")] == ["user", "assistant", "user", "assistant"]


def test_a_translator_that_stands_by_its_version_is_not_asked_in_circles() -> None:
    same = [["هل القلب متضخم؟"], ["لا، القلب طبيعي."]]
    model = Model([same, same], [Critique(60)])
    outcome = model.run(Translate(NO_AUDIT), ITEM)
    assert model.stages == ["translate", "critique0", "revise1"]
    assert [item.reason for item in outcome.review] == ["low_score"]


@pytest.mark.parametrize(
    ("source", "good", "bad"),
    [
        ("A nodule of 12 mm is seen.", "تظهر عقيدة قطرها 12 مم.", "تظهر عقيدة قطرها 21 مم."),
        ("It is in the left lung.", "توجد في الرئة اليسرى.", "توجد في الرئة اليمنى."),
        ("There is no fracture.", "لا يوجد كسر.", "يوجد كسر."),
    ],
)
def test_the_packages_own_checks_send_a_translation_back(source: str, good: str, bad: str) -> None:
    item = record("own", "Finding?", source)
    settings = msgspec.structs.replace(NO_AUDIT, critique=False)
    model = Model([[["العلامة؟"], [bad]], [["العلامة؟"], [good]]])
    outcome = model.run(Translate(settings, check=find_check(wanted=True)), item)
    assert model.stages == ["translate", "recheck"]
    assert outcome.records[0].turns[1].text == good
    assert find_check(wanted=True).fingerprint == find_check(wanted=True).fingerprint != "none"


def test_the_packages_own_checks_work_from_arabic_too() -> None:
    item = record("own", "العلامة؟", "لا يوجد كسر في الرئة اليسرى.", language="ar")
    settings = msgspec.structs.replace(NO_AUDIT, critique=False, target="en")
    right = [["Finding?"], ["There is no fracture in the left lung."]]
    model = Model([[["Finding?"], ["There is a fracture in the right lung."]], right])
    outcome = model.run(Translate(settings, check=find_check(wanted=True)), item)
    assert model.stages == ["translate", "recheck"]
    assert outcome.records[0].turns[1].text == right[1][0]
    sent = model.asked[1].messages[1]["content"]
    assert "negation" in sent
    assert "laterality" in sent
