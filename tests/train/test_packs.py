from hypothesis import given, settings
from hypothesis import strategies as st

from bimedix2.train.packs import Sample, plan_epoch, repeats

PREFIX = (2, 5, 6, 6)


def sample(name: str, image: int | None, length: int, group: str | None = None, source: str = "s") -> Sample:
    prefix = PREFIX if image is not None else ()
    ids = (*prefix, *range(100, 100 + length))
    return Sample(name, group or name, source, image, ids, (-100,) * len(ids), len(prefix))


def test_conversations_about_one_image_share_a_row() -> None:
    samples = [sample("a", 0, 5), sample("b", 0, 7), sample("c", 1, 5), sample("d", None, 4)]
    packs = plan_epoch(samples, seed=0, epoch=0, budget=100, weights={})
    by_image = {pack.image: pack for pack in packs}
    assert {s.id for s in by_image[0].samples} == {"a", "b"}
    assert by_image[0].tokens == 4 + 5 + 7  # the prefix of four is there once
    assert by_image[None].tokens == 4


def test_one_phrasing_of_a_group_per_epoch_and_all_of_them_over_time() -> None:
    samples = [sample(f"g{i}", 0, 5, group="g") for i in range(3)]
    seen = set()
    for epoch in range(40):
        (pack,) = plan_epoch(samples, seed=1, epoch=epoch, budget=100, weights={})
        assert len(pack.samples) == 1
        seen.add(pack.samples[0].id)
    assert seen == {"g0", "g1", "g2"}


def test_different_prefixes_never_share_a_row() -> None:
    first = sample("a", 0, 5)
    second = Sample("b", "b", "s", 0, (2, 9, 6, 6, 100), (-100,) * 5, 4)
    assert len(plan_epoch([first, second], seed=0, epoch=0, budget=100, weights={})) == 2


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([None, 0, 1, 2]), st.integers(1, 30)), min_size=1, max_size=40),
    st.integers(0, 5),
    st.randoms(use_true_random=False),
)
def test_every_sample_once_within_budget_whatever_the_input_order(rows, epoch, random) -> None:  # type: ignore[no-untyped-def]
    samples = [sample(f"{i}", image, length) for i, (image, length) in enumerate(rows)]
    packs = plan_epoch(samples, seed=3, epoch=epoch, budget=40, weights={})
    assert sorted(s.id for pack in packs for s in pack.samples) == sorted(s.id for s in samples)
    assert all(pack.tokens <= 40 or len(pack.samples) == 1 for pack in packs)
    shuffled = samples[:]
    random.shuffle(shuffled)
    assert plan_epoch(shuffled, seed=3, epoch=epoch, budget=40, weights={}) == packs


def test_weights_give_the_expected_number_of_uses() -> None:
    samples = [sample(f"{i}", i, 5, source="half" if i % 2 else "twice") for i in range(2000)]
    packs = plan_epoch(samples, seed=0, epoch=0, budget=100, weights={"half": 0.5, "twice": 2.0})
    used = [s.source for pack in packs for s in pack.samples]
    assert used.count("twice") == 2000
    assert 430 < used.count("half") < 570  # 500 expected, five standard deviations are 79


def test_repeats_by_hand() -> None:
    assert repeats(1.25, 2499) == 2
    assert repeats(1.25, 2500) == 1
    assert repeats(0.0, 0) == 0
    assert repeats(3.0, 7) == 3
