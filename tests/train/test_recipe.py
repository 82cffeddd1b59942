"""Recipe files: types, overrides, checks, and every error in both languages."""

from __future__ import annotations

from pathlib import Path

import pytest

from bimedix2.errors import ConfigError
from bimedix2.train.recipe_file import dump_recipe, load_recipe

GOOD = """
model: nano
records: [records.jsonl]
stages:
  - {name: align, train: projector, lr: 1e-3}
  - {name: instruct, epochs: 2, weights: {vqa_rad: 2}}
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(tmp_path: Path, text: str, *overrides: str) -> str:
    """The English message; the Arabic one names the same place."""
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_recipe(path, overrides)
    error = caught.value
    assert any("\u0600" <= letter <= "\u06ff" for letter in error.message_ar)
    assert error.message_ar.split(": ")[0] == error.message.split(": ")[0]
    return error.message


def test_reads_types_and_defaults(tmp_path: Path) -> None:
    recipe = load_recipe(write(tmp_path, GOOD))
    assert recipe.stages[0].lr == 1e-3  # YAML 1.1 alone would give the string "1e-3"
    assert recipe.stages[1].weights == {"vqa_rad": 2.0}
    assert recipe.lora.r == 8
    assert recipe.stages[0].packs_per_step == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("stagse: []", "unknown key 'stagse'; did you mean 'stages'?"),
        ("seed: many", "seed: 'many' is not int"),
        ("seed: true", "seed: True is not int"),
        ("lora: {rank: 4}", "lora: unknown key 'rank'; known: r, alpha, dropout"),
        ("lora: 4", "lora: expected a mapping, found int"),
        ("trackers: wandb", "trackers: 'wandb' is not a list [str, ...]"),
        ("quantize: int8", "quantize: 'int8' is not 'none' or 'nf4'"),
        ("model: again", "model is given twice"),
        ("seed: [", "cannot be read as YAML"),
    ],
)
def test_faults_name_file_and_key(tmp_path: Path, change: str, message: str) -> None:
    found = refusal(tmp_path, GOOD + change)
    assert found.startswith(f"{tmp_path / 'recipe.yaml'}: ")
    assert message in found


def test_a_missing_file_and_a_missing_key_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.yaml: cannot be read"):
        load_recipe(tmp_path / "absent.yaml")
    assert refusal(tmp_path, "records: [a.jsonl]\nstages: []\n").endswith("required: model")
    assert "stages[0]: required: name" in refusal(tmp_path, GOOD.replace("name: align, ", ""))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("holdout=0.51", "holdout: 0.51 is outside [0, 0.5]"),
        ("lora.dropout=1", "lora.dropout: 1.0 is outside [0, 1)"),
        ("lora.r=0", "lora.r: 0 is outside [1, ∞)"),
        ("checkpoint_steps=0", "checkpoint_steps: 0 is outside [1, ∞)"),
        ("max_grad_norm=.inf", "max_grad_norm: inf is outside (0, ∞)"),
        ("stages.align.lr=0", "stages[0].lr: 0.0 is outside (0, ∞)"),
        ("stages.align.lr=.nan", "stages[0].lr: nan is outside (0, ∞)"),
        ("stages.instruct.projector_lr=0", "stages[1].projector_lr: 0.0 is outside (0, ∞)"),
        ("stages.align.epochs=0", "stages[0].epochs: 0 is outside [1, ∞)"),
        ("stages.instruct.weights.vqa_rad=-1", "stages[1].weights.vqa_rad: -1.0 is outside [0, ∞)"),
        ("stages.instruct.shares.ar/*/*=0", "stages[1].shares.ar/*/*: 0.0 is outside (0, 1]"),
        ("stages.instruct.shares={ar/*/*: 0.6, en/*/*: 0.5}", "stages[1].shares: add up to 1.1, which is above 1"),
        ("stages.instruct.shares={arabic: 0.5}", "'arabic' is not language/modality/task"),
        ("stages.instruct.shares={ar/xry/*: 0.5}", "'ar/xry/*' fits no cell; did you mean 'xray'?"),
        ("trackers=[wand]", "trackers[0]: unknown tracker 'wand'; did you mean 'wandb'?"),
        ("stages.instruct.name=align", "stages[1].name: 'align' must be a name that no other stage has"),
        ("stages=[]", "stages: is empty"),
        ("records=[]", "records: is empty"),
        ("stages.align.packs_per_step=0", "packs_per_step is 0 and samples_per_step is 0"),
        ("stages.instruct.objective=words", "objective 'words' trains the projector alone; set train: projector"),
    ],
)
def test_settings_out_of_range_or_against_each_other(tmp_path: Path, override: str, message: str) -> None:
    found = refusal(tmp_path, GOOD, override)
    assert message in found
    assert override in found


def test_the_size_of_a_step_is_said_once(tmp_path: Path) -> None:
    samples = GOOD.replace("lr: 1e-3", "samples_per_step: 64")
    assert load_recipe(write(tmp_path, samples)).stages[0].packs_per_step == 0
    both = samples.replace("samples_per_step: 64", "samples_per_step: 64, packs_per_step: 2")
    assert "packs_per_step is 2 and samples_per_step is 64" in refusal(tmp_path, both)
    words = samples.replace("samples_per_step", "objective: words, samples_per_step")
    assert "objective 'words' counts images" in refusal(tmp_path, words)


def test_rates_matter_where_they_are_used(tmp_path: Path) -> None:
    idle = ["stages.align.projector_lr=0", "stages.align.encoder_lr=0"]
    assert load_recipe(write(tmp_path, GOOD), idle).stages[0].encoder_lr == 0
    assert "stages[0].encoder_lr" in refusal(tmp_path, GOOD, *idle, "stages.align.unfreeze_blocks=2")


def test_overrides_replace_what_they_name_and_nothing_else(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)
    plain = load_recipe(path)
    changed = load_recipe(
        path,
        [
            "lora.r=16",
            "stages.instruct.lr=1e-4",
            "stages.0.warmup=0.1",
            "stages.instruct.shares.ar/*/*=0.5",
            "stages.instruct.weights.a.b=3",  # the name of a source may hold dots
            "records=[a.jsonl, b.jsonl]",
            "gradient_checkpointing=true",
            "vision_encoder=",
            "lora.r=32",  # the last one counts
        ],
    )
    assert (changed.lora.r, changed.lora.alpha) == (32, plain.lora.alpha)
    assert (changed.stages[1].lr, changed.stages[1].epochs) == (1e-4, 2)
    assert (changed.stages[0].warmup, changed.stages[0].lr) == (0.1, 1e-3)
    assert changed.stages[1].shares == {"ar/*/*": 0.5}
    assert changed.stages[1].weights == {"vqa_rad": 2.0, "a.b": 3.0}
    assert changed.records == ("a.jsonl", "b.jsonl")
    assert changed.gradient_checkpointing
    assert load_recipe(path) == plain


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("lora.rr=4", "lora.rr: unknown key 'rr'; did you mean 'r'?"),
        ("stages.instrct.lr=1", "no entry 'instrct' (a name, or a number from 0 to 1); did you mean 'instruct'?"),
        ("stages.2.lr=1", "no entry '2'"),
        ("lora.r=many", "lora.r: 'many' is not int"),
        ("lora.r.x=1", "nothing lies below"),
        ("records=a.jsonl", "'a.jsonl' is not a list"),
        ("seed={", "the value is not YAML"),
        ("seed", "write key=value"),
        (".seed=1", "write key=value"),
    ],
)
def test_a_wrong_override_is_named(tmp_path: Path, override: str, message: str) -> None:
    found = refusal(tmp_path, GOOD, "seed=3", override)
    assert found.startswith(f"override {override}: ")
    assert message in found


def test_what_is_printed_makes_the_same_recipe(tmp_path: Path) -> None:
    changes = ["stages.1.shares={ar/*/*: 0.5, '*/xray/report': 0.1}", "stages.1.lr=1e-5", "trackers=[trackio]"]
    recipe = load_recipe(write(tmp_path, GOOD), [*changes, "stages.0={name: محاذاة, samples_per_step: 64}"])
    assert load_recipe(write(tmp_path, dump_recipe(recipe))) == recipe


def test_fingerprint_follows_what_is_computed(tmp_path: Path) -> None:
    first = load_recipe(write(tmp_path, GOOD)).fingerprint()
    assert first == load_recipe(write(tmp_path, GOOD)).fingerprint()
    assert first != load_recipe(write(tmp_path, GOOD), ["seed=1"]).fingerprint()
    assert first == load_recipe(write(tmp_path, GOOD), ["engine=fsdp2", "workers=7", "trackers=[wandb]"]).fingerprint()
