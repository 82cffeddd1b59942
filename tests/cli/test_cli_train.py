"""``bimedix2 train``: overrides, printing, planning, rehearsing, and its sub command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bimedix2.records import write_records
from bimedix2.train.recipe_file import load_recipe
from bimedix2.train.rehearsal import shrink as shrinking
from bimedix2.train.rehearsal.data import rehearsal_records

RECIPE = """
model: {model}
records: [records.jsonl]
dtype: float32
pack_tokens: 300
lora: {{r: 2, alpha: 4}}
stages:
  - {{name: align, train: projector, lr: 1e-3, packs_per_step: 8}}
  - {{name: instruct, samples_per_step: 40}}
"""


@pytest.fixture
def recipe(tmp_path: Path, model_folder: Path) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE.format(model=model_folder), encoding="utf-8")
    records, _ = rehearsal_records(tmp_path / "data")
    write_records(tmp_path / "records.jsonl", records)
    return path


def test_the_printed_settings_make_the_same_recipe(invoke: Any, recipe: Path, tmp_path: Path) -> None:
    result = invoke("train", str(recipe), "lora.r=16", "--print-config", "stages.instruct.lr=1e-4")
    assert result.exit_code == 0, result.output
    printed = tmp_path / "printed.yaml"
    printed.write_text(result.stdout, encoding="utf-8")
    loaded = load_recipe(printed)
    assert loaded == load_recipe(recipe, ["lora.r=16", "stages.instruct.lr=1e-4"])
    assert f"# fingerprint {loaded.fingerprint()}" in result.stdout
    assert (loaded.lora.r, loaded.stages[1].lr) == (16, 1e-4)


def test_a_wrong_override_ends_with_2_and_a_suggestion(run: Any, recipe: Path) -> None:
    result = run("train", str(recipe), "lora.rr=16")
    assert result.returncode == 2
    english, arabic = result.stderr.strip().splitlines()
    assert english.endswith("override lora.rr=16: lora.rr: unknown key 'rr'; did you mean 'r'?")
    assert arabic.startswith("خطأ [bad_config]: override lora.rr=16")


@pytest.mark.parametrize(("language", "word"), [("en", "planned realised"), ("ar", "المخطط   المحقق")])
def test_dry_run_prints_the_plan_and_trains_nothing(
    invoke: Any, recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, language: str, word: str
) -> None:
    monkeypatch.setenv("BIMEDIX2_LANG", language)
    out = tmp_path / "run"
    result = invoke("train", str(recipe), "--dry-run", "--data", str(tmp_path / "data"), "--out", str(out))
    assert result.exit_code == 0, result.output
    assert "instruct" in result.stderr
    assert word in result.stderr
    assert "ar/other/vqa" in result.stderr
    assert not (out / "log.jsonl").exists()
    assert not (out / "final").exists()


def test_rehearsal_ends_with_a_report_in_both_languages(
    invoke: Any, recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(shrinking.EPOCHS, "projector", 1)
    monkeypatch.setitem(shrinking.EPOCHS, "projector+lora", 2)
    out = tmp_path / "run"
    result = invoke("train", str(recipe), "--rehearse", "--out", str(out))
    assert result.exit_code == 0, result.output
    report = json.loads((out / "rehearsal" / "rehearsal.json").read_text(encoding="utf-8"))
    assert report["faults"] == []
    assert "export read back" in result.stdout
    assert "قراءة النموذج المصدّر" in result.stdout
    assert result.stdout.strip().endswith("rehearsal.json")


def test_a_rehearsal_with_a_fault_ends_with_1(invoke: Any, recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bimedix2.train import rehearse as module
    from bimedix2.train.rehearsal.report import RehearsalReport, StageNote

    def bad(*_: Any) -> RehearsalReport:
        stage = StageNote("a", 4, 2.0, 1.0)
        return RehearsalReport("llama", 9, 3, 1, 1, (stage,), 2, 0.5, 1.0, 0.0, 1.0, (2.0, 1.0), True, (0, 0), 1.0, {})

    monkeypatch.setattr(module, "rehearse", bad)
    result = invoke("train", str(recipe), "--rehearse")
    assert result.exit_code == 1
    assert "FAULT: stopping and resuming changes the result by 5.0e-01" in result.stdout


def test_status_is_a_command_of_its_own_beside_the_recipe(invoke: Any) -> None:
    own, status = invoke("train", "--help").stdout, invoke("train", "status", "--help").stdout
    assert "--rehearse" in own
    assert "train status RUN" in own
    assert "Usage: root train status" in status
    assert "--rehearse" not in status
    assert invoke("train").exit_code == 2
