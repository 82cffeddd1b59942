"""kill -9 over the whole line with a language model: the same bytes, and no reply is paid for twice."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import build_crash as bc
import build_files as bf
import pytest

KILLS = 10


@pytest.mark.slow
def test_ten_kills_over_the_line_leave_no_trace_and_cost_no_reply_twice(tmp_path: Path) -> None:
    tally = bc.crash(tmp_path, KILLS, pairs=40, seed=5)
    assert tally.kills == KILLS
    assert (tally.differs, tally.left_over) == (set(), set())
    assert tally.asked_again == 0
    # A request that a kill cut off has to be sent again, with the same key; there are four at once.
    assert tally.requests - tally.distinct == tally.cut_off <= bc.IN_FLIGHT * KILLS
    assert len(tally.killed_in) > 1, "every kill fell into one step"


def test_a_second_process_in_the_same_folder_is_refused_and_disturbs_nothing(tmp_path: Path) -> None:
    log, gate = tmp_path / "requests.jsonl", tmp_path / "gate"
    gate.write_text("0", "utf-8")  # the first build waits for its first reply until the second has been refused
    with bc.serving(log, 0, gate) as url:
        recipe, out = bc.write_set(tmp_path, url, pairs=8), tmp_path / "out"
        with subprocess.Popen(bc.command(recipe, out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as first:
            end = time.monotonic() + 60
            while not bc.keys(log) and first.poll() is None and time.monotonic() < end:
                time.sleep(0.02)
            assert bc.keys(log)
            second = subprocess.run(bc.command(recipe, out), capture_output=True, check=False, text=True)
            assert first.poll() is None, "the first build was over before the second began"
            assert second.returncode == 1
            assert "[busy]" in second.stderr
            assert "تكتب عملية أخرى" in second.stderr
            gate.write_text("1000000", "utf-8")
            assert first.wait(120) == 0
        assert len(bc.keys(log)) == len(set(bc.keys(log)))
    assert bf.contents(out)
