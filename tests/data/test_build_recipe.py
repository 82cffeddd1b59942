"""Data recipes: unknown keys, wrong values, overrides, and the shipped recipe."""

from __future__ import annotations

from pathlib import Path

import build_files as bf
import pytest

from bimedix2.data.build.recipe_file import load_build_recipe
from bimedix2.errors import ConfigError

SHIPPED = Path(__file__).resolve().parents[2] / "recipes" / "data"


def refused(tmp_path: Path, text: str, *overrides: str) -> ConfigError:
    (tmp_path / "r.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_build_recipe(tmp_path / "r.yaml", overrides)
    assert caught.value.message_ar != caught.value.message
    return caught.value


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name: x\ningest: {sourcez: []}", "did you mean 'sources'"),
        ("name: x\ningest: {records: [a]}\ndedupe: {}", "did you mean 'dedup'"),
        ("name: x\ningest: {records: [a]}\ndedup: {similarity: 2}", "dedup.similarity: 2.0 is outside 0.5 … 1"),
        ("name: x\ningest: {records: [a]}\nphi:", "phi: holds nothing"),
        ("name: x\ningest: {}", "names neither sources nor records"),
        ("name: x\ningest: {sources: [{source: vqarad}]}", "vqa_rad"),
        ("name: x\ningest: {records: [a]}\ncheck: {action: drop}", "'set_aside' or 'report'"),
        ("name: x\ningest: {records: [a]}\nrewrite: {kinds: [vqa]}", "required: endpoint"),
        ("name: x\ningest: {records: [a]}\nshard: {}", "needs the step mix"),
        ("name: x\nname: y\ningest: {}", "name is given twice"),
        ("name: ' '\ningest: {records: [a]}", "name: is empty"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, told: str) -> None:
    assert told in refused(tmp_path, text).message


def test_overrides_reach_into_steps_and_lists(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(bf.RECIPE, encoding="utf-8")
    overrides = ["dedup.similarity=0.9", "ingest.sources.0.splits=[train, dev]", "phi=null", "mix.targets.ar/*/*=0.5"]
    recipe = load_build_recipe(tmp_path / "r.yaml", overrides)
    assert recipe.dedup is not None
    assert recipe.dedup.similarity == 0.9
    assert recipe.ingest.sources[0].splits == ("train", "dev")
    assert recipe.phi is None
    assert recipe.mix is not None
    assert recipe.mix.targets == {"ar/*/*": 0.5}


def test_an_override_is_checked_like_the_file(tmp_path: Path) -> None:
    assert "did you mean 'similarity'" in refused(tmp_path, bf.RECIPE, "dedup.similarty=0.9").message


def test_the_shipped_recipe_is_the_whole_line_without_a_language_model() -> None:
    recipe = load_build_recipe(SHIPPED / "bimedv-nano.yaml")
    missing = [name for name in ("rewrite", "translate") if getattr(recipe, name) is None]
    assert missing == ["rewrite", "translate"]
    assert recipe.review is not None
    assert recipe.review.reviewers == "scripted"
    assert recipe.card is not None
    assert len(recipe.card.limits) == len(recipe.card.limits_ar)
