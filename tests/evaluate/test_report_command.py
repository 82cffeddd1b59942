"""report.html of odd runs, and the command that writes it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from report_html import Page
from report_run import make_run
from typer.testing import CliRunner

from bimedix2.cli.app import app
from bimedix2.errors import ConfigError
from bimedix2.evaluate.report.page import write_report
from bimedix2.evaluate.report.strings import TEXTS


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("command")
    make_run(root, root / "run")
    return root / "run"


def copy(folder: Path, to: Path) -> Path:
    for path in folder.rglob("*.json*"):
        target = to / path.relative_to(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    return to


def test_a_damaged_file_costs_its_task_alone_and_is_named(folder: Path, tmp_path: Path) -> None:
    run = copy(folder, tmp_path / "run")
    (run / "vqa_rad" / "en" / "samples.jsonl").write_text('{"id": 3}\n')
    path, text = write_report([run], None)
    page = Page(path.read_text(encoding="utf-8"))
    content = json.loads(page.text["script"][0])
    assert len(content["samples"]) == 8 + 2 * 6 + 6
    assert "samples.jsonl, row 1" in text.read_text(encoding="utf-8").replace("\\_", "_")
    assert content["images"] == {}


def test_results_alone_make_a_report_and_may_be_named_themselves(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "results.json").write_bytes((folder / "results.json").read_bytes())
    path, text = write_report([tmp_path / "results.json"], None)
    assert path == tmp_path / "report.html"
    assert text.is_file()
    assert json.loads(Page(path.read_text(encoding="utf-8")).text["script"][0])["samples"] == []


def test_further_runs_get_rows_in_the_published_tables(folder: Path, tmp_path: Path) -> None:
    other = copy(folder, tmp_path / "run")
    content = json.loads((other / "results.json").read_text(encoding="utf-8"))
    (other / "results.json").write_text(json.dumps(content | {"model": "the other"}))
    path, _ = write_report([other, folder], None)
    table = Page(path.read_text(encoding="utf-8")).table("Model", "Clinical KG")
    first, second = [line[0] for line in table if "this run" in line[0]]
    assert first == "the other (this run)"
    assert second.startswith("<b>m|odel</b>")


def test_overlap_lines_are_shown_and_a_damaged_file_is_named(folder: Path, tmp_path: Path) -> None:
    run = copy(folder, tmp_path / "run")
    lines = [{"en": "3 images <b> shared", "ar": "3 صور مشتركة"}]
    (run / "overlap.json").write_text(json.dumps({"summary": lines, "more": 1}), encoding="utf-8")
    path, _ = write_report([run], None)
    spans = Page(path.read_text(encoding="utf-8")).text["span"]
    assert {"3 images <b> shared", "3 صور مشتركة"} <= set(spans)
    (run / "overlap.json").write_text("{")
    with pytest.raises(ConfigError, match=r"overlap\.json"):
        write_report([run], None)


def test_a_partial_run_and_why_it_stopped_are_said(folder: Path, tmp_path: Path) -> None:
    run = copy(folder, tmp_path / "run")
    content = json.loads((run / "results.json").read_text(encoding="utf-8"))
    content |= {"partial": True, "stopped": {"en": "the budget is used up", "ar": "نفدت الميزانية"}}
    (run / "results.json").write_text(json.dumps(content))
    path, _ = write_report([run], None)
    spans = Page(path.read_text(encoding="utf-8")).text["span"]
    assert {TEXTS["partial"][0], TEXTS["partial"][1], "the budget is used up", "نفدت الميزانية"} <= set(spans)


# --- the command -----------------------------------------------------------------------------------------------------

Invoke = Callable[..., Any]


@pytest.fixture
def invoke(monkeypatch: pytest.MonkeyPatch) -> Invoke:
    for name in ("LC_ALL", "LC_MESSAGES", "LANG", "BIMEDIX2_LANG"):
        monkeypatch.delenv(name, raising=False)

    def command(*arguments: str) -> Any:
        monkeypatch.setattr(sys, "argv", ["bimedix2", *arguments])
        return CliRunner().invoke(app, arguments)

    return command


def test_the_command_writes_both_files_and_prints_their_places(folder: Path, tmp_path: Path, invoke: Invoke) -> None:
    run = copy(folder, tmp_path / "run")
    result = invoke("report", str(run), "--data", str(folder.parent), "--lang", "ar")
    assert result.exit_code == 0, result.output
    assert result.stdout.split() == [str(run / "report.html"), str(run / "report.md")]
    assert '<html lang="ar" dir="rtl">' in (run / "report.html").read_text(encoding="utf-8")
    assert (run / "report.md").read_text(encoding="utf-8").startswith('<div dir="rtl"')
    assert not list(run.glob("*.partial"))


@pytest.mark.parametrize(("language", "wanted"), [("en", "Give the folder that"), ("ar", "أعط المجلد الذي كتبه")])
def test_without_results_the_error_says_what_to_give(
    tmp_path: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch, language: str, wanted: str
) -> None:
    monkeypatch.setenv("BIMEDIX2_LANG", language)
    result = invoke("report", str(tmp_path))
    assert result.exit_code == 2
    assert wanted in result.stderr
    assert str(tmp_path / "results.json") in result.stderr
    assert "bimedix2 evaluate --out" in result.stderr
    assert not (tmp_path / "report.html").exists()


@pytest.mark.parametrize(("language", "wanted"), [("en", "no images"), ("ar", "بلا صور")])
def test_a_data_folder_that_is_not_there_is_said(
    folder: Path, tmp_path: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch, language: str, wanted: str
) -> None:
    monkeypatch.setenv("BIMEDIX2_LANG", language)
    run = copy(folder, tmp_path / "run")
    result = invoke("report", str(run), "--data", str(tmp_path / "nowhere"))
    assert result.exit_code == 0
    assert wanted in result.stderr
    assert "--data" in result.stderr
