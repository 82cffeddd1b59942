"""kill -9 at 50 random moments over `data build` with a language model: python benchmarks/data_crash.py [KILLS] [SEED].

The set is small (English records with pictures and films, 60 to translate, some translations scored by a critic); the
model is a real HTTP server in a process of its own, which logs every request. The undisturbed build is the baseline.
Writes benchmarks/results/data_crash.{json,md}.
"""

from __future__ import annotations

import json
import platform
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "data"))

import build_crash as bc

from bimedix2 import __version__

RESULTS = Path(__file__).parent / "results"
PAIRS = 60


def main(kills: int, seed: int) -> None:
    """Kill, and write what came of it."""
    with tempfile.TemporaryDirectory() as folder:
        tally = bc.crash(Path(folder), kills, PAIRS, seed)
    about = {
        "version": __version__, "python": platform.python_version(), "machine": platform.machine(), "seed": seed,
        "kills": tally.kills, "killed_in": dict(tally.killed_in.most_common()), "builds_to_the_end": tally.rounds,
        "files_that_differ": sorted(tally.differs), "left_over": sorted(tally.left_over),
        "requests_of_one_undisturbed_build": tally.undisturbed, "requests": tally.requests,
        "distinct_requests": tally.distinct, "sent_again_though_the_reply_was_stored": tally.asked_again,
        "sent_again_since_a_kill_cut_them_off": tally.cut_off, "requests_at_once": bc.IN_FLIGHT,
        "seconds_undisturbed": round(tally.seconds, 1),
    }  # fmt: skip
    (RESULTS / "data_crash.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    (RESULTS / "data_crash.md").write_text(told(about), encoding="utf-8")
    print(told(about))


def told(about: dict[str, object]) -> str:
    """The result as a page."""
    lines = [
        "# Kills over the whole line",
        "",
        f"`python benchmarks/data_crash.py {about['kills']} {about['seed']}`",
        "",
    ]
    steps = about["killed_in"]
    assert isinstance(steps, dict)
    rows = [(name.replace("_", " "), value) for name, value in about.items() if name != "killed_in"]
    lines += [
        "| | |",
        "|---|---|",
        *(f"| {name} | {value or 'none' if isinstance(value, list) else value} |" for name, value in rows),
    ]
    lines += [
        "",
        "| step at work when killed | kills |",
        "|---|---|",
        *(f"| {name} | {count} |" for name, count in steps.items()),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 50, int(sys.argv[2]) if len(sys.argv) > 2 else 0)
