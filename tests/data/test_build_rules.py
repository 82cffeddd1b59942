"""Single rules of the line: held-out questions about shared images, language models, review, pairs, ids."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import build_files as bf
import msgspec
import pytest
from llm_server import LlmServer, serving
from source_files import Taken

from bimedix2.data.build.offsets import OffsetIndex
from bimedix2.data.build.same_question import leave_out_same_questions
from bimedix2.data.card import CardSettings, write_card
from bimedix2.errors import BiMediX2Error, DataError
from bimedix2.records import Record, read_jsonl, write_jsonl

TOOL = Path(__file__).resolve().parents[2] / "tools" / "review_script.py"


def asked(record: Record, question: str) -> Record:
    return msgspec.structs.replace(
        record, turns=(msgspec.structs.replace(record.turns[0], text=question), record.turns[1])
    )


def test_a_held_out_question_goes_only_with_its_own_image_and_takes_its_translations(tmp_path: Path) -> None:
    recipe = bf.write_set(tmp_path)
    data, mix = recipe.parent / "data", recipe.parent / "own.jsonl"
    first, second = (bf.pair(number)[0] for number in (1, 2))
    held = msgspec.structs.replace(asked(first, "WHAT does film 1 show, in the chest"), id="held:1", pair_id=None)
    elsewhere = asked(second, first.turns[0].text)  # the same words about another image
    records = [*read_jsonl(mix), msgspec.structs.replace(elsewhere, id="own:other", pair_id=None)]
    # A child of the translation goes too, though it asks something else.
    child = msgspec.structs.replace(asked(first, "And now?"), id="own:child", parent="own:1:ar", pair_id=None)
    write_jsonl(mix, [child, *records])
    assert leave_out_same_questions(mix, [held], data, tmp_path / "out.jsonl") == (26, 3)
    kept = {record.id for record in read_jsonl(tmp_path / "out.jsonl")}
    assert kept == {record.id for record in records} - {"own:1:en", "own:1:ar"}
    reasons = [json.loads(line) for line in (tmp_path / "out.quarantine.jsonl").read_bytes().splitlines()]
    assert {one["id"] for one in reasons} == {"own:1:en", "own:1:ar", "own:child"}
    assert all("held:1" in one["reason"] and "held:1" in one["reason_ar"] for one in reasons)


def test_records_are_found_by_id_wherever_they_stand(tmp_path: Path) -> None:
    records = [record for number in range(1, 40) for record in bf.pair(number)]
    write_jsonl(tmp_path / "r.jsonl", records)
    with OffsetIndex(tmp_path / "r.jsonl") as index:
        assert [index.get(record.id) for record in reversed(records)] == list(reversed(records))
        assert index.get("own:40:en") is None


def test_only_pairs_are_taken_where_asked_and_an_id_once(tmp_path: Path) -> None:
    recipe = bf.write_set(tmp_path)
    more = [bf.pair(1)[0], msgspec.structs.replace(bf.pair(50)[0], images=(), turns=bf.pair(50)[1].turns)]
    more[1] = msgspec.structs.replace(
        more[1], turns=tuple(msgspec.structs.replace(t, images=()) for t in more[1].turns)
    )
    write_jsonl(tmp_path / "more.jsonl", more)
    (done,) = bf.built(recipe, tmp_path / "out", "ingest.records=[own.jsonl, more.jsonl]", until="ingest")
    assert done.state["aside"] == {"duplicate_id": 1}
    assert done.state["rows"] == {"in": 42, "out": 41, "added": 0}


def test_a_number_of_films_of_each_class_is_chosen_by_hash(tmp_path: Path) -> None:
    root = bf.write_set(tmp_path).parent / "data"
    every = Taken("pneumoniamnist", root, ("train",))
    two = Taken("pneumoniamnist", root, ("train",), per_class="2")
    assert (len(every.records), len(two.records)) == (32, 16)
    assert set(two.ids()) < set(every.ids())
    answers = [record.turns[1].text for record in two.records if ":pneumonia:en" in record.id]
    assert sorted(answers) == ["No", "No", "Yes", "Yes"]
    with pytest.raises(BiMediX2Error, match="per_class"):
        Taken("pneumoniamnist", root, ("train",), per_class="two")


LLM = """
name: translated
ingest: {records: [english.jsonl]}
translate:
  {critique: false, checks: false, audit_share: 0.0, endpoint: {address: URL, model: writer, price_prompt: 1.0}}
