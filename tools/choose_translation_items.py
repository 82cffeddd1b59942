"""Choose the items whose Arabic translation ships in src/bimedix2/evaluate/assets, by hash.

python tools/choose_translation_items.py DATA OUT

DATA is the folder of the public sets, OUT a folder outside the repository: it receives one JSON-lines file per asset,
under the same name, with the English text of the chosen items (``id``, ``source_sha256``, ``question`` and
``options`` or ``context``). Texts that point to a picture are left out, and of MedMCQA what is not single-answer or is
used for training.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bimedix2.evaluate.registry import all_tasks
from bimedix2.evaluate.tasks._translated import source_sha256
from bimedix2.evaluate.tasks.mmlu import SUBJECTS

SEED = 20261124
COUNTS = {"mmlu": 15, "medmcqa": 50, "medqa": 40, "pubmedqa": 30}
PICTURE = re.compile(
    r"\b(images?|figures?|pictures?|photo\w*|diagram|given instrument|(is|are|as) shown|shown (here|below|above))\b",
    re.IGNORECASE,
)


def chosen(task: str, rows: Iterable[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """``count`` rows by the hash of seed, task and id, in the order of that hash."""
    ranked = sorted(rows, key=lambda row: hashlib.sha256(f"{SEED}|{task}|{row['id']}".encode()).digest())
    return ranked[:count]


def choice_rows(task: str, data: Path) -> list[dict[str, Any]]:
    """The items of a multiple-choice task as its adapter reads them."""
    samples = all_tasks()[task].samples(data, "en", all_tasks()[task].splits[0], [])
    return [
        {
            "id": sample.id,
            "source_sha256": source_sha256(sample.question, *sample.options),
            "question": sample.question,
            "options": list(sample.options),
        }
        for sample in samples
        if not PICTURE.search(sample.question)
    ]


def single_answer(data: Path) -> set[str]:
    """Ids of the MedMCQA items with one right answer."""
    lines = (data / "medmcqa" / "dev.json").read_text(encoding="utf-8").splitlines()
    return {row["id"] for row in map(json.loads, lines) if row["choice_type"] == "single"}


def abstract_rows(data: Path) -> list[dict[str, Any]]:
    """The official test items of PubMedQA with their whole context."""
    items = json.loads((data / "pubmedqa" / "ori_pqal.json").read_text(encoding="utf-8"))
    found = []
    for sample in all_tasks()["pubmedqa"].samples(data, "en", "test", []):
        context = " ".join(" ".join(items[sample.id]["CONTEXTS"]).split())
        digest = source_sha256(sample.question, context)
        found.append({"id": sample.id, "source_sha256": digest, "question": sample.question, "context": context})
    return found


def choose(data: Path) -> dict[str, list[dict[str, Any]]]:
    """File name below ``assets`` -> its items in English."""
    files = {f"mmlu_ar/{subject}_test.jsonl": choice_rows(f"mmlu_{subject}", data) for subject in SUBJECTS}
    single = single_answer(data)
    files["medmcqa_ar.jsonl"] = [row for row in choice_rows("medmcqa", data) if row["id"] in single]
    files["medqa_ar.jsonl"] = choice_rows("medqa", data)
    files["pubmedqa_ar.jsonl"] = abstract_rows(data)
    return {name: chosen(name, rows, COUNTS[name.split("_ar")[0]]) for name, rows in files.items()}


def main(data: Path, out: Path) -> None:
    """Write the chosen items."""
    for name, rows in choose(data).items():
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = (json.dumps(row, ensure_ascii=False) for row in rows)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        print(f"{path}: {len(rows)} items")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
