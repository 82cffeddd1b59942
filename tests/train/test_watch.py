"""A run as it is watched: log, state, views, pictures, trackers."""

from __future__ import annotations

import io
import json
import math
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bimedix2.cli._terminal import say
from bimedix2.errors import ConfigError
from bimedix2.train.watch import trackers
from bimedix2.train.watch.curves import shares, smooth, stage_starts
from bimedix2.train.watch.live import PlainView, make_view
from bimedix2.train.watch.log import RunLog, read_events, read_log
from bimedix2.train.watch.process import is_alive, process_mark, read_mark
from bimedix2.train.watch.smooth import Recent, by_topic, mean_gap
from bimedix2.train.watch.status import Checkpoint, run_status
from bimedix2.train.watch.status_text import facts, state_text
from bimedix2.train.watch.trackers import make_trackers, numbers_of, shareable


def row(step: int, loss: float = 2.0, **extra: Any) -> dict[str, Any]:
    return {
        "stage": "instruct", "stage_index": 1, "step": step, "steps": 10, "epoch": 0, "loss": loss, "supervised": 10,
        "tokens": 100, "packs": 1, "grad_norm": 1.0, "lr": {"lora": 2e-4, "projector": 2e-5}, "lr_factor": 1.0,
        "seconds": 2.0, "memory_gb": 3.0, "cells": {"en/xray/vqa": [1.0, 6], "ar/xray/vqa": [3.5, 4]},
    } | extra  # fmt: skip


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that trains in ``tmp_path / "run"`` and waits after two steps."""
    code = f"""
import sys
from pathlib import Path
from bimedix2.train.watch.log import RunLog
log = RunLog(Path({str(tmp_path / "run")!r}))
log.event("start")
for step in (1, 2):
    log.step({row(1)!r} | {{"step": step}})
print("ready", flush=True)
sys.stdin.read()
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    yield process
    process.kill()
    process.communicate()


# --- log ---------------------------------------------------------------------------------------------------------


def test_rows_come_back_and_what_is_no_number_is_null(tmp_path: Path) -> None:
    with RunLog(tmp_path) as log:
        log.step(row(1, float("nan"), grad_norm=float("inf"), memory_gb=np.float32(0.5)))
        log.validation({"validation": {"loss": 1.5, "supervised": 3, "cells": {}}})
        log.event("checkpoint", seconds=0.25)
    first, second = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert (first["loss"], first["grad_norm"], first["memory_gb"]) == (None, None, 0.5)
    assert (second["stage"], second["stage_index"], second["step"]) == ("instruct", 1, 1)
    (event,) = read_events(tmp_path)
    assert (event["event"], event["stage"], event["step"], event["seconds"]) == ("checkpoint", "instruct", 1, 0.25)
    assert {"time"} <= first.keys() & second.keys() & event.keys()


def test_the_first_event_of_a_stage_does_not_get_the_number_of_the_stage_before(tmp_path: Path) -> None:
    with RunLog(tmp_path) as log:
        log.step(row(10))
        log.event("nonfinite", stage="last", step=1)
    (event,) = read_events(tmp_path)
    assert (event["stage"], event["step"], event.get("stage_index")) == ("last", 1, None)


@pytest.mark.parametrize("torn", ['{"stage": "instruct", "stage_i', '{"a": "\\ud', '{"stage"'])
def test_a_torn_last_line_is_ignored_and_cut_off_before_the_next(tmp_path: Path, torn: str) -> None:
    with RunLog(tmp_path) as log:
        log.step(row(1))
    path = tmp_path / "log.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + torn.encode())
    assert [found["step"] for found in read_log(tmp_path).steps] == [1]
    assert read_log(tmp_path).damaged == 0
    with RunLog(tmp_path) as log:
        log.step(row(2))
    assert path.read_bytes().startswith(whole)
    assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == [1, 2]


def test_a_last_line_that_lacks_only_its_end_is_kept(tmp_path: Path) -> None:
    with RunLog(tmp_path) as log:
        log.step(row(1))
    path = tmp_path / "log.jsonl"
    path.write_bytes(path.read_bytes()[:-1])
    with RunLog(tmp_path) as log:
        log.step(row(2))
    assert [found["step"] for found in read_log(tmp_path).steps] == [1, 2]


