"""Speed and peak memory by number of records, and MinHash beside libraries; run by ``decontamination.py``."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bimedix2.data.decontaminate.find import Finder
from bimedix2.data.decontaminate.minhash import signatures
from bimedix2.data.decontaminate.pictures import stated_looks
from bimedix2.data.decontaminate.search import Search
from bimedix2.data.decontaminate.testset import shipped
from bimedix2.records import Record, Turn, write_jsonl
from bimedix2.text.canonical import canonical
from decontamination_common import records_of


def scale_part(root: Path) -> dict[str, Any]:
    """Records a second and peak memory of a search and of dedup by number of records, and of MinHash alone."""
    sizes = (10_000, 100_000, 1_000_000)
    result: dict[str, Any] = {"signatures a second": minhash_speed(root)}
    for size in sizes:
        for what in ("search", "dedup"):
            command = [sys.executable, __file__, what, str(size)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            result[f"{what}, {size:,} records"] = json.loads(done.stdout)
    return result


def synthetic(size: int) -> Iterator[Record]:
    """Questions of 12 to 40 words with an answer, one in twenty a copy of an earlier one with a word changed."""
    rng = random.Random(0)
    words = ["".join(rng.choices("abcdefghijklmnoprstuvwy", k=rng.randint(3, 10))) for _ in range(20_000)]
    last: list[list[str]] = []
    for at in range(size):
        text = [*rng.choice(last)] if last and at % 20 == 0 else rng.choices(words, k=rng.randint(12, 40))
        text[rng.randrange(len(text))] = rng.choice(words)
        last = [*last[-99:], text]
        turns = (
            Turn(role="user", text=" ".join(text), language="en"),
            Turn(role="assistant", text=" ".join(rng.choices(words, k=8)) if at % 20 else "yes", language="en"),
        )
        yield Record(id=f"s:{at}", turns=turns, task="qa", modality="text", source="s", licence="-")


def child(what: str, size: int) -> None:
    """One measurement in a process of its own."""
    from bimedix2.data.decontaminate.dedup import DedupSettings, dedup
    from bimedix2.records import read_records

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "set.jsonl"
        write_jsonl(path, synthetic(size))
        started = time.process_time()
        if what == "search":
            found: Any = len(
                Finder(Search(shipped()), stated_looks).find(read_records(path, unique_ids=False)).offences
            )
        else:
            found = dedup(path, Path(folder) / "out.jsonl", DedupSettings(images="path"))["dropped"]
        seconds = time.process_time() - started
    # Not getrusage: its maximum is handed down from the parent process.
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    peak = int(status.split("VmHWM:")[1].split()[0]) / 1024
    print(json.dumps({"records a CPU second": round(size / seconds), "peak MB": round(peak), "found": found}))


def minhash_speed(root: Path) -> dict[str, float]:
    """Texts a CPU second: ours, and the libraries' where they are installed, on the same 5-grams."""
    texts = [canonical(record.turns[0].text) for record in records_of("medmcqa", root, frozenset({"test"}))][:2000]
    result = {"ours": rate(lambda: signatures(texts), len(texts))}
    grams5 = [{text[at : at + 5] for at in range(len(text) - 4)} for text in texts]
    try:
        from datasketch import MinHash

        coded = [[gram.encode() for gram in own] for own in grams5]
        result["datasketch"] = rate(lambda: [MinHash(128).update_batch(own) for own in coded], len(texts))
    except ImportError:
        pass
    try:
        from rensa import RMinHash

        listed = [list(own) for own in grams5]
        result["rensa"] = rate(lambda: [RMinHash(128, 42).update(own) for own in listed], len(texts))

        def cut() -> None:
            for text in texts:
                RMinHash(128, 42).update([text[at : at + 5] for at in range(len(text) - 4)])

        result["rensa with cutting the 5-grams in Python"] = rate(cut, len(texts))
    except ImportError:
        pass
    return result


def rate(work: Callable[[], Any], count: int) -> float:
    """Texts a CPU second, the best of three."""
    best = 0.0
    for _ in range(3):
        started = time.process_time()
        work()
        best = max(best, count / (time.process_time() - started))
    return round(best)


if __name__ == "__main__":
    child(sys.argv[1], int(sys.argv[2]))
