"""``bimedix2 data fetch`` and ``bimedix2 evaluate --download`` against a local server."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_server import LocalHub, local_hub
from scripted_server import says, serving
from typer.testing import CliRunner

from bimedix2.cli.app import app


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalHub]:
    with local_hub(tmp_path, monkeypatch) as server:
        yield server


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["mimic_cxr"], "None of these tasks is on the Hub"),
        (["slake", "medmcqa", "--revision", "v1"], "--revision goes with one data set"),
        (["slak"], "Choose one of: slake"),
    ],
)
def test_wrong_arguments(tmp_path: Path, arguments: list[str], fault: str) -> None:
    found = CliRunner().invoke(app, ["data", "fetch", *arguments, "--data", str(tmp_path)])
    assert (found.exit_code, fault in found.output) == (2, True), found.output


def test_evaluate_downloads_only_when_told_to(hub: LocalHub, tmp_path: Path) -> None:
    row = {"question": "Which?", "options": {"A": "a", "B": "b"}, "answer_idx": "B"}
    hub.publish("GBaker/MedQA-USMLE-4-options", {"phrases_no_exclude_test.jsonl": json.dumps(row).encode()})
    with serving(default=says("B")) as server:
        command = ["evaluate", "medqa", "--data", str(tmp_path / "d"), "--out", str(tmp_path / "out"), "--lang", "en",
                   "--endpoint", server.url, "--model", "m", "--no-controls", "--request", "generate"]  # fmt: skip
        without = CliRunner().invoke(app, command)
        assert without.exit_code == 1
        assert "bimedix2 data fetch medqa" in without.output
        assert not hub.transfers
        done = CliRunner().invoke(app, [*command, "--download"])
        assert done.exit_code == 0, done.output
        (asked,) = server.seen
    assert asked.prompt().endswith("Which?\nA. a\nB. b")


def test_command_in_both_languages(hub: LocalHub, tmp_path: Path) -> None:
    commit = hub.publish("BoKelvin/SLAKE", {"test.json": b"[]"})
    command = [sys.executable, "-m", "bimedix2.cli", "data", "fetch", "slake", "medmcqa", "--data", str(tmp_path / "d")]
    settings = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf"), "BIMEDIX2_LANG": "ar", "PATH": ""}
    done = subprocess.run(command, env=settings, capture_output=True, text=True, timeout=60, check=False)
    assert f"BoKelvin/SLAKE @ {commit}" in done.stdout
    assert "openlifescienceai/medmcqa" in done.stderr
    assert "خطأ [hub_not_found]: لا يوجد في المنصة مجموعة بيانات باسم openlifescienceai/medmcqa" in done.stderr
    assert done.returncode == 1
    assert (tmp_path / "d" / "slake" / "hub.json").is_file()