def test_a_very_long_torn_line_is_cut_whole(tmp_path: Path) -> None:
    with RunLog(tmp_path) as log:
        log.step(row(1))
    path = tmp_path / "log.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"x": "' + b"y" * 200_000)
    RunLog(tmp_path).close()
    assert path.read_bytes() == whole


def test_a_write_that_fails_halfway_is_taken_back(tmp_path: Path) -> None:
    """A limit on the size of files stands for a full disk: the system writes a part and then refuses."""
    code = f"""
import resource
from pathlib import Path
from bimedix2.train.watch.log import RunLog
run = Path({str(tmp_path)!r})
row = {row(1)!r}
log = RunLog(run)
log.step(row)
size = (run / "log.jsonl").stat().st_size
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 40, hard))
try:
    log.step(row | {{"step": 2}})
except OSError as error:
    print(error.errno, (run / "log.jsonl").stat().st_size == size)
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
log.step(row | {{"step": 3}})
log.close()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split()[1] == "True"
    assert [found["step"] for found in read_log(tmp_path).steps] == [1, 3]
    assert read_log(tmp_path).damaged == 0


def test_a_damaged_line_costs_no_other(tmp_path: Path) -> None:
    with RunLog(tmp_path) as log:
        log.step(row(1))
    with (tmp_path / "log.jsonl").open("ab") as file:
        file.write(b'not json\n[1, 2]\n{"neither": "stage"}\n\xff\xfe\n')
    with RunLog(tmp_path) as log:
        log.step(row(2))
    assert ([found["step"] for found in read_log(tmp_path).steps], read_log(tmp_path).damaged) == ([1, 2], 4)


def test_after_a_resume_the_later_rows_count(tmp_path: Path) -> None:
    """Killed at step 5 with a checkpoint at 2, resumed to step 4: the old steps 3 to 5 are gone."""
    with RunLog(tmp_path) as log:
        log.step(row(9, stage="align", stage_index=0))
        for step in (1, 2, 3, 4, 5):
            log.step(row(step, loss=step))
            if step in (2, 4):
                log.validation({"validation": {"loss": float(step), "supervised": 1, "cells": {}}})
        for step in (3, 4):
            log.step(row(step, loss=step + 100))
    found = read_log(tmp_path)
    assert [(r["stage_index"], r["step"], r["loss"]) for r in found.steps] == [
        (0, 9, 2.0), (1, 1, 1), (1, 2, 2), (1, 3, 103), (1, 4, 104),
    ]  # fmt: skip
    assert [r["step"] for r in found.validations] == [2]


def test_rows_without_a_stage_number_are_counted_by_name(tmp_path: Path) -> None:
    lines = [{"stage": "align", "step": 1, "loss": 1.0}, {"stage": "instruct", "step": 1, "loss": 2.0}]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert [found["stage_index"] for found in read_log(tmp_path).steps] == [0, 1]


def test_an_exception_is_logged_once_and_ends_the_claim(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="broken"), RunLog(tmp_path) as log:
        assert read_mark(tmp_path)["pid"] == os.getpid()  # type: ignore[index]
        raise ValueError("broken")
    (event,) = read_events(tmp_path)
    assert (event["event"], event["kind"], event["message"]) == ("error", "ValueError", "broken")
    assert read_mark(tmp_path) is None
    with pytest.raises(ValueError, match="again"), RunLog(tmp_path) as log:
        log.event("error", message="said by the trainer")
        raise ValueError("again")
    assert [event["message"] for event in read_events(tmp_path)] == ["broken", "said by the trainer"]


# --- who trains --------------------------------------------------------------------------------------------------


def test_a_second_process_is_refused_and_a_killed_one_is_not_in_the_way(
    holder: subprocess.Popen[str], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    with pytest.raises(ConfigError) as caught:
        RunLog(run)
    assert caught.value.code == "run_in_progress"
    assert str(holder.pid) in caught.value.message
    assert str(holder.pid) in caught.value.message_ar
    assert run_status(run).state == "running"
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    status = run_status(run)
    assert (status.state, status.step, status.seconds_left) == ("dead", 2, None)
    with RunLog(run) as log:
        log.event("resume", stage="instruct", step=1)
        assert run_status(run).state == "preparing"
        log.step(row(2))
        log.event("done")
    assert run_status(run).state == "finished"
    assert [found["step"] for found in read_log(run).steps] == [1, 2]


def test_a_process_that_got_the_number_of_a_dead_one_is_another() -> None:
    mark = process_mark()
    assert is_alive(mark) is True
    assert is_alive(mark | {"ticks": mark["ticks"] - 1}) is False
    assert is_alive(mark | {"place": "elsewhere"}) is None


# --- means -------------------------------------------------------------------------------------------------------


def test_means_are_over_supervised_tokens() -> None:
    recent = Recent(window=3)
    recent.add(row(1, loss=100.0, supervised=1000))
    recent.add(row(2, loss=3.0, supervised=30, cells={"en/ct/vqa": [2.0, 10], "ar/ct/vqa": [3.5, 20]}))
    recent.add(row(3, loss=1.0, supervised=10, cells={"en/ct/vqa": [1.0, 10]}))
    recent.add(row(4, loss=None, supervised=500, cells={"en/ct/vqa": [None, 500]}))  # type: ignore[arg-type]
    assert recent.loss() == (3.0 * 30 + 1.0 * 10) / 40 == 2.5
    assert recent.cells() == {"ar/ct/vqa": 3.5, "en/ct/vqa": 1.5}
    assert list(recent.languages().items()) == [("en", 1.5), ("ar", 3.5)]
    assert by_topic(recent.cells()) == {"ct/vqa": {"ar": 3.5, "en": 1.5, "gap": 2.0}}


def test_the_gap_is_the_mean_over_topics_in_both_languages() -> None:
    topics = by_topic({"en/a/x": 1.0, "ar/a/x": 2.0, "en/b/x": 1.0, "ar/b/x": 4.0, "en/c/x": 9.0})
    assert mean_gap(topics) == (1.0 + 3.0) / 2
    assert "gap" not in topics["c/x"]
    assert mean_gap({"c/x": {"en": 9.0}}) is None


def test_time_left_is_the_median_step_and_speed_is_tokens_over_time() -> None:
    recent = Recent()
    for step, seconds in enumerate((1.0, 2.0, 60.0), start=1):
        recent.add(row(step, seconds=seconds))
    assert recent.seconds_left() == 2.0 * 7
    assert recent.speed() == 300 / 63
    assert recent.speed("supervised") == 30 / 63
    recent.add(row(1, stage="next", stage_index=2, seconds=5.0, tokens=0))
    assert recent.seconds_left() == 5.0 * 9
    assert recent.speed("supervised") is None  # images, not tokens


def test_smoothing_equals_a_mean_taken_by_hand() -> None:
    points = [(1, 4.0, 1.0), (2, None, 1.0), (3, 1.0, 3.0), (4, 7.0, 1.0), (5, 5.0, 0.0)]
    # Window 3: one before, one after.
    expected = [(1, 4.0), (2, (4 + 3) / 4), (3, (3 + 7) / 4), (4, (3 + 7) / 4), (5, 7.0)]
    assert smooth(points, 3) == expected
    assert smooth(points, 1) == [(1, 4.0), (3, 1.0), (4, 7.0)]
    assert smooth([], 3) == []


def test_shares_and_stage_starts() -> None:
    assert shares(["a", "b", "c"], {"a": 1.0, "b": 3.0}) == [25.0, 75.0, 0.0]
    assert stage_starts([row(1, stage_index=0), row(7, stage_index=0), row(2), row(3, stage_index=4)]) == {
        0: 0, 1: 7, 4: 9,
    }  # fmt: skip


# --- status ------------------------------------------------------------------------------------------------------


def checkpoint(run: Path, name: str, listed: dict[str, int] | None) -> None:
    folder = run / "checkpoints" / name
    (folder / "adapter").mkdir(parents=True)
    (folder / "adapter" / "a.safetensors").write_bytes(b"12345")
    if listed is not None:
        (folder / "COMPLETE").write_text(json.dumps(listed))


def example(run: Path) -> None:
    """A run of two stages with every kind of file."""
    with RunLog(run) as log:
        log.event("start")
        log.step(row(1, stage="align", stage_index=0, steps=1, cells={}))
        for step in range(1, 6):
            log.step(row(step, loss=2.0, seconds=1.0 if step < 5 else 9.0))
            if step in (2, 3):
                log.event("nonfinite", stage="instruct", step=step, samples=["vqa/ar/1"])
        log.event("nonfinite", stage="instruct", step=3, samples=["vqa/ar/1"])
        log.validation({"validation": {"loss": 2.25, "supervised": 3, "cells": {}}})
        log.event("stop", stage="instruct", step=5)
    (run / "plan.json").write_text(
        json.dumps({"stages": [{"stage": "align"}, {"stage": "instruct", "cells": {"en/xray/vqa": {"planned": 60.0}}}]})
    )
    kinds = ["image", "too_long", "image"]
    (run / "skipped.jsonl").write_text("".join(json.dumps({"kind": kind}) + "\n" for kind in kinds))
    checkpoint(run, "01-000002", {"adapter/a.safetensors": 5})
    checkpoint(run, "01-000003", {"adapter/a.safetensors": 6})
    checkpoint(run, "01-000004", None)


def test_the_state_of_a_run_is_read_from_its_files(tmp_path: Path) -> None:
    example(tmp_path)
    status = run_status(tmp_path)
    assert (status.state, status.process, status.goes_on) == ("stopped", None, False)
    assert (status.stage, status.stage_index, status.stages) == ("instruct", 1, 2)
    assert (status.step, status.steps, status.percent) == (5, 10, 50.0)
    assert (status.loss, status.loss_mean, status.window) == (2.0, 2.0, 5)
    assert status.topics == {"xray/vqa": {"en": 1.0, "ar": 3.5, "gap": 2.5}}
    assert status.tokens_per_second == 500 / 13
    assert status.validation == {"stage": "instruct", "step": 5, "loss": 2.25, "supervised": 3, "cells": {}}
    assert [(found.name, found.complete) for found in status.checkpoints] == [
        ("01-000002", True), ("01-000003", False), ("01-000004", False),
    ]  # fmt: skip
    assert status.checkpoints[2] == Checkpoint("01-000004", False, 5)
    assert (status.skipped, status.nonfinite_steps) == ({"image": 2, "too_long": 1}, 2)
    assert status.last_event is not None
    assert status.last_event["event"] == "stop"
    assert json.loads(status.as_json())["topics"] == status.topics


@pytest.mark.parametrize(
    ("events", "state"),
    [(["start", "stop"], "stopped"), (["start", "done"], "finished"), (["start", "error"], "failed"),
     (["done", "start"], "stopped"), ([], "stopped")],
)  # fmt: skip
def test_how_a_run_ended_is_what_it_said(tmp_path: Path, events: list[str], state: str) -> None:
    with RunLog(tmp_path) as log:
        log.step(row(1))
        for name in events:
            log.event(name, message="memory")
    assert run_status(tmp_path).state == state


def test_a_run_elsewhere_is_running_while_it_writes_and_then_gives_no_sign_of_life(tmp_path: Path) -> None:
    log = RunLog(tmp_path)
    log.step(row(3, seconds=30.0))
    mark = read_mark(tmp_path)
    assert mark is not None
    (tmp_path / "running.json").write_text(json.dumps(mark | {"place": "elsewhere", "host": "node7", "pid": 1}))
    now = time.time()
    running = run_status(tmp_path, now + 250)
    assert (running.state, running.seconds_left) == ("running", 30.0 * 7)
    # Ten of its steps take 300 seconds.
    silent = run_status(tmp_path, now + 325)
    assert (silent.state, silent.late, silent.goes_on) == ("silent", True, True)
    assert state_text(silent, "en").startswith("no sign of life for 5 min; it runs on node7")
    assert "5 دقيقة" in state_text(silent, "ar")
    log.close()


def test_a_run_here_that_hangs_is_running_but_late(holder: subprocess.Popen[str], tmp_path: Path) -> None:
    late = run_status(tmp_path / "run", time.time() + 600)
    assert late.state == "running"
    assert "wrote nothing for 10 min" in state_text(late, "en")


def test_facts_exist_in_both_languages(tmp_path: Path) -> None:
    example(tmp_path)
    status = run_status(tmp_path)
    english, arabic = dict(facts(status, "en")), dict(facts(status, "ar"))
    assert english.keys() == arabic.keys()
    assert english["checkpoints"] == "01-000002 (0.0 MB), 01-000003 (incomplete), 01-000004 (incomplete)"
    assert "غير مكتملة" in arabic["checkpoints"]
    assert english["skipped"] == "3 (image 2, too_long 1)"
    assert english["loss_mean"] == "2.000 (5)"


Invoke = Callable[..., Any]


@pytest.fixture
def invoke(monkeypatch: pytest.MonkeyPatch) -> Invoke:
    from typer.testing import CliRunner

    from bimedix2.cli.app import app

    for name in ("LC_ALL", "LC_MESSAGES", "LANG", "BIMEDIX2_LANG"):
        monkeypatch.delenv(name, raising=False)

    def command(*arguments: str) -> Any:
        monkeypatch.setattr(sys, "argv", ["bimedix2", *arguments])
        return CliRunner().invoke(app, arguments)

    return command


def test_status_command(tmp_path: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    example(tmp_path)
    shown = invoke("train", "status", str(tmp_path))
    assert shown.exit_code == 0
    assert "2/2 instruct · 5/10 (50.0 %)" in shown.stdout
    (line,) = [line.split() for line in shown.stdout.splitlines() if line.startswith("xray/vqa")]
    assert line == ["xray/vqa", "1.000", "3.500", "+2.500"]
    assert json.loads(invoke("train", "status", str(tmp_path), "--json").stdout)["state"] == "stopped"
    # The run has ended, so --watch shows it once.
    assert "instruct" in invoke("train", "status", str(tmp_path), "--watch").stdout
    monkeypatch.setenv("BIMEDIX2_LANG", "ar")
    (line,) = [
        line.split()
        for line in invoke("train", "status", str(tmp_path)).stdout.splitlines()
        if line.rstrip().endswith("xray/vqa")
    ]
    assert line == ["+2.500", "3.500", "1.000", "xray/vqa"]  # from right to left


@pytest.mark.parametrize("options", [["--json"], []])
def test_watch_looks_until_the_run_ends(
    holder: subprocess.Popen[str],
    tmp_path: Path,
    invoke: Invoke,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
) -> None:
    from bimedix2.cli import train_status

    def end_it(_: float) -> None:
        holder.kill()
        holder.wait()

    monkeypatch.setattr(train_status, "time", SimpleNamespace(sleep=end_it))
    shown = invoke("train", "status", str(tmp_path / "run"), "--watch", *options).stdout
    if options:
        assert [json.loads(line)["state"] for line in shown.splitlines()] == ["running", "dead"]
    else:
        assert 0 <= shown.find("running (") < shown.find("its process ended without a word")


def test_a_folder_that_is_no_run(tmp_path: Path, invoke: Invoke) -> None:
    example(tmp_path / "nano")
    found = invoke("train", "status", str(tmp_path))
    assert found.exit_code == 2
    english, arabic = found.stderr.strip().splitlines()
    assert english.startswith("error [no_run]")
    assert f"Did you mean {tmp_path / 'nano'}?" in english
    assert arabic.startswith("خطأ [no_run]")
    missing = invoke("train", "status", str(tmp_path / "nothing"))
    assert "there is no such folder" in missing.stderr


def test_a_run_without_steps_yet(tmp_path: Path, invoke: Invoke) -> None:
    with RunLog(tmp_path):
        status = run_status(tmp_path)
        assert (status.state, status.step, status.loss_mean, status.cells) == ("preparing", None, None, {})
        shown = invoke("train", "status", str(tmp_path))
        assert shown.exit_code == 0
        assert "preparing" in shown.stdout
        with pytest.raises(ConfigError, match="no step is logged"):
            _draw(tmp_path)


# --- views -------------------------------------------------------------------------------------------------------


def test_plain_lines_are_the_first_the_last_and_few_between(tmp_path: Path) -> None:
    said: list[str] = []
    view = make_view(tmp_path, 2, said.append, stream=io.StringIO(), language="en", seconds=1e9)
    assert isinstance(view, PlainView)
    for step in range(1, 11):
        view.step(row(step))
    view.step(row(1, stage="next", stage_index=2, steps=99))
    view.event("nonfinite", stage="next", step=2, samples=["vqa/ar/7"])
    view.validation(row(2, validation={"loss": 1.25}))
    view.close()
    assert said == [
        "2/2 instruct · 1/10 (10 %) · loss 2.000 · English 1.000 · Arabic 3.500 · 50 tokens/s · 3.0 GB · left 0:00:18",
        "2/2 instruct · 10/10 (100 %) · loss 2.000 · English 1.000 · Arabic 3.500 · 50 tokens/s · 3.0 GB · "
        "left 0:00:00",
        "3/2 next · 1/99 (1 %) · loss 2.000 · English 1.000 · Arabic 3.500 · 50 tokens/s · 3.0 GB · left 0:03:16",
        "next 2: step left out: its loss or gradient is not finite: vqa/ar/7",
        "instruct 2: validation loss 1.250",
    ]


def test_plain_lines_come_at_least_that_often(tmp_path: Path) -> None:
    said: list[str] = []
    view = make_view(tmp_path, 1, said.append, stream=io.StringIO(), language="ar", seconds=0)
    for step in range(1, 11):
        view.step(row(step))
    assert len(said) == 10
    assert "الخسارة 2.000 · الإنجليزية 1.000 · العربية 3.500" in said[0]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def terminal_as_stderr(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Called in the test's body, for pytest puts its own stderr back before each phase of a test."""
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "VTE_VERSION", "KONSOLE_VERSION", "BIMEDIX2_LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"TERM": "xterm-256color", "COLUMNS": "100", "LINES": "40", "BIMEDIX2_BIDI": "visual"}.items():
        monkeypatch.setenv(name, value)
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    return stream


