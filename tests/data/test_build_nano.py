"""The shipped recipe on the real data sets."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path

import pytest

from bimedix2.data.build.job import Place
from bimedix2.data.build.line import build
from bimedix2.data.build.recipe_file import load_build_recipe
from bimedix2.records import Record, missing_images, read_jsonl

RECIPE = Path(__file__).resolve().parents[2] / "recipes" / "data" / "bimedv-nano.yaml"
# SHA-256 of the sorted ids and texts of a list made step by step with the single commands: ingest, decontaminate, and
# the three pairs of VQA-RAD taken out by hand. It is what nano is trained on.
BY_HAND = "ce505243e4ac223dd29776cb854f99c71a796afe86e31ff637796328f5ed95cf"


def built(data: Path, out: Path, until: str) -> list[Record]:
    """The records after a step; the steps that only report are left out."""
    only = ("check=null", "review=null", "phi=null", "dedup=null")
    place = Place(load_build_recipe(RECIPE, only), RECIPE.parent, data.absolute(), out, lambda english, arabic: None)
    return list(read_jsonl(build(place, until)[-1].folder / "records.jsonl"))


@pytest.mark.data
def test_the_real_set_is_valid_and_bilingual(data_root: Path, tmp_path: Path) -> None:
    records = built(data_root, tmp_path, "ingest")
    assert {record.split for record in records} == {"train"}
    assert not [record.id for record in records if missing_images(record, data_root)]
    counts = Counter((record.source, record.turns[-1].language) for record in records)
    for source in ("vqa_rad", "rocov2", "bccd", "pneumoniamnist", "medmcqa", "meqsum"):
        assert counts[source, "ar"] > 0
        assert counts[source, "en"] > 0
    assert counts["indiana", "ar"] == 0  # its terms allow no derivatives
    assert counts["meqsum", "ar"] == counts["meqsum", "en"]


@pytest.mark.data
@pytest.mark.slow
def test_the_real_set_is_the_one_that_nano_was_trained_on(data_root: Path, tmp_path: Path) -> None:
    records = built(data_root, tmp_path, "decontaminate")
    assert len(records) == 16_483
    assert not {"vqa_rad:2597", "vqa_rad:1786", "vqa_rad:2192"} & {record.pair_id for record in records}
    texts = sorted((record.id, [turn.text for turn in record.turns]) for record in records)
    assert hashlib.sha256(json.dumps(texts, ensure_ascii=False).encode()).hexdigest() == BY_HAND
