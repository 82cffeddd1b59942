"""Packing and mixing: hand-worked cases and invariants."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples_in_memory import MemoryTokens, make_tokens

from bimedix2.errors import ConfigError
from bimedix2.train.plan.mix import epoch_uses, one_phrasing, repeats, wanted_tokens
from bimedix2.train.plan.packs import Pack, pack_epoch
from bimedix2.train.plan.steps import plan_stage, split_holdout
from bimedix2.train.recipe import Recipe, StageRecipe

PREFIX = [2, 5, 6, 6]


def sample(name: str, image: int | None, length: int, **more: object) -> dict[str, object]:
    shown = {"images": (image,), "prefix": len(PREFIX)} if image is not None else {}
    ids = [*(PREFIX if image is not None else []), *range(100, 100 + length)]
    flags = [False] * (len(ids) - 1) + [True]
    return {"id": name, "ids": ids, "supervised": flags, **shown, **more}


def packs_of(tokens: MemoryTokens, budget: int = 100, images: int = 0, seed: int = 0, epoch: int = 0) -> list[Pack]:
    rows = np.arange(len(tokens.table))
    return pack_epoch(
        tokens.table, rows, np.ones(len(rows), dtype=np.int64), budget=budget, images=images, seed=seed, epoch=epoch
    )


def test_conversations_about_one_image_share_a_block() -> None:
    tokens = make_tokens([sample("a", 0, 5), sample("b", 0, 7), sample("c", 1, 5), sample("d", None, 4)])
    (pack,) = packs_of(tokens)
    blocks = {tuple(sorted(block.rows)): block.tokens for block in pack.blocks}
    # The prefix of four is there once for a and b.
    assert blocks == {(0, 1): 4 + 5 + 7, (2,): 4 + 5, (3,): 4}
    assert pack.tokens == 29


def test_different_prefixes_never_share_a_block() -> None:
    other = {**sample("b", 0, 5), "ids": [2, 9, 6, 6, *range(100, 105)]}
    (pack,) = packs_of(make_tokens([sample("a", 0, 5), other]))
    assert sorted(block.rows for block in pack.blocks) == [(0,), (1,)]


def test_a_bound_on_images() -> None:
    tokens = make_tokens([sample(str(number), number, 3) for number in range(6)])
    packs = packs_of(tokens, budget=1000, images=2)
    assert sorted(sum(block.images for block in pack.blocks) for pack in packs) == [2, 2, 2]


def test_best_fit_leaves_little_room() -> None:
    # 60+40, 50+50, 70+30 fill three rows of 100 exactly; first fit in any order may need four.
    tokens = make_tokens([sample(str(n), None, size) for n, size in enumerate((60, 50, 70, 40, 50, 30))])
    assert sorted(pack.tokens for pack in packs_of(tokens)) == [100, 100, 100]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([None, 0, 1, 2]), st.integers(1, 30)), min_size=1, max_size=40),
    st.integers(0, 5),
    st.randoms(use_true_random=False),
)
def test_every_sample_once_within_budget_whatever_the_input_order(rows, epoch, random) -> None:  # type: ignore[no-untyped-def]
    samples = [sample(f"{i}", image, length) for i, (image, length) in enumerate(rows)]
    packs = packs_of(make_tokens(samples), budget=40, seed=3, epoch=epoch)
    assert sorted(row for pack in packs for row in pack.rows) == list(range(len(samples)))
    assert all(pack.tokens <= 40 for pack in packs)
    order = list(range(len(samples)))
    random.shuffle(order)
    again = packs_of(make_tokens([samples[index] for index in order]), budget=40, seed=3, epoch=epoch)
    assert [[order[row] for row in pack.rows] for pack in again] == [pack.rows for pack in packs]


def test_one_phrasing_of_a_group_per_epoch_and_all_of_them_over_time() -> None:
    table = make_tokens([*(sample(f"g{i}", 0, 5, group="g") for i in range(3)), sample("x", 0, 5)]).table
    seen = set()
    for epoch in range(40):
        chosen = one_phrasing(table, np.arange(4), 1, epoch).tolist()
        assert len(chosen) == 2
        assert 3 in chosen
        seen.update(chosen)
    assert seen == {0, 1, 2, 3}


def test_weights_give_the_expected_number_of_uses() -> None:
    table = make_tokens([sample(f"{i}", i, 5, source="half" if i % 2 else "twice") for i in range(2000)]).table
    uses = epoch_uses(table, np.arange(2000), weights={"half": 0.5, "twice": 2.0}, shares={}, seed=0, epoch=0)
    assert uses[0::2].tolist() == [2] * 1000
    assert 430 < uses[1::2].sum() < 570  # 500 expected, five standard deviations are 79


def test_repeats_by_hand() -> None:
    assert repeats(np.array([1.25, 1.25, 0.0, 3.0]), np.array([0.2499, 0.25, 0.0, 0.7])).tolist() == [2, 1, 0, 3]


def supervised(name: str, count: int, cell: str, **more: object) -> dict[str, object]:
    return {"id": name, "ids": [7] + [8] * count, "supervised": [False] + [True] * count, "cell": cell, **more}


def test_shares_of_supervised_tokens_by_hand() -> None:
    # The example of plan/mix.py: 600 English and 200 Arabic tokens, half each.
    english = [supervised(f"e{i}", 2, "en/ct/vqa") for i in range(300)]
    arabic = [supervised(f"a{i}", 2, "ar/ct/vqa") for i in range(100)]
    table = make_tokens([*english, *arabic]).table
    rows = np.arange(400)
    uses = epoch_uses(table, rows, weights={}, shares={"ar/*/*": 0.5}, seed=0, epoch=0)
    assert uses[300:].tolist() == [2] * 100
    assert (uses[:300] * 2).sum() == 400
    assert set(uses[:300]) == {0, 1}
    assert wanted_tokens(table, rows, {}, {"ar/*/*": 0.5}).tolist() == [400, 400]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.05, 0.95), st.floats(0.25, 2))
def test_realised_shares_are_within_a_sample_of_the_plan(seed: int, share: float, weight: float) -> None:
    generator = np.random.default_rng(seed)
    samples = [
        supervised(f"{i}", int(generator.integers(1, 20)), ("en", "ar")[i % 2] + "/xray/vqa", source=f"s{i % 3}")
        for i in range(300)
    ]
    table = make_tokens(samples).table
    rows = np.arange(300)
    mix = {"weights": {"s0": weight}, "shares": {"ar/*/*": share}}
    uses = epoch_uses(table, rows, **mix, seed=seed, epoch=1)  # type: ignore[arg-type]
    realised = np.bincount(table.cell, weights=table.supervised * uses, minlength=2)
    planned = wanted_tokens(table, rows, **mix)  # type: ignore[arg-type]
    assert np.abs(realised - planned).max() <= 20
    assert planned[table.cells.index("ar/xray/vqa")] == pytest.approx(share * planned.sum())


def test_a_share_of_nothing_is_an_error_that_lists_the_cells() -> None:
    table = make_tokens([supervised("a", 2, "en/ct/vqa")]).table
    with pytest.raises(ConfigError, match="en/ct/vqa") as caught:
        epoch_uses(table, np.arange(1), weights={}, shares={"ar/*/*": 0.5}, seed=0, epoch=0)
    assert "الخلايا" in caught.value.message_ar


def test_holdout_keeps_translations_and_images_together() -> None:
    # Three questions an image, each in both languages.
    samples = [
        sample(f"{number}{language}", number // 3, 4, pair=f"p{number}", cell=f"{language}/ct/vqa")
        for number in range(200)
        for language in ("en", "ar")
    ]
    # A pair that links two images: the components of images 0 and 1 must not be divided.
    samples += [sample("x", 0, 4, pair="link"), sample("y", 1, 4, pair="link")]
    table = make_tokens(samples).table
    train, held = split_holdout(table, 0.3, 5)
    assert sorted([*train, *held]) == list(range(len(samples)))
    assert 0.15 < len(held) / len(samples) < 0.45
    assert not set(table.pair[train]) & set(table.pair[held])
    assert not set(table.image_index[train]) & set(table.image_index[held])


def recipe(**stage: object) -> Recipe:
    return Recipe(model="m", records=(), stages=(StageRecipe("s", **stage),), pack_tokens=40)  # type: ignore[arg-type]


def test_steps_by_samples_hold_as_many_conversations_on_average() -> None:
    table = make_tokens([sample(f"{i}", None, 3 + i % 17) for i in range(500)]).table
    plan = plan_stage(table, np.arange(500), recipe(packs_per_step=0, samples_per_step=16), 0)
    sizes = [sum(len(pack.rows) for pack in step) for step in plan.steps]
    assert sum(sizes) == 500
    assert np.mean(sizes[:-1]) == pytest.approx(16, abs=0.5)


def test_plan_is_the_same_on_every_call_and_names_its_epochs() -> None:
    table = make_tokens([sample(f"{i}", i // 2 if i % 3 else None, 5) for i in range(60)]).table
    first, second = (plan_stage(table, np.arange(60), recipe(epochs=3, packs_per_step=2), 0) for _ in range(2))
    assert first == second
    assert first.epoch_ends[-1] == len(first.steps)
    assert first.epoch(0) == 0
    assert first.epoch(first.epoch_ends[0]) == 1
    assert first.cells["en/ct/vqa"]["realised"] == 180
    assert first.steps[: first.epoch_ends[0]] != first.steps[first.epoch_ends[0] : first.epoch_ends[1]]


def test_alignment_leaves_texts_out() -> None:
    table = make_tokens([sample("a", 0, 5), sample("b", None, 5)]).table
    plan = plan_stage(table, np.arange(2), recipe(train="projector"), 0)
    assert [pack.rows for step in plan.steps for pack in step] == [[0]]