def _screen(stream: Terminal) -> list[str]:
    """Every line that was drawn, the last picture last, without colours; an erased line ends the one before."""
    text = stream.getvalue().replace("\x1b[2K", "\n")
    return [line.strip() for line in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).split("\n")]


def test_live_view_shows_both_languages_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = terminal_as_stderr(monkeypatch)
    (tmp_path / "skipped.jsonl").write_text("{}\n{}\n")
    view = make_view(tmp_path, 2, print, language="en")
    for step in range(1, 11):
        view.step(row(step))
    view.event("checkpoint", stage="instruct", step=10)
    view.close()
    lines = [line.split("  ") for line in _screen(terminal)]
    last = {line[0].strip(): [part.strip() for part in line[1:] if part.strip()] for line in lines}
    assert last["xray/vqa"] == ["1.000", "3.500", "+2.500"]
    assert last["stage"] == ["2/2 instruct · 10/10 (100 %)"]
    assert last["supervised tokens/s"] == ["5"]
    assert last["skipped samples"] == ["2"]
    assert last["last checkpoint"] == ["instruct 10"]
    assert last["learning rates"] == ["lora 2.0e-04 · projector 2.0e-05"]


def test_live_view_in_arabic_is_shaped_where_the_terminal_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = terminal_as_stderr(monkeypatch)
    pytest.importorskip("arabic_reshaper")
    pytest.importorskip("bidi")
    view = make_view(tmp_path, 2, print, language="ar")
    view.step(row(10))
    view.close()
    # الكل by hand, its last letter first: final lam, medial kaf, initial lam, alone standing alef.
    assert any(line.split() == ["3.500", "1.000", "\ufede\ufedc\ufedf\ufe8d"] for line in _screen(terminal))


