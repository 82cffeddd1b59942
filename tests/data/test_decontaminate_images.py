"""Images of test items in a mix: copies are found, others are not, and what cannot be read is not called clean."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from decontaminate_records import CLEAN, drawing, found, made, own_cache, saved, written
from PIL import Image, ImageOps

from bimedix2.data.decontaminate.pictures import TestPictures
from bimedix2.data.decontaminate.run import DecontaminateSettings, decontaminate
from bimedix2.data.decontaminate.testset import Collector, save
from bimedix2.errors import DataError, ImageError

__all__ = ["own_cache"]


def uneven(image: Image.Image) -> Image.Image:
    width, height = image.size
    return image.crop((int(0.05 * width), int(0.01 * height), width, int(0.96 * height)))


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "re-encoded": lambda image: image,
    "half size": lambda image: image.resize((image.width // 2, image.height // 2)),
    "mirrored": ImageOps.mirror,
    "cropped": lambda image: ImageOps.crop(image, 9),
    "cropped unevenly": uneven,
    "padded": lambda image: ImageOps.pad(image, (max(image.size),) * 2),
}


@pytest.mark.parametrize("change", CHANGES)
def test_copies_of_test_images_are_found_and_other_images_are_not(tmp_path: Path, change: str) -> None:
    question = "Is there any sign of a fracture in this image?"
    test, mix = [], []
    for seed in range(4):
        saved(drawing(seed), tmp_path / f"t{seed}.png")
        saved(CHANGES[change](drawing(seed)), tmp_path / f"m{seed}.jpg", quality=40)
        saved(drawing(100 + seed), tmp_path / f"o{seed}.png")
        test.append(made(f"vqa:{seed}", question, paths=(f"t{seed}.png",), task="vqa"))
        mix.append(made(f"own:{seed}", "هل يوجد كسر؟", "لا", "ar", paths=(f"m{seed}.jpg",), task="vqa"))
        mix.append(made(f"other:{seed}", question, paths=(f"o{seed}.png",), task="vqa"))
    assert found(tmp_path, mix, test) == {f"own:{seed}": ("image_near", f"vqa:{seed}") for seed in range(4)}


def test_the_same_file_and_the_same_pixels_are_told_apart(tmp_path: Path) -> None:
    saved(drawing(1), tmp_path / "t.png")
    (tmp_path / "same.png").write_bytes((tmp_path / "t.png").read_bytes())
    saved(drawing(1), tmp_path / "pixels.png", compress_level=0)
    test = [made("vqa:1", "What is this?", paths=("t.png",))]
    mix = [made("own:1", "What?", paths=("same.png",)), made("own:2", "What?", paths=("pixels.png",))]
    assert {name: reason for name, (reason, _) in found(tmp_path, mix, test).items()} == {
        "own:1": "image_file",
        "own:2": "image_pixels",
    }


def test_without_opening_images_their_stated_hash_counts(tmp_path: Path) -> None:
    saved(drawing(1), tmp_path / "t.png")
    digest = hashlib.sha256((tmp_path / "t.png").read_bytes()).hexdigest()
    record = made("own:1", "What is it?", paths=("gone.png",))
    stated = msgspec.structs.replace(record, images=(msgspec.structs.replace(record.images[0], sha256=digest),))
    test = [made("vqa:1", "What is this?", paths=("t.png",))]
    hashes = Collector()
    with TestPictures(tmp_path) as pictures:
        hashes.add_set("vqa", test, pictures.looks)
    save(hashes.collected(), tmp_path / "h.npz")
    settings = DecontaminateSettings(hashes=(tmp_path / "h.npz",), use_shipped=False, data=tmp_path, images=False)
    with pytest.raises(DataError) as caught:
        decontaminate(written(tmp_path / "mix.jsonl", [stated, *CLEAN]), None, settings)
    assert caught.value.code == "contaminated"
    assert "has the same image file" in caught.value.message


def test_images_that_cannot_be_compared_are_not_called_clean(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 50)
    mix = written(tmp_path / "mix.jsonl", [*CLEAN, made("own:b", "What?", paths=("broken.png",)),
                                           made("own:m", "What?", paths=("missing.png",))])  # fmt: skip
    settings = DecontaminateSettings(data=tmp_path)
    with pytest.raises(DataError, match=r"2 records have images.*row 4") as caught:
        decontaminate(mix, tmp_path / "out.jsonl", settings)
    assert caught.value.code == "unreadable_images"
    assert not (tmp_path / "out.jsonl").exists()
    decontaminate(mix, tmp_path / "out.jsonl", DecontaminateSettings(data=tmp_path, drop=True))
    reasons = [json.loads(line) for line in (tmp_path / "out.quarantine.jsonl").open(encoding="utf-8")]
    assert [(row["id"], row["code"]) for row in reasons] == [
        ("own:b", "unreadable_image"), ("own:m", "unreadable_image"),
    ]  # fmt: skip
    with pytest.raises(ImageError):  # a test image that is not looked at would never be found
        found(tmp_path, CLEAN, [made("vqa:1", "What?", paths=("missing.png",))])
