"""Shards: every image once, the same bytes after any interruption, damage named, and back into a training run."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from mix_records import made, mixed
from PIL import Image
from typer.testing import CliRunner

from bimedix2.cli.app import app
from bimedix2.data.shard import ShardReport, ShardSettings, images, read, run_shard, unpack, verify
from bimedix2.errors import DataError
from bimedix2.records import Record, read_records, write_records


def picture(path: Path, seed: int) -> str:
    """A random picture; its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(90, 120, (40, 50, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(path)
    return path.name


def sample(folder: Path, count: int = 12) -> list[Record]:
    """Records about images; the files 0.png and copy.dat hold the same bytes, as do two records' images."""
    data = folder / "data"
    names = [picture(data / f"{number}.png", number) for number in range(count // 2)]
    (data / "copy.dat").write_bytes((data / "0.png").read_bytes())
    records = [
        made(f"r{n}", f"{('en', 'ar')[n % 2]}/ct/vqa", images=(names[n // 2],), licence="MIT") for n in range(count)
    ]
    return [
        *records,
        made("text", "ar/text/qa", licence="CC0-1.0"),
        made("copy", "en/ct/vqa", images=("copy.dat", "1.png")),
    ]


def sharded(folder: Path, records: list[Record], out: str = "shards", **options: Any) -> ShardReport:
    write_records(folder / "set.jsonl", records)
    settings = {"records_per_shard": 5, "shard_bytes": 16_000} | options
    return run_shard(ShardSettings(folder / "set.jsonl", folder / "data", folder / out, **settings))


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def test_every_image_is_there_once_under_its_hash(tmp_path: Path) -> None:
    report = sharded(tmp_path, sample(tmp_path))
    wanted = {hashlib.sha256(path.read_bytes()).hexdigest() for path in (tmp_path / "data").iterdir()}
    found = {}
    for file in report.content["files"]:
        path = report.out / file["path"]
        assert hashlib.sha256(path.read_bytes()).hexdigest() == file["sha256"]
        if path.suffix == ".tar":
            with tarfile.open(path) as archive:
                for member in archive.getmembers():
                    assert member.name not in found and (member.mtime, member.uid, member.mode) == (0, 0, 0o644)
                    content = archive.extractfile(member)
                    assert content is not None
                    found[member.name] = content.read()
    assert {name.partition(".")[0] for name in found} == wanted and len(wanted) == report.images == 6
    assert all(hashlib.sha256(content).hexdigest() + ".png" == name for name, content in found.items())
    assert {name: stream.read() for name, stream in images(report.out)} == found
    assert len([file for file in report.content["files"] if file["path"].startswith("images/")]) > 1
    assert report.content["licences"] == {"CC0-1.0": 1, "MIT": 13}
    assert report.content["counts"]["language"] == {"ar": 7, "en": 7}


def test_records_come_back_as_they_were_but_for_the_names_of_images(tmp_path: Path) -> None:
    records = sample(tmp_path)
    report = sharded(tmp_path, records)
    back = list(read(report.out))
    assert [record.id for record in back] == [record.id for record in records]
    for one, other in zip(records, back, strict=True):
        assert msgspec.structs.replace(other, images=one.images) == one
        for before, after in zip(one.images, other.images, strict=True):
            digest = hashlib.sha256((tmp_path / "data" / before.path).read_bytes()).hexdigest()
            assert (after.path, after.sha256) == (f"images/{digest}.png", digest)


def test_unpacked_shards_are_a_data_folder(tmp_path: Path) -> None:
    records = sample(tmp_path)
    report = sharded(tmp_path, records)
    assert unpack(report.out, tmp_path / "run") == len(records)
    before = contents(tmp_path / "run")
    victim = next(iter((tmp_path / "run" / "images").iterdir()))
    victim.write_bytes(victim.read_bytes()[:-5])
    (tmp_path / "run" / "records.jsonl").unlink()
    assert unpack(report.out, tmp_path / "run") == len(records)
    assert contents(tmp_path / "run") == before
    for record, original in zip(read_records(tmp_path / "run" / "records.jsonl"), records, strict=True):
        for image, old in zip(record.images, original.images, strict=True):
            assert (tmp_path / "run" / image.path).read_bytes() == (tmp_path / "data" / old.path).read_bytes()
    # Sharded again, nothing but the names of images is new, and these are the same.
    again = run_shard(
        ShardSettings(tmp_path / "run" / "records.jsonl", tmp_path / "run", tmp_path / "again", 5, 16_000)
    )
    assert [file["sha256"] for file in again.content["files"]] == [file["sha256"] for file in report.content["files"]]


def test_the_trainer_reads_the_unpacked_folder(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from bimedix2.train.recipe import Recipe, StageRecipe
    from bimedix2.train.run import read_all

    records = sample(tmp_path)
    unpack(sharded(tmp_path, records).out, tmp_path / "run")
    recipe = Recipe(model="nano", records=("records.jsonl",), stages=(StageRecipe("one"),))
    found, _ = read_all(recipe, tmp_path / "run", tmp_path / "out")
    assert [record.id for record in found] == [record.id for record in records]
    assert all((tmp_path / "run" / image.path).is_file() for record in found for image in record.images)


def test_seed_and_hash_of_the_mix_are_in_the_manifest(tmp_path: Path) -> None:
    mix = mixed(tmp_path, sample(tmp_path), seed=11)
    report = run_shard(ShardSettings(mix.out, tmp_path / "data", tmp_path / "shards"))
    assert report.content["mix"]["seed"] == 11
    assert report.content["mix"]["content_sha256"] == mix.content_sha256


def test_damage_is_named(tmp_path: Path) -> None:
    report = sharded(tmp_path, sample(tmp_path))
    assert verify(report.out) == len(report.content["files"])
    for file in report.content["files"]:
        path = report.out / file["path"]
        whole = path.read_bytes()
        path.write_bytes(whole[:100] + bytes([whole[100] ^ 1]) + whole[101:])
        for check in (lambda: verify(report.out), lambda: unpack(report.out, tmp_path / "run")):
            with pytest.raises(DataError) as caught:
                check()
            assert caught.value.code == "damaged_shards"
            assert file["path"] in caught.value.message and file["path"] in caught.value.message_ar
        path.unlink()
        with pytest.raises(DataError, match="missing"):
            verify(report.out)
        path.write_bytes(whole)
    content = json.loads(report.manifest.read_text(encoding="utf-8"))
    content["files"][0]["path"] = "../../etc/passwd"
    report.manifest.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(DataError) as caught:
        verify(report.out)
    assert caught.value.code == "no_manifest"


def test_nothing_changed_is_noticed_and_other_shards_are_not_overwritten(tmp_path: Path) -> None:
    records = sample(tmp_path)
    before = contents(sharded(tmp_path, records).out)
    assert sharded(tmp_path, records).reused
    with pytest.raises(DataError) as caught:
        sharded(tmp_path, records[:4])
    assert caught.value.code == "other_shards" and "--force" in caught.value.message_ar
    assert contents(tmp_path / "shards") == before
    small = sharded(tmp_path, records[:4], force=True)
    names = set(contents(small.out)) - {"manifest.json"}
    assert names == {file["path"] for file in small.content["files"]}
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x", encoding="utf-8")
    with pytest.raises(DataError, match="other files"):
        sharded(tmp_path, records, out="mine")


def test_images_that_cannot_be_used(tmp_path: Path) -> None:
    records = sample(tmp_path)
    sha = made("wrong", "en/ct/vqa", images=({"path": "2.png", "sha256": "0" * 64},))
    extra = [made("gone", "en/ct/vqa", images=("gone.png",)), made("out", "en/ct/vqa", images=("../x.png",)), sha]
    with pytest.raises(DataError) as caught:
        sharded(tmp_path, [*records, *extra])
    assert caught.value.code == "missing_images" and "row 15" in caught.value.message
    report = sharded(tmp_path, [*records, *extra], skip_missing=True, force=True)
    assert report.records == len(records)
    assert report.content["left_out"] == {"missing_image": 1, "other_image": 1, "outside_image": 1}
    rows = [json.loads(line) for line in (report.out / "quarantine.jsonl").open(encoding="utf-8")]
    assert [row["id"] for row in rows] == ["gone", "out", "wrong"]


def test_images_with_writing_are_refused_unless_allowed(tmp_path: Path) -> None:
    from PIL import ImageDraw, ImageFont

    records = sample(tmp_path)
    marked = Image.new("L", (300, 200), 0)
    ImageDraw.Draw(marked).text((20, 60), "JOHN DOE 01.02.1960 MRN 12345678", fill=255, font=ImageFont.load_default())
    marked.save(tmp_path / "data" / "marked.png")
    records.append(made("marked", "en/ct/vqa", images=("marked.png",)))
    with pytest.raises(DataError) as caught:
        sharded(tmp_path, records)
    assert caught.value.code == "marked_images" and "--phi" in caught.value.message_ar
    assert "JOHN" not in caught.value.message
    skipped = sharded(tmp_path, records, phi="skip", force=True)
    assert skipped.content["left_out"] == {"marked_image": 1}
    assert sharded(tmp_path, records, phi="allow", force=True).records == len(records)


@pytest.mark.parametrize(("language", "words"), [("en", "files are whole"), ("ar", "الملفات السليمة")])
def test_the_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, language: str, words: str) -> None:
    monkeypatch.setenv("BIMEDIX2_LANG", language)
    write_records(tmp_path / "set.parquet", sample(tmp_path))

    def call(*command: object) -> Any:
        return CliRunner().invoke(app, ["data", *map(str, command)])

    shards = tmp_path / "shards"
    result = call("shard", tmp_path / "set.parquet", "--data", tmp_path / "data", "--out", shards, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["records"] == 14
    result = call("shard", shards, "--verify")
    assert result.exit_code == 0 and words in result.stderr
    result = call("unshard", shards, "--out", tmp_path / "run")
    assert result.exit_code == 0 and "14" in result.stdout
    assert call("shard", shards).exit_code == 2


def test_killed_at_any_moment_the_rest_is_done_and_the_bytes_are_the_same(tmp_path: Path) -> None:
    records = sample(tmp_path, 160)
    whole = contents(sharded(tmp_path, records, out="whole", records_per_shard=20, phi="allow").out)
    code = (
        "import sys; from pathlib import Path; from bimedix2.data.shard import *\n"
        "import pyarrow.parquet; root = Path(sys.argv[1])\n"
        "print('up', flush=True)\n"
        "run_shard(ShardSettings(root / 'set.jsonl', root / 'data', root / 'shards', 20, 16_000, phi='allow'),"
        " lambda english, arabic: print(english, flush=True))"
    )
    generator, killed, told = random.Random(3), 0, []
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    for _ in range(30):
        process = subprocess.Popen(
            [sys.executable, "-c", code, tmp_path], stdout=subprocess.PIPE, text=True, env=environment
        )
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(generator.uniform(0.02, 0.2))
        process.send_signal(signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
        told += process.stdout.read().splitlines()
        process.stdout.close()
        if (tmp_path / "shards" / "manifest.json").is_file():
            break
    report = sharded(tmp_path, records, records_per_shard=20, phi="allow")
    assert killed
    assert contents(report.out) == whole
    # A shard that was told to be done was never made again.
    assert len(told) == len(set(told))