def test_what_is_said_meanwhile_goes_above_the_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = terminal_as_stderr(monkeypatch)
    view = make_view(tmp_path, 2, print, language="en")
    view.step(row(1))
    say("the loader says something")
    after = terminal.getvalue().rpartition("the loader says something")[2]
    assert "learning rates" in after
    view.close()
    assert sys.stderr is terminal


def test_many_topics_fit_the_screen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = terminal_as_stderr(monkeypatch)
    view = make_view(tmp_path, 2, print, language="en")
    view.step(row(10, cells={f"en/xray/t{n:02}": [1.0, 1] for n in range(60)}))
    view.close()
    assert any(line.startswith("+ 39 further topics") for line in _screen(terminal))


# --- pictures ----------------------------------------------------------------------------------------------------


def _draw(run: Path) -> list[Path]:
    pytest.importorskip("matplotlib")
    from bimedix2.train.watch.plots import draw_plots

    return draw_plots(run)


def test_pictures_of_a_run(tmp_path: Path) -> None:
    from PIL import Image

    example(tmp_path)
    paths = _draw(tmp_path)
    assert [path.name for path in paths] == ["loss.png", "cells.png", "mix.png", "speed.png"]
    for path in paths:
        with Image.open(path) as picture:
            assert min(picture.size) > 150
            assert len(picture.convert("L").getcolors() or ()) > 5
    assert not list(tmp_path.glob(".*.partial"))


