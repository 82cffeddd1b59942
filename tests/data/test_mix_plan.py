"""Targets of a mix: hand-worked cases, and what must hold for any."""

from __future__ import annotations

from collections import Counter
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mix_records import ids, made, many, mixed, pairs

from bimedix2.data.mix.solve import largest_total, parts
from bimedix2.data.mix.targets import are_shares, parse_targets, read_targets
from bimedix2.errors import BiMediX2Error, ConfigError, DataError
from bimedix2.records import read_records
from bimedix2.records.cells import cell_of, first_match

EN, AR = "en/text/qa", "ar/text/qa"


def cells(path: Path) -> Counter[str]:
    return Counter(cell_of(record) for record in read_records(path))


def test_without_targets_everything_is_taken_once(tmp_path: Path) -> None:
    report = mixed(tmp_path, many(EN, 6), many(AR, 2))
    assert cells(report.out) == {EN: 6, AR: 2}
    assert len(set(ids(report.out))) == report.records == 8


@pytest.mark.parametrize(
    ("limit", "total", "english", "arabic"),
    # The largest mix of which half is Arabic; then the size kept, as the trainer's shares do; then what was asked for.
    [(1, None, 2, 2), (2, None, 4, 4), (5, None, 4, 4), (1, 2, 1, 1), (3, 12, 6, 6)],
)
def test_half_arabic(tmp_path: Path, limit: int, total: int | None, english: int, arabic: int) -> None:
    report = mixed(tmp_path, many(EN, 6), many(AR, 2), targets={"ar/*/*": 0.5}, upsample_limit=limit, total=total)
    assert cells(report.out) == {EN: english, AR: arabic}
    names = ids(report.out)
    assert len(set(names)) == len(names)
    uses = Counter(name.partition("~")[0] for name in names)
    assert max(uses.values()) <= limit
    assert max(uses.values()) - min(uses[name] for name in uses if name.startswith("ar")) <= 1


def test_a_copy_names_its_original_and_is_a_pair_of_its_own(tmp_path: Path) -> None:
    records = [made("a", AR, pair_id="p"), made("b", AR, parent="b0", pair_id="q"), made("c", AR)]
    report = mixed(tmp_path, records, total=6, upsample_limit=2)
    found = {record.id: (record.parent, record.pair_id) for record in read_records(report.out)}
    assert found == {
        "a": (None, "p"), "a~2": ("a", "p~2"), "b": ("b0", "q"), "b~2": ("b0", "q~2"),
        "c": (None, None), "c~2": ("c", None),
    }  # fmt: skip
    with pytest.raises(DataError, match="a~2") as caught:
        mixed(tmp_path, records, [made("a~2", AR)], total=8, upsample_limit=2, out="other.jsonl")
    assert caught.value.code == "conflicts"


def test_what_no_pattern_names_keeps_its_proportions(tmp_path: Path) -> None:
    files = many("en/ct/vqa", 40), many("en/mri/vqa", 20), many("en/xray/report", 20), many(AR, 100)
    report = mixed(tmp_path, *files, targets={"*/xray/*": 0.25, "ar/*/*": 0.25}, total=80)
    # 20 + 20 for the two targets; 40 for the rest at 40 : 20.
    assert report.content["size"] == {"planned": 80.0, "mixed": 80}
    got = cells(report.out)
    assert (got["en/xray/report"], got[AR]) == (20, 20)
    assert got["en/ct/vqa"] in (26, 27)
    assert got["en/ct/vqa"] + got["en/mri/vqa"] == 40


def test_the_first_pattern_that_fits_counts_as_in_the_trainer() -> None:
    from bimedix2.train.plan.mix import _pattern

    patterns = ["en/*", "*/ct/*", "ar/*/vqa", "*"]
    for parts_ in product(("en", "ar"), ("ct", "text"), ("vqa", "qa")):
        cell = "/".join(parts_)
        for count in range(len(patterns) + 1):
            assert first_match(cell, patterns[:count]) == _pattern(cell, dict.fromkeys(patterns[:count], 0.1))


def test_amounts(tmp_path: Path) -> None:
    report = mixed(tmp_path, many(EN, 6), many(AR, 5), targets={"ar/*/*": 3})
    assert cells(report.out) == {EN: 6, AR: 3}
    report = mixed(tmp_path, many(EN, 6), many(AR, 5), targets={"ar/*/*": 3}, total=4, out="b.jsonl")
    assert cells(report.out) == {EN: 1, AR: 3}


def test_tokens_are_counted_not_records(tmp_path: Path) -> None:
    long = [made(f"e{number}", EN, "w " * 9 + "w") for number in range(20)]  # 10 words each
    short = [made(f"a{number}", AR, "w w") for number in range(50)]  # 2 words each
    report = mixed(tmp_path, long, short, targets={"ar/*/*": 0.5}, unit="tokens", tokens="words")
    assert cells(report.out) == {EN: 10, AR: 50}
    assert report.content["counted_with"] == "words"
    assert [(target["size"], target["share"]) for target in report.content["targets"]] == [(100, 0.5), (100, 0.5)]


