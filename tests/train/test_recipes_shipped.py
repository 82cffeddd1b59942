"""Every shipped recipe: read, printed and read again, planned on a toy; two of them rehearsed from end to end."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from bimedix2.errors import ConfigError
from bimedix2.train.recipe import Recipe
from bimedix2.train.recipe_file import dump_recipe, load_recipe
from bimedix2.train.rehearsal import shrink as shrinking
from bimedix2.train.rehearsal.data import rehearsal_records, texts
from bimedix2.train.rehearsal.report import RehearsalReport, StageNote
from bimedix2.train.rehearse import MARK, rehearse

FOLDER = Path(__file__).parents[2] / "recipes"
RECIPES = sorted(FOLDER.glob("*.yaml"))
PUBLISHED = ["bimedix2-4b", "bimedix2-70b", "bimedix2-8b", "bimedix2-8b-1gpu", "bimedix2-8b-qlora"]


def shipped(name: str) -> Recipe:
    return load_recipe(FOLDER / f"{name}.yaml")


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_reads_prints_and_reads_again(path: Path, tmp_path: Path) -> None:
    recipe = load_recipe(path)
    printed = tmp_path / "printed.yaml"
    printed.write_text(dump_recipe(recipe), encoding="utf-8")
    assert load_recipe(printed) == recipe
    assert recipe.records == (("mix.jsonl" if path.stem == "nano" else "records.jsonl"),)
    lines = path.read_text(encoding="utf-8").splitlines()
    header = " ".join(line for line in lines if line.startswith("#"))
    for word in ("Published", "Cost", "oss", "measured", "Run:"):
        assert word in header, word
    assert max(map(len, lines)) <= 120


def test_the_list_is_complete() -> None:
    assert {path.stem for path in RECIPES} == {*PUBLISHED, "llava-pp-8b", "nano"}


@pytest.mark.parametrize("name", PUBLISHED)
def test_rates_ranks_and_schedule_are_the_published_ones(name: str) -> None:
    """scripts/stage1_train.sh and stage2_train.sh of mbzuai-oryx/BiMediX2; LoRA's dropout from LLaVA's code."""
    recipe = shipped(name)
    align, instruct = recipe.stages
    assert (recipe.lora.r, recipe.lora.alpha, recipe.lora.dropout) == (8, 16, 0.05)
    assert (align.train, align.lr, align.epochs) == ("projector", 1e-3, 1)
    assert (instruct.train, instruct.lr, instruct.projector_lr, instruct.epochs) == ("projector+lora", 2e-4, 2e-5, 1)
    for stage in recipe.stages:
        assert (stage.warmup, stage.final_lr, stage.weight_decay) == (0.03, 0.0, 0.0)
    assert recipe.gradient_checkpointing
    assert not recipe.augment
    assert recipe.pack_tokens == (2048 if name.endswith("qlora") else 4096)
    assert (align.prompt_format, recipe.budget(align)) == ("plain", 2048)
    assert (instruct.prompt_format, recipe.budget(instruct)) == ("chat", recipe.pack_tokens)


def test_llava_pp_has_its_own_ranks_and_batches() -> None:
    recipe = shipped("llava-pp-8b")
    assert (recipe.lora.r, recipe.lora.alpha) == (128, 256)
    assert [stage.samples_per_step for stage in recipe.stages] == [256, 128]
    assert (recipe.stages[0].prompt_format, recipe.budget(recipe.stages[0])) == ("plain", 2048)
    assert (recipe.stages[0].lr, recipe.stages[1].lr, recipe.stages[1].projector_lr) == (1e-3, 2e-4, 2e-5)


def test_one_card_computes_what_eight_do() -> None:
    assert shipped("bimedix2-8b-1gpu").fingerprint() == shipped("bimedix2-8b").fingerprint()


@pytest.mark.parametrize("name", ["bimedix2-8b", "bimedix2-70b", "llava-pp-8b", "bimedix2-4b"])
def test_counts_in_the_headers_are_those_of_the_models(name: str) -> None:
    """Parameters counted in a model without memory, with PEFT's own layers."""
    import torch
    from transformers import LlavaForConditionalGeneration, Phi3Config

    from bimedix2.model import add_adapter, config_8b, config_70b, lora_config

    config = config_70b() if name == "bimedix2-70b" else config_8b()
    if name == "bimedix2-4b":
        config.text_config = Phi3Config(
            hidden_size=3072, intermediate_size=8192, num_hidden_layers=32, num_attention_heads=32, vocab_size=32064
        )
    with torch.device("meta"):
        model = LlavaForConditionalGeneration(config)
    recipe = shipped(name)
    add_adapter(model, lora_config(recipe.lora.r, recipe.lora.alpha))
    counts = {
        part: sum(parameter.numel() for key, parameter in model.named_parameters() if part in key)
        for part in ("lora_", "multi_modal_projector")
    }
    header = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
    assert f"{counts['lora_']:,}" in header
    assert f"{counts['multi_modal_projector']:,}" in header


