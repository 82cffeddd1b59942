"""Archives from elsewhere: what is taken out, and what is refused before anything is written."""

from __future__ import annotations

import stat
import struct
import zipfile
from pathlib import Path

import pytest

from bimedix2.errors import DataError
from bimedix2.evaluate.unpack import DEFAULT, Limits, unpack, unpacked_size


def archive(path: Path, *members: tuple[str | zipfile.ZipInfo, bytes], packed: bool = False) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED) as file:
        for name, content in members:
            file.writestr(name, content)
    return path


def refused(path: Path, folder: Path, limits: Limits = DEFAULT) -> DataError:
    with pytest.raises(DataError) as caught:
        unpack(path, folder, limits)
    assert str(path) in caught.value.message_ar
    assert caught.value.message_ar != caught.value.message
    return caught.value


def test_data_and_images_come_out_and_nothing_that_can_run(tmp_path: Path) -> None:
    path = archive(
        tmp_path / "a.zip",
        ("imgs/x/source.JPG", b"1"),
        ("imgs/صورة.png", b"2"),
        ("b.json", b"{}"),
        ("run.py", b"!"),
        ("a.pkl", b"!"),
        ("lib.so", b"!"),
        ("__MACOSX/imgs/._a.png", b"!"),
        ("imgs/.hidden.png", b"!"),
        ("empty/", b""),
    )
    written = unpack(path, tmp_path / "out")
    assert written == ["imgs/x/source.JPG", "imgs/صورة.png", "b.json"]
    assert (tmp_path / "out" / "imgs" / "صورة.png").read_bytes() == b"2"
    assert sum(file.is_file() for file in (tmp_path / "out").rglob("*")) == 3
    assert unpacked_size(path) == 4


@pytest.mark.parametrize(
    "name", ["../out.json", "a/../../out.json", "/tmp/out.json", "a\\..\\..\\out.json", "c:/out.json", "a/../../run.py"]
)
def test_paths_out_of_the_folder(tmp_path: Path, name: str) -> None:
    path = archive(tmp_path / "a.zip", ("good.json", b"{}"), (name, b"{}"))
    error = refused(path, tmp_path / "deep" / "out")
    assert error.code == "unsafe_archive"
    assert repr(name) in error.message
    assert not (tmp_path / "deep").exists()
    assert list(tmp_path.rglob("*.json")) == []


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_links_and_devices(tmp_path: Path, kind: int) -> None:
    link = zipfile.ZipInfo("imgs/a.png")
    link.create_system, link.external_attr = 3, (kind | 0o777) << 16
    error = refused(archive(tmp_path / "a.zip", (link, b"/etc/passwd")), tmp_path / "out")
    assert (error.code, "link" in error.message) == ("unsafe_archive", True)
    assert not (tmp_path / "out").exists()


def test_a_member_twice(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate"):
        path = archive(tmp_path / "a.zip", ("a.json", b"1"), ("a.json", b"2"))
    assert refused(path, tmp_path / "out").code == "unsafe_archive"


def test_too_many_and_too_much(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.zip", *((f"{number}.json", b"12345") for number in range(4)))
    for limits in (Limits(members=3), Limits(bytes=19)):
        assert refused(path, tmp_path / "out", limits).code == "archive_too_large"
    assert len(unpack(path, tmp_path / "out", Limits(members=4, bytes=20))) == 4


def test_a_bomb_is_told_by_its_ratio(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.zip", ("a.csv", b"0" * 60_000_000), packed=True)  # zeros pack at about 1,000
    assert path.stat().st_size < 600_000
    assert refused(path, tmp_path / "out").code == "archive_too_large"
    assert not (tmp_path / "out").exists()


def test_a_bomb_that_hides_its_size(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.zip", ("a.csv", b"0" * 1_000_000), packed=True)
    content = bytearray(path.read_bytes())
    # Both headers then promise 100 bytes; the member still holds a million.
    struct.pack_into("<I", content, 22, 100)
    struct.pack_into("<I", content, content.rindex(b"PK\1\2") + 24, 100)
    path.write_bytes(content)
    assert refused(path, tmp_path / "out").code == "bad_archive"
    assert sum(file.stat().st_size for file in (tmp_path / "out").rglob("*.csv")) <= 100


def test_damaged_and_encrypted(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.zip", ("a.json", b"0123456789"))
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"0123456789", b"0123456780"))
    assert refused(path, tmp_path / "1").code == "bad_archive"
    path.write_bytes(whole[:20])
    assert refused(path, tmp_path / "2").code == "bad_archive"
    encrypted = bytearray(whole)
    encrypted[6] |= 1
    encrypted[whole.rindex(b"PK\1\2") + 8] |= 1
    path.write_bytes(encrypted)
    assert refused(path, tmp_path / "3").code == "bad_archive"
