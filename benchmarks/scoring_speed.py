"""Speed of our scorers beside MultiMedEval 1.0.0's own code, on the same synthetic answers and reports.

    python benchmarks/scoring_speed.py --peer PEER/bin/python [--rounds 7] [--out benchmarks/results]

PEER is an environment made as ``multimedeval-requirements.txt`` says. Both sides are processes that stay up and score
in turn (ours, theirs, ours, …), every round another seeded set; medians are reported, of the wall clock and of CPU
time, which a busy neighbour disturbs less. Equal values are asserted. Reports need WordNet (Debian: wordnet-base).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from contextlib import AbstractContextManager
from datetime import date
from pathlib import Path
from typing import Any

from scoring_data import Pairs, answers, distinct_words, reports

HERE = Path(__file__).parent
SETS = {"answers": (answers, 5000), "reports": (reports, 500)}
# What our side is also asked, for the parts of its time.
PARTS = {"answers": ("answers_bare", "answers_intervals"), "reports": ("reports_meteor", "reports_overlap")}
TARGETS = {"answers": 20, "reports": 10}
TOLERANCE = 1e-6


class Worker(AbstractContextManager["Worker"]):
    """A scorer in its own process."""

    def __init__(self, python: str, script: str, nltk_data: Path) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "NLTK_DATA": str(nltk_data)}
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            [python, str(HERE / script)], env=environment, text=True, encoding="utf-8",
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors,
        )  # fmt: skip
        self.hello = self._read()

    def __exit__(self, *_: object) -> None:
        self._process.communicate()
        self._errors.close()

    def ask(self, job: str, pairs: Pairs) -> dict[str, Any]:
        """Seconds, CPU seconds, peak memory so far and values of one job."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"job": job, "pairs": pairs}) + "\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("{"):  # imports may print notices
                found: dict[str, Any] = json.loads(line)
                return found
        self._errors.seek(0)
        raise SystemExit(f"a scorer ended: {self._errors.read().decode()[-2000:]}")


def write_nltk_data(folder: Path) -> None:
    """WordNet and Punkt where NLTK looks for them, from the packages that our side reads them from."""
    import punkt

    from bimedix2.evaluate.metrics.wordnet import DEBIAN, with_lexnames

    shutil.copytree(with_lexnames(DEBIAN), folder / "corpora" / "wordnet")
    model, target = punkt.load_model("english"), folder / "tokenizers" / "punkt_tab" / "english"
    target.mkdir(parents=True)
    tables = {
        "abbrev_types.txt": sorted(model.abbrev_types),
        "sent_starters.txt": sorted(model.sent_starters),
        "collocations.tab": ["\t".join(pair) for pair in sorted(model.collocations)],
        "ortho_context.tab": [f"{word}\t{count}" for word, count in sorted(model.ortho_context.items())],
    }
    for name, lines in tables.items():
        (target / name).write_text("\n".join(lines) + "\n", encoding="utf-8")


def largest_difference(ours: dict[str, Any], theirs: dict[str, Any]) -> float:
    """Over all values, which are totals or columns."""
    assert ours.keys() == theirs.keys(), (sorted(ours), sorted(theirs))
    worst = 0.0
    for name, value in ours.items():
        columns = (value, theirs[name]) if isinstance(value, list) else ([value], [theirs[name]])
        worst = max([worst, *(abs(a - b) for a, b in zip(*columns, strict=True))])
    return worst


def measure(kind: str, mine: Worker, peer: Worker, rounds: int) -> dict[str, Any]:
    """One kind of text; round 0 is the first of both processes and is kept apart."""
    make, count = SETS[kind]
    jobs = {"ours": (mine, kind), "multimedeval": (peer, kind), **{part: (mine, part) for part in PARTS[kind]}}
    times: dict[str, list[dict[str, Any]]] = {name: [] for name in jobs}
    worst = 0.0
    for number in range(rounds + 1):
        pairs = make(count, number)
        for name, (worker, job) in jobs.items():
            times[name].append(worker.ask(job, pairs))
        last = {name: found[-1] for name, found in times.items()}
        worst = max(worst, largest_difference(last["ours"].pop("values"), last["multimedeval"].pop("values")))
        assert worst <= TOLERANCE, f"{kind}, seed {number}: values differ by {worst}"
    medians = {
        key: {name: statistics.median(found[key] for found in rows[1:]) for name, rows in times.items()}
        for key in ("seconds", "cpu_seconds")
    }
    first = {name: times[name][0]["seconds"] for name in ("ours", "multimedeval")}
    return {
        "samples": count,
        "distinct_words_of_a_set": distinct_words(make(count, 0)),
        **{key: {name: round(value, 4) for name, value in values.items()} for key, values in medians.items()},
        "ratio": round(medians["seconds"]["multimedeval"] / medians["seconds"]["ours"], 1),
        "ratio_cpu": round(medians["cpu_seconds"]["multimedeval"] / medians["cpu_seconds"]["ours"], 1),
        "target_ratio": TARGETS[kind],
        "first_round_seconds": {name: round(value, 3) for name, value in first.items()},
        "first_round_ratio": round(first["multimedeval"] / first["ours"], 1),
        "largest_difference": float(f"{worst:.1e}"),
    }


