"""A small set to build: pairs in two languages with pictures, films in an array file, test items, a recipe."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bimedix2.data.build.job import Place
from bimedix2.data.build.line import Done, build
from bimedix2.data.build.recipe_file import load_build_recipe
from bimedix2.records import ImageRef, Record, Turn, write_jsonl

PAIRS = 12
RECIPE = """
name: small set
name_ar: مجموعة صغيرة
ingest:
  records: [own.jsonl]
  sources:
    - {source: pneumoniamnist, options: {per_class: "2"}}
check: {action: report, encoder: false}
phi: {action: redact}
dedup: {action: drop}
decontaminate:
  held_out: [{source: pneumoniamnist}]
mix: {tokens: words}
shard: {phi: allow, records_per_shard: 20}
card:
  description: A small set.
  description_ar: مجموعة صغيرة.
"""
_EN = ("What does film {n} show in the chest?", "Film {n} shows a lesion of {n} mm in the left lung.")
_AR = ("ماذا تظهر الصورة {n} في الصدر؟", "تظهر الصورة {n} آفة قياسها {n} مم في الرئة اليسرى.")


def pair(number: int, *, spoilt: bool = False) -> tuple[Record, Record]:
    """An English record about a picture of its own, and its translation; a spoilt one has another number."""
    name = f"own:{number}"
    image = (ImageRef(path=f"own/{number}.png"),)
    fields: dict[str, Any] = {
        "images": image, "task": "vqa", "modality": "xray", "source": "own", "licence": "CC-BY-NC-4.0", "pair_id": name,
    }  # fmt: skip

    def turns(texts: tuple[str, str], language: Any, other: int) -> tuple[Turn, ...]:
        return (
            Turn(role="user", text=texts[0].format(n=number), language=language, images=(0,)),
            Turn(role="assistant", text=texts[1].format(n=other), language=language),
        )

    return (
        Record(id=f"{name}:en", turns=turns(_EN, "en", number), **fields),
        Record(
            id=f"{name}:ar", turns=turns(_AR, "ar", number + 30 if spoilt else number), parent=f"{name}:en", **fields
        ),
    )


def write_set(folder: Path, count: int = PAIRS) -> Path:
    """Data below ``folder/data``, own records and the recipe beside it; returns the recipe."""
    data = folder / "data"
    (data / "own").mkdir(parents=True)
    random = np.random.default_rng(7)
    for number in range(1, count + 1):
        Image.fromarray(random.integers(0, 255, (40, 48), dtype=np.uint8)).save(data / "own" / f"{number}.png")
    records = [record for number in range(1, count + 1) for record in pair(number, spoilt=number == 3)]
    write_jsonl(folder / "own.jsonl", records)
    (data / "pneumoniamnist").mkdir()
    films = {
        f"{part}_images": random.integers(0, 255, (8, 28, 28), dtype=np.uint8) for part in ("train", "val", "test")
    }
    labels = {f"{part}_labels": np.array([[0], [1]] * 4, np.uint8) for part in ("train", "val", "test")}
    np.savez(data / "pneumoniamnist" / "pneumoniamnist.npz", **films, **labels)
    (folder / "recipe.yaml").write_text(RECIPE, encoding="utf-8")
    return folder / "recipe.yaml"


def place_of(recipe: Path, out: Path, *overrides: str, said: list[str] | None = None) -> Place:
    """Where the set is built."""
    lines = said if said is not None else []

    def tell(english: str, arabic: str) -> None:
        assert english.isascii() or "→" in english
        lines.extend((english, arabic))

    return Place(load_build_recipe(recipe, overrides), recipe.parent, recipe.parent / "data", out, tell)


def built(recipe: Path, out: Path, *overrides: str, until: str = "", start: str = "") -> list[Done]:
    """Build it."""
    return build(place_of(recipe, out, *overrides), until, start)


def contents(out: Path) -> dict[str, str]:
    """SHA-256 of every file that a build promises to make again; logs, locks and work are left out."""
    return {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(out.rglob("*"))
        if path.is_file() and not path.name.startswith(".") and path.name != "build.log.jsonl"
        and path.relative_to(out).parts[0] not in ("work", "review")
    }  # fmt: skip
