"""The whole line on a small set: every step, what is done again, errors, two builds at once, kill -9."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from pathlib import Path

import build_files as bf
import pytest
from source_files import run_command

from bimedix2.data.locks import only_one
from bimedix2.errors import ConfigError, DataError
from bimedix2.records import read_jsonl, write_jsonl

KILLS = 10
ALL = ["ingest", "check", "phi", "dedup", "decontaminate", "mix", "shard", "card"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A recipe and a finished build of it; tests must not change them."""
    folder = tmp_path_factory.mktemp("whole")
    recipe = bf.write_set(folder)
    bf.built(recipe, folder / "out")
    return recipe, folder / "out"


def states(out: Path) -> dict[str, dict[str, object]]:
    found = [json.loads(path.read_bytes()) for path in sorted(out.glob("[0-9][0-9]-*/step.json"))]
    return {state["step"]: state for state in found}


def test_every_step_leaves_its_folder_and_its_account(whole: tuple[Path, Path]) -> None:
    _, out = whole
    found = states(out)
    assert list(found) == ALL
    # 12 pairs, 2 films a class in 4 records each; the film's own records ask in pairs as well.
    assert found["ingest"]["rows"] == {"in": 40, "out": 40, "added": 0}
    assert found["check"]["details"]["pairs"] == 12
    assert found["check"]["listed"] == {"failed_check": 1}
    assert found["check"]["details"]["by_check"]["numbers"] == 1
    mixed = list(read_jsonl(out / "mix.jsonl"))
    assert sorted(record.id for record in mixed) == sorted(
        record.id for record in read_jsonl(out / "08-decontaminate/records.jsonl")
    )
    names = [step.name for step in next(record for record in mixed if record.id == "own:3:ar").provenance]
    assert names == ["check", "dedup", "decontaminate", "mix"]
    assert "numbers" in next(record for record in mixed if record.id == "own:3:ar").provenance[0].note
    assert json.loads((out / "10-shard/shards/manifest.json").read_bytes())["images"] == 16
    assert (out / "11-card/card.md").is_file()


def test_another_folder_gets_the_same_records(whole: tuple[Path, Path], tmp_path: Path) -> None:
    recipe, out = whole
    bf.built(recipe, tmp_path / "again", until="decontaminate")
    first, second = (list(read_jsonl(one / "08-decontaminate/records.jsonl")) for one in (out, tmp_path / "again"))
    assert [one.id for one in first] == [one.id for one in second]
    assert [one.turns for one in first] == [one.turns for one in second]
    assert [one.provenance for one in first] == [one.provenance for one in second]


def test_a_rerun_does_nothing_and_a_changed_setting_only_what_follows(tmp_path: Path) -> None:
    recipe, out = bf.write_set(tmp_path), tmp_path / "out"
    bf.built(recipe, out)
    before = bf.contents(out)
    assert {done.why for done in bf.built(recipe, out)} == {"kept"}
    assert bf.contents(out) == before
    again = bf.built(recipe, out, "dedup.similarity=0.9")
    assert [done.why for done in again] == ["kept"] * 3 + ["settings"] * (len(ALL) - 3)
    bf.built(recipe, out)
    assert bf.contents(out) == before


def test_changed_originals_and_damaged_files_are_seen(tmp_path: Path) -> None:
    recipe, out = bf.write_set(tmp_path), tmp_path / "out"
    bf.built(recipe, out, until="check")
    own = tmp_path / "own.jsonl"
    write_jsonl(own, list(read_jsonl(own))[:-2])
    assert [done.why for done in bf.built(recipe, out, until="check")] == ["settings", "settings"]
    films = tmp_path / "data/pneumoniamnist/pneumoniamnist.npz"
    films.write_bytes(films.read_bytes() + b" ")
    assert bf.built(recipe, out, until="ingest")[0].why == "input"
    (out / "01-ingest/records.jsonl").write_bytes(b"")
    assert [done.why for done in bf.built(recipe, out, until="check")] == ["files", "kept"]  # the same bytes came back


def test_from_a_step_on_all_is_done_again_to_the_same_bytes(tmp_path: Path) -> None:
    recipe, out = bf.write_set(tmp_path), tmp_path / "out"
    bf.built(recipe, out)
    before = bf.contents(out)
    assert [done.why for done in bf.built(recipe, out, start="dedup")][2:4] == ["kept", "asked"]
    assert bf.contents(out) == before


def test_a_step_that_leaves_the_recipe_takes_its_folder_along(tmp_path: Path) -> None:
    recipe, out = bf.write_set(tmp_path), tmp_path / "out"
    bf.built(recipe, out, until="dedup")
    bf.built(recipe, out, "phi=null", until="dedup")
    assert [path.name for path in sorted(out.glob("[0-9]*"))] == ["01-ingest", "04-check", "07-dedup"]


