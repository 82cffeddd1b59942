"""Stored pixels against the policy's own, in both formats; broken files, threads, space and augmentation."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bimedix2.errors import AssetError, ImageError
from bimedix2.images import ImagePolicy, load_image
from bimedix2.train.samples.files import ImageItem
from bimedix2.train.samples.images import ImageStore, augmented

POLICY = ImagePolicy.clip(56)
OLD_PIXELS = {
    (0, 0): (131, 123, 108),
    (5, 40): (157, 13, 145),
    (20, 10): (25, 82, 176),
    (28, 28): (106, 117, 119),
    (50, 50): (206, 212, 21),
    (55, 3): (0, 239, 111),
}


def item(path: Path, **more: Any) -> ImageItem:
    return ImageItem(str(path), hashlib.sha256(path.read_bytes()).hexdigest(), **more)


@pytest.fixture
def pictures(tmp_path: Path) -> list[ImageItem]:
    """Smooth pictures of several shapes and kinds, with a broken one among them."""
    y, x = np.mgrid[0:120, 0:200]
    colour = np.stack([x, y, 255 - x], axis=2).clip(0, 255).astype(np.uint8)
    Image.fromarray(colour).save(tmp_path / "a.png")
    Image.fromarray(colour).transpose(Image.Transpose.ROTATE_90).save(tmp_path / "b.jpg")
    (tmp_path / "broken.jpg").write_bytes((tmp_path / "b.jpg").read_bytes()[:400])
    Image.fromarray(colour[:, :, 0]).save(tmp_path / "grey.webp", lossless=True)
    return [item(tmp_path / name) for name in ("a.png", "b.jpg", "broken.jpg", "grey.webp")]


@pytest.mark.parametrize("workers", [1, 3])
def test_raw_pixels_are_the_policys(pictures: list[ImageItem], tmp_path: Path, workers: int) -> None:
    store = ImageStore.build(tmp_path / "stores", pictures, POLICY, workers=workers)
    assert store.pixels.shape == (4, 56, 56, 3)
    assert len(store) == 4
    assert store.policy == POLICY
    for place in (0, 1, 3):
        expected = POLICY.to_uint8(load_image(pictures[place].path).pixels)
        assert np.array_equal(store.pixels[place], expected)
        read = store.get_uint8(place, None)
        assert np.array_equal(read, expected)
        read[:] = 0  # the caller's own
        assert np.array_equal(store.get_uint8(place, None), expected)
        assert np.array_equal(store.get_uint8(place, "key"), augmented(expected, "key", POLICY))


def test_jpeg_is_small_and_near(tmp_path: Path, pictures: list[ImageItem]) -> None:
    raw = ImageStore.build(tmp_path / "stores", pictures, POLICY)
    jpeg = ImageStore.build(tmp_path / "stores", pictures, POLICY, format="jpeg")
    assert (tmp_path / "stores" / jpeg.name / "pixels.jpegs").stat().st_size < raw.pixels.nbytes / 3
    for place in (0, 1, 3):
        difference = raw.get_uint8(place, None).astype(int) - jpeg.get_uint8(place, None)
        assert 0 < np.abs(difference).mean() < 1.5
    with pytest.raises(ValueError, match="get_uint8"):
        _ = jpeg.pixels


@pytest.mark.parametrize("form", ["raw", "jpeg"])
def test_a_broken_picture_is_noted_and_the_rest_is_there(form: Any, pictures: list[ImageItem], tmp_path: Path) -> None:
    lost = ImageItem(str(tmp_path / "gone.png"), "0" * 64)
    store = ImageStore.build(tmp_path / "stores", [*pictures, lost], POLICY, format=form)
    assert {place: error.code for place, error in store.broken.items()} == {2: "image_unreadable", 4: "image_not_found"}
    assert "broken.jpg" in store.broken[2].message
    assert "الصورة تالفة" in store.broken[2].message_ar
    with pytest.raises(ImageError, match="damaged"):
        store.get_uint8(2, None)
    assert store.get_uint8(3, None).max() > 200


@pytest.mark.parametrize("form", ["raw", "jpeg"])
def test_threads_read_what_one_reads(form: Any, pictures: list[ImageItem], tmp_path: Path) -> None:
    store = ImageStore.build(tmp_path / "stores", pictures, POLICY, format=form)
    work = [(place, f"{place}|{key}") for key in range(50) for place in (0, 1, 3)]
    alone = [store.get_uint8(*one) for one in work]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda one: store.get_uint8(*one), work))
    assert all(map(np.array_equal, alone, together))


def test_windows_of_one_file_are_two_pictures(tmp_path: Path) -> None:
    ramp = (np.arange(64 * 64, dtype=np.uint16) * 8).reshape(64, 64)
    Image.fromarray(ramp).save(tmp_path / "ct.png")
    wide, narrow = (item(tmp_path / "ct.png", window=window) for window in ((16384.0, 32768.0), (4000.0, 200.0)))
    assert wide.content() != narrow.content()
    store = ImageStore.build(tmp_path / "stores", [wide, narrow], POLICY)
    levels = [len(np.unique(store.get_uint8(place, None)[:, :, 0])) for place in (0, 1)]
    assert levels[0] > 50 > levels[1]


def test_no_room_is_said_before_anything_is_written(pictures: list[ImageItem], tmp_path: Path) -> None:
    petabyte = [pictures[0]] * 200_000
    with pytest.raises(AssetError, match="MB are needed") as caught:
        ImageStore.build(tmp_path / "stores", petabyte, ImagePolicy.clip(4096))
    assert caught.value.code == "no_disk_space"
    assert not any(path.stat().st_size for path in tmp_path.glob("stores/images-*/*"))


def test_old_keys_give_old_pixels() -> None:
    # Values of the first trainer's function for this picture and key (Pillow 13).
    y, x = np.mgrid[0:56, 0:56]
    picture = np.stack([4 * x, 4 * y, 220 - 2 * x - 2 * y], axis=2).astype(np.uint8)
    seen = augmented(picture, "0|3|a", POLICY)
    for place, colour in OLD_PIXELS.items():
        assert np.abs(seen[place].astype(int) - colour).max() <= 1, place


def test_augmentation_never_mirrors() -> None:
    picture = np.full((56, 56, 3), 60, np.uint8)
    picture[8:48, 6:14] = 240  # a bright stripe on the left
    for key in map(str, range(200)):
        columns = augmented(picture, key, POLICY).astype(int).sum((0, 2))
        assert columns[:28].sum() > columns[28:].sum()
