"""The three layouts of PubMedQA's labelled items, each split into the official 500 test items and the others."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from bimedix2.errors import RecordError

from ._files import existing, parquet_rows, shards

Item = tuple[Path, int, str, dict[str, Any]]
"""File, number in it from 1, PubMed id (empty where it is missing), row with QUESTION, CONTEXTS, final_decision."""
_TRUTH = "test_ground_truth.json"
_HUB = {"test": ("pqal_test_set.json",), "train": ("pqal_fold0/train_set.json", "pqal_fold0/dev_set.json")}


def labelled(folder: Path, split: str) -> Iterator[Item]:
    """Items of ``test`` (the official 500) or ``train`` (the other 500), from the first layout that is there.

    1. ``ori_pqal.json`` with ``test_ground_truth.json``, of github.com/pubmedqa/pubmedqa;
    2. ``pqal.zip`` of ``bigbio/pubmed_qa``, unpacked: the test file that its loading script names, made by the
       original ``split_dataset.py`` and so the same 500 (all ten folds share them), and fold 0 for the others;
    3. ``pqa_labeled/train-*.parquet`` of ``qiaojin/PubMedQA`` (columns pubid, question, context.contexts,
       final_decision), which does not tell the test items: ``test_ground_truth.json`` is needed beside it.

    Raises:
        RecordError: none of them is there, or a file is damaged.
    """
    parquet = shards(folder / "pqa_labeled", "train")
    if (folder / "ori_pqal.json").exists():
        yield from _split(_json_items(folder / "ori_pqal.json"), _test_ids(folder), split)
    elif (folder / _HUB["test"][0]).exists():
        for name in _HUB[split]:
            yield from _json_items(existing(folder / name, *_REMEDY, "pubmedqa"))
    elif parquet:
        test = _test_ids(folder)
        for path in parquet:
            yield from _split(_parquet_items(path), test, split)
    else:
        existing(folder / "ori_pqal.json", *_REMEDY, "pubmedqa")


_REMEDY = (
    "Get ori_pqal.json and test_ground_truth.json from github.com/pubmedqa/pubmedqa.",
    "احصل على الملفين ori_pqal.json و test_ground_truth.json من github.com/pubmedqa/pubmedqa.",
)


def _split(items: Iterator[Item], test: Collection[str], split: str) -> Iterator[Item]:
    return (item for item in items if (item[2] in test) == (split == "test"))


def _test_ids(folder: Path) -> set[str]:
    path = existing(
        folder / _TRUTH,
        "It lists the official 500 test items: get it from github.com/pubmedqa/pubmedqa (data/), or use pqal.zip of "
        "bigbio/pubmed_qa, where they are a file of their own.",
        "يحدد عناصر الاختبار الرسمية الخمسمئة: احصل عليه من github.com/pubmedqa/pubmedqa، أو استخدم pqal.zip من "
        "bigbio/pubmed_qa.",
        "pubmedqa",
    )
    return set(_object(path))


def _object(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise RecordError(path, 0, "row", f"not the expected JSON ({error})", "ليس JSON المتوقع") from error
    if not isinstance(content, dict):
        raise RecordError(path, 0, "row", "not the expected JSON (no object)", "ليس JSON المتوقع")
    return content


def _json_items(path: Path) -> Iterator[Item]:
    for number, (name, row) in enumerate(_object(path).items(), 1):
        yield path, number, name, row if isinstance(row, dict) else {}


def _parquet_items(path: Path) -> Iterator[Item]:
    for number, row in parquet_rows(path):
        content = {
            "QUESTION": row.get("question"),
            "CONTEXTS": (row.get("context") or {}).get("contexts"),
            "final_decision": row.get("final_decision"),
        }
        yield path, number, str(row.get("pubid") or ""), content
