"""UPHILL (Kaur et al. 2024, arXiv 2312.08800): questions that presuppose a health claim, at five levels."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bimedix2.errors import RecordError
from bimedix2.evaluate.families.uphill import EXPECTED
from bimedix2.evaluate.schema import Sample, Task
from bimedix2.records.schema import Language

from ._files import csv_rows, each, existing, field, json_rows

NAME = "uphill"
FILES = ("queries.csv", "UPHILL.csv")


def read(root: Path, language: Language, split: str) -> Iterator[Sample | RecordError]:
    """One sample a claim and level of ``uphill/queries.csv`` or ``uphill/UPHILL.csv``; claims are the clusters.

    ``UPHILL.csv`` repeats each query with replies of several models; the first row counts. The reference is the label
    of a right reply, empty for fabricated claims. Arabic reads ``uphill_ar/queries.jsonl`` with ``claim_id``,
    ``presupposition_level``, ``claim`` and ``query_with_presupposition``, and leaves out queries that it lacks.
    """
    found = [root / NAME / name for name in FILES if (root / NAME / name).is_file()]
    path = existing(
        found[0] if found else root / NAME / FILES[0],
        "Get it as github.com/navreeetkaur/UPHILL says and put it there.",
        "احصل عليه كما يوضح github.com/navreeetkaur/UPHILL وضعه هناك.",
    )
    translated = root / f"{NAME}_ar" / "queries.jsonl"
    arabic = _arabic(translated) if language == "ar" else None
    seen: set[str] = set()

    def make(number: int, row: dict[str, str]) -> Sample | None:
        claim_id, level = (field(path, number, row, name) for name in ("claim_id", "presupposition_level"))
        veracity = field(path, number, row, "claim_veracity").casefold()
        name = f"{claim_id}:{level}"
        if name in seen or (arabic is not None and name not in arabic):
            return None
        source, place, texts = (path, number, row) if arabic is None else (translated, *arabic[name])
        claim, query = (field(source, place, texts, part) for part in ("claim", "query_with_presupposition"))
        seen.add(name)
        return Sample(
            id=name,
            task=NAME,
            language=language,
            prompt=query,
            question=query,
            reference=EXPECTED.get(veracity, ""),
            cluster=claim_id,
            group={"level": level, "veracity": veracity},
            context=claim,
        )

    yield from each(csv_rows(path), make)


def _arabic(path: Path) -> dict[str, tuple[int, dict[str, Any]]]:
    """Translated queries by ``claim_id:presupposition_level``."""
    existing(
        path,
        "Arabic needs this file: JSON lines with claim_id, presupposition_level, claim and query_with_presupposition.",
        "تحتاج العربية إلى هذا الملف: أسطر JSON فيها claim_id وpresupposition_level وclaim وquery_with_presupposition.",
    )
    keys = ("claim_id", "presupposition_level")
    return {":".join(field(path, n, row, key) for key in keys): (n, row) for n, row in json_rows(path)}


TASK = Task(
    name=NAME,
    family="uphill",
    read=read,
    max_new_tokens=512,
    title={"en": "UPHILL", "ar": "UPHILL"},
    licence="not stated",
    table="figure 4",
)
