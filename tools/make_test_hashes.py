"""Make ``src/bimedix2/data/assets/test_hashes.npz``: hashes of the public test sets, without a text or picture.

    python tools/make_test_hashes.py DATA [--out FILE] [--records NAME=FILE ...] [--only]

DATA holds the sets as their adapters read them. VQA-RAD's and SLAKE's official test questions are not covered: they
are kept apart from this project on purpose. Add a set of your own with ``--records``; with ``--only`` the file holds
nothing else, and goes to ``bimedix2 data decontaminate --hashes``.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

from bimedix2.cache import sha256_file
from bimedix2.data.decontaminate.pictures import TestPictures
from bimedix2.data.decontaminate.testset import SHIPPED, Collector, save
from bimedix2.data.sources._reading import Reading
from bimedix2.data.sources.registry import find_source, settings_of
from bimedix2.records import Record, read_records

ASSET = Path(__file__).resolve().parents[1] / "src" / "bimedix2" / "data" / "assets" / SHIPPED
SETS = {
    "mmlu": "six medical subjects, test",
    "medqa": "USMLE, four options, test",
    "medmcqa": "validation, which everybody tests on, but for the few items that come in Arabic too",
    "pubmedqa": "PQA-L, the 500 items of test_ground_truth.json",
    "rocov2": "test: 100 figures of a sample, reduced to 448 pixels, with captions; not the whole test split",
    "bccd": "test images",
    "pneumoniamnist": "test images, 28 x 28",
}


def add_source(collector: Collector, name: str, data: Path, pictures: Path) -> None:
    """Take the test split of a source in."""
    source = find_source(name)
    reading = Reading(data, frozenset({"test"}), None, settings_of(source.info, {}), pictures=pictures)
    records: list[Record] = [record for record in source.read(reading) if record.split == "test"]
    files = {str(path.relative_to(data)): sha256_file(path) for path in dict.fromkeys(reading.files)}
    with TestPictures(data) as looked:
        facts = {"licence": source.info.licence, "note": SETS[name], "files": files}
        collector.add_set(name, records, looked.looks, **facts)


def main() -> None:
    """Write the file and print what is in it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, default=ASSET)
    parser.add_argument("--records", action="append", default=[], metavar="NAME=FILE")
    parser.add_argument("--only", action="store_true")
    args = parser.parse_args()
    collector, say = Collector(), print
    with tempfile.TemporaryDirectory() as folder:
        for name in () if args.only else SETS:
            add_source(collector, name, args.data, Path(folder))
    for given in args.records:
        name, _, file = given.partition("=")
        with TestPictures(args.data) as looked:
            collector.add_set(name, read_records(Path(file)), looked.looks, sha256=sha256_file(Path(file)))
    report(collector, args.out, say)


def report(collector: Collector, out: Path, say: Callable[[str], None]) -> None:
    """Save and tell."""
    hashes = collector.collected()
    save(hashes, out)
    for one in hashes.sets:
        say(f"{one['name']}: {one['items']} items, {one['images']} images")
    say(f"{out}: {out.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