def test_figures_hold_the_numbers_of_the_log(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from bimedix2.train.watch.plots import cells_figure, loss_figure, mix_figure, read_plan

    example(tmp_path)
    log = read_log(tmp_path)
    panels = loss_figure(log).axes
    assert [panel.get_title(loc="left") for panel in panels] == ["align", "instruct"]
    lines = {line.get_label(): line for line in panels[1].get_lines()}
    assert lines["step"].get_xydata().tolist() == [[step, 2.0] for step in range(1, 6)]
    assert lines["validation"].get_xydata().tolist() == [[5, 2.25]]
    cells = cells_figure(log)
    assert cells is not None
    english, arabic = (line.get_ydata().tolist() for line in cells.axes[0].get_lines()[:2])
    assert (english, arabic) == ([1.0] * 5, [3.5] * 5)
    mix = mix_figure(log, read_plan(tmp_path))
    assert mix is not None
    assert [bar.get_width() for bar in mix.axes[0].patches] == [60.0, 40.0]
    assert mix.axes[0].get_lines()[0].get_xdata().tolist() == [100.0, 0.0]
    assert mix.axes[0].get_title(loc="left") == "instruct, 5 of 10 steps: 40.0 % Arabic"


def test_a_stage_that_knows_no_cells_has_no_cell_pictures(tmp_path: Path) -> None:
    with RunLog(tmp_path) as log:
        for step in (1, 2):
            log.step(row(step, cells={}, tokens=0))
    assert [path.name for path in _draw(tmp_path)] == ["loss.png", "speed.png"]


def test_without_matplotlib_it_says_what_to_install(
    tmp_path: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bimedix2.train.watch.plots import save_plots

    example(tmp_path)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    said: list[tuple[str, ...]] = []
    assert save_plots(tmp_path, lambda *line: said.append(line)) == []
    assert all("pip install matplotlib" in text for text in said[0])
    found = invoke("train", "status", str(tmp_path), "--plots")
    assert found.exit_code == 2
    assert "pip install matplotlib" in found.stderr
    assert "غير مثبت" in found.stderr


# --- trackers ----------------------------------------------------------------------------------------------------

SETTINGS = {
    "model": "/home/amina/nano", "records": ["/data/hospital/a.jsonl"], "seed": 0, "dtype": "auto", "lora": {"r": 8},
    "vision_encoder": "hospital/encoder", "trackers": ["wandb"], "holdout": 0.5, "augment": True,
    "stages": [{"name": "instruct", "lr": 2e-4, "weights": {"hospital": 2.0}, "shares": {"ar/*/*": 0.5}}],
}  # fmt: skip


def test_only_numbers_and_our_own_words_are_shared() -> None:
    assert shareable(SETTINGS) == {
        "seed": 0, "dtype": "auto", "lora": {"r": 8}, "holdout": 0.5, "augment": True,
        "stages": [{"name": "instruct", "lr": 2e-4}],
    }  # fmt: skip
    assert shareable({"name": "../amina", "train": "projector+lora"}) == {"train": "projector+lora"}


def test_numbers_of_a_row() -> None:
    values = numbers_of(row(1, loss=None, grad_norm=math.inf))  # type: ignore[arg-type]
    assert values == {
        "lr_factor": 1.0, "memory_gb": 3.0, "supervised": 10.0, "lr/lora": 2e-4, "lr/projector": 2e-5,
        "cell/en/xray/vqa": 1.0, "cell/ar/xray/vqa": 3.5, "tokens_per_second": 50.0, "supervised_per_second": 5.0,
    }  # fmt: skip
    checked = {"validation": {"loss": 1.5, "supervised": 3, "cells": {"en/ct/vqa": [1.5, 3]}}}
    assert numbers_of(checked) == {
        "validation/loss": 1.5, "validation/supervised": 3.0, "validation/cell/en/ct/vqa": 1.5,
    }  # fmt: skip


def test_an_unknown_or_missing_tracker_is_told_before_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="'tensorbord' is unknown; known are tensorboard, trackio, wandb"):
        make_trackers(["tensorbord"], tmp_path, {})
    for name in ("tensorboard", "trackio", "wandb"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path))
    assert make_trackers([], tmp_path, {}) == {}
    for name in ("tensorboard", "trackio", "wandb"):
        with pytest.raises(ConfigError, match=f"pip install {name}") as caught:
            RunLog(tmp_path, [name], {})
        assert f"pip install {name}" in caught.value.message_ar
    assert read_mark(tmp_path) is None