def test_an_error_keeps_what_came_before_and_the_lists_that_it_names(tmp_path: Path) -> None:
    recipe, out = bf.write_set(tmp_path), tmp_path / "out"
    (tmp_path / "data/own/5.png").unlink()
    with pytest.raises(Exception, match=r"own/5\.png"):
        bf.built(recipe, out)
    assert (out / "06-phi/step.json").is_file()
    assert not (out / "07-dedup").exists()
    assert not list(out.glob(".0*"))


def test_test_items_refuse_the_build_with_a_list_that_stays(tmp_path: Path) -> None:
    recipe, out = bf.write_set(tmp_path), tmp_path / "out"
    with np_films(tmp_path):
        with pytest.raises(DataError) as caught:
            bf.built(recipe, out, "decontaminate.action=refuse")
        assert caught.value.code == "contaminated"
        listed = out / "failed/08-decontaminate/records.decontamination.offences.jsonl"
        assert str(listed) in caught.value.message
        assert str(listed) in caught.value.message_ar
        assert listed.read_text(encoding="utf-8")
        done = bf.built(recipe, out, until="decontaminate")
    assert sum(done[-1].state["aside"].values()) == 4
    assert not listed.exists()


class np_films:  # noqa: N801 -- reads as a statement
    """One training film stands in the test part too."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "data/pneumoniamnist/pneumoniamnist.npz"

    def __enter__(self) -> None:
        import numpy as np

        from bimedix2.data.sources._common import stable_order

        with np.load(self._path) as arrays:
            found = dict(arrays)
        chosen = int(stable_order(str(at) for at in range(0, 8, 2))[0])
        found["test_images"][0] = found["train_images"][chosen]
        np.savez(self._path, **found)

    def __exit__(self, *_: object) -> None:
        pass


def test_two_builds_in_one_folder_are_refused(tmp_path: Path) -> None:
    recipe, out = bf.write_set(tmp_path), tmp_path / "out"
    with only_one(out / "build"), pytest.raises(DataError) as caught:
        bf.built(recipe, out)
    assert caught.value.code == "busy"


def test_an_unknown_step_is_refused_with_the_nearest(tmp_path: Path) -> None:
    recipe = bf.write_set(tmp_path)
    with pytest.raises(ConfigError, match="'dedup'"):
        bf.built(recipe, tmp_path / "out", until="dedupe")


@pytest.mark.parametrize(
    ("lang", "words"), [("en", ["kept and listed", "failed check"]), ("ar", ["لم يجتز الفحص", "الاستيراد"])]
)
def test_the_command_tells_rows_and_reasons_in_both_languages(
    whole: tuple[Path, Path], lang: str, words: list[str]
) -> None:
    recipe, out = whole
    told = run_command(
        "data", "build", str(recipe), "--data", str(recipe.parent / "data"), "--out", str(out), lang=lang
    )
    assert told.exit_code == 0, told.output
    assert all(word in told.stdout for word in words)
    assert "40" in told.stdout


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(whole: tuple[Path, Path], tmp_path: Path) -> None:
    recipe, out = whole
    common = ("data", "build", str(recipe), "--data", str(recipe.parent / "data"), "--dry-run", "--json")
    told = json.loads(run_command(*common, "--out", str(out), "--set", "check.positions=true", lang="en").stdout)
    assert [one["why"] for one in told] == ["kept", "settings", *[None] * 6]
    told = json.loads(run_command(*common, "--out", str(tmp_path / "new"), lang="ar").stdout)
    assert told[0]["why"] == "new"
    assert not (tmp_path / "new").exists()


def test_killed_at_any_moment_the_next_build_ends_with_the_same_bytes(tmp_path: Path) -> None:
    """Ten builds are killed, each a little later than where the last one got; then one runs to its end."""
    recipe, out = bf.write_set(tmp_path), tmp_path / "out"
    bf.built(recipe, out)
    wanted = bf.contents(out)
    for path in sorted(out.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    command = [
        sys.executable, "-m", "bimedix2.cli", "data", "build", str(recipe), "--data", str(tmp_path / "data"), "--out",
        str(out),
    ]  # fmt: skip
    moments = random.Random(20)
    for _ in range(KILLS):
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            # Not by the clock from the start, which the imports fill: some line of progress, and a little more.
            for _, _line in zip(range(moments.randint(1, 6)), process.stderr, strict=False):
                pass
            time.sleep(moments.random() * 0.3)
            process.kill()
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    assert bf.contents(out) == wanted
    assert not [path.name for path in out.iterdir() if path.name.startswith(".") and path.name != ".build.lock"]