check: {action: report, encoder: false}
"""


def test_translations_stand_after_their_originals_and_are_paid_once(tmp_path: Path) -> None:
    english = [bf.pair(number)[0] for number in range(1, 6)]
    done_before = bf.pair(6)  # has its Arabic already
    write_jsonl(tmp_path / "english.jsonl", [*english[:2], *done_before, *english[2:]])
    (tmp_path / "data").mkdir()
    with serving(LlmServer()) as server:
        (tmp_path / "r.yaml").write_text(LLM.replace("URL", server.url), encoding="utf-8")
        done = bf.built(tmp_path / "r.yaml", tmp_path / "out")
        asked_before = len(server.requests)
        (tmp_path / "out/03-translate/records.jsonl").unlink()  # the folder is damaged, the ledger is not
        again = bf.built(tmp_path / "r.yaml", tmp_path / "out")
        assert len(server.requests) == asked_before == 5
    assert [one.why for one in again] == ["kept", "files", "kept"]
    records = list(read_jsonl(tmp_path / "out/03-translate/records.jsonl"))
    numbers = [1, 1, 2, 2, 6, 6, 3, 3, 4, 4, 5, 5]
    assert [record.id.split(":")[1] for record in records] == [str(number) for number in numbers]
    assert [record.turns[0].language for record in records] == ["en", "ar"] * 6
    assert done[1].state["rows"] == {"in": 7, "out": 12, "added": 5}
    assert "writer" in done[1].state["details"]["translate"]["models"]["writer"]


def test_a_server_that_is_not_there_ends_the_build_and_keeps_what_came_before(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "english.jsonl", [bf.pair(1)[0]])
    (tmp_path / "data").mkdir()
    text = LLM.replace("URL", "http://127.0.0.1:9/v1").replace("price_prompt: 1.0", "retries: 0")
    (tmp_path / "r.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(BiMediX2Error):
        bf.built(tmp_path / "r.yaml", tmp_path / "out")
    assert (tmp_path / "out/01-ingest/step.json").is_file()
    assert not (tmp_path / "out/03-translate").exists()


REVIEW = """
name: reviewed
ingest: {records: [own.jsonl]}
check: {action: report, encoder: false}
review: {at_least: 5, lots_must_pass: false, unread: UNREAD, reviewers: WHO}
"""


def script() -> Any:
    spec = importlib.util.spec_from_file_location("review_script", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def reviewed(tmp_path: Path, who: str, unread: str) -> tuple[Any, list[Record]]:
    """Build until people are waited for, let the script go through the page, build on."""
    recipe = bf.write_set(tmp_path).with_name("review.yaml")
    recipe.write_text(REVIEW.replace("WHO", who).replace("UNREAD", unread), encoding="utf-8")
    with pytest.raises(DataError) as caught:
        bf.built(recipe, tmp_path / "out")
    assert caught.value.code == "review_waits"
    assert "bimedix2 data review serve" in caught.value.message_ar
    (workspace,) = (tmp_path / "out/review").iterdir()
    tool = script()
    with tool.served(workspace, tmp_path / "data", None) as pages:
        for _ in range(12):
            for name, page in pages.items():
                item = page.item()
                if item is not None:
                    tool.judge(page, item, name)
    assert tool.decided(workspace) == 12
    done = bf.built(recipe, tmp_path / "out")
    return done[-1], list(read_jsonl(tmp_path / "out/05-review/records.jsonl"))


def test_a_scripted_reviewer_changes_and_removes_nothing(tmp_path: Path) -> None:
    done, records = reviewed(tmp_path, "scripted", "keep")
    before = {record.id: record for record in read_jsonl(tmp_path / "own.jsonl")}
    assert {record.id: record.turns for record in records} == {name: one.turns for name, one in before.items()}
    assert done.state["listed"] == {"rejected_not_taken": 1}
    notes = [step.note for record in records for step in record.provenance if step.name == "review"]
    assert len(notes) == 11
    assert all("accepted by script-" in note for note in notes)
    assert done.state["details"]["reviewers"] == "scripted"
    english, arabic = card_of(tmp_path)
    assert "No person read these translations. A script went through the review page" in english
    assert "confidence" not in english
    assert "لم يقرأ أي إنسان هذه الترجمات" in arabic


def card_of(tmp_path: Path) -> tuple[str, str]:
    """Both halves of the card of what was built."""
    write_card(tmp_path / "out", tmp_path / "card.md", CardSettings(plots=False))
    english, arabic = (tmp_path / "card.md").read_text(encoding="utf-8").split('dir="rtl"')
    return english, arabic


def test_what_experts_reject_goes_with_its_reason(tmp_path: Path) -> None:
    done, records = reviewed(tmp_path, "experts", "keep")
    assert done.state["aside"] == {"review_rejected": 1}
    assert "own:3:ar" not in {record.id for record in records}
    english, arabic = card_of(tmp_path)
    assert "12 of 12 translations have a verdict (accept 11, edit 0, reject 1)." in english
    assert "own/vqa/xray: all 12 rows were read; 1 (8.33 %) have a critical fault." in english
    assert "قرئت كل الصفوف، وعددها 12" in arabic
    assert done.why == "new"
    assert [one.why for one in bf.built(tmp_path / "review.yaml", tmp_path / "out")] == ["kept"] * 3


def test_a_translation_that_was_held_back_comes_in_when_experts_accept_it(tmp_path: Path) -> None:
    """The critic's queue lies in the folder of the step translate; only its files matter to the review."""
    from bimedix2.data.build import review_step
    from bimedix2.data.build.job import Job
    from bimedix2.data.build.recipe import ReviewRecipe

    recipe = bf.write_set(tmp_path, 2)
    (english, arabic), (_, other) = bf.pair(1), bf.pair(2)
    write_jsonl(tmp_path / "source.jsonl", [english, bf.pair(2)[0], other])
    queue = tmp_path / "03-translate"
    queue.mkdir()
    line = {"record": msgspec.to_builtins(arabic), "reason": "low_score", "score": 60.0, "notes": []}
    (queue / "translate.review.jsonl").write_bytes(msgspec.json.encode(line) + b"\n")
    for who, wanted in (("experts", 4), ("scripted", 3)):
        folder = tmp_path / who
        folder.mkdir()
        settings = ReviewRecipe(at_least=2, lots_must_pass=False, unread="keep", reviewers=who)  # type: ignore[arg-type]
        job = Job(
            bf.place_of(recipe, tmp_path / "out"),
            settings,
            folder,
            tmp_path / "source.jsonl",
            {"translate": ({}, queue)},
        )
        if who == "experts":
            with pytest.raises(DataError):
                review_step.run(job)
            accept_all(tmp_path / "out/review", tmp_path / "data")
        outcome = review_step.run(job)
        assert (outcome.rows_in, outcome.rows_out, outcome.added) == (3, wanted, wanted - 3)
        assert (arabic.id in {record.id for record in read_jsonl(job.out)}) is (who == "experts")


def accept_all(reviews: Path, data: Path) -> None:
    tool, (workspace,) = script(), tuple(reviews.iterdir())
    with tool.served(workspace, data, None) as pages:
        for name, page in [*pages.items()] * 2:
            while (item := page.item()) is not None:
                page.say(item=item["number"], action="accept", key=f"{name}-{item['number']}")
