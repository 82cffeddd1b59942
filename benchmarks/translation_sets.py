"""TICO-19 and the Arabic VQA-RAD as pairs, each in a half to tune on and a half to report.

TICO-19 is halved by document, so that no document is on both sides; VQA-RAD by a hash of the English string, because
its questions have no documents.
"""

from __future__ import annotations

import csv
import hashlib
import json
import re
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path
from typing import NamedTuple

TUNE, REPORT = 0, 1
_LANG = "{http://www.w3.org/XML/1998/namespace}lang"


class Row(NamedTuple):
    """A pair as published."""

    id: str
    english: str
    arabic: str


def tico19(data: Path) -> list[Row]:
    """All 3,071 pairs of TICO-19."""
    rows = []
    for unit in ET.parse(data / "tico19" / "all.en-ar.tmx").getroot().iter("tu"):
        texts = {
            tuv.get(_LANG): "".join(segment.itertext()) for tuv in unit if (segment := tuv.find("seg")) is not None
        }
        rows.append(Row(unit.get("tuid", ""), texts["en"], texts["ar"]))
    return rows


def vqa_rad_ar(data: Path, name: str = "train_ar.json") -> list[Row]:
    """Questions and answers of VQA-RAD with their Arabic."""
    loaded = json.loads((data / "vqa_rad_ar" / name).read_text(encoding="utf-8"))
    return [
        Row(f"{kind}:{at}", english, arabic)
        for kind in ("questions", "answers")
        for at, (english, arabic) in enumerate(loaded[kind].items())
    ]


def tico_terms(data: Path) -> list[Row]:
    """TICO-19's terminologies without the search phrases about COVID itself; a part of no half, to learn from."""
    rows: list[Row] = []
    for name in ("f_en-ar_AR.csv", "g_en_ar.csv"):
        with (data / "tico19" / name).open(encoding="utf-8-sig", newline="") as file:
            rows += [
                Row(
                    f"{name}:{row['stringID' if 'stringID' in row else 'id']}", row["sourceString"], row["targetString"]
                )
                for row in csv.DictReader(file)
                if "covid" not in row["sourceString"].lower()
            ]
    return rows


def tico_half(rows: list[Row], half: int) -> list[Row]:
    """The documents of a half: largest first, each to the half that is smaller so far."""
    sizes = Counter(row.id.split(":")[0] for row in rows)
    filled, place = [0, 0], {}
    for document, size in sorted(sizes.items(), key=lambda item: (-item[1], item[0])):
        place[document] = TUNE if filled[TUNE] <= filled[REPORT] else REPORT
        filled[place[document]] += size
    return [row for row in rows if place[row.id.split(":")[0]] == half]


def in_document(identifier: str) -> bool:
    """Whether a pair is a sentence of a document of TICO-19, not a short string."""
    return not identifier.startswith(("questions:", "answers:")) and ".csv:" not in identifier


def fold_of(rows: list[Row], count: int) -> dict[Row, int]:
    """Folds to fit on: whole documents of TICO-19, strings of the other sets by a hash, so that nothing leaks."""
    documents = Counter(row.id.split(":")[0] for row in rows if in_document(row.id))
    filled, place = [0] * count, {}
    for document, size in sorted(documents.items(), key=lambda item: (-item[1], item[0])):
        place[document] = filled.index(min(filled))
        filled[place[document]] += size

    def of(row: Row) -> int:
        document = row.id.split(":")[0]
        return place[document] if document in place else _hashed("fold" + _plain(row.english)) % count

    return {row: of(row) for row in rows}


def _plain(english: str) -> str:
    return re.sub(r"[\s?.]+$", "", english.lower().strip(" ?."))


def _hashed(text: str) -> int:
    return int(hashlib.sha256(text.encode()).hexdigest(), 16)


def vqa_half(rows: list[Row], half: int) -> list[Row]:
    """Strings of a half, by a hash that ignores case and end marks."""
    return [row for row in rows if _hashed(_plain(row.english)) % 2 == half]
