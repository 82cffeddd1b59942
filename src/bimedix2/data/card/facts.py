"""Everything a card may say: counts from the records, and what the steps' reports say of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bimedix2.cache import sha256_file
from bimedix2.data.stats import Stats, stats_of
from bimedix2.errors import ConfigError
from bimedix2.records import Record, read_records

STATE = "step.json"
STEPS = (
    "ingest", "rewrite", "translate", "check", "review", "phi", "dedup", "decontaminate", "mix", "shard",
)  # fmt: skip
_DONE = {"redact": "phi", "rewrite": "rewrite", "translate": "translate", "critique": "translate"}


@dataclass
class Facts:
    """What is known of a set.

    Attributes:
        path: of its records.
        sha256: of that file.
        stats: counts.
        licences: (source, licence) -> records.
        provenance: (step, tool, version) -> records.
        notes: of translation steps -> records, such as "not verified by a clinician".
        failed: records whose provenance says that checks failed.
        splits: (split, language) -> records.
        states: reports of the build's steps, by name; empty for a file that no build made.
        lists: quarantine files, from the build's folder.
    """

    path: Path
    sha256: str
    stats: Stats
    licences: Counter[tuple[str, str]] = field(default_factory=Counter)
    provenance: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    failed: int = 0
    splits: Counter[tuple[str, str]] = field(default_factory=Counter)
    states: dict[str, dict[str, Any]] = field(default_factory=dict)
    lists: list[str] = field(default_factory=list)

    def done(self, step: str) -> bool:
        """Whether a step was taken: its report is there, or records say so."""
        return step in self.states or any(_DONE.get(name, name) == step for name in self._named())

    def _named(self) -> set[str]:
        return {name.partition(":")[0] for name, _, _ in self.provenance}

    def details(self, step: str) -> dict[str, Any]:
        """What the report of a step says; empty without one."""
        found: dict[str, Any] = self.states.get(step, {}).get("details", {})
        return found


def gather(source: Path) -> Facts:
    """Read a build's folder, or a file of records with the reports beside it.

    Raises:
        ConfigError: there are no records.
        RecordError: a row is bad.
    """
    states, lists = _states(source) if source.is_dir() else ({}, [])
    path = _records(source, states)
    if not source.is_dir():
        states = _beside(path)
    facts = Facts(path, sha256_file(path), stats_of(()), states=states, lists=lists)
    facts.stats = stats_of(_noted(path, facts))
    if not facts.stats.records:
        raise _none(source)
    return facts


def _states(folder: Path) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Reports of the finished steps of a build, and its quarantine files."""
    states: dict[str, dict[str, Any]] = {}
    lists: list[str] = []
    for path in sorted(folder.glob(f"[0-9][0-9]-*/{STATE}")):
        try:
            state = json.loads(path.read_bytes())
        except (OSError, ValueError):
            continue
        if state.get("step") in STEPS:
            states[state["step"]] = {**state, "folder": path.parent.name}
            lists += [f"{path.parent.name}/{name}" for name in state["files"] if ".quarantine." in name]
    return states, lists


def _records(source: Path, states: dict[str, dict[str, Any]]) -> Path:
    if source.is_file():
        return source
    for name in reversed(STEPS):
        if name in states and "records.jsonl" in states[name]["files"]:
            return source / str(states[name]["folder"]) / "records.jsonl"
    raise _none(source)


def _none(source: Path) -> ConfigError:
    return ConfigError(
        f"{source} holds no records. Give a folder that `bimedix2 data build` wrote, or a .jsonl or .parquet file.",
        f"لا سجلات في {source}. أعط مجلدا كتبه bimedix2 data build أو ملف .jsonl أو .parquet.",
    )


def _beside(path: Path) -> dict[str, dict[str, Any]]:
    """The decontamination report beside a file, if it is about these very bytes."""
    try:
        content = json.loads(path.with_name(f"{path.stem}.decontamination.json").read_bytes())
        own = sha256_file(path)
        if own not in (content.get("out", {}).get("sha256"), content["mix"]["sha256"]):
            return {}
        rows = {"in": content["mix"]["records"], "out": content.get("out", content["mix"])["records"]}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return {"decontaminate": {"details": {"decontamination": content}, "rows": rows, "aside": content["by_reason"]}}


def _noted(path: Path, facts: Facts) -> Iterator[Record]:
    """The records, counted on their way."""
    for record in read_records(path, unique_ids=False):
        facts.licences[record.source, record.licence] += 1
        facts.splits[record.split, record.turns[-1].language] += 1
        for step in dict.fromkeys((step.name, step.tool, step.version) for step in record.provenance):
            facts.provenance[step] += 1
        facts.notes.update({step.note for step in record.provenance if step.name == "translate" and step.note})
        facts.failed += any(step.name == "check" and step.note.startswith("failed") for step in record.provenance)
        yield record
