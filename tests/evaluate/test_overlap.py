"""Planted leaks are found in both languages, what only looks like one is not."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import msgspec
import pytest
from PIL import Image
from test_overlap_images import drawing

from bimedix2.errors import ConfigError
from bimedix2.evaluate.overlap import questions
from bimedix2.evaluate.overlap.check import Overlap, check
from bimedix2.evaluate.overlap.items import Asked, record_items, sample_item
from bimedix2.evaluate.overlap.questions import Coverage, nearest
from bimedix2.evaluate.overlap.sources import training_tasks
from bimedix2.evaluate.overlap.training import Training
from bimedix2.evaluate.schema import Sample
from bimedix2.images.prints import PrintStore
from bimedix2.records import ImageRef, Record, Turn
from bimedix2.records.schema import Language
from bimedix2.text.canonical import canonical

QUESTION = {"en": "Is there a pleural effusion?", "ar": "هل يوجد انصباب جنبي؟"}
REPHRASED = {"en": "Is there a large pleural effusion", "ar": "هل يوجد انصباب جنبي كبير"}
UNRELATED = {"en": "Which vessel supplies the spleen?", "ar": "أي وعاء يغذي الطحال؟"}
YES = {"en": "Yes", "ar": "نعم"}
BOTH: tuple[Language, ...] = ("en", "ar")


def sample(language: Language, question: str, answer: str, image: str = "", **fields: Any) -> Sample:
    images = (image,) if image else ()
    values = {"id": "7", "task": "toy", "prompt": question, "question": question} | fields
    return Sample(language=language, reference=answer, images=images, **values)


def record(name: str, language: Language, question: str, answer: str, image: str = "", **fields: Any) -> Record:
    return Record(
        id=name,
        turns=(
            Turn(role="user", text=question, language=language, images=(0,) if image else ()),
            Turn(role="assistant", text=answer, language=language),
        ),
        images=(ImageRef(path=image),) if image else (),
        task="vqa", modality="xray", licence="CC0-1.0", **{"source": "made"} | fields,
    )  # fmt: skip


def checked(root: Path, asked: Sample, *records: Record, other: Sample | None = None, **options: Any) -> Overlap:
    counterpart = sample_item(other, "test", root) if other is not None else None
    item = Asked(sample_item(asked, "test", root), asked, "test", counterpart, options.pop("translations", ()))
    coverage = Coverage(item.item.texts)
    training = Training(coverage)
    for held in records:
        for part in record_items(held, root):
            training.add(part)
    with PrintStore(root / "prints.sqlite") as store:
        return check([item], training, coverage, store, **options).items[0]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, seed in (("a.png", 1), ("b.png", 2)):
        drawing(seed).save(tmp_path / name)
    drawing(1).resize((90, 70)).save(tmp_path / "copy.jpg", quality=70)
    return tmp_path


# Questions


def test_cosine_by_hand() -> None:
    """ "a b" and "a c": idf(a) = 1, idf of the four others ln(3/2) + 1, all term frequencies 1."""
    rare = math.log(3 / 2) + 1
    (near,) = nearest(["a c"], ["a b"], threshold=0.2)
    assert near.similarity == pytest.approx(1 / (1 + 2 * rare**2), rel=1e-5)
    assert (near.best, near.similar) == (0, (0,))
    assert nearest(["a c"], ["a b"], threshold=0.21)[0].similar == ()


def test_a_word_that_training_lacks_makes_a_question_less_similar() -> None:
    same, longer = nearest(["is there a fracture", "is there a fracture dorsally"], ["is there a fracture"])
    assert same.similarity == pytest.approx(1, abs=1e-6)
    assert longer.similarity < 0.95


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    known = [f"{word} of the {organ}" for word in ("size", "shape", "colour") for organ in ("liver", "heart", "lung")]
    asked = [*(f"what {text}" for text in known), "nothing like these", ""]
    whole = nearest(asked, known, 0.3)
    monkeypatch.setattr(questions, "_ASKED", 2)
    monkeypatch.setattr(questions, "_KNOWN", 4)
    parts = nearest(asked, known, 0.3)
    assert [(own.best, own.similar) for own in parts] == [(own.best, own.similar) for own in whole]
    assert [own.similarity for own in parts] == pytest.approx([own.similarity for own in whole], abs=1e-6)
    assert [own.best for own in whole[:9]] == list(range(9))
    assert whole[-1].similar == ()
    assert nearest(["x"], []) == [(-1, 0.0, ())]


def test_one_spelling() -> None:
    assert canonical("هَل القلبُ مُتضخِّم ؟") == canonical("هل القلب متضخم؟")
    assert canonical("Is the HEART enlarged?!") == canonical("is the heart enlarged")
    assert canonical("T2 > T1") != canonical("T2 < T1")


def test_coverage_by_hand() -> None:
    ten = "one two three four five six seven eight nine ten"
    coverage = Coverage([ten])
    coverage.add("zero one two three four five six seven eight zero")
    coverage.add("nine ten")
    assert coverage.of(ten) == pytest.approx(0.8)
    assert coverage.of("one two three") == 0


# One item against training


@pytest.mark.parametrize("language", BOTH)
@pytest.mark.parametrize("image", ["", "a.png"])
def test_planted_leak(root: Path, language: Language, image: str) -> None:
    asked = sample(language, QUESTION[language], YES[language], image)
    row = checked(root, asked, record("r1", language, REPHRASED[language], YES[language], image and "copy.jpg"))
    assert (row.similar, row.same_answer, row.exact, row.duplicate) == ("r1", "r1", False, True)
    assert (row.image, row.same_image, row.same_all) == (("near", "r1", "r1") if image else ("", "", ""))
    assert row.nearest_text == canonical(REPHRASED[language])


@pytest.mark.parametrize("language", BOTH)
def test_no_leak(root: Path, language: Language) -> None:
    asked = sample(language, QUESTION[language], YES[language], "a.png")
    row = checked(
        root,
        asked,
        record("r1", language, QUESTION[language], YES[language], "b.png"),  # asked about another image
        record("r2", language, UNRELATED[language], YES[language], "copy.jpg"),  # something else about this image
    )
    assert (row.image, row.exact, row.same_answer, row.same_image) == ("near", True, "r1", "")
    assert not row.duplicate
    text = sample(language, QUESTION[language], YES[language])
    assert not checked(root, text, record("r1", language, UNRELATED[language], YES[language])).duplicate
    other = checked(root, text, record("r1", language, QUESTION[language], "left lung"))
    assert (other.exact, other.same_answer, other.duplicate) == (True, "", False)


def test_long_question_word_for_word_is_a_duplicate_whatever_its_answer(root: Path) -> None:
    long = "the heart is of normal size and the lungs are clear"
    assert checked(root, sample("en", long, "Normal."), record("r1", "en", long, "No acute finding.")).duplicate


def test_multiple_choice_is_compared_by_prompt_and_by_the_options_text(root: Path) -> None:
    asked = sample(
        "ar", UNRELATED["ar"], "ب", options=("الشريان الكلوي", "الشريان الطحالي"), letters=("أ", "ب"),
        prompt=f"اختر:\n{UNRELATED['ar']}\nأ. الشريان الكلوي\nب. الشريان الطحالي",
    )  # fmt: skip
    for answer in ("الشريان الطحالي", "ب. الشريان الطحالي"):
        assert checked(root, asked, record("r1", "ar", asked.prompt, answer)).same_answer == "r1"
    assert not checked(root, asked, record("r1", "ar", asked.prompt, "أ. الشريان الكلوي")).same_answer


@pytest.mark.parametrize(("language", "other"), [("ar", "en"), ("en", "ar")])
def test_translated_duplicate_is_found_by_its_words(root: Path, language: Language, other: Language) -> None:
    asked, original = (sample(name, QUESTION[name], YES[name], "a.png") for name in (language, other))
    leak = record("x", other, REPHRASED[other], YES[other], "copy.jpg")
    row = checked(root, asked, leak, other=original)
    assert (row.translated, row.translated_by, row.similar, row.duplicate) == ("x", "text", "", True)
    table = checked(root, asked, leak, translations=(canonical(QUESTION[other]),))
    assert (table.translated, table.duplicate) == ("x", True)
    elsewhere = checked(root, asked, record("x", other, QUESTION[other], YES[other], "b.png"), other=original)
    assert (elsewhere.translated, elsewhere.other_similarity, elsewhere.duplicate) == ("", 1.0, False)


@pytest.mark.parametrize("names", [{"source": "toy", "source_id": "7"}, {"pair_id": "toy:7"}, {"parent": "toy:7:ar"}])
def test_translated_duplicate_is_found_by_name(root: Path, names: dict[str, str]) -> None:
    asked = sample("ar", QUESTION["ar"], YES["ar"], "a.png")
    row = checked(root, asked, record("x", "en", UNRELATED["en"], "Yes", "copy.jpg", **names))
    assert (row.translated, row.translated_by, row.duplicate) == ("x", "id", True)
    clash = checked(root, asked, record("x", "en", UNRELATED["en"], "Yes", "b.png", **names))
    assert (clash.translated, clash.duplicate) == ("", False)
    text = sample("ar", QUESTION["ar"], YES["ar"])
    alone = checked(root, text, record("x", "en", UNRELATED["en"], "Yes", **names))
    assert (alone.translated, alone.translated_by) == ("x", "id alone")
    known = checked(root, text, record("x", "en", UNRELATED["en"], "Yes", **names), other=sample("en", "Other?", "No"))
    assert not known.duplicate


def test_same_row_number_in_another_split_is_no_leak(root: Path) -> None:
    row = checked(root, sample("en", QUESTION["en"], "Yes"), record("toy:7", "en", UNRELATED["en"], "No"))
    assert (row.same_item, row.duplicate) == ("", False)


def test_later_turns_of_a_conversation_count(root: Path) -> None:
    first = record("r", "en", UNRELATED["en"], "The splenic artery.", "copy.jpg")
    turns = (*first.turns, Turn(role="user", text=QUESTION["en"], language="en"), first.turns[1])
    row = checked(root, sample("en", QUESTION["en"], "Yes", "a.png"), msgspec.structs.replace(first, turns=turns))
    assert (row.same_image, row.exact) == ("r#1", True)


def test_a_bad_image_is_named_and_its_path_still_counts(root: Path) -> None:
    (root / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 500)
    row = checked(root, sample("ar", QUESTION["ar"], "نعم", "a.png"), record("r", "ar", QUESTION["ar"], "لا", "a.png"))
    assert "a.png" in row.image_error
    assert (row.image, row.duplicate) == ("path", True)


def test_training_has_to_be_named() -> None:
    with pytest.raises(ConfigError, match="--train FILE") as caught:
        training_tasks([], ["medqa"])
    assert "--train" in caught.value.message_ar != caught.value.message
    assert [(task.name, split) for task, split in training_tasks([], ["vqa_rad"])] == [("vqa_rad", "train")]
    with pytest.raises(ConfigError, match="no split 'nowhere'"):
        training_tasks(["vqa_rad:nowhere"], [])


def test_flat_images_match_nothing(root: Path) -> None:
    Image.new("RGB", (40, 40)).save(root / "a.png")
    Image.new("RGB", (41, 40)).save(root / "copy.jpg")
    row = checked(root, sample("en", QUESTION["en"], "Yes", "a.png"), record("r", "en", "x", "y", "copy.jpg"))
    assert row.image == ""