def test_pairs_stay_together(tmp_path: Path) -> None:
    report = mixed(tmp_path, pairs(30), many("ar/ct/vqa", 40), targets={"ar/*/*": 0.7}, total=50, pairs_together=True)
    names = ids(report.out)
    taken = {name for name in names if name.startswith("p")}
    assert taken == {f"{name[:-3]}:{language}" for name in taken for language in ("en", "ar")}
    # All 15 English records are halves of pairs, so 15 of the 35 Arabic ones are too.
    assert len(taken) == 30
    assert cells(report.out) == {"en/ct/vqa": 15, "ar/ct/vqa": 35}
    assert report.content["whole_pairs"] == 15


@pytest.mark.parametrize(
    ("options", "parts_of_message"),
    [
        (
            {"targets": {"ar/*/*": 0.5}, "total": 8},
            ["ar/*/* lacks 2", "4 wanted, 2 there", "--total 4", "--upsample-limit 2"],
        ),
        ({"targets": {"ar/*/*": 5}}, ["ar/*/* lacks 3", "5 wanted, 2 there", "'ar/*/*=2'", "--upsample-limit 3"]),
        ({"total": 9}, ["the other cells lacks 1", "--total 8", "--upsample-limit 2"]),
    ],
)
def test_what_cannot_be_met_says_what_lacks_and_what_could_be(
    tmp_path: Path, options: dict[str, object], parts_of_message: list[str]
) -> None:
    with pytest.raises(DataError) as caught:
        mixed(tmp_path, many(EN, 6), many(AR, 2), **options)
    assert caught.value.code == "infeasible"
    for part in parts_of_message:
        assert part in caught.value.message
    numbers = [word for word in parts_of_message if word.startswith(("--", "'"))]
    assert all(number in caught.value.message_ar for number in numbers)
    assert "ينقصها" in caught.value.message_ar
    assert not (tmp_path / "mix.jsonl").exists()


def test_the_nearest_plans_that_are_named_can_be_met(tmp_path: Path) -> None:
    files = many(EN, 6), many(AR, 2)
    for number, options in enumerate(({"total": 4}, {"total": 8, "upsample_limit": 2})):
        assert (
            mixed(tmp_path, *files, targets={"ar/*/*": 0.5}, out=f"{number}.jsonl", **options).records
            == options["total"]
        )


@pytest.mark.parametrize(
    ("targets", "total"),
    [
        ({"ar/*/*": 0.7, "en/*/*": 0.4}, None), ({"ar/*/*": 0.5, "en/*/*": 40}, None), ({"ar/*/*": -1}, None),
        ({"a/b/c/d": 0.5}, None), ({"*/pet/*": 0.5}, None), ({"*": 0.5}, None), ({"ar/*/*": 5}, 4),
        ({"ar/*/*": float("nan")}, None),
    ],
)  # fmt: skip
def test_targets_that_contradict_each_other(tmp_path: Path, targets: dict[str, float], total: int | None) -> None:
    with pytest.raises(ConfigError) as caught:
        mixed(tmp_path, many(EN, 6), many(AR, 6), targets=targets, total=total)
    assert caught.value.message_ar != caught.value.message


def test_target_files(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_text("ar/*/*: 0.5\n'*/xray/*': 0.2\n", encoding="utf-8")
    assert read_targets(path) == {"targets": {"ar/*/*": 0.5, "*/xray/*": 0.2}}
    path.write_text("unit: tokens\ntotal: 90\ntargets: {ar/*/*: 0.5}\n", encoding="utf-8")
    assert read_targets(path) == {"unit": "tokens", "total": 90, "targets": {"ar/*/*": 0.5}}
    assert parse_targets(["ar/*/*=0.5"]) == {"ar/*/*": 0.5}
    for text in (
        "",
        "[]",
        "unit: bytes",
        "total: many",
        "sheed: 3\ntargets: {}",
        "ar/*/*: much",
        ":",
        "pairs_together: 3",
    ):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(ConfigError) as caught:
            read_targets(path)
        assert str(path) in caught.value.message or "much" in caught.value.message
    for text in ("ar/*/*", "=0.5", "ar/*/*=much"):
        with pytest.raises(BiMediX2Error):
            parse_targets([text])
    assert are_shares({}) and are_shares({"ar/*/*": 1.0}) and not are_shares({"ar/*/*": 2})


def test_parts_of_overlapping_strata_by_hand() -> None:
    # Strata: English alone (60), Arabic alone (40), pairs (30 + 30). Wanted: 30 English, 70 Arabic.
    size = np.array([[60.0, 0.0], [0.0, 40.0], [30.0, 30.0]])
    part, got = parts(size, np.array([30.0, 70.0]), 1)
    assert got == pytest.approx([30, 70])
    # Arabic needs every Arabic record there is, so every pair; they have all the English that is wanted.
    assert part == pytest.approx([0, 1, 1], abs=1e-6)
    # Independent strata: the quota over what is there.
    assert parts(np.diag([10.0, 40.0]), np.array([5.0, 10.0]), 1)[0] == pytest.approx([0.5, 0.25])
    assert largest_total(np.diag([600.0, 200.0]), np.array([0.5, 0.5]), 1) == pytest.approx(400)
    assert largest_total(np.diag([600.0, 200.0]), np.array([0.5, 0.5]), 2) == pytest.approx(800)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(*[st.integers(0, 50)] * 3).filter(any), min_size=1, max_size=6),
    st.lists(st.floats(0, 1), min_size=6, max_size=6), st.integers(1, 3),
)  # fmt: skip
def test_parts_meet_quotas_that_some_parts_meet(rows: list[tuple[int, ...]], wanted: list[float], limit: int) -> None:
    """Quotas made from parts in the open interval are feasible, so they must be met, within the limits."""
    size = np.array(rows, float)
    inside = 0.05 + 0.9 * np.array(wanted[: len(rows)])
    quota = inside * limit @ size
    part, got = parts(size, quota, limit)
    assert (part >= 0).all() and (part <= limit + 1e-9).all()
    assert got == pytest.approx(quota, rel=1e-4, abs=1e-3)


