"""TICO-19 (Anastasopoulos et al. 2020, CC0): English-Arabic parallel sentences about COVID-19."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

from bimedix2.errors import RecordError
from bimedix2.records.schema import Record, Split

from ._common import answered_in, exchange
from ._files import csv_objects, line
from ._reading import Reading, Source, SourceInfo, each, files_of

INFO = SourceInfo(
    name="tico19",
    licence="CC0-1.0",
    languages=("en", "ar"),
    tasks=("qa",),
    splits=("dev", "test"),
    files=("tico19/{dev,test}/….en-ar.tsv of the benchmark, or tico19/all.en-ar.tmx",),
    notes="A benchmark of translation. The TMX does not tell its 971 dev from its 2,100 test sentences, so all of it "
    "counts as test. Each pair gives a record in either direction.",
    notes_ar="مجموعة اختبار للترجمة. لا يميز ملف TMX جمل التطوير (971) من جمل الاختبار (2100) فيعد كله قسم اختبار. "
    "لكل زوج سجل في كل اتجاه.",
)
FILES: dict[Split, tuple[str, ...]] = {
    "dev": ("tico19/dev/dev.en-ar.tsv",),
    "test": ("tico19/test/test.en-ar.tsv", "tico19/all.en-ar.tmx"),
}
_LANG = "{http://www.w3.org/XML/1998/namespace}lang"


def read(reading: Reading) -> Iterator[Record]:
    """Two records a sentence pair."""
    for split, path in files_of(reading, INFO, FILES):
        rows = _tmx(path) if path.suffix == ".tmx" else csv_objects(reading, path, delimiter="\t", quoted=False)
        yield from each(reading, path, rows, partial(_make, split, path))


def _tmx(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Rows of a TMX file under the names that the TSV files have.

    Raises:
        RecordError: the XML is damaged or cut off; the rows before were given.
    """
    number = 0
    try:
        for _, unit in ElementTree.iterparse(path):  # noqa: S314 - entities of a local file the user chose
            if unit.tag != "tu":
                continue
            number += 1
            texts = {node.get(_LANG, ""): "".join(node.itertext()) for node in unit.iter("tuv")}
            pair = {"sourceString": texts.get("en", ""), "targetString": texts.get("ar", "")}
            yield number, {"stringID": unit.get("tuid", ""), **pair}
            unit.clear()
    except ElementTree.ParseError as error:
        problem = f"is damaged or cut off after row {number} ({error}); get it again"
        raise RecordError(path, number + 1, "file", problem, "تالف أو ناقص؛ نزله من جديد") from error


def _make(split: Split, path: Path, number: int, row: dict[str, str]) -> list[Record]:
    name = line(path, number, row, "stringID")
    english, arabic = line(path, number, row, "sourceString"), line(path, number, row, "targetString")
    base = f"tico19:{name}"
    one_way = partial(
        exchange, task="qa", modality="text", source=INFO.name, licence=INFO.licence, source_id=name, split=split
    )
    return [
        answered_in(one_way(f"{base}:en-ar", f"Translate into Arabic:\n{english}", arabic, "en", pair_id=base), "ar"),
        answered_in(one_way(f"{base}:ar-en", f"ترجم إلى الإنجليزية:\n{arabic}", english, "ar", pair_id=base), "en"),
    ]


SOURCES = (Source(INFO, read),)
