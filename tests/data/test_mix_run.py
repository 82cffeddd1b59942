"""Mixes end to end: what is refused, what stays the same, what a killed run leaves."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest
from mix_records import ids, made, many, mixed, pairs, test_set
from typer.testing import CliRunner

from bimedix2.cli.app import app
from bimedix2.data.decontaminate.run import decontaminate
from bimedix2.data.mix import MixSettings, run_mix
from bimedix2.errors import DataError, RecordError
from bimedix2.records import Step, read_records, write_records

EN, AR = "en/text/qa", "ar/text/qa"
NERVE = "Which nerve is most likely injured in a man who cannot lift his wrist after a fracture of the humerus?"


def test_file_order_and_format_make_no_difference_and_the_seed_does(tmp_path: Path) -> None:
    first, second = [*many(EN, 30), *pairs(10)], many(AR, 25)
    one = mixed(tmp_path, first, second, targets={"ar/*/*": 0.5}, total=40)
    two = mixed(tmp_path, second[::-1], first[::-1], targets={"ar/*/*": 0.5}, total=40, out="two.parquet")
    assert one.content_sha256 == two.content_sha256
    assert list(read_records(one.out)) == list(read_records(two.out))
    assert one.content_sha256 == hashlib.sha256(one.out.read_bytes()).hexdigest()
    other = mixed(tmp_path, first, second, targets={"ar/*/*": 0.5}, total=40, seed=1, out="other.jsonl")
    assert set(ids(other.out)) != set(ids(one.out))


def test_a_larger_mix_holds_the_smaller_one(tmp_path: Path) -> None:
    small = mixed(tmp_path, many(EN, 50), total=10)
    large = mixed(tmp_path, many(EN, 50), total=30, out="large.jsonl")
    assert set(ids(small.out)) < set(ids(large.out))


def test_every_record_says_that_it_was_mixed_and_nothing_else_changes(tmp_path: Path) -> None:
    records = [*many(EN, 4), made("x", AR, provenance=(Step(name="ingest", tool="t"),))]
    report = mixed(tmp_path, records, seed=7)
    found = {record.id: record for record in read_records(report.out)}
    for record in records:
        own = found[record.id]
        assert own.provenance[:-1] == record.provenance
        assert (own.provenance[-1].name, own.provenance[-1].date) == ("mix", "")
        assert "seed 7" in own.provenance[-1].note
        assert msgspec.structs.replace(own, provenance=record.provenance) == record


def test_nothing_changed_is_noticed(tmp_path: Path) -> None:
    assert not mixed(tmp_path, many(EN, 4)).reused
    settings = MixSettings(
        (tmp_path / "in0.jsonl",), tmp_path / "mix.jsonl", contamination="refuse", decontaminate=test_set(tmp_path)
    )
    os.utime(tmp_path / "test_set.jsonl", ns=(1, 1))
    run_mix(settings)
    assert run_mix(settings).reused
    assert run_mix(settings).records == 4
    write_records(tmp_path / "in0.jsonl", many(EN, 5))
    assert run_mix(settings).records == 5


def test_the_same_record_twice_counts_once(tmp_path: Path) -> None:
    again = [made("a", EN, provenance=(Step(name="dedup", tool="t"),))]
    one = mixed(tmp_path, [made("a", EN), made("b", EN)], again)
    two = mixed(tmp_path, again, [made("b", EN), made("a", EN)], out="two.jsonl")
    assert sorted(ids(one.out)) == ["a", "b"]
    assert one.content["left_out"] == {"repeated": 1}
    assert one.content_sha256 == two.content_sha256


SAME = {"sha256": "0" * 64}


@pytest.mark.parametrize(
    ("one", "other", "kind"),
    [
        ({}, {"id": "a", "answer": "else"}, "id"),
        ({"pair_id": "p"}, {"pair_id": "p", "split": "dev"}, "pair_id"),
        ({"parent": "o"}, {"parent": "o", "split": "dev"}, "parent"),
        ({}, {"parent": "a", "split": "dev"}, "parent"),
        ({"images": ("i.png",)}, {"images": ("i.png",), "split": "dev"}, "image"),
        ({"images": (SAME | {"path": "i.png"},)}, {"images": (SAME | {"path": "j.png"},), "split": "dev"}, "image"),
    ],
)  # fmt: skip
def test_conflicts_are_refused_and_listed(tmp_path: Path, one, other, kind) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(DataError) as caught:
        mixed(tmp_path, [made("x"), made("a", **one)], [made(other.pop("id", "b"), **other)])
    assert caught.value.code == "conflicts"
    (row,) = map(json.loads, (tmp_path / "mix.conflicts.jsonl").open(encoding="utf-8"))
    assert (row["kind"], row["id"]) == (kind, "a")
    assert {(row["file"], row["row"]), (row["other_file"], row["other_row"])} == {
        (str(tmp_path / "in0.jsonl"), 2), (str(tmp_path / "in1.jsonl"), 1)
    }  # fmt: skip
    assert "in0.jsonl row 2 a" in caught.value.message and "in0.jsonl الصف 2 a" in caught.value.message_ar
    assert not (tmp_path / "mix.jsonl").exists()


def test_one_image_in_train_and_dev_where_it_is_meant(tmp_path: Path) -> None:
    records = [made("a", images=("i.png",)), made("b", images=("i.png",), split="dev")]
    with pytest.raises(DataError, match="--shared-images"):
        mixed(tmp_path, records)
    report = mixed(tmp_path, records, shared_images=True)
    assert ids(report.out) == ["a"]
    assert report.content["left_out"] == {"repeated": 0, "split_dev": 1}
    both = mixed(tmp_path, records, shared_images=True, splits=frozenset({"train", "dev"}), out="both.jsonl")
    assert sorted(ids(both.out)) == ["a", "b"]


def test_test_records_are_refused(tmp_path: Path) -> None:
    options = {"dry_run": True, "contamination": "report"}
    with pytest.raises(DataError) as caught:
        mixed(tmp_path, [made("a"), made("b", split="test")], **options)
    assert caught.value.code == "test_records"
    assert "row 2" in caught.value.message and "الصف 2" in caught.value.message_ar


def test_no_mix_without_a_report_of_these_very_bytes(tmp_path: Path) -> None:
    path = tmp_path / "in0.jsonl"
    with pytest.raises(DataError) as caught:
        mixed(tmp_path, many(EN, 3), contamination="report")
    assert caught.value.code == "not_decontaminated"
    assert "--decontaminate" in caught.value.message_ar
    decontaminate(path, None, test_set(tmp_path))
    assert mixed(tmp_path, many(EN, 3), contamination="report").records == 3
    with pytest.raises(DataError, match="another state"):
        mixed(tmp_path, many(EN, 4), contamination="report")
    decontaminate(path, None, test_set(tmp_path))
    (tmp_path / "in0.decontamination.json").write_text("{}", encoding="utf-8")
    with pytest.raises(DataError, match="cannot be read"):
        mixed(tmp_path, many(EN, 4), contamination="report")


def test_a_clean_copy_brings_its_report(tmp_path: Path) -> None:
    bad = msgspec.structs.replace(
        made("bad"), turns=(msgspec.structs.replace(made("bad").turns[0], text=NERVE), made("bad").turns[1])
    )
    write_records(tmp_path / "raw.jsonl", [*many(EN, 3), bad])
    decontaminate(tmp_path / "raw.jsonl", tmp_path / "clean.jsonl", msgspec_replace(test_set(tmp_path), drop=True))
    report = run_mix(MixSettings((tmp_path / "clean.jsonl",), tmp_path / "mix.jsonl"))
    assert report.records == 3
    assert report.content["decontamination"][0]["left_out"] == 1


def msgspec_replace(settings, **fields):  # type: ignore[no-untyped-def]
    from dataclasses import replace

    return replace(settings, **fields)


def test_test_items_are_refused_with_their_list_or_left_out(tmp_path: Path) -> None:
    question = msgspec.structs.replace(made("bad").turns[0], text=NERVE)
    bad = msgspec.structs.replace(made("bad"), turns=(question, made("bad").turns[1]))
    translation = made("bad:ar", AR, parent="bad")  # its own words say nothing
    with pytest.raises(DataError) as caught:
        mixed(tmp_path, [made("a"), bad, made("c")], [translation, made("d", AR)])
    assert caught.value.code == "contaminated"
    assert "row 2, bad" in caught.value.message and "t1" in caught.value.message_ar
    # The same refusal from a report that says so.
    place = tmp_path / "mix.in0.decontamination.json"
    place.rename(tmp_path / "in0.decontamination.json")
    (tmp_path / "mix.in0.decontamination.offences.jsonl").rename(tmp_path / "in0.decontamination.offences.jsonl")
    with pytest.raises(DataError) as caught:
        run_mix(MixSettings((tmp_path / "in0.jsonl",), tmp_path / "mix.jsonl"))
    assert caught.value.code == "contaminated"
    assert "row 2, bad" in caught.value.message and "bad" in caught.value.message_ar
    report = mixed(tmp_path, [made("a"), bad, made("c")], [translation, made("d", AR)], contamination="drop")
    assert sorted(ids(report.out)) == ["a", "c", "d"]
    rows = [json.loads(line) for line in (tmp_path / "mix.quarantine.jsonl").open(encoding="utf-8")]
    assert [(row["id"], row["row"]) for row in rows] == [("bad", 2), ("bad:ar", 1)]
    assert [about["left_out"] for about in report.content["decontamination"]] == [1, 1]


def test_rows_after_one_left_out_keep_their_numbers(tmp_path: Path) -> None:
    question = msgspec.structs.replace(made("bad").turns[0], text=NERVE)
    bad = msgspec.structs.replace(made("bad"), turns=(question, made("bad").turns[1]))
    with pytest.raises(DataError, match=r"in0\.jsonl row 3 b ") as caught:
        mixed(
            tmp_path,
            [made("a"), bad, made("b", pair_id="p"), made("c", pair_id="p", split="dev")],
            contamination="drop",
        )
    assert "in0.jsonl row 4 c" in caught.value.message


def test_a_bad_row(tmp_path: Path) -> None:
    write_records(tmp_path / "in.jsonl", many(EN, 3))
    with (tmp_path / "in.jsonl").open("ab") as file:
        file.write(b'{"id": \n')
    settings = MixSettings((tmp_path / "in.jsonl",), tmp_path / "mix.jsonl", dry_run=True)
    assert run_mix(settings).content["quarantine"]["rows"] == 1
    with pytest.raises(RecordError) as caught:
        run_mix(msgspec_replace(settings, strict=True))
    assert caught.value.row == 4
    assert not (tmp_path / "mix.quarantine.jsonl").exists()
    with pytest.raises(RecordError):
        run_mix(MixSettings((tmp_path / "nowhere.jsonl",), tmp_path / "mix.jsonl"))


def test_a_file_that_changes_while_it_is_mixed(tmp_path: Path) -> None:
    write_records(tmp_path / "in0.jsonl", many(EN, 5))

    def meddle(english: str, arabic: str) -> None:
        if english.startswith("Plan"):
            write_records(tmp_path / "in0.jsonl", many(EN, 4))

    with pytest.raises(DataError) as caught:
        run_mix(
            MixSettings(
                (tmp_path / "in0.jsonl",),
                tmp_path / "mix.jsonl",
                contamination="refuse",
                decontaminate=test_set(tmp_path),
            ),
            meddle,
        )
    assert caught.value.code == "changed"
    assert not (tmp_path / "mix.json").exists()


@pytest.mark.parametrize(
    ("language", "words"), [("en", ["Plan, counted in", "Mixed"]), ("ar", ["الخطة، محسوبة", "الخليط، محسوبا"])]
)
def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, language: str, words: list[str]) -> None:
    monkeypatch.setenv("BIMEDIX2_LANG", language)
    write_records(tmp_path / "a.jsonl", many(EN, 6))
    write_records(tmp_path / "b.parquet", many(AR, 2))
    test_set(tmp_path)
    out, plot = tmp_path / "m.jsonl", tmp_path / "m.svg"
    command = ["data", "mix", str(tmp_path / "a.jsonl"), str(tmp_path / "b.parquet"), "--out", str(out)]
    command += ["--target", "ar/*/*=0.5", "--decontaminate", "--no-shipped", "--test", str(tmp_path / "test_set.jsonl")]
    result = CliRunner().invoke(app, [*command, "--dry-run"])
    assert result.exit_code == 0 and not out.exists(), result.output
    assert words[0] in result.stderr and words[1] not in result.stderr
    result = CliRunner().invoke(app, [*command, "--plot", str(plot)])
    assert result.exit_code == 0, result.output
    assert words[1] in result.stderr and "ar/text/qa" in result.stderr and "50.0%" in result.stderr
    assert "<svg" in plot.read_text(encoding="utf-8")
    assert json.loads((tmp_path / "m.json").read_text(encoding="utf-8"))["out"]["records"] == 4


def test_without_matplotlib_the_mix_is_made_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert mixed(tmp_path, many(EN, 3), plot=tmp_path / "p.png").records == 3
    assert not (tmp_path / "p.png").exists()


def test_killed_at_any_moment_the_next_run_gives_the_same_mix(tmp_path: Path) -> None:
    write_records(tmp_path / "in0.jsonl", many(EN, 3000))
    decontaminate(tmp_path / "in0.jsonl", None, test_set(tmp_path))
    write_records(tmp_path / "old.jsonl", many(AR, 3))
    decontaminate(tmp_path / "old.jsonl", None, test_set(tmp_path))
    whole = run_mix(MixSettings((tmp_path / "in0.jsonl",), tmp_path / "whole.jsonl"))
    out = tmp_path / "mix.jsonl"
    code = (
        "import sys; from pathlib import Path; from bimedix2.data.mix import *\n"
        "print('up', flush=True); run_mix(MixSettings((Path(sys.argv[1]),), Path(sys.argv[2]), force=True))"
    )
    old = run_mix(MixSettings((tmp_path / "old.jsonl",), out)).out.read_bytes()
    generator = random.Random(5)
    killed = 0
    for _ in range(8):
        process = subprocess.Popen([sys.executable, "-c", code, tmp_path / "in0.jsonl", out], stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(generator.uniform(0, 0.6))
        process.send_signal(signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
        process.stdout.close()
        assert out.read_bytes() in (old, whole.out.read_bytes())
    assert killed
    again = run_mix(MixSettings((tmp_path / "in0.jsonl",), out))
    assert again.content_sha256 == whole.content_sha256
    assert sorted(path.name for path in tmp_path.glob(".mix*")) == [".mix.jsonl.lock"]