@settings(max_examples=10, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([EN, AR, "en/ct/vqa", "ar/ct/vqa"]), st.integers(1, 30)), min_size=4),
    st.sampled_from([{"ar/*/*": 0.5}, {"*/ct/*": 0.3}, {"ar/*/*": 0.25, "en/ct/*": 0.25}, {}]), st.integers(0, 99),
    st.integers(1, 3), st.randoms(use_true_random=False),
)  # fmt: skip
def test_any_mix(rows, targets, seed, limit, random) -> None:  # type: ignore[no-untyped-def]
    records = [made(str(number), cell, "w " * words) for number, (cell, words) in enumerate(rows)]
    options = {"targets": targets, "seed": seed, "upsample_limit": limit, "unit": "tokens", "tokens": "words"}
    with TemporaryDirectory() as name:
        folder = Path(name)
        try:
            report = mixed(folder, records, **options)
        except ConfigError:  # a target names no cell that is there, or leaves none for the rest
            return
        names = ids(report.out)
        assert len(set(names)) == len(names) == report.records
        assert max(Counter(own.partition("~")[0] for own in names).values(), default=0) <= limit
        for target in report.content["targets"]:  # as near as whole records allow, in each of its cells
            assert abs(target["size"] - target["planned_size"]) <= 30 * 4
        random.shuffle(records)
        cut = random.randrange(1, len(records))
        again = mixed(folder, records[:cut], records[cut:], out="again.jsonl", **options)
        assert again.out.read_bytes() == report.out.read_bytes()


def test_shares_that_whole_pairs_do_not_allow_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:  # a pair is half Arabic, whichever is chosen
        mixed(tmp_path, pairs(6), targets={"ar/*/*": 0.25}, pairs_together=True)
    assert caught.value.code == "infeasible"
    assert "--pairs-together" in caught.value.message
    assert "--pairs-together" in caught.value.message_ar
    assert mixed(tmp_path, pairs(6), targets={"ar/*/*": 0.25}).records == 8


def test_conflicts_found_a_range_of_keys_at_a_time_are_those_of_one_sort(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against a plain loop over groups, with ranges of a few keys."""
    rng = np.random.default_rng(3)
    records = [
        made(
            f"r{n}", EN, pair_id=f"p{rng.integers(60)}" if rng.random() < 0.7 else None,
            parent=f"r{rng.integers(200)}" if rng.random() < 0.3 else None,
            split="dev" if rng.random() < 0.1 else "train",
            images=[f"{rng.integers(90)}.png"] if rng.random() < 0.6 else [],
        )
        for n in range(200)
    ]  # fmt: skip
    groups: dict[tuple[str, str], set[str]] = {}
    names = {record.id: record for record in records}
    for one in records:
        keys = [("pair_id", one.pair_id), ("image", one.images[0].path if one.images else None)]
        for kind, key in keys:
            if key:
                groups.setdefault((kind, key), set()).add(one.split)
        if one.parent in names:
            groups.setdefault(("parent", one.parent), {names[one.parent].split}).add(one.split)
        elif one.parent:
            groups.setdefault(("parent", one.parent), set()).add(one.split)
    wanted = Counter(kind for (kind, _), splits in groups.items() if len(splits) > 1)
    for part in (1 << 18, 7):
        monkeypatch.setattr("bimedix2.data.mix.checks._PART", part)
        with pytest.raises(DataError):
            mixed(tmp_path, records)
        lines = (tmp_path / "mix.conflicts.jsonl").read_bytes().splitlines()
        assert Counter(str(msgspec.json.decode(line)["kind"]) for line in lines) == wanted
