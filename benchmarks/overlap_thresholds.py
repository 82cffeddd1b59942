"""Thresholds of the overlap report: what they find of changed copies, and what they find where there is none.

    python benchmarks/overlap_thresholds.py --data DATA [--out benchmarks/results/overlap_thresholds.json]

Images: every image of VQA-RAD and ROCOv2, copies of it, and all pairs of different images; 2,000 chest films of
PneumoniaMNIST as the hardest case. Beside it stands the same hash without the check of the thumbnails. Pairs with
equal pixels are one image and not counted. Questions: VQA-RAD's in both languages with small edits, and second
Arabic translations; pairs about one image with different answers are different questions. Beside words and word
pairs stand character n-grams.
"""

from __future__ import annotations

import argparse
import io
import json
import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from bimedix2.data.splits import VqaRow, vqa_rad_rows
from bimedix2.evaluate.overlap.questions import vectorizer
from bimedix2.images.phash import CROPS, FRAMES, correlation, distances, hashes
from bimedix2.text.canonical import canonical
from nano_speed import machine

BITS, CORRELATIONS = (6, 8, 10), (-1.0, 0.9, 0.95, 0.97)
COSINES = (0.5, 0.6, 0.7, 0.8)
Hashed = tuple[np.ndarray, np.ndarray]


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    """Written and read again."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def uneven_crop(image: Image.Image) -> Image.Image:
    """Up to 8 % off each side, another share for each."""
    left, top, right, bottom = np.random.default_rng(image.size).uniform(0, 0.08, 4)
    width, height = image.size
    return image.crop((int(left * width), int(top * height), int((1 - right) * width), int((1 - bottom) * height)))


COPIES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "jpeg quality 40": lambda image: jpeg(image, 40),
    "half size": lambda image: image.resize((image.width // 2, image.height // 2)),
    "brightness 1.3": lambda image: ImageEnhance.Brightness(image).enhance(1.3),
    "brightness 0.7": lambda image: ImageEnhance.Brightness(image).enhance(0.7),
    "contrast 1.3": lambda image: ImageEnhance.Contrast(image).enhance(1.3),
    "gamma 0.8": lambda image: image.point(lambda value: 255 * (value / 255) ** 0.8),
    "mirrored": ImageOps.mirror,
    "black padding to a square": lambda image: ImageOps.pad(image, (max(image.size),) * 2),
    "crop 5 % a side": lambda image: ImageOps.crop(image, round(0.05 * min(image.size))),
    "uneven crop to 8 % a side": uneven_crop,
    "white padding to a square": lambda image: ImageOps.pad(image, (max(image.size),) * 2, color="white"),
}


def variants(image: Image.Image) -> Hashed:
    """What an evaluation image is compared by."""
    return hashes(np.asarray(image), CROPS, mirrored=True)


def agreement(asked: Hashed, known: Hashed) -> Iterator[tuple[int, float]]:
    """(different bits, correlation) of every variant."""
    for frame in range(FRAMES):
        bits = distances(asked[0][frame], known[0][frame, :1])[:, 0]
        yield from ((int(b), correlation(t, known[1][frame, 0])) for b, t in zip(bits, asked[1][frame], strict=True))


def rates(pairs: list[list[tuple[int, float]]]) -> dict[str, float]:
    """Share found at each pair of thresholds."""
    return {
        f"bits {bits}, correlation {least if least > 0 else 'any'}": round(
            sum(any(b <= bits and c >= least for b, c in own) for own in pairs) / len(pairs), 4
        )
        for bits in BITS
        for least in CORRELATIONS
    }


def found(hashed: list[Hashed], copies: list[Image.Image]) -> dict[str, float]:
    """Share of the copies that are taken for their originals."""
    pairs = zip(hashed, copies, strict=True)
    return rates([list(agreement(own, hashes(np.asarray(copy)))) for own, copy in pairs])


def false_pairs(images: list[Image.Image]) -> dict[str, Any]:
    """Pairs of different images that each pair of thresholds takes for one."""
    hashed = [variants(image) for image in images]
    own = np.stack([bits[:, 0] for bits, _ in hashed])
    pixels = [(image.size, image.tobytes()) for image in images]
    near: dict[tuple[int, int], list[tuple[int, float]]] = defaultdict(list)
    for one, (bits, _) in enumerate(hashed):
        least = np.minimum(*(distances(bits[frame], own[:, frame]).min(0) for frame in range(FRAMES)))
        for other in np.flatnonzero(least <= max(BITS)):
            if pixels[one] != pixels[other]:
                near[min(one, int(other)), max(one, int(other))] += agreement(hashed[one], hashed[int(other)])
    count = len(images) * (len(images) - 1) // 2
    shares = rates(list(near.values()))
    return {"pairs": count, "taken for one": {name: round(share * len(near)) for name, share in shares.items()}}


def image_figures(root: Path) -> dict[str, Any]:
    """Copies found, and different images confused."""
    paths = sorted((root / "vqa_rad" / "images").glob("*.jpg")) + sorted((root / "rocov2").glob("*/*.jpg"))
    images = [Image.open(path).convert("RGB") for path in paths]
    hashed = [variants(image) for image in images]
    films = np.load(root / "pneumoniamnist" / "pneumoniamnist.npz")
    chest = [Image.fromarray(film) for name in ("test", "val", "train") for film in films[f"{name}_images"]][:2000]
    return {
        "images": len(images),
        "copies found": {name: found(hashed, [change(image) for image in images]) for name, change in COPIES.items()},
        "VQA-RAD and ROCOv2": false_pairs(images),
        "PneumoniaMNIST, 2000 films of 28 × 28": false_pairs([film.resize((112, 112)) for film in chest]),
    }


def edited(text: str, language: str, rng: random.Random) -> dict[str, str]:
    """Small changes of a question."""
    words = text.split()
    place, at = rng.randrange(len(words)), rng.randrange(len(words) + 1)
    return {
        "a word dropped": " ".join(words[:place] + words[place + 1 :]),
        "a word added": " ".join([*words[:at], "the" if language == "en" else "هنا", *words[at:]]),
        "polite opening": ("please tell me " if language == "en" else "من فضلك ") + text,
    }


def question_figures(rows: list[VqaRow], language: str, table: Any) -> dict[str, Any]:
    """Shares of pairs at or above each cosine."""
    texts = [canonical(row.question if language == "en" else row.question_ar) for row in rows]
    rng, pairs = random.Random(0), defaultdict(list)
    for text in rng.sample(sorted(set(texts)), 500):
        for name, changed in edited(text, language, rng).items():
            pairs[name].append((text, changed))
    for row, text in zip(rows, texts, strict=True):
        if language == "ar" and row.question_ar_second and canonical(row.question_ar_second) != text:
            pairs["second translation"].append((text, canonical(row.question_ar_second)))
    by_image: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for row, text in zip(rows, texts, strict=True):
        by_image[row.image].append((text, row.answer.lower()))
    other = {(a, b) for own in by_image.values() for a, x in own for b, y in own if a < b and x != y}
    pairs["one image, different answers"] = sorted(other)
    table.fit([*set(texts), *(text for own in pairs.values() for _, text in own)])
    figures = {}
    for name, own in pairs.items():
        first, second = (table.transform(side) for side in zip(*sorted(set(own)), strict=True))
        cosines = np.asarray(first.multiply(second).sum(1)).ravel()
        figures[name] = {"pairs": len(cosines)} | {str(c): round(float((cosines >= c).mean()), 4) for c in COSINES}
    return figures


def main() -> None:
    """Print one JSON object and write it to --out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    rows = vqa_rad_rows(args.data)
    tables = {
        "words and word pairs": {},
        "characters 3 to 5": {"analyzer": "char_wb", "ngram_range": (3, 5), "token_pattern": None},
    }
    report = {
        "machine": machine(),
        "questions": {
            name: {lang: question_figures(rows, lang, vectorizer().set_params(**options)) for lang in ("en", "ar")}
            for name, options in tables.items()
        },
        "images": image_figures(args.data),
    }
    print(json.dumps(report, indent=1, ensure_ascii=False))
    if args.out:
        args.out.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
