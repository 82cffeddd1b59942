"""Copies of images are found, different ones are not, and nothing is decoded twice."""

from __future__ import annotations

import io
import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from bimedix2.errors import BiMediX2Error, ImageError
from bimedix2.evaluate.overlap.images import Match, match_images
from bimedix2.images.phash import content_box, correlation, distances, hashes, phash
from bimedix2.images.prints import Picture, PrintStore


def drawing(seed: int, size: tuple[int, int] = (160, 120)) -> Image.Image:
    """A smooth random picture: shapes of many scales, as in a photograph or a film."""
    generator = np.random.default_rng(seed)
    total = np.zeros(size[::-1])
    for cells in (3, 6, 12, 24):
        field = Image.fromarray(generator.normal(size=(cells, cells)).astype(np.float32))
        total += np.asarray(field.resize(size, Image.Resampling.BICUBIC)) / cells**0.5
    low, high = total.min(), total.max()
    return Image.fromarray((20 + 215 * (total - low) / (high - low)).astype(np.uint8)).convert("RGB")


def matches(store: PrintStore, asked: list[Path], known: list[Path], **options: int) -> list[list[Match]]:
    pictures, others = [Picture(path) for path in asked], [Picture(path) for path in known]
    own, training = store.prints(pictures, crops=True), store.prints(others, crops=False)
    return match_images((pictures, own), (others, training), store, **options)


@pytest.fixture
def store(tmp_path: Path) -> PrintStore:
    with PrintStore(tmp_path / "cache" / "prints.sqlite") as opened:
        yield opened


def saved(image: Image.Image, path: Path, **options: int) -> Path:
    image.save(path, **options)
    return path


def test_hash_is_that_of_scipy() -> None:
    from scipy.fft import dct

    for seed in range(20):
        small = np.random.default_rng(seed).integers(0, 256, (32, 32), dtype=np.uint8)
        low = dct(dct(small.astype(float), axis=0), axis=1)[:8, :8]
        assert (phash(small) == (low > np.median(low)).ravel()).all()


def test_distances_and_correlation_by_hand() -> None:
    first = np.zeros((2, 64), bool)
    second = np.zeros((2, 64), bool)
    first[1, :5] = True
    second[1, 3:10] = True
    assert distances(first, second).tolist() == [[0, 7], [5, 8]]
    ramp = np.arange(9, dtype=np.uint8).reshape(3, 3)
    assert correlation(ramp, ramp * 2 + 7) == pytest.approx(1)
    assert correlation(ramp, ramp[::-1, ::-1]) == pytest.approx(-1)
    assert correlation(ramp, np.full((3, 3), 9, np.uint8)) == 0


def test_border_is_cut_but_never_the_whole_image() -> None:
    grey = np.zeros((40, 60), np.uint8)
    grey[5:30, 10:50] = 100
    assert content_box(grey) == (10, 5, 50, 30)
    assert content_box(np.zeros((40, 60), np.uint8)) == (0, 0, 60, 40)
    assert hashes(np.asarray(drawing(1)), (0.0, 0.04), mirrored=True)[0].shape == (2, 4, 64)


COPIES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "half size": lambda image: image.resize((80, 60)),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.15),
    "darker": lambda image: ImageEnhance.Brightness(image).enhance(0.7),
    "contrast": lambda image: ImageEnhance.Contrast(image).enhance(1.2),
    "mirrored": ImageOps.mirror,
    "cropped": lambda image: image.crop((6, 5, 154, 115)),
    "padded": lambda image: ImageOps.pad(image, (160, 160)),
    "grey": lambda image: image.convert("L"),
}


@pytest.mark.parametrize("change", COPIES)
def test_changed_copies_are_found(store: PrintStore, tmp_path: Path, change: str) -> None:
    asked = [saved(drawing(seed), tmp_path / f"{seed}.png") for seed in range(4)]
    known = [saved(COPIES[change](drawing(seed)), tmp_path / f"c{seed}.jpg", quality=60) for seed in range(4)]
    found = matches(store, asked, known)
    assert [[match.known for match in own] for own in found] == [[0], [1], [2], [3]]
    assert {match.kind for own in found for match in own} == {"near"}


def test_different_images_are_not_taken_for_copies(store: PrintStore, tmp_path: Path) -> None:
    asked = [saved(drawing(seed), tmp_path / f"{seed}.png") for seed in range(12)]
    known = [saved(drawing(seed), tmp_path / f"{seed}.png") for seed in range(12, 40)]
    flat = saved(Image.new("RGB", (50, 50), (9, 9, 9)), tmp_path / "flat.png")
    other = saved(Image.new("RGB", (50, 50), (200, 200, 200)), tmp_path / "other.png")
    assert matches(store, [*asked, flat], [*known, other]) == [[]] * 13