def footprints(peer: str, nltk_data: Path, rounds: int) -> dict[str, dict[str, float]]:
    """Median seconds of a scorer's imports, in turn, and its peak memory after one set of each kind."""
    found: dict[str, dict[str, list[float]]] = {}
    for number in range(rounds):
        for name, python, script in (
            ("ours", sys.executable, "scoring_ours.py"),
            ("multimedeval", peer, "scoring_peer.py"),
        ):
            own = found.setdefault(name, {})
            for kind, (make, count) in SETS.items():
                with Worker(python, script, nltk_data) as worker:
                    own.setdefault("import_seconds", []).append(worker.hello["import_seconds"])
                    own.setdefault(f"peak_mb_{kind}", []).append(worker.ask(kind, make(count, number))["peak_mb"])
    return {
        name: {key: round(statistics.median(values), 2) for key, values in own.items()} for name, own in found.items()
    }


def machine() -> dict[str, Any]:
    """What the figures were taken on, and how busy it was: other processes make every figure larger."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    cpu = next((line.split(":")[1].strip() for line in lines if "model name" in line), "unknown")
    load = os.getloadavg()[0]
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "load_average_at_the_end": round(load, 1),
        # One core is the scorers' own share.
        "busy_with_other_work": load > 1.3,
        "python": sys.version.split()[0],
        "date": date.today().isoformat(),
        "command": "python benchmarks/scoring_speed.py --peer PEER/bin/python " + " ".join(_without_peer(sys.argv[1:])),
    }


def _without_peer(arguments: list[str]) -> list[str]:
    place = arguments.index("--peer")
    return arguments[:place] + arguments[place + 2 :]


def markdown(report: dict[str, Any]) -> str:
    """The table of the results file."""
    where, lines = report["machine"], []
    for kind, part in report["sets"].items():
        for key, title in (("seconds", "wall clock"), ("cpu_seconds", "CPU time")):
            mine, theirs = part[key]["ours"], part[key]["multimedeval"]
            ratio = part["ratio" if key == "seconds" else "ratio_cpu"]
            lines.append(f"| {part['samples']} {kind}, {title} | {mine:.3f} s | {theirs:.2f} s | {ratio} × |")
        mine, theirs = part["first_round_seconds"].values()
        lines.append(
            f"| {kind}, first set of a process | {mine:.2f} s | {theirs:.2f} s | {part['first_round_ratio']} × |"
        )
    for key, title, unit in (
        ("import_seconds", "import", "s"),
        ("peak_mb_answers", "peak memory, answers", "MB"),
        ("peak_mb_reports", "peak memory, reports", "MB"),
    ):
        mine, theirs = (report["process"][side][key] for side in ("ours", "multimedeval"))
        lines.append(f"| {title} | {mine:.4g} {unit} | {theirs:.4g} {unit} | {theirs / mine:.1f} × |")
    busy = "busy with other work" if where["busy_with_other_work"] else "otherwise idle"
    versions = ", ".join(f"{name} {value}" for side in report["versions"].values() for name, value in side.items())
    return "\n".join(
        [
            "# Scoring beside MultiMedEval 1.0.0", "",
            f"{where['cpu']}, {where['cores']} cores, {busy} (load {where['load_average_at_the_end']}); Python "
            f"{where['python']}; {where['date']}. Medians of {report['rounds']} interleaved rounds, each on another "
            "seeded synthetic set; compare the ratios, not the seconds.", "",
            f"`{where['command']}`", "",
            "| | ours | MultiMedEval | ratio |", "|---|---|---|---|", *lines, "",
            "Answers: totals of the six VQA metrics, equal to "
            f"{report['sets']['answers']['largest_difference']:.0e}. Reports: BLEU-1, BLEU-4, ROUGE-L and METEOR of "
            f"every report, equal to {report['sets']['reports']['largest_difference']:.0e}.", "",
            f"Versions: {versions}.", "",
        ]
    )  # fmt: skip


def main() -> None:
    """Measure, print and write scoring_speed.json and .md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", required=True, help="Python of MultiMedEval's environment.")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        nltk_data = Path(scratch) / "nltk_data"
        write_nltk_data(nltk_data)
        report: dict[str, Any] = {"machine": {}, "rounds": options.rounds, "versions": {}, "sets": {}}
        for kind in SETS:
            with (
                Worker(sys.executable, "scoring_ours.py", nltk_data) as mine,
                Worker(options.peer, "scoring_peer.py", nltk_data) as peer,
            ):
                report["versions"] = {"ours": mine.hello["versions"], "multimedeval": peer.hello["versions"]}
                report["sets"][kind] = measure(kind, mine, peer, options.rounds)
        report["process"] = footprints(options.peer, nltk_data, 3)
    report["machine"] = machine()
    print(json.dumps(report, indent=1))
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "scoring_speed.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
        (options.out / "scoring_speed.md").write_text(markdown(report), encoding="utf-8")


if __name__ == "__main__":
    main()
