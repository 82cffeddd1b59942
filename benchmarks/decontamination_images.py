"""Copies of images found and different images confused; run by ``decontamination.py``."""

from __future__ import annotations

import io
import random
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from bimedix2.data.decontaminate.pictures import Look
from bimedix2.data.decontaminate.prints import PARTS, codes_of_parts, training_codes
from bimedix2.data.decontaminate.search import Search
from bimedix2.data.decontaminate.testset import Collector, TestHashes
from bimedix2.images.phash import phash, thumbnails
from decontamination_common import caption, share

IMAGES = 400


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    """Written and read again."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def uneven(most: float) -> Callable[[Image.Image], Image.Image]:
    """Up to ``most`` off each side, another share for each."""

    def crop(image: Image.Image) -> Image.Image:
        left, top, right, bottom = np.random.default_rng([*image.size, int(1000 * most)]).uniform(0, most, 4)
        width, height = image.size
        return image.crop((int(left * width), int(top * height), int((1 - right) * width), int((1 - bottom) * height)))

    return crop


COPIES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "the same": lambda image: image,
    "JPEG quality 90": lambda image: jpeg(image, 90),
    "JPEG quality 60": lambda image: jpeg(image, 60),
    "JPEG quality 30": lambda image: jpeg(image, 30),
    "half size": lambda image: image.resize((image.width // 2, image.height // 2)),
    "double size": lambda image: image.resize((image.width * 2, image.height * 2)),
    "crop 5 % a side": lambda image: ImageOps.crop(image, round(0.05 * min(image.size))),
    "uneven crop to 5 % a side": uneven(0.05),
    "uneven crop to 5 %, half size, JPEG 50": lambda image: jpeg(
        (cut := uneven(0.05)(image)).resize((cut.width // 2, cut.height // 2)), 50
    ),
    "uneven crop to 8 % a side": uneven(0.08),
    "brightness 1.3": lambda image: ImageEnhance.Brightness(image).enhance(1.3),
    "gamma 0.8": lambda image: image.point(lambda value: 255 * (value / 255) ** 0.8),
    "mirrored": ImageOps.mirror,
    "black padding to a square": lambda image: ImageOps.pad(image, (max(image.size),) * 2),
    "white padding to a square": lambda image: ImageOps.pad(image, (max(image.size),) * 2, color="white"),
}


def image_part(root: Path) -> dict[str, Any]:
    """Copies found, and different images confused."""
    paths = sorted((root / "vqa_rad" / "images").glob("*.jpg")) + sorted((root / "rocov2").glob("*/*.jpg"))
    images = [Image.open(path).convert("RGB") for path in paths]
    pixels = [np.asarray(image) for image in images]
    started = time.perf_counter()
    hashes = image_hashes(pixels)
    seconds = time.perf_counter() - started
    search = Search(hashes)
    plain = [phash(thumbnails(own, PARTS[:1])[1, 0]) for own in pixels]
    chosen = random.Random(0).sample(range(len(images)), IMAGES)
    copies = {}
    for name, change in COPIES.items():
        made = [np.asarray(change(images[at])) for at in chosen]
        copies[name] = {
            "found": share(image_rows(search, made), chosen),
            "baseline: equal pixels": share_of(
                np.array_equal(a, pixels[at]) for a, at in zip(made, chosen, strict=True)
            ),
            "baseline: plain pHash within 8 bits": share_of(
                int((phash(thumbnails(a, PARTS[:1])[1, 0]) != plain[at]).sum()) <= 8
                for a, at in zip(made, chosen, strict=True)
            ),
        }
    return {
        "images": len(images), "test images hashed a second": round(len(images) / seconds, 1), "copies": copies,
        "different images taken for one": false_images(search, pixels, plain), "films": film_part(root),
    }  # fmt: skip


def image_hashes(pixels: Sequence[Any]) -> TestHashes:
    """Test images with whole numbers as ids."""
    collector = Collector()
    items = [caption(f"image:{at}", "-", "en") for at in range(len(pixels))]
    codes = {item.id: (at, at, codes_of_parts(own)) for at, (item, own) in enumerate(zip(items, pixels, strict=True))}
    collector.add_set("images", items, lambda record: [codes[record.id]])
    return collector.collected()


def image_rows(search: Search, pixels: Sequence[Any]) -> dict[int, set[int]]:
    """Place of a training image -> test images found by their looks."""
    rows: dict[int, set[int]] = {}
    for start in range(0, len(pixels), 256):
        looks = [
            [Look(0, None, None, training_codes(thumbnails(own, PARTS[:1])))] for own in pixels[start : start + 256]
        ]
        for hit in search.images(looks):
            rows.setdefault(start + hit.row, set()).add(hit.item)
    return rows


def share_of(values: Iterator[bool]) -> float:
    """Share of True."""
    return round(float(np.mean(list(values))), 4)


def false_images(search: Search, pixels: list[Any], plain: list[Any]) -> dict[str, Any]:
    """Pairs of images with different pixels, all against all."""
    same = {own.tobytes() for own in pixels}
    rows = image_rows(search, pixels)
    pairs = {tuple(sorted((at, item))) for at, own in rows.items() for item in own if item != at}
    wrong = [pair for pair in pairs if not np.array_equal(pixels[pair[0]], pixels[pair[1]])]
    bits = np.stack(plain)
    apart = (bits[:, None] != bits[None]).sum(-1)
    near = [(a, b) for a, b in zip(*np.nonzero(np.triu(apart <= 8, 1)), strict=True)
            if not np.array_equal(pixels[a], pixels[b])]  # fmt: skip
    count = len(pixels)
    return {
        "pairs": count * (count - 1) // 2, "distinct images": len(same), "search": len(wrong),
        "baseline: plain pHash within 8 bits": len(near),
    }  # fmt: skip


def film_part(root: Path) -> dict[str, Any]:
    """PneumoniaMNIST, the hardest case: films of 28 × 28, all of training against all of test."""
    films = np.load(root / "pneumoniamnist" / "pneumoniamnist.npz")
    test, train = films["test_images"], films["train_images"]
    search = Search(image_hashes(list(test)))
    rows = image_rows(search, list(train))
    known = {film.tobytes() for film in test}
    plain = np.stack([phash(thumbnails(film, PARTS[:1])[1, 0]) for film in test])
    other = np.stack([phash(thumbnails(film, PARTS[:1])[1, 0]) for film in train])
    near = sum(int(((plain != own).sum(-1) <= 8).sum()) for own in other)
    jpegs = [np.asarray(jpeg(Image.fromarray(film).convert("RGB"), 60)) for film in test]
    large = [np.asarray(Image.fromarray(film).resize((112, 112))) for film in test]
    places = list(range(len(test)))
    return {
        "pairs of different films": len(test) * len(train),
        "equal films in both": sum(film.tobytes() in known for film in train),
        "pairs taken for one": sum(map(len, rows.values())), "baseline: plain pHash within 8 bits": near,
        "found as JPEG 60": share(image_rows(search, jpegs), places),
        "found at four times the size": share(image_rows(search, large), places),
    }  # fmt: skip
