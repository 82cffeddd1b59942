"""The way of training data to the model: tokenising once, opening the store, reading stored pictures.

    python benchmarks/training_data.py --records RECORDS --data DATA [--rounds 5] [--rows 1000000]
        [--out benchmarks/results/training_data.json]

RECORDS is the mix of ``recipes/data/bimedv-nano.yaml``. Every figure stands beside what it replaces: tokenising beside
the bare tokenizer (no mask, no image tokens), opening a store beside tokenising anew at each start, a stored picture
beside decoding its file each time, with Pillow alone, with Pillow's ``draft`` (a JPEG decoded at a fraction of its
size, so not the same pixels), and with the limited child process that this package decodes files from strangers in.
Rounds are interleaved; medians of CPU time (of the child process too) on one thread are reported, which a busy
neighbour disturbs less; building and opening stores is wall clock. Files are read from the page cache.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from PIL import Image

from bimedix2.images import ImageDecoder, ImagePolicy
from bimedix2.model import Bundle
from bimedix2.records import Record, read_records
from bimedix2.train.samples.encode import Sample, SampleEncoder
from bimedix2.train.samples.files import ImageItem, find_images
from bimedix2.train.samples.images import ImageStore, augmented
from bimedix2.train.samples.prepare import prepare
from bimedix2.train.samples.store import TokenStore, TokenWriter

POLICY = ImagePolicy.clip(336)
SAMPLES = 4000
SOURCES = ("vqa_rad", "rocov2")


def cpu_seconds() -> float:
    """CPU time so far of this process and its living children."""
    children = [child.cpu_times() for child in psutil.Process().children(recursive=True)]
    return time.process_time() + sum(times.user + times.system for times in children)


def seconds(work: Callable[[], object]) -> float:
    """Wall clock of one call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def medians(jobs: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median CPU seconds of each job over interleaved rounds, after one that does not count."""
    taken: dict[str, list[float]] = {name: [] for name in jobs}
    for number in range(rounds + 1):
        for name, work in jobs.items():
            started = cpu_seconds()
            work()
            if number:
                taken[name].append(cpu_seconds() - started)
    return {name: statistics.median(values) for name, values in taken.items()}


def text_bundle() -> Bundle:
    """nano's tokenizer, template and image tokens, without its weights."""
    from bimedix2.model.load import load_tokenizer
    from bimedix2.model.nano import nano_folder
    from bimedix2.text.chat import get_template

    folder = nano_folder()
    manifest = json.loads((folder / "bimedix2.json").read_text())
    return Bundle(
        model=None, tokenizer=load_tokenizer(folder), template=get_template(manifest["chat_template"]),
        image_policy=ImagePolicy.from_dict(manifest["image_policy"]), image_token_id=manifest["image_token_id"],
        tokens_per_image=manifest["tokens_per_image"], name="nano",
    )  # fmt: skip


def tokenising(records: list[Record], data: Path, scratch: Path, rounds: int) -> dict[str, Any]:
    """Samples a second: encoding alone, the whole of preparing without its images, and the bare tokenizer."""
    bundle = text_bundle()
    encoder, few = SampleEncoder(bundle, 8192), records[:SAMPLES]
    texts = ["\n".join(turn.text for turn in record.turns) for record in few]
    found = find_images(few, data, scratch)
    ImageStore.build(scratch, found.items, bundle.image_policy)
    number = iter(range(10**6))

    def whole() -> None:
        # Another limit makes another store; the pictures are there.
        prepare(few, data, bundle, scratch, max_tokens=8192 + next(number))

    taken = medians(
        {
            "encode": lambda: [encoder.encode(record, [0] * len(record.images)) for record in few],
            "prepare": whole,
            "bare_tokenizer": lambda: [bundle.tokenizer(text) for text in texts],
        },
        rounds,
    )
    return {"samples": len(few), **{f"{name}_samples_a_second": round(len(few) / took) for name, took in taken.items()}}


def synthetic(rows: int, seed: int = 0) -> Iterator[Sample]:
    """Samples with log-normal lengths of about 200 tokens."""
    generator = np.random.default_rng(seed)
    lengths = np.clip(generator.lognormal(5.1, 0.6, rows), 16, 2000).astype(int)
    pool = generator.integers(0, 128_000, 4096, dtype=np.int32)
    for row, length in enumerate(lengths):
        supervised = np.zeros(length, bool)
        supervised[length * 2 // 3 :] = True
        yield Sample(
            f"set:{row}:en",
            f"set{row % 5}",
            f"en/ct/{row % 7}",
            row,
            row,
            pool[:length],
            supervised,
            0,
            0,
            (row % 1000,),
        )


def opening(rows: int, scratch: Path) -> dict[str, Any]:
    """Build and open a store of many samples, and the peak memory of building it."""
    target = scratch / "tokens-synthetic"
    writer = TokenWriter(target)
    started = time.perf_counter()
    for sample in synthetic(rows):
        writer.add(sample)
        if writer.done % 2000 == 0:
            writer.commit()
    writer.commit()
    writer.finish({}, [])
    took = time.perf_counter() - started
    build_peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    store = TokenStore(target)
    order = np.random.default_rng(0).permutation(rows)[:20000]
    reading = seconds(lambda: [(store.ids(row).sum(), store.supervised(row).sum()) for row in order])
    return {
        "rows": rows,
        "tokens": int(store.table.length.sum()),
        "disk_mb": round(sum(path.stat().st_size for path in target.iterdir()) / 1e6),
        "write_rows_a_second": round(rows / took),
        "peak_memory_of_the_process_mb": round(build_peak),
        "open_ms": round(1000 * statistics.median(seconds(lambda: TokenStore(target)) for _ in range(9)), 2),
        "random_rows_a_second": round(len(order) / reading),
    }


def radiographs(folder: Path, count: int) -> list[Path]:
    """Grey JPEGs of 2500 x 3000: smooth fields with film grain."""
    generator = np.random.default_rng(0)
    paths = []
    for number in range(count):
        field = Image.fromarray(generator.integers(0, 255, (20, 24), dtype=np.uint8)).resize(
            (2500, 3000), Image.Resampling.BICUBIC
        )
        grain = np.asarray(field, np.float32) + generator.normal(0, 4, (3000, 2500))
        paths.append(folder / f"film{number}.jpg")
        Image.fromarray(grain.clip(0, 255).astype(np.uint8)).save(paths[-1], quality=90)
    return paths


def with_pillow(path: str, *, draft: bool) -> np.ndarray:
    """A file to pixels at training resolution, by Pillow alone."""
    with Image.open(path) as picture:
        if draft:
            picture.draft("RGB", (POLICY.size, POLICY.size))
        return POLICY.to_uint8(np.asarray(picture.convert("RGB")))


def pictures(items: list[ImageItem], scratch: Path, rounds: int) -> dict[str, Any]:
    """Milliseconds an image of every way to get it, and what the stores cost."""
    stores: dict[str, ImageStore] = {}
    built: dict[str, float] = {}
    for form, workers in itertools.product(("raw", "jpeg"), sorted({1, os.cpu_count() or 1})):
        started = time.perf_counter()
        stores[form] = ImageStore.build(scratch / f"{form}{workers}", items, POLICY, format=form, workers=workers)
        built[f"{form}_{workers}_workers"] = round(len(items) / (time.perf_counter() - started), 1)
    raw, jpeg = stores["raw"], stores["jpeg"]
    places = range(len(items))
    often = list(places) * -(-1000 // len(items))  # a reading is too short for the clock
    with ImageDecoder() as decoder:
        jobs: dict[str, Callable[[], object]] = {
            "raw": lambda: [raw.get_uint8(place, None) for place in often],
            "jpeg": lambda: [jpeg.get_uint8(place, None) for place in often],
            "pillow_each_time": lambda: [with_pillow(item.path, draft=False) for item in items],
            "pillow_draft_each_time": lambda: [with_pillow(item.path, draft=True) for item in items],
            "child_process_each_time": lambda: [POLICY.to_uint8(decoder.decode(item.path).pixels) for item in items],
            "augmentation_on_top": lambda: [augmented(raw.pixels[place], str(place), POLICY) for place in often],
        }
        taken = medians(jobs, rounds)
    blob = (jpeg.folder / "pixels.jpegs").stat().st_size
    error = [np.abs(raw.get_uint8(place, None).astype(int) - jpeg.get_uint8(place, None)).mean() for place in places]
    return {
        "images": len(items),
        "median_side": statistics.median(max(Image.open(item.path).size) for item in items),
        "ms_an_image": {
            name: round(1000 * took / len(items if name.endswith("each_time") else often), 3)
            for name, took in taken.items()
        },
        "built_images_a_second": built,
        "kb_an_image": {"raw": round(POLICY.size**2 * 3 / 1000, 1), "jpeg": round(blob / len(items) / 1000, 1)},
        "jpeg_mean_absolute_error": round(float(np.mean(error)), 2),
    }


def machine() -> dict[str, Any]:
    """What the figures were taken on, and how busy it was."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    load = os.getloadavg()[0]
    return {
        "cpu": next((line.split(":")[1].strip() for line in lines if "model name" in line), "unknown"),
        "cores": os.cpu_count(),
        "load_average_at_the_end": round(load, 1),
        "busy_with_other_work": load > 1.3,
        "python": sys.version.split()[0],
        **{name: version(name) for name in ("numpy", "pillow", "tokenizers")},
        "date": date.today().isoformat(),
        "command": "python benchmarks/training_data.py " + " ".join(sys.argv[1:]),
    }


def markdown(report: dict[str, Any]) -> str:
    """The figures as a table."""
    text, store = report["tokenising"], report["store"]
    anew = store["rows"] / text["encode_samples_a_second"]
    lines = [
        "| | this | instead of | |", "|---|---|---|---|",
        f"| tokens and mask, samples a second | {text['encode_samples_a_second']:,} "
        f"| {text['bare_tokenizer_samples_a_second']:,} | the bare tokenizer, text alone |",
        f"| the same with checks and writing | {text['prepare_samples_a_second']:,} | | |",
        f"| start with {store['rows']:,} samples | {store['open_ms']} ms | {anew:.0f} s | tokenising anew (computed) |",
    ]  # fmt: skip
    for name, part in report["pictures"].items():
        took = part["ms_an_image"]
        each_time = " / ".join(str(took[f"{way}_each_time"]) for way in ("pillow", "pillow_draft", "child_process"))
        lines += [
            f"| {name}, {form} ({part['kb_an_image'][form]} KB), ms an image | {took[form]} | {each_time} "
            "| Pillow / with draft / child process, each time |"
            for form in ("raw", "jpeg")
        ]
    return "\n".join(lines)


def main() -> None:
    """Measure, print a table and write one JSON file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    records = list(read_records(options.records))
    report: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        report["store"] = opening(options.rows, scratch)
        report["tokenising"] = tokenising(records, options.data, scratch, options.rounds)
        found = find_images([one for one in records if one.source in SOURCES], options.data, scratch)
        films = [ImageItem(str(path), path.name) for path in radiographs(scratch, 8)]
        report["pictures"] = {
            "figures of articles": pictures(found.items[: options.images], scratch / "figures", options.rounds),
            "films of 2500 x 3000": pictures(films, scratch / "films", options.rounds),
        }
    report = {"machine": machine(), "rounds": options.rounds, **report}
    print(markdown(report))
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