def test_a_tracker_that_fails_is_left_out_and_the_log_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing:
        def __init__(self, run: Path, settings: Any) -> None:
            self.calls = 0

        def log(self, stage: str, values: Any, step: int) -> None:
            raise ConnectionError("no network")

        def close(self) -> None:
            raise AssertionError("left out before")

    monkeypatch.setitem(sys.modules, "wandb", sys)
    monkeypatch.setitem(trackers._MAKERS, "wandb", Failing)
    with RunLog(tmp_path, ["wandb"], SETTINGS) as log:
        log.step(row(1))
        log.step(row(2))
    assert [found["step"] for found in read_log(tmp_path).steps] == [1, 2]
    (event,) = read_events(tmp_path)
    assert (event["event"], event["tracker"], event["message"]) == (
        "tracker_failed", "wandb", "ConnectionError: no network",
    )  # fmt: skip


def _track(name: str, run: Path) -> list[bytes]:
    """Log two steps and a validation; the bytes of everything that was written but for logs of the program."""
    before = set(run.rglob("*"))
    with RunLog(run, [name], SETTINGS) as log:
        for step in (1, 2):
            log.step(row(step, loss=step / 2))
        log.validation({"validation": {"loss": 0.125, "supervised": 3, "cells": {}}})
    assert read_events(run) == []
    own = [path for path in set(run.rglob("*")) - before if path.is_file() and path.suffix not in (".jsonl", ".log")]
    return [path.read_bytes() for path in own]