def test_equal_hashes_alone_do_not_make_a_copy(store: PrintStore, tmp_path: Path) -> None:
    """With every hash let through, the thumbnails still have to agree."""
    asked = [saved(drawing(seed), tmp_path / f"{seed}.png") for seed in range(3)]
    known = [saved(drawing(seed), tmp_path / f"{seed}.png") for seed in range(3, 9)]
    known.append(saved(drawing(1).resize((100, 75)), tmp_path / "copy.png"))
    assert [[m.known for m in own] for own in matches(store, asked, known, max_bits=64)] == [[], [6], []]


def test_surest_kind_is_told(store: PrintStore, tmp_path: Path) -> None:
    asked = saved(drawing(5), tmp_path / "a.png")
    same = tmp_path / "b.png"
    same.write_bytes(asked.read_bytes())
    pixels = saved(drawing(5), tmp_path / "c.png", compress_level=0)
    near = saved(drawing(5), tmp_path / "d.jpg", quality=50)
    (found,) = matches(store, [asked], [near, pixels, same])
    assert [(match.known, match.kind) for match in found][:2] == [(2, "file"), (1, "pixels")]
    assert found[2]._replace(bits=0) == Match(0, "near")


def test_bad_images_are_named_and_the_rest_goes_on(store: PrintStore, tmp_path: Path) -> None:
    good = saved(drawing(3), tmp_path / "good.png")
    broken, missing = tmp_path / "broken.png", tmp_path / "missing.png"
    broken.write_bytes(good.read_bytes()[:200])
    pictures = [Picture(path) for path in (broken, good, missing, tmp_path)]
    prints = store.prints(pictures, crops=True)
    assert [getattr(item, "code", "print") for item in prints] == [
        "image_unreadable", "print", "image_not_found", "image_not_found",
    ]  # fmt: skip
    assert "broken.png" in str(prints[0])
    assert isinstance(prints[0], ImageError)
    assert "broken.png" in prints[0].message_ar != prints[0].message
    found = match_images((pictures, prints), (pictures, store.prints(pictures, crops=False)), store)
    assert [[match.kind for match in own] for own in found] == [["path"], ["file"], ["path"], ["path"]]


def test_second_look_decodes_only_what_is_new(tmp_path: Path) -> None:
    paths = [saved(drawing(seed), tmp_path / f"{seed}.png") for seed in range(4)]
    cache = tmp_path / "prints.sqlite"
    for expected, number in ((3, 3), (0, 3), (1, 4)):
        with PrintStore(cache) as store:
            first = store.prints([Picture(path) for path in paths[:number]], crops=True)
            assert store.decoded == expected
    paths[0].write_bytes(paths[1].read_bytes())  # found by content, whatever the name
    with PrintStore(cache) as store:
        again = store.prints([Picture(path) for path in paths], crops=True)
        assert store.decoded == 0
    assert (again[0], *again[1:]) == (first[1], *first[1:])


def test_work_that_was_killed_goes_on_where_it_stopped(tmp_path: Path) -> None:
    paths = [saved(Image.new("RGB", (16, 16), (seed, 90, 9)), tmp_path / f"{seed}.png") for seed in range(60)]
    cache, pictures = tmp_path / "prints.sqlite", [Picture(path) for path in paths]
    store = PrintStore(cache)
    for picture in pictures[:55]:
        store._print(picture, False)
    with sqlite3.connect(cache) as rows:  # what another process would find now
        assert rows.execute("SELECT count(*) FROM prints").fetchone() == (50,)
    store._rows.close()  # as a kill does: no commit
    store._decoder.close()
    with PrintStore(cache) as store:
        assert len(store.prints(pictures, crops=False)) == 60
        assert store.decoded == 10


def test_damaged_store_is_put_aside_and_an_unusable_one_is_an_error(tmp_path: Path) -> None:
    cache = tmp_path / "prints.sqlite"
    cache.write_bytes(b"not a database" * 100)
    path = saved(drawing(0), tmp_path / "a.png")
    with PrintStore(cache) as store:
        store.prints([Picture(path)], crops=False)
        assert store.decoded == 1
    assert cache.with_suffix(".damaged").exists()
    with pytest.raises(BiMediX2Error, match="BIMEDIX2_CACHE") as caught:
        PrintStore(tmp_path)  # a folder
    assert "BIMEDIX2_CACHE" in caught.value.message_ar != caught.value.message


def test_jpeg_bytes_are_not_pixels() -> None:
    """The copies above really differ in their pixels, so "near" is what found them."""
    buffer = io.BytesIO()
    drawing(0).save(buffer, "JPEG", quality=60)
    assert (np.asarray(Image.open(buffer)) != np.asarray(drawing(0))).any()
