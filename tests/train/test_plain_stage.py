"""The plain form of stage 1: tokens by hand, which records take part, and the loss of a whole run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import LlavaForConditionalGeneration

from bimedix2.errors import ConfigError
from bimedix2.model import Bundle
from bimedix2.records import ImageRef, Language, Record, Turn
from bimedix2.train.plan.steps import split_holdout
from bimedix2.train.recipe import LoraRecipe, Recipe, StageRecipe
from bimedix2.train.recipe_file import load_recipe
from bimedix2.train.run import dry_run, train_records
from bimedix2.train.samples.prepare import Prepared, prepare
from bimedix2.train.samples.table import CHAT, PLAIN
from bimedix2.train.watch.log import read_log
from tiny import tiny_bundle

ALIGN = StageRecipe("align", "projector", prompt_format="plain", lr=1e-2, packs_per_step=99)
INSTRUCT = StageRecipe("instruct", lr=1e-2, packs_per_step=99)


def record(name: str, *texts: str, images: tuple[str, ...] = ("a.png",), language: Language = "en") -> Record:
    """Question and answer in turn; the first question shows the pictures."""
    roles = ("user", "assistant") * len(texts)
    turns = [
        Turn(role=role, text=text, language=language, images=tuple(range(len(images))) if not place else ())  # type: ignore[arg-type]
        for place, (role, text) in enumerate(zip(roles, texts, strict=False))
    ]
    return Record(
        id=name, turns=tuple(turns), images=tuple(ImageRef(path=path) for path in images), task="caption",
        modality="ct" if images else "text", source="test", licence="CC0-1.0", pair_id=name.split("-")[0],
    )  # fmt: skip


RECORDS = [
    record("one-en", "What is shown?", "The left lung is clear"),
    record("one-ar", "ماذا يظهر؟", "الرئة اليسرى سليمة", language="ar"),
    record("two-en", "Which is clear?", "The left lung", images=("a.png", "b.png")),
    record("talk-en", "Is it CT?", "Yes", "Is it chest?", "No"),
    record("text-en", "What is clear?", "12 mm", images=()),
    record("long-en", "What is shown?", " ".join(["The left lung is clear"] * 12), images=("b.png",)),
]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    draw = np.random.default_rng(0)
    for name in ("a.png", "b.png"):
        Image.fromarray(draw.integers(0, 255, (30, 50, 3), dtype=np.uint8)).save(tmp_path / name)
    return tmp_path


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return tiny_bundle("llava")


def recipe(*stages: StageRecipe, **settings: Any) -> Recipe:
    fixed: dict[str, Any] = {"lora": LoraRecipe(4, 8, 0.0), "pack_tokens": 600, "workers": 1, "augment": False}
    return Recipe(model="tiny", records=(), stages=stages, **(fixed | settings))


def make(records: list[Record], data: Path, bundle: Bundle) -> Prepared:
    return prepare(records, data, bundle, data / "prepared", max_tokens=600, plain=True)


def by_hand(bundle: Bundle, caption: str, images: int = 1) -> tuple[list[int], list[int]]:
    """Ids and labels as LLaVA lays the plain form out: the caption and its line break are one string."""
    bos = bundle.tokenizer.convert_tokens_to_ids("<|begin_of_text|>")
    start = [bos] + [bundle.image_token_id] * (bundle.tokens_per_image * images)
    words = bundle.tokenizer(f"{caption}\n", add_special_tokens=False)["input_ids"]
    return start + words, [-100] * len(start) + words


@pytest.mark.parametrize("place", [0, 1, 2])
def test_tokens_and_labels_are_image_caption_and_line_break(place: int, data: Path, bundle: Bundle) -> None:
    one = RECORDS[place]
    store = make([one], data, bundle).store
    assert store.table.form.tolist() == [CHAT, PLAIN]
    ids, labels = by_hand(bundle, one.turns[1].text, len(one.images))
    assert store.ids(1).tolist() == ids
    assert np.where(store.supervised(1), store.ids(1), -100).tolist() == labels
    assert store.record_id(1) == one.id
    assert store.table.supervised[1] == sum(label != -100 for label in labels)
    # The last image token predicts the caption's first one, so captions cannot share the picture's tokens.
    assert store.table.prefix.tolist()[1] == store.table.prefix_key.tolist()[1] == 0


def test_what_takes_no_part_is_counted_by_reason(data: Path, bundle: Bundle) -> None:
    from dataclasses import replace

    said: list[tuple[str, ...]] = []
    plan = recipe(replace(ALIGN, pack_tokens=60), INSTRUCT)
    figures = dry_run(plan, RECORDS, bundle, data, data / "run", lambda *line: said.append(line))
    align, instruct = figures["stages"]
    assert align["left_out"] == {"no_image": 1, "not_plain": 1, "too_long": 1}
    assert (align["samples"], instruct["samples"], instruct["left_out"]) == (3, 6, {})
    counts = "1 without an image, 1 not one question and one answer, 1 longer than the stage's packs"
    counts_ar = "1 بلا صورة، 1 ليس سؤالا واحدا وإجابة واحدة، 1 أطول من حزم المرحلة"
    assert (f"  records that take no part: {counts}", f"  سجلات لا تشارك: {counts_ar}") in said
    assert not (data / "run/skipped.jsonl").read_text("utf-8")


def test_a_stage_without_plain_records_is_an_error_in_both_languages(data: Path, bundle: Bundle) -> None:
    with pytest.raises(ConfigError, match="'align': no sample is left") as caught:
        dry_run(recipe(ALIGN), RECORDS[3:5], bundle, data, data / "run", lambda *_: None)
    assert "لم تبق أي عينة" in caught.value.message_ar


def test_both_forms_of_a_fact_stay_on_one_side_of_the_split(data: Path, bundle: Bundle) -> None:
    records = [record(f"{n}-{lang}", "What?", f"{n} mm", images=(f"{n}.png",), language=lang)  # type: ignore[arg-type]
               for n in range(40) for lang in ("en", "ar")]  # fmt: skip
    draw = np.random.default_rng(1)
    for number in range(40):
        Image.fromarray(draw.integers(0, 255, (8, 8, 3), dtype=np.uint8)).save(data / f"{number}.png")
    ready = make(records, data, bundle)
    train, held = split_holdout(ready.store.table, 0.3, 5)
    names = [{ready.store.record_id(row).split("-")[0] for row in rows} for rows in (train, held)]
    assert names[1]
    assert not names[0] & names[1]
    assert ready.count() == 80
    assert ready.count(held) == len(held) // 2


def test_the_logged_loss_is_the_mean_over_single_captions(data: Path, bundle: Bundle) -> None:
    """Against transformers' own model, one caption at a time, without packs and masks of ours."""
    used = [RECORDS[0], RECORDS[1], RECORDS[5]]
    assert train_records(recipe(ALIGN, INSTRUCT), used, bundle, data, data / "run", lambda *_: None)
    first, second = read_log(data / "run").steps
    model: LlavaForConditionalGeneration = bundle.model
    pictures = make(used, data, bundle).images
    assert pictures is not None
    total, count = 0.0, 0
    for one, image in zip(used, (0, 0, 1), strict=True):
        ids, labels = by_hand(bundle, one.turns[1].text)
        pixels = bundle.image_policy.normalise(pictures.get_uint8(image, None))
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([ids]), pixel_values=torch.from_numpy(pixels)[None]).logits[0]
        targets = torch.tensor(labels)[1:]
        total += float(torch.nn.functional.cross_entropy(logits[:-1].float(), targets, reduction="sum"))
        count += int((targets != -100).sum())
    assert (first["stage"], first["supervised"]) == ("align", count)
    assert first["loss"] == pytest.approx(total / count, abs=2e-5)
    assert second["stage"] == "instruct"
    assert json.loads((data / "run/manifest.json").read_text("utf-8"))["samples"] == 3


def test_a_broken_picture_costs_its_record_once(data: Path, bundle: Bundle) -> None:
    (data / "broken.png").write_bytes((data / "b.png").read_bytes()[:200])
    ready = make([*RECORDS, record("bad", "What?", "12 mm", images=("broken.png",))], data, bundle)
    assert [(skipped.record_id, skipped.kind) for skipped in ready.skipped] == [("bad", "image_broken")]
    assert "bad" not in {ready.store.record_id(row) for row in range(len(ready.store))}


@pytest.mark.parametrize(
    ("override", "message", "message_ar"),
    [
        ("stages.align.prompt_format=plan", "plain", "plain"),
        ("stages.align.pack_tokens=5000", r"5000 is outside \[0, 4096\]", "خارج المجال"),
        ("stages.align.objective=words", "leave prompt_format at chat", "اترك prompt_format"),
    ],
)
def test_settings_that_do_not_go_together(override: str, message: str, message_ar: str) -> None:
    path = Path(__file__).parents[2] / "recipes/bimedix2-8b.yaml"
    with pytest.raises(ConfigError, match=message) as caught:
        load_recipe(path, [override])
    assert message_ar in caught.value.message_ar