def _assert_private(contents: list[bytes], run: Path) -> None:
    assert contents
    for secret in (b"hospital", b"amina", str(run).encode(), str(run.parent).encode()):
        assert not any(secret in content for content in contents)


def test_tensorboard_gets_the_numbers(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    _assert_private(_track("tensorboard", tmp_path), tmp_path)
    found = EventAccumulator(str(tmp_path / "tensorboard"))
    found.Reload()
    assert [(event.step, event.value) for event in found.Scalars("instruct/loss")] == [(1, 0.5), (2, 1.0)]
    assert [event.value for event in found.Scalars("instruct/cell/ar/xray/vqa")] == [3.5, 3.5]
    assert [(event.step, event.value) for event in found.Scalars("instruct/validation/loss")] == [(2, 0.125)]


def test_trackio_gets_the_numbers(tmp_path: Path) -> None:
    """In a process of its own: trackio decides at its first import where it writes."""
    if find_spec("trackio") is None:
        pytest.skip("trackio is not installed")
    code = f"""
from pathlib import Path
from bimedix2.train.watch.log import RunLog
run, row = Path({str(tmp_path)!r}), {row(1)!r}
with RunLog(run, ["trackio"], {SETTINGS!r}) as log:
    log.step(row | {{"loss": 0.5}})
    log.step(row | {{"step": 2, "loss": 1.0}})
    log.validation({{"validation": {{"loss": 0.125, "supervised": 3, "cells": {{}}}}}})
"""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TRACKIO_")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment, check=True)
    assert done.stdout == b""
    database = tmp_path / "trackio" / "bimedix2.db"
    _assert_private([database.read_bytes()], tmp_path)
    with sqlite3.connect(database) as connection:
        rows = [json.loads(metrics) for (metrics,) in connection.execute("select metrics from metrics order by id")]
    assert [found.get("instruct/loss") for found in rows] == [0.5, 1.0, None]
    assert [found.get("instruct/validation/loss") for found in rows] == [None, None, 0.125]
    assert [found["instruct/step"] for found in rows] == [1, 2, 2]


def test_wandb_stays_offline_without_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    for name in ("WANDB_API_KEY", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    contents = _track("wandb", tmp_path)
    _assert_private(contents, tmp_path)
    assert list((tmp_path / "wandb").glob("offline-run-*"))
    assert any(b"instruct/cell/ar/xray/vqa" in content for content in contents)
