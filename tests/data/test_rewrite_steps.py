"""The rewriting kinds as pure steps, then each over the wire in both languages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from llm_records import record
from llm_server import LlmServer, Request, serving

from bimedix2.cli.data_rewrite import Kind
from bimedix2.data.llm.settings import Server
from bimedix2.data.llm.step import Answered, Ask, Parked, PassedOver
from bimedix2.data.llm.workspace import Work, run_work
from bimedix2.data.rewrite import KINDS, RewriteSettings
from bimedix2.data.rewrite._common import numbers_of, sides_of
from bimedix2.data.rewrite.expand import answer_problems
from bimedix2.records import Record, read_records, write_jsonl

CAPTION = record(
    "c:1:en", "Describe the image.", "Axial CT with a 12 mm nodule in the left lung.", task="caption", images=2
)
CAPTION_AR = record(
    "c:1:ar", "صف الصورة.", "مقطع محوري مع عقيدة قطرها 12 مم في الرئة اليسرى.", task="caption", images=1, language="ar"
)  # fmt: skip
SHORT = record("q:1:en", "Is there a fracture?", "Yes", "Which side?", "left femur", images=1)
SHORT_AR = record("q:1:ar", "هل يوجد كسر؟", "نعم", images=1, language="ar")
CHOICE = record("m:1:en", "Which drug?\nA. Aspirin\nB. Heparin\nC. Insulin\nD. Iron", "B. Heparin", task="mcq")
CHOICE_AR = record("m:1:ar", "أي دواء؟\nأ. أسبرين\nب. هيبارين", "ب. هيبارين", task="mcq", language="ar")


def ask(kind: str, item: Record, **settings: Any) -> Ask[Any]:
    question: Ask[Any] = next(KINDS[kind](RewriteSettings(**settings)).job(item, 0))
    return question


def made(kind: str, item: Record, value: Any, variant: int = 0) -> tuple[Record, ...]:
    job = KINDS[kind]().job(item, variant)
    question = next(job)
    reply = msgspec.convert(value, question.reply)
    assert not question.problems(reply), question.problems(reply)
    try:
        job.send(Answered(reply, "llama", "key", "2026-11-24"))
    except StopIteration as end:
        records: tuple[Record, ...] = end.value.records
        return records
    raise AssertionError("asked twice")


def problems(kind: str, item: Record, value: Any) -> str:
    question = ask(kind, item)
    return "; ".join(question.problems(msgspec.convert(value, question.reply)))


DIALOGUE = {
    "exchanges": [
        {"question": "What kind of image is this?", "answer": "It is an axial CT."},
        {"question": "What is abnormal?", "answer": "There is a nodule of 12 mm in the left lung."},
    ]
}


def test_a_caption_becomes_a_dialogue() -> None:
    (new,) = made("dialogue", CAPTION, DIALOGUE)
    assert (new.id, new.parent, new.task, new.pair_id) == ("c:1:dialogue:en", "c:1:en", "dialogue", None)
    assert [turn.role for turn in new.turns] == ["user", "assistant"] * 2
    assert [turn.images for turn in new.turns] == [(0, 1), (), (), ()]
    step = new.provenance[-1]
    assert (step.name, step.tool, step.date, step.note) == ("rewrite:dialogue", "llama", "2026-11-24", "reply key")
    assert step.version.startswith("dialogue.v1.en@")
    assert made("dialogue", CAPTION, DIALOGUE, variant=2)[0].id == "c:1:dialogue~2:en"
    assert "conversation of 7 questions" in ask("dialogue", CAPTION, exchanges=7).messages[1]["content"]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("The nodule measures 15 mm.", "number 15"),
        ("It lies in the right lung.", "side 'right'"),
        ("As the caption says, it is a nodule.", "caption"),
        ("I'm sorry, I cannot determine that.", "declines"),
        ("هناك عقيدة", "not in English"),
        (" ", "empty"),
        ("It is right to call this a nodule.", "side 'right'"),  # cautious: told to the model, not thrown away
        ("A nodule; nothing else is left untreated.", ""),
    ],
)
def test_invented_facts_in_a_dialogue_are_told_to_the_model(answer: str, words: str) -> None:
    value = {"exchanges": [DIALOGUE["exchanges"][0], {"question": "What else?", "answer": answer}]}
    found = problems("dialogue", CAPTION, value)
    assert words in found
    assert bool(found) is bool(words)


def test_an_arabic_caption_is_handled_in_arabic() -> None:
    question = ask("dialogue", CAPTION_AR)
    assert "أجب بالعربية الفصحى" in question.messages[1]["content"]
    pair = {"question": "ما نوع الصورة؟", "answer": "مقطع محوري للرئة."}
    wrong = {"question": "أين العقيدة؟", "answer": "في الرئة اليمنى وقطرها ١٣ مم."}
    found = problems("dialogue", CAPTION_AR, {"exchanges": [pair, wrong]})
    assert "الجهة 'أيمن' ليست في المادة" in found
    assert "العدد 13 ليس في المادة" in found
    right = {"question": "أين العقيدة؟", "answer": "في الرئة اليسرى وقطرها ١٢ مم."}
    assert made("dialogue", CAPTION_AR, {"exchanges": [pair, right]})[0].id == "c:1:dialogue:ar"


def test_short_answers_become_full_ones_and_long_ones_stay() -> None:
    long = "There is a long oblique fracture line through the shaft."
    item = msgspec.structs.replace(
        SHORT, turns=(*SHORT.turns, msgspec.structs.replace(SHORT.turns[2], text="More?"),
                      msgspec.structs.replace(SHORT.turns[3], text=long)),
    )  # fmt: skip
    full = ["Yes, there is a fracture.", "It is in the left femur."]
    (new,) = made("expand", item, {"answers": full})
    assert [turn.text for turn in new.turns if turn.role == "assistant"] == [*full, long]
    assert new.turns[0].images == (0,)
    assert (new.task, new.id) == ("vqa", "q:1:expand:en")


@pytest.mark.parametrize(
    ("question", "answer", "full", "words"),
    [
        ("Fracture?", "Yes", "No, there is none.", "begin with 'Yes'"),
        ("Fracture?", "no", "There is no fracture.", "begin with 'No'"),
        ("Fracture?", "no", "No fracture is seen.", ""),
        ("Size?", "2.5 cm", "It measures 25 cm.", "number 25"),
        ("Size?", "2.50 cm", "It measures 2.5 cm.", ""),
        ("Part?", "chest", "Chest", "no whole sentence"),
        ("Size?", "3 cm", "It is small.", "number 3 of the short answer is missing"),
        ("Side?", "left", "It lies in the right lung.", "side 'left'"),
        ("Where in the right lung?", "upper lobe", "It is in the right upper lobe.", ""),
    ],
)
def test_a_full_answer_must_say_what_the_short_one_says(question: str, answer: str, full: str, words: str) -> None:
    short = answer if answer != "left" else "on the left side"
    found = "; ".join(answer_problems(1, question, short, full, "en"))
    assert words in found
    assert bool(found) is bool(words)


@pytest.mark.parametrize(
    ("answer", "full", "words"),
    [
        ("نعم", "نعم، يوجد كسر.", ""),
        ("لا", "لا يوجد كسر في الصورة.", ""),
        ("لا", "نعم، يوجد كسر.", "يجب أن يبدأ"),
        ("الجهة اليسرى", "الكسر في الجهة اليمنى.", "الجهة 'أيسر'"),
        ("٣ سم", "قطرها 3 سم.", ""),
        ("٣ سم", "قطرها 4 سم.", "العدد 4"),
        ("ورم", "It is a mass.", "ليس بالعربية"),
    ],
)
def test_full_answers_in_arabic(answer: str, full: str, words: str) -> None:
    found = "; ".join(answer_problems(1, "ما هذا؟", answer, full, "ar"))
    assert words in found
    assert bool(found) is bool(words)


def test_numbers_and_sides() -> None:
    assert numbers_of("1,200 mL and 2.50 mg, ٣٫٥ سم; T2.") == {"1200", "2.5", "3.5", "2"}
    assert sides_of("the left lung; bilateral effusion", "en") == {"left", "bilateral"}
    assert sides_of("في الجانبين وفي الرئة اليُسرى", "ar") >= {"ثنائي الجانب"}


ITEMS = {
    "items": [
        {"kind": "closed", "question": "Is there a nodule?", "answer": "Yes", "options": []},
        {"kind": "open", "question": "Where is the nodule?", "answer": "left lung", "options": []},
        {
            "kind": "choice",
            "question": "What is the modality?",
            "answer": "CT",
            "options": ["CT", "MRI", "Ultrasound", "X-ray"],
        },
    ]
}


def test_questions_are_written_from_a_caption() -> None:
    one, two, three = made("vqa", CAPTION, ITEMS)
    assert [item.task for item in (one, two, three)] == ["vqa", "vqa", "mcq"]
    assert [item.id for item in (one, two, three)] == ["c:1:vqa0:en", "c:1:vqa1:en", "c:1:vqa2:en"]
    assert (one.turns[0].images, two.turns[1].text) == ((0, 1), "left lung")
    question, *options = three.turns[0].text.split("\n")
    assert question == "What is the modality?"
    assert sorted(option[3:] for option in options) == ["CT", "MRI", "Ultrasound", "X-ray"]
    assert [option[:3] for option in options] == ["A. ", "B. ", "C. ", "D. "]
    assert three.turns[1].text in options
    assert three.turns[1].text.endswith("CT")


def test_the_right_option_is_not_always_first() -> None:
    places = set()
    for number in range(12):
        item = msgspec.structs.replace(CAPTION, id=f"c:{number}:en")
        places.add(made("vqa", item, ITEMS)[2].turns[1].text[0])
    assert len(places) > 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kind": "riddle"}, "choose closed, open or choice"),
        ({"kind": "closed", "answer": "maybe"}, "not yes or no"),
        ({"kind": "choice", "options": ["a", "b"]}, "four different options"),
        ({"kind": "choice", "answer": "x", "options": ["a", "b", "c", "d"]}, "four different options"),
        ({"kind": "choice", "answer": "a", "options": ["a", "a", "c", "d"]}, "four different options"),
        ({"kind": "open", "answer": "7 mm"}, "number 7"),
        ({"question": "Is there a nodule?"}, "twice"),
    ],
)
def test_questions_of_the_wrong_form(change: dict[str, Any], words: str) -> None:
    first, second, _ = ITEMS["items"]
    assert words in problems("vqa", CAPTION, {"items": [first, {**second, **change}]})


def test_an_explanation_is_put_under_the_answer() -> None:
    question = ask("explain", CHOICE, sentences=2)
    assert "Explain in 2 sentences" in question.messages[1]["content"]
    assert "Key: B. Heparin" in question.messages[1]["content"]
    (new,) = made("explain", CHOICE, {"answer": "B", "explanation": "Heparin binds antithrombin."})
    assert new.turns[-1].text == "B. Heparin\n\nHeparin binds antithrombin."
    assert (new.task, new.parent) == ("mcq", "m:1:en")
    (new,) = made("explain", CHOICE_AR, {"answer": "ب", "explanation": "يرتبط الهيبارين بمضاد الثرومبين."})
    assert new.turns[-1].text.startswith("ب. هيبارين\n\nيرتبط")
    with pytest.raises(PassedOver):
        ask("explain", new)  # it has its explanation


def test_a_model_that_disagrees_with_the_key_parks_the_row() -> None:
    with pytest.raises(Parked, match="disagrees_with_key") as caught:
        made("explain", CHOICE, {"answer": "A", "explanation": "Aspirin is the drug."})
    assert "جواب النموذج" in caught.value.detail_ar


@pytest.mark.parametrize(
    ("kind", "item"),
    [("dialogue", SHORT), ("dialogue", CHOICE), ("expand", CAPTION), ("vqa", SHORT), ("explain", SHORT)],
)
def test_kinds_pass_over_what_they_are_not_for(kind: str, item: Record) -> None:
    with pytest.raises(PassedOver):
        ask(kind, item)


def test_a_licence_without_derivatives_is_respected() -> None:
    closed = msgspec.structs.replace(CAPTION, licence="CC BY-NC-ND 4.0")
    with pytest.raises(Parked, match="licence_no_derivatives"):
        ask("dialogue", closed)
    ask("dialogue", closed, allow_no_derivatives=True)


def test_the_command_has_every_kind() -> None:
    assert {kind.value for kind in Kind} == set(KINDS)


def model(request: Request) -> str:
    """Good replies in the language of the prompt."""
    user, arabic = request.body["messages"][1]["content"], "أجب بالعربية" in request.body["messages"][1]["content"]
    if '"exchanges"' in user:
        pairs = [("ما هذه الصورة؟", "مقطع محوري."), ("أين العقيدة؟", "في الرئة اليسرى.")]
        pairs = pairs if arabic else [(e["question"], e["answer"]) for e in DIALOGUE["exchanges"]]
        return json.dumps({"exchanges": [{"question": question, "answer": text} for question, text in pairs]})
    if '"answers"' in user:
        return json.dumps({"answers": ["نعم، يوجد كسر."] if arabic else ["Yes, there is one.", "In the left femur."]})
    if '"explanation"' in user:
        given = ("ب", "يمنع الهيبارين التجلط.") if arabic else ("B", "Heparin stops clotting.")
        return json.dumps({"answer": given[0], "explanation": given[1]})
    item = {"kind": "closed", "question": "هل توجد عقيدة؟", "answer": "نعم", "options": []}
    return json.dumps({"items": [item]} if arabic else ITEMS)


@pytest.mark.parametrize(("kind", "count"), [("dialogue", 2), ("expand", 2), ("vqa", 4), ("explain", 2)])
def test_each_kind_over_the_wire_in_both_languages(tmp_path: Path, kind: str, count: int) -> None:
    write_jsonl(tmp_path / "in.jsonl", [CAPTION, CAPTION_AR, SHORT, SHORT_AR, CHOICE, CHOICE_AR])
    with serving(LlmServer(model)) as server:
        target = Server(address=server.url, model="llama", timeout_s=20.0)
        work = Work(
            KINDS[kind](), [tmp_path / "in.jsonl"], tmp_path / "out.jsonl", tmp_path / "work", {"writer": target}
        )
        summary, error = run_work(work)
        again, _ = run_work(work)
    assert error is None
    assert (summary.records, summary.requests, sum(summary.passed_over.values())) == (count, 2, 4)
    assert (again.records, again.requests) == (count, 0)
    found = list(read_records(tmp_path / "out.jsonl"))
    assert {item.turns[-1].language for item in found} == {"en", "ar"}
    assert len(server.requests) == 2
