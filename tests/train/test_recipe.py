from pathlib import Path

import pytest

from bimedix2.errors import ConfigError
from bimedix2.train.recipe import load_recipe

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


def test_reads_types_and_defaults(tmp_path: Path) -> None:
    recipe = load_recipe(write(tmp_path, GOOD))
    assert recipe.stages[0].lr == 1e-3  # YAML 1.1 alone would give the string "1e-3"
    assert recipe.stages[1].weights == {"vqa_rad": 2.0}
    assert recipe.lora.r == 8


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("stagse: []", "did you mean 'stages'"),
        ("seed: many", "seed: 'many' is not int"),
        ("lora: {rank: 4}", "unknown key 'rank'"),
    ],
)
def test_faults_name_file_and_key(tmp_path: Path, change: str, message: str) -> None:
    with pytest.raises(ConfigError, match=r"recipe\.yaml") as caught:
        load_recipe(write(tmp_path, GOOD + change))
    assert message in str(caught.value)


def test_wrong_choice_lists_the_choices(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"stages\[0\].train: 'all' is not 'projector' or 'projector\+lora'"):
        load_recipe(write(tmp_path, GOOD.replace("train: projector", "train: all")))


def test_words_trains_the_projector_alone(tmp_path: Path) -> None:
    recipe = load_recipe(write(tmp_path, GOOD.replace("lr: 1e-3", "objective: words")))
    assert recipe.stages[0].objective == "words"
    with pytest.raises(ConfigError, match=r"stages\[1\]: objective 'words' trains the projector alone"):
        load_recipe(write(tmp_path, GOOD.replace("epochs: 2", "objective: words")))


def test_missing_required_key(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="model"):
        load_recipe(write(tmp_path, "records: []\nstages: []\n"))


def test_fingerprint_follows_every_setting(tmp_path: Path) -> None:
    first = load_recipe(write(tmp_path, GOOD)).fingerprint()
    assert first == load_recipe(write(tmp_path, GOOD)).fingerprint()
    assert first != load_recipe(write(tmp_path, GOOD + "seed: 1")).fingerprint()


def test_every_shipped_recipe_parses() -> None:
    recipes = sorted(Path(__file__).parents[2].joinpath("recipes").glob("*.yaml"))
    assert recipes
    for path in recipes:
        load_recipe(path)
