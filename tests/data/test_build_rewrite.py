"""Rewriting inside the line: several kinds over a real server in both languages, after their originals, paid once."""

from __future__ import annotations

from pathlib import Path

import build_files as bf
import msgspec
from llm_server import LlmServer, serving
from test_rewrite_steps import CAPTION, CAPTION_AR, SHORT, SHORT_AR, model

from bimedix2.records import read_jsonl, write_jsonl

RECIPE = """
name: rewritten
ingest: {records: [own.jsonl]}
rewrite: {kinds: [dialogue, expand], endpoint: {address: URL, model: llama, price_prompt: 1.0}}
check: {action: report, encoder: false}
"""


def test_each_kind_reads_what_came_in_and_stands_after_its_original(tmp_path: Path) -> None:
    items = [CAPTION, CAPTION_AR, SHORT, SHORT_AR]
    write_jsonl(tmp_path / "own.jsonl", [msgspec.structs.replace(item, images=(), turns=bare(item)) for item in items])
    (tmp_path / "data").mkdir()
    with serving(LlmServer(model)) as server:
        (tmp_path / "r.yaml").write_text(RECIPE.replace("URL", server.url), encoding="utf-8")
        done = bf.built(tmp_path / "r.yaml", tmp_path / "out")
        asked = len(server.requests)
        again = bf.built(tmp_path / "r.yaml", tmp_path / "out")
        assert len(server.requests) == asked
    assert {one.why for one in again} == {"kept"}
    found = list(read_jsonl(tmp_path / "out/02-rewrite/records.jsonl"))
    ids = [record.id for record in found]
    assert set(ids) >= {item.id for item in items}
    assert done[1].state["rows"] == {"in": 4, "out": len(found), "added": len(found) - 4}
    made = [record for record in found if record.parent]
    assert made and len(made) == len(found) - 4
    for record in made:  # after its original, with the step that made it
        assert ids.index(record.parent or "") < ids.index(record.id)
        # The model that the server says it served, not the one that was asked for.
        assert (record.provenance[-1].tool, record.provenance[-1].name[:8]) == ("writer-1", "rewrite:")
    assert {record.turns[-1].language for record in made} == {"en", "ar"}


def bare(item: object) -> tuple[object, ...]:
    """Turns without pictures: these files do not exist, and no kind looks at pixels."""
    return tuple(msgspec.structs.replace(turn, images=()) for turn in item.turns)  # type: ignore[attr-defined]