@pytest.mark.parametrize("name", ["nano", "bimedix2-8b"])
def test_rehearsal_from_records_to_export(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(shrinking.EPOCHS, "projector", 2)
    monkeypatch.setitem(shrinking.EPOCHS, "projector+lora", 4)
    recipe = shipped(name)
    report = rehearse(recipe, tmp_path / "rehearsal")
    assert report.faults() == []
    assert report.structure == ("nano" if name == "nano" else "llama")
    assert [stage.name for stage in report.stages] == [stage.name for stage in recipe.stages]
    assert report.skipped == 1
    assert 0 < report.stopped_after < report.steps
    assert report.resume_gap == 0
    assert report.adapter_change > 0.1 > report.export_gap
    assert report.loss[1] < report.loss[0] - 1
    assert json.loads((tmp_path / "rehearsal" / MARK).read_text(encoding="utf-8"))["faults"] == []


@pytest.mark.parametrize("name", [path.stem for path in RECIPES if path.stem not in ("nano", "bimedix2-8b")])
def test_the_others_are_planned_on_a_toy(name: str, tmp_path: Path) -> None:
    from bimedix2.model.toy import toy_bundle
    from bimedix2.train.run import dry_run

    recipe = shipped(name)
    structure = shrinking.structure_of(recipe.model)
    assert structure == ("phi3" if name == "bimedix2-4b" else "llama")
    records, _ = rehearsal_records(tmp_path / "data")
    small = shrinking.shrink(recipe, "toy", records)
    said: list[tuple[str, ...]] = []
    bundle = toy_bundle(structure, texts(records))
    figures = dry_run(small, records, bundle, tmp_path / "data", tmp_path / "run", lambda *line: said.append(line))
    assert [stage["stage"] for stage in figures["stages"]] == ["align", "instruct"]
    assert all(stage["steps"] > 1 for stage in figures["stages"])
    assert said


def test_a_rehearsal_keeps_what_it_is_about() -> None:
    recipe = load_recipe(
        FOLDER / "bimedix2-8b.yaml",
        ["stages.instruct.shares={ar/*/*: 0.6, '*/xray/*': 0.2}", "holdout=0.02", "bad_samples=stop", "seed=7"],
    )
    records, _ = rehearsal_records_of()
    small = shrinking.shrink(recipe, "toy", records)
    changed = shrinking.differences(recipe, small)
    for name in ("seed", "lora.r", "stages.1.train", "stages.1.warmup", "bad_samples", "gradient_checkpointing"):
        assert name not in changed
    assert changed["pack_tokens"] == "4096 -> 256"
    assert changed["holdout"] == "0.02 -> 0.1"
    # No sample of the toy is an x-ray, so that share is left out; the other one stays.
    assert small.stages[1].shares == {"ar/*/*": 0.6}


def test_shares_that_own_every_cell_of_the_toy_fill_its_mix() -> None:
    recipe = load_recipe(
        FOLDER / "bimedix2-8b.yaml", ["stages.instruct.shares={ar/*/*: 0.3, en/*/*: 0.3, '*/xray/*': 0.4}"]
    )
    records, _ = rehearsal_records_of()
    assert shrinking.shrink(recipe, "toy", records).stages[1].shares == {"ar/*/*": 0.5, "en/*/*": 0.5}


def rehearsal_records_of() -> tuple[list[Any], list[Any]]:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        return rehearsal_records(Path(folder))


def test_no_held_out_picture_is_trained_on_and_translations_stay_together() -> None:
    train, held_out = rehearsal_records_of()
    pictures = [{image.path for record in records for image in record.images} for records in (train, held_out)]
    assert not pictures[0] & pictures[1]
    for records in (train, held_out):
        languages: dict[str | None, set[str]] = {}
        for record in records:
            languages.setdefault(record.pair_id, set()).add(record.turns[0].language)
        assert set(map(frozenset, languages.values())) == {frozenset({"en", "ar"})}
    two = next(record for record in train if record.id == "two-1-en")
    assert [image.path for image in two.images] == ["04.png", "01.png"]
    assert two.turns[1].text == "the second"  # 04 is blue, 01 red


def test_the_toy_follows_the_models_configuration(tmp_path: Path) -> None:
    for kind, expected in (("gemma3_text", "nano"), ("phi3", "phi3"), ("llama", "llama")):
        (tmp_path / "config.json").write_text(json.dumps({"text_config": {"model_type": kind}}), encoding="utf-8")
        assert shrinking.structure_of(str(tmp_path)) == expected


GOOD = RehearsalReport(
    structure="llama", records=10, held_out=4, broken=1, skipped=1, stages=(StageNote("a", 6, 5.0, 3.0),),
    stopped_after=3, resume_gap=0.0, adapter_change=2.0, export_gap=1e-5, largest_logit=8.0, loss=(5.0, 3.0),
    learns_answers=True, exact_match=(0.0, 0.5), seconds=9.0, changed={},
)  # fmt: skip


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"skipped": 0}, "0 records were skipped, 1 should have been"),
        ({"stopped_after": 6}, "ran to its end"),
        ({"resume_gap": 1e-3}, "changes the result by 1.0e-03"),
        ({"resume_gap": float("nan")}, "changes the result by nan"),
        ({"adapter_change": 0.0}, "change nothing"),
        ({"export_gap": 1e-2}, "logits differ by 1.0e-02"),
        ({"loss": (3.0, 3.0)}, "did not fall"),
    ],
)
def test_a_fault_is_reported_in_both_languages(change: dict[str, Any], message: str) -> None:
    assert GOOD.faults() == []
    ((english, arabic),) = dataclasses.replace(GOOD, **change).faults()
    assert message in english
    assert any("\u0600" <= letter <= "\u06ff" for letter in arabic)
    assert dataclasses.replace(GOOD, **change).lines()[-1] == (f"FAULT: {english}", f"خلل: {arabic}")


def test_words_alone_need_not_lower_the_loss_of_answers() -> None:
    assert dataclasses.replace(GOOD, loss=(3.0, 3.0), learns_answers=False).faults() == []


def test_a_rehearsal_touches_no_foreign_folder(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mine.txt").write_text("keep", encoding="utf-8")
    with pytest.raises(ConfigError, match="holds no rehearsal"):
        rehearse(shipped("nano"), tmp_path)
    assert (tmp_path / "data" / "mine.txt").read_text(encoding="utf-8") == "keep"
