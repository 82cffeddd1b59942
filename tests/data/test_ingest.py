"""Ingest as a whole: atomic, streaming, nothing lost silently; every kind of bad input has an outcome of its own."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest
from source_files import JPEG, put, put_lines, run_command

from bimedix2.data.archives import check_archive, require_unpacked, unpack_archive
from bimedix2.data.ingest import IngestSettings, ingest
from bimedix2.data.locks import only_one
from bimedix2.errors import BiMediX2Error, ConfigError, DataError, RecordError
from bimedix2.records import read_records

ALL = frozenset({"train", "dev", "test"})


def slake_rows(first: int, count: int, image: str = "a.jpg", word: str = "") -> list[dict[str, Any]]:
    return [
        {"qid": n, "img_name": image, "question": f"Question {word}{n}?", "answer": "Yes"}
        | {"q_lang": "en", "modality": "CT"}
        for n in range(first, first + count)
    ]  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """SLAKE in small: four training and two validation rows, one image."""
    folder = tmp_path / "sets"
    put(folder / "slake" / "train.json", json.dumps(slake_rows(0, 4)))
    put(folder / "slake" / "validate.json", json.dumps(slake_rows(10, 2)))
    put(folder / "slake" / "imgs" / "a.jpg", JPEG)
    return folder


def quarantine(out: Path) -> list[dict[str, Any]]:
    path = out.with_name(f"{out.stem}.quarantine.jsonl")
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def leftovers(out: Path) -> set[str]:
    return {path.name for path in out.parent.iterdir()} - {out.name, f".{out.name}.lock", f"{out.stem}.ingest.json"}


@pytest.mark.parametrize("name", ["records.jsonl", "records.parquet"])
def test_records_and_report(root: Path, tmp_path: Path, name: str) -> None:
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    out = tmp_path / "out" / name
    report = ingest("slake", root, out, IngestSettings(hash_images=True))
    rows = list(read_records(out))
    assert [row.id for row in rows] == [f"slake:{n}:en" for n in (0, 1, 2, 3, 10, 11)]
    assert {row.images[0].sha256 for row in rows} == {hashlib.sha256(JPEG).hexdigest()}
    assert {row.licence for row in rows} == {"CC-BY-4.0"}
    assert rows[0].provenance[0].note == "slake/train.json row 1"
    assert report["by"]["split"] == {"dev": 2, "train": 4}
    assert (report["by"]["task"], report["by"]["modality"], report["by"]["language"]) == (
        {"vqa": 6},
        {"ct": 6},
        {"en": 6},
    )
    assert report["out"]["sha256"] == hashlib.sha256(out.read_bytes()).hexdigest()
    assert [Path(file["path"]).name for file in report["files"]] == ["train.json", "validate.json"]
    assert not leftovers(out)


def test_the_official_test_split_needs_to_be_named(root: Path, tmp_path: Path) -> None:
    put(root / "slake" / "test.json", json.dumps(slake_rows(20, 3)))
    out = tmp_path / "records.jsonl"
    assert ingest("slake", root, out)["by"]["split"] == {"dev": 2, "train": 4}
    assert ingest("slake", root, out, IngestSettings(splits=frozenset({"test"})))["by"]["split"] == {"test": 3}
    with pytest.raises(ConfigError, match="mmlu has the splits dev, test; add --split test"):
        ingest("mmlu", root, out, IngestSettings(splits=frozenset({"train"})))


def test_a_train_row_that_is_in_test_too_is_set_aside_though_test_is_not_wanted(root: Path, tmp_path: Path) -> None:
    leaked = {**slake_rows(0, 1)[0], "qid": 99, "question": "question  2?"}  # case and spacing hide nothing
    put(root / "slake" / "test.json", json.dumps([leaked, *slake_rows(20, 1)]))
    out = tmp_path / "records.jsonl"
    report = ingest("slake", root, out)
    (row,) = quarantine(out)
    assert (row["code"], row["row"], row["field"], row["id"]) == ("contradictory_split", 3, "split", "slake:2:en")
    assert "test" in row["reason"]
    assert "test" in row["reason_ar"]
    assert row["reason"] != row["reason_ar"]
    assert report["records"] == 5
    with_test = ingest("slake", root, out, IngestSettings(splits=ALL))
    assert with_test["quarantine"]["by_code"] == {"contradictory_split": 1}


def test_an_id_in_two_splits_and_an_id_twice(root: Path, tmp_path: Path) -> None:
    put(root / "slake" / "train.json", json.dumps([*slake_rows(0, 2), *slake_rows(1, 1, word="other ")]))
    put(root / "slake" / "validate.json", json.dumps(slake_rows(0, 2, word="third ")))
    out = tmp_path / "records.jsonl"
    assert ingest("slake", root, out)["records"] == 2
    assert [(row["code"], row["row"]) for row in quarantine(out)] == [
        ("duplicate_id", 3), ("duplicate_id", 1), ("duplicate_id", 2),
    ]  # fmt: skip
    assert "is the id of record 2 too" in quarantine(out)[0]["reason"]


def test_missing_empty_and_outside_images(root: Path, tmp_path: Path) -> None:
    rows = [*slake_rows(0, 1), *slake_rows(1, 1, "gone.jpg"), *slake_rows(2, 1, "half.jpg")]
    put(root / "slake" / "train.json", json.dumps([*rows, *slake_rows(3, 1, "../../../secret.jpg")]))
    put(root / "slake" / "imgs" / "half.jpg", b"")
    put(tmp_path / "secret.jpg", JPEG)
    out = tmp_path / "records.jsonl"
    ingest("slake", root, out)
    assert [(row["code"], row["field"]) for row in quarantine(out)] == [("bad_image", "images[0].path")] * 3
    assert [row["reason"].split(" ", 1)[1][:9] for row in quarantine(out)] == ["is not th", "is empty;", "lies outs"]
    kept = ingest("slake", root, out, IngestSettings(keep_missing_images=True))
    assert kept["numbers"]["images_missing"] == 1
    assert len(quarantine(out)) == 2


def test_bad_rows_cost_nothing_else_and_strict_writes_nothing(root: Path, tmp_path: Path) -> None:
    good = [json.dumps(row) for row in slake_rows(0, 3)]
    put(root / "slake" / "train.json", f"[{good[0]}, {{broken, {good[1]}, {good[2]}]".replace("{broken", '{"qid": 5}'))
    out = tmp_path / "records.jsonl"
    assert ingest("slake", root, out)["by"]["split"]["train"] == 3
    assert [(row["row"], row["field"]) for row in quarantine(out)] == [(2, "question")]
    before = out.read_bytes()
    with pytest.raises(RecordError, match=r"train\.json, row 2, field question"):
        ingest("slake", root, out, IngestSettings(strict=True))
    assert out.read_bytes() == before
    assert leftovers(out) == {"sets", "records.quarantine.jsonl"}


def test_a_cut_off_file_leaves_the_old_output(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "records.jsonl"
    ingest("slake", root, out)
    before = out.read_bytes()
    path = root / "slake" / "train.json"
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(RecordError, match="cut off"):
        ingest("slake", root, out)
    assert out.read_bytes() == before
    assert "ينتهي الملف في وسطه" in _message_ar(lambda: ingest("slake", root, out))


def _message_ar(call: Any) -> str:
    with pytest.raises(BiMediX2Error) as told:
        call()
    return told.value.message_ar


def test_no_record_at_all_is_an_error_that_says_why(root: Path, tmp_path: Path) -> None:
    (root / "slake" / "imgs" / "a.jpg").unlink()
    out = put(tmp_path / "records.jsonl", "old")
    with pytest.raises(DataError, match=r"no record came out.*a\.jpg is not there") as told:
        ingest("slake", root, out)
    assert (told.value.code, out.read_text()) == ("no_records", "old")


def test_rows_in_quarantine_go_when_they_are_mended(root: Path, tmp_path: Path) -> None:
    put(root / "slake" / "train.json", json.dumps(slake_rows(0, 2, "b.jpg")))
    out = tmp_path / "records.jsonl"
    assert ingest("slake", root, out)["quarantine"]["rows"] == 2
    put(root / "slake" / "imgs" / "b.jpg", JPEG)
    assert ingest("slake", root, out)["quarantine"] == {"path": None, "rows": 0, "by_code": {}}
    assert not quarantine(out)


def test_an_unchanged_run_is_not_done_again(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "records.jsonl"
    assert not ingest("slake", root, out)["reused"]
    first = out.stat().st_mtime_ns
    assert ingest("slake", root, out)["reused"]
    assert out.stat().st_mtime_ns == first
    assert not ingest("slake", root, out, IngestSettings(force=True))["reused"]
    assert not ingest("slake", root, out, IngestSettings(hash_images=True))["reused"]
    put(root / "slake" / "train.json", json.dumps(slake_rows(0, 5)))
    assert ingest("slake", root, out, IngestSettings(hash_images=True))["records"] == 7


def test_output_does_not_depend_on_time_or_place(root: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "a" / "records.jsonl", tmp_path / "b" / "other.jsonl"
    ingest("slake", root, first)
    ingest("slake", root, second)
    assert first.read_bytes() == second.read_bytes()


def test_two_processes_on_one_output(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "records.jsonl"
    with only_one(out), pytest.raises(DataError) as told:
        ingest("slake", root, out)
    assert told.value.code == "busy"
    assert "عملية أخرى" in told.value.message_ar
    assert ingest("slake", root, out)["records"] == 6


def test_killed_and_run_again_gives_the_same(root: Path, tmp_path: Path) -> None:
    put(root / "slake" / "train.json", json.dumps(slake_rows(0, 20_000)))
    put(root / "slake" / "validate.json", json.dumps(slake_rows(90_000, 2)))
    whole, out = tmp_path / "whole" / "records.jsonl", tmp_path / "out" / "records.jsonl"
    ingest("slake", root, whole, IngestSettings(hash_images=True))
    code = "import sys; from pathlib import Path; from bimedix2.data.ingest import *; " \
           "ingest('slake', Path(sys.argv[1]), Path(sys.argv[2]), IngestSettings(hash_images=True))"  # fmt: skip
    for _ in range(2):
        process = subprocess.Popen([sys.executable, "-c", code, str(root), str(out)])
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and process.poll() is None:
            if any(path.name.startswith(".records.jsonl-") and path.stat().st_size for path in out.parent.glob(".*")):
                break
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert not out.exists()
    report = ingest("slake", root, out, IngestSettings(hash_images=True))
    assert not report["reused"]
    assert out.read_bytes() == whole.read_bytes()
    assert not leftovers(out)


def test_interrupted_hashing_goes_on_where_it_stopped(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bimedix2.data import image_files

    names = [f"{n}.jpg" for n in range(4)]
    put(root / "slake" / "train.json", json.dumps([slake_rows(n, 1, name)[0] for n, name in enumerate(names)]))
    for name in names:
        put(root / "slake" / "imgs" / name, JPEG + name.encode())
    real, hashed = image_files.sha256_file, []

    def failing(path: Path) -> str:
        hashed.append(path.name)
        if len(hashed) == 3:
            raise KeyboardInterrupt
        return real(path)

    monkeypatch.setattr(image_files, "sha256_file", failing)
    out = tmp_path / "records.jsonl"
    with pytest.raises(KeyboardInterrupt):
        ingest("slake", root, out, IngestSettings(hash_images=True))
    ingest("slake", root, out, IngestSettings(hash_images=True))
    assert hashed == ["0.jpg", "1.jpg", "2.jpg", "2.jpg", "3.jpg", "a.jpg"]
    assert [row.images[0].sha256 for row in read_records(out)][:4] == [
        hashlib.sha256(JPEG + name.encode()).hexdigest() for name in names
    ]


# --- archives --------------------------------------------------------------------------------------------------


def test_archive_packed_half_and_whole(root: Path, tmp_path: Path) -> None:
    folder, archive = root / "slake" / "imgs", root / "slake" / "imgs.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("imgs/a.jpg", JPEG)
    (folder / "a.jpg").unlink()
    folder.rmdir()
    out = tmp_path / "records.jsonl"
    with pytest.raises(DataError) as told:
        ingest("slake", root, out)
    assert (told.value.code, "--unpack" in told.value.message_ar) == ("packed_archive", True)
    whole = archive.read_bytes()
    archive.write_bytes(whole[:-10])
    for unpack in (False, True):
        with pytest.raises(DataError) as told:
            ingest("slake", root, out, IngestSettings(unpack=unpack))
        assert (told.value.code, folder.exists()) == ("half_archive", False)
    archive.write_bytes(whole.replace(JPEG, JPEG[:-1] + b"?"))
    with pytest.raises(DataError, match="CRC"):
        ingest("slake", root, out, IngestSettings(unpack=True))
    assert not folder.exists()
    archive.write_bytes(whole)
    assert ingest("slake", root, out, IngestSettings(unpack=True))["records"] == 6
    assert (folder / "a.jpg").read_bytes() == JPEG


def test_tar_archives(tmp_path: Path) -> None:
    for name in ("one.jpg", "two.jpg"):
        put(tmp_path / "in" / name, os.urandom(20_000))
    archive = tmp_path / "imgs.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(tmp_path / "in", arcname=".")
    whole = archive.read_bytes()
    archive.write_bytes(whole[: len(whole) // 2])
    for call in (lambda: check_archive(archive), lambda: unpack_archive(archive, tmp_path / "out")):
        with pytest.raises(DataError) as told:
            call()
        assert (told.value.code, (tmp_path / "out").exists()) == ("half_archive", False)
    archive.write_bytes(whole)
    require_unpacked(archive, tmp_path / "out", unpack=True)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"one.jpg", "two.jpg"}


def test_an_archive_that_would_write_elsewhere_is_refused(tmp_path: Path) -> None:
    put(tmp_path / "evil", b"x")
    archive = tmp_path / "imgs.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(tmp_path / "evil", arcname="../../evil")
    with pytest.raises(DataError) as told:
        unpack_archive(archive, tmp_path / "a" / "out")
    assert told.value.code == "unsafe_archive"
    assert not (tmp_path / "a" / "out").exists()


# --- memory and the command ------------------------------------------------------------------------------------


def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    import tracemalloc

    peaks = []
    for count in (2_000, 20_000):
        put_lines(tmp_path / "big.jsonl", ({"question": f"Question {n}?", "answer": "yes " * 20} for n in range(count)))
        tracemalloc.start()
        ingest("table", tmp_path, tmp_path / "o.jsonl", IngestSettings(options={"file": "big.jsonl"}, force=True))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0] + 200_000


def test_the_command_in_both_languages(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "records.jsonl"
    put(root / "slake" / "train.json", json.dumps([*slake_rows(0, 2), {"qid": 7, "q_lang": "en"}]))
    shown = run_command("data", "ingest", "slake", "--root", str(root), "--out", str(out))
    assert shown.exit_code == 0, shown.output
    assert "4  language en" in shown.output
    assert "1 bad_row" in shown.output
    assert "رفضت مع الأسباب" in shown.output
    again = run_command("data", "ingest", "slake", "--root", str(root), "--out", str(out), "--split", "test")
    assert again.exit_code == 1
    assert "not found. For the splits test" in again.output
    assert "غير موجود" in again.output
    wrong = run_command("data", "ingest", "slake", "--root", str(root), "--out", str(out), "--set", "x")
    assert (wrong.exit_code, "--set x" in wrong.output) == (2, True)


def test_the_sources_command(tmp_path: Path) -> None:
    listed = run_command("data", "sources", "--json")
    assert {entry["name"] for entry in json.loads(listed.output)} >= {"vqa_rad", "bimed", "table"}
    one = run_command("data", "sources", "pmc_oa", "--root", str(tmp_path))
    assert "--set min_alignment=0" in one.output


def test_a_thread_may_ingest(root: Path, tmp_path: Path) -> None:
    """SQLite's temporary tables belong to the thread that made them; each run has its own."""
    results: list[int] = []
    threads = [
        threading.Thread(target=lambda n=n: results.append(ingest("slake", root, tmp_path / f"{n}.jsonl")["records"]))
        for n in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [6, 6, 6]


@pytest.mark.data
def test_real_sets_through_ingest(data_root: Path, tmp_path: Path) -> None:
    slake = ingest("slake", data_root, tmp_path / "slake.jsonl", IngestSettings(keep_missing_images=True))
    assert (slake["records"], slake["numbers"]["images_missing"]) == (5971, 5971)
    assert slake["quarantine"]["by_code"] == {"bad_row": 1}
    rocov2 = ingest("rocov2", data_root, tmp_path / "rocov2.jsonl")
    assert (rocov2["quarantine"]["rows"], rocov2["numbers"]["images_missing"]) == (0, 0)
    # The same normal findings stand in several reports: copies of those that evaluation asks are not trained on.
    indiana = ingest("indiana", data_root, tmp_path / "indiana.jsonl")
    rows = json.loads((data_root / "indiana" / "indiana_dev.json").read_bytes())
    assert indiana["records"] + indiana["quarantine"]["by_code"]["contradictory_split"] == _training_reports(rows)


def _training_reports(rows: list[dict[str, str]]) -> int:
    from bimedix2.data.sources.text_sets import indiana_in_training

    return sum("____" not in row["impression"] and indiana_in_training(row["study_id"]) for row in rows)
