"""Fetching data sets from a local server that speaks the Hub's routes."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub.constants as constants
import pytest
from hub_server import LocalHub, local_hub

from bimedix2.errors import AssetError, BiMediX2Error, DataError
from bimedix2.evaluate.download import Source, fetch, fetch_missing, is_data, sources
from bimedix2.evaluate.registry import all_tasks, find_tasks

ROWS = [{"img_name": "x1/source.jpg", "question": "Q?", "answer": "A", "q_lang": "en", "qid": 1}]
SLAKE = Source("BoKelvin/SLAKE", "slake", ("*.json", "imgs.zip"), ("slake",))


def archive(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)
    return buffer.getvalue()


def slake_files() -> dict[str, bytes]:
    """The data set as it is on the Hub, with things beside it that must stay there."""
    rows = json.dumps(ROWS).encode()
    return {
        "train.json": rows,
        "validation.json": rows,
        "test.json": rows,
        "imgs.zip": archive({"imgs/x1/source.jpg": b"picture", "imgs/x1/run.py": b"bad", "__MACOSX/imgs/a.jpg": b"x"}),
        "KG.zip": archive({"KG/en.csv": b"a"}),
        "README.md": b"# SLAKE",
        ".gitattributes": b"x",
        "load.py": b"import os",
        "cache.pkl": b"pickle",
    }


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalHub]:
    with local_hub(tmp_path, monkeypatch) as server:
        yield server


def files_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def contents(folder: Path) -> dict[str, bytes]:
    """Files but for the time and the like in hub.json."""
    return {name: b"" if name == "hub.json" else (folder / name).read_bytes() for name in files_in(folder)}


def refused(*args: object, **options: object) -> BiMediX2Error:
    with pytest.raises(BiMediX2Error) as caught:
        fetch(*args, **options)  # type: ignore[arg-type]
    assert caught.value.message_ar != caught.value.message
    return caught.value


def test_data_alone_arrive_and_say_where_they_came_from(hub: LocalHub, tmp_path: Path) -> None:
    commit, told = hub.publish("BoKelvin/SLAKE", slake_files()), []
    held = fetch(SLAKE, tmp_path / "data", tell=lambda english, arabic: told.append((english, arabic)))
    folder = tmp_path / "data" / "slake"
    names = {"train.json", "validation.json", "test.json", "README.md", "imgs/x1/source.jpg", "hub.json"}
    assert files_in(folder) == names
    assert files_in(tmp_path / "data") == {f"slake/{name}" for name in names}
    stated = json.loads((folder / "hub.json").read_bytes())
    assert (stated["hub"], stated["commit"], stated["revision"]) == ("BoKelvin/SLAKE", commit, "")
    assert stated["files"]["imgs/x1/source.jpg"]["archive"] == "imgs.zip"
    assert (held.commit, len(told)) == (commit, 1)
    assert "5 files" in told[0][0]
    assert "5 ملفات" in told[0][1]
    (sample,) = all_tasks()["slake"].samples(tmp_path / "data", "en", "validate")
    assert (tmp_path / "data" / sample.images[0]).read_bytes() == b"picture"


def test_nothing_is_fetched_twice_and_what_is_lost_is(hub: LocalHub, tmp_path: Path) -> None:
    hub.publish("BoKelvin/SLAKE", slake_files())
    fetch(SLAKE, tmp_path)
    before = len(hub.transfers)
    fetch(SLAKE, tmp_path)
    assert len(hub.transfers) == before == 5
    (tmp_path / "slake" / "test.json").unlink()
    (tmp_path / "slake" / "imgs" / "x1" / "source.jpg").unlink()
    fetch(SLAKE, tmp_path)
    assert sorted(path for path, _ in hub.transfers[before:]) == ["imgs.zip", "test.json"]
    assert (tmp_path / "slake" / "imgs" / "x1" / "source.jpg").read_bytes() == b"picture"


def test_a_connection_lost_half_way_goes_on_where_it_broke(
    hub: LocalHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 500)  # whole blocks are kept; the default is 10 MB
    rows = json.dumps(ROWS * 200).encode()
    hub.publish("BoKelvin/SLAKE", {"train.json": rows})
    hub.cut["train.json"] = 1000
    fetch(SLAKE, tmp_path)
    assert (tmp_path / "slake" / "train.json").read_bytes() == rows
    (_, first), (_, second) = hub.transfers
    assert not first
    assert second == "bytes=1000-"


def test_a_broken_fetch_leaves_nothing_and_keeps_what_had_arrived(hub: LocalHub, tmp_path: Path) -> None:
    hub.publish("BoKelvin/SLAKE", slake_files())
    hub.broken["imgs.zip"] = 500
    error = refused(SLAKE, tmp_path)
    assert error.code == "hub_unreachable"
    assert not (tmp_path / "slake").exists()
    arrived = {path for path, _ in hub.transfers} - {"imgs.zip"}
    hub.broken.clear()
    before = len(hub.transfers)
    fetch(SLAKE, tmp_path)
    again = {path for path, _ in hub.transfers[before:]}
    assert "imgs.zip" in again
    assert not again & arrived
    assert files_in(tmp_path / "slake") >= {"train.json", "hub.json", "imgs/x1/source.jpg"}


@pytest.mark.parametrize("own", [False, True])
def test_a_kill_at_any_moment_loses_nothing(
    hub: LocalHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: bool
) -> None:
    hub.publish("BoKelvin/SLAKE", slake_files())
    fetch(SLAKE, tmp_path / "whole")
    expected = contents(tmp_path / "whole" / "slake") | ({"mine.txt": b"own"} if own else {})
    move = Path.replace
    for steps in range(6):  # five files and hub.json are moved into place
        root, left = tmp_path / str(steps), iter(range(steps))

        def stop(self: Path, target: Path, left: Iterator[int] = left) -> Path:
            if next(left, None) is None:
                raise KeyboardInterrupt
            return move(self, target)

        if own:
            (root / "slake").mkdir(parents=True)
            (root / "slake" / "mine.txt").write_bytes(b"own")
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(Path, "replace", stop)
            fetch(SLAKE, root)
        there = {name: content for name, content in contents(root / "slake").items() if name != ".hub.json"}
        assert there.items() <= expected.items()
        assert own or not (root / "slake").exists()
        fetch(SLAKE, root)
        assert contents(root / "slake") == expected
        assert {path.name for path in root.iterdir()} == {"slake"}


@pytest.mark.parametrize("name", ["train.json", "imgs.zip"])
def test_other_bytes_than_the_listed_ones_are_refused(hub: LocalHub, tmp_path: Path, name: str) -> None:
    files = slake_files()
    hub.publish("BoKelvin/SLAKE", files)
    hub.altered[name] = files[name][:-1] + b"?"
    error = refused(SLAKE, tmp_path)
    assert error.code == "bad_download"
    assert name in error.message
    assert name in error.message_ar
    assert not (tmp_path / "slake").exists()
    hub.altered.clear()
    fetch(SLAKE, tmp_path)
    assert (tmp_path / "slake" / "train.json").read_bytes() == files["train.json"]


def test_the_users_own_files_stay(hub: LocalHub, tmp_path: Path) -> None:
    hub.publish("BoKelvin/SLAKE", slake_files())
    folder = tmp_path / "slake"
    folder.mkdir()
    (folder / "test.json").write_text("my own", encoding="utf-8")
    (folder / "notes.txt").write_text("mine", encoding="utf-8")
    told: list[str] = []
    held = fetch(SLAKE, tmp_path, tell=lambda english, arabic: told.append(english))
    assert (folder / "test.json").read_text(encoding="utf-8") == "my own"
    assert (folder / "notes.txt").exists()
    assert "test.json" not in held.files
    assert told[-1] == "kept 1 files of your own that differ from the Hub's: test.json"


def test_a_new_commit_replaces_what_came_from_the_old_one(hub: LocalHub, tmp_path: Path) -> None:
    source = Source("o/set", "set", (), ("set",))
    old = hub.publish("o/set", {"data/test-00000-of-00001-a.parquet": b"old", "data/extra.json": b"[]", "a.json": b"1"})
    fetch(source, tmp_path)
    (tmp_path / "set" / "a.json").write_text("changed by hand", encoding="utf-8")
    new = hub.publish("o/set", {"data/test-00000-of-00001-b.parquet": b"new", "a.json": b"2"})
    held = fetch(source, tmp_path)
    assert files_in(tmp_path / "set") == {"data/test-00000-of-00001-b.parquet", "a.json", "hub.json"}
    assert (tmp_path / "set" / "a.json").read_text(encoding="utf-8") == "changed by hand"
    assert held.commit == new
    pinned = fetch(source, tmp_path / "pinned", revision=old)
    assert (pinned.commit, pinned.revision) == (old, old)
    assert (tmp_path / "pinned" / "set" / "data" / "test-00000-of-00001-a.parquet").read_bytes() == b"old"


def test_tasks_that_share_a_data_set_add_to_one_folder(hub: LocalHub, tmp_path: Path) -> None:
    names = ("anatomy", "college_biology", "virology")
    hub.publish("cais/mmlu", {f"{name}/test-00000-of-00001.parquet": name.encode() for name in names})
    both = sources(find_tasks(["mmlu_anatomy", "mmlu_college_biology", "mimic_cxr"]))
    assert [(source.folder, len(source.patterns)) for source in both] == [("mmlu", 2)]
    for task in ("mmlu_anatomy", "mmlu_college_biology"):
        fetch(sources(find_tasks([task]))[0], tmp_path)
    assert files_in(tmp_path / "mmlu") == {*(f"{name}/test-00000-of-00001.parquet" for name in names[:2]), "hub.json"}
    assert refused(both[0], tmp_path, include=["*/nothing-*"]).code == "nothing_to_fetch"
    (tmp_path / "mmlu" / "hub.json").write_text("{", encoding="utf-8")
    assert refused(both[0], tmp_path).code == "bad_provenance"


@pytest.mark.parametrize(
    ("refusal", "code"),
    [
        ((404, "RepoNotFound"), "hub_not_found"),
        ((401, "RepoNotFound"), "hub_not_found"),
        ((404, "RevisionNotFound"), "hub_not_found"),
        ((403, "GatedRepo"), "hub_gated"),
        ((401, "GatedRepo"), "hub_gated"),
        ((500, ""), "hub_unreachable"),
    ],
)
def test_refusals_have_names(hub: LocalHub, tmp_path: Path, refusal: tuple[int, str], code: str) -> None:
    hub.refuse["BoKelvin/SLAKE"] = refusal
    error = refused(SLAKE, tmp_path / "data", revision="v1")
    assert error.code == code
    assert "BoKelvin/SLAKE" in error.message
    assert "BoKelvin/SLAKE" in error.message_ar
    assert not (tmp_path / "data").exists()


def test_offline_and_without_a_server(hub: LocalHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.publish("BoKelvin/SLAKE", slake_files())
    with monkeypatch.context() as patch:
        patch.setattr(constants, "HF_HUB_OFFLINE", True)
        error = refused(SLAKE, tmp_path)
        assert (error.code, "HF_HUB_OFFLINE" in error.message_ar) == ("hub_unreachable", True)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert refused(SLAKE, tmp_path).code == "hub_unreachable"


def test_a_full_disk_is_told_before_the_first_byte(
    hub: LocalHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.publish("BoKelvin/SLAKE", slake_files())
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=10))
    error = refused(SLAKE, tmp_path)
    assert isinstance(error, AssetError)
    assert error.code == "no_disk_space"
    assert "--data" in error.message
    assert "--data" in error.message_ar
    assert not hub.transfers


def test_an_unsafe_archive_changes_nothing(hub: LocalHub, tmp_path: Path) -> None:
    hub.publish("BoKelvin/SLAKE", slake_files() | {"imgs.zip": archive({"../../escaped.jpg": b"x"})})
    error = refused(SLAKE, tmp_path / "data")
    assert isinstance(error, DataError)
    assert error.code == "unsafe_archive"
    assert not (tmp_path / "data" / "slake").exists()
    assert not list(tmp_path.rglob("escaped.jpg"))


def test_names_that_lead_elsewhere_are_no_data() -> None:
    for name in ("../a.json", "/etc/a.json", "a/../../b.csv", "c:\\a.json", ".cache/a.json", "a.py", "a.pkl", "a.bin"):
        assert not is_data(name)
    assert all(is_data(name) for name in ("a/b.JSON", "LICENSE", "README.md", "license.txt", "x.parquet"))


def test_a_run_fetches_only_what_is_missing_and_survives_failures(hub: LocalHub, tmp_path: Path) -> None:
    hub.publish("BoKelvin/SLAKE", slake_files())
    told: list[str] = []
    tasks = find_tasks(["slake", "medmcqa", "mimic_cxr"])
    for _ in range(2):
        fetch_missing(tasks, tmp_path, lambda task: task.splits[:1], lambda english, arabic: told.append(arabic))
    assert len(hub.transfers) == 5
    assert next(line for line in told if "medmcqa" in line).startswith("لا يوجد في المنصة")
    assert all_tasks()["mimic_cxr"].hub == ""
