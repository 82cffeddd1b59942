"""Counts of record files, worked out by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from source_files import run_command

from bimedix2.data.sources._common import answered_in, exchange
from bimedix2.data.stats import draw_stats, stats_of
from bimedix2.records import Record, write_jsonl


def a_record(name: str, language: str = "en", **changes: Any) -> Record:
    fields: dict[str, Any] = {"task": "vqa", "modality": "ct", "source": "s", "licence": "MIT"} | changes
    return exchange(f"s:{name}", "Q?", "A", language, **fields)  # type: ignore[arg-type]


RECORDS = [
    a_record("1", image="a.jpg", pair_id="p"),
    a_record("2", "ar", image="a.jpg", pair_id="p", licence="CC0-1.0"),
    a_record("3", "ar", image="b.jpg", pair_id="p"),
    a_record("4", pair_id="q"),
    a_record("5", pair_id="q", split="dev"),
    answered_in(a_record("6", task="qa"), "ar"),
    a_record("1", image="c.jpg"),
]


def test_counts() -> None:
    found = stats_of(RECORDS, tokens=lambda record: 10 if record.turns[-1].language == "ar" else 1)
    assert (found.records, found.turns, found.with_images, found.images) == (7, 14, 4, 3)
    assert (found.pairs, found.cross_language, found.repeated_ids, found.tokens) == (1, 1, 1, 34)
    assert found.licences == {"CC0-1.0": 1, "MIT": 6}
    assert found.by("language") == {"ar": 3, "en": 4}
    assert found.by("split") == {"dev": 1, "train": 6}
    cells = {(cell.language, cell.task, cell.split): (cell.records, cell.tokens) for cell in found.cells}
    assert cells == {
        ("ar", "qa", "train"): (1, 10),
        ("ar", "vqa", "train"): (2, 20),
        ("en", "vqa", "dev"): (1, 1),
        ("en", "vqa", "train"): (3, 3),
    }


def test_nothing_is_counted_in_an_empty_file() -> None:
    found = stats_of([])
    assert (found.records, found.tokens, found.cells) == (0, None, [])


@pytest.mark.parametrize("language", ["en", "ar"])
def test_plot(tmp_path: Path, language: str) -> None:
    pytest.importorskip("matplotlib")
    path = draw_stats(stats_of(RECORDS), tmp_path / "plots" / "mix.png", language)
    assert path.read_bytes().startswith(b"\x89PNG")
    assert [item.name for item in path.parent.iterdir()] == ["mix.png"]


def test_the_command(tmp_path: Path) -> None:
    files = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    write_jsonl(files[0], RECORDS[:3])
    write_jsonl(files[1], RECORDS[3:])
    report = json.loads(run_command("data", "stats", *map(str, files), "--json").output)
    assert (report["records"], report["pairs"], len(report["cells"])) == (7, 1, 4)
    assert "7  records" in run_command("data", "stats", *map(str, files)).output
    assert "7  السجلات" in run_command("data", "stats", *map(str, files), lang="ar").output


def test_tokens_are_those_that_training_supervises() -> None:
    tiny = pytest.importorskip("tiny")
    from bimedix2.data.stats import supervised_counter
    from bimedix2.text.chat import encode_conversation

    bundle = tiny.tiny_bundle()
    count = supervised_counter(bundle)
    record = RECORDS[1]
    encoded = encode_conversation(
        record.turns, bundle.tokenizer, bundle.template, image_token_id=bundle.image_token_id,
        tokens_per_image=bundle.tokens_per_image, image_count=1,
    )  # fmt: skip
    assert count(record) == sum(label != -100 for label in encoded.labels) > 0
