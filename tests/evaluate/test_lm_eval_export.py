"""Task files for lm-evaluation-harness: our items, prompts and labels."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from lm_eval_toy import ITEMS, TOY, read

from bimedix2.errors import ConfigError, RecordError
from bimedix2.evaluate.adapters.lm_eval_tasks import export_tasks
from bimedix2.evaluate.runner import RunOptions
from bimedix2.evaluate.schema import Sample, Task


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_task_files_hold_our_prompts_and_labels(tmp_path: Path) -> None:
    done = export_tasks([TOY], tmp_path, tmp_path / "out", RunOptions())
    assert done.counts == {"bimedix2_toy_en": ITEMS, "bimedix2_toy_ar": ITEMS}
    assert [str(error) for error in done.notes.bad_rows["toy", "ar"]] == [
        f"{tmp_path / 'toy.csv'}, row 1, field key: broken on purpose"
    ]
    for language, letters in (("en", ["A", "B", "C"]), ("ar", ["أ", "ب", "ج"])):
        samples = list(TOY.samples(tmp_path, language, "test", []))  # type: ignore[arg-type]
        docs = lines(tmp_path / "out" / f"bimedix2_toy_{language}.jsonl")
        assert [doc["prompt"] for doc in docs] == [sample.prompt for sample in samples]
        assert [doc["letters"][doc["answer"]] for doc in docs] == [sample.reference for sample in samples]
        assert docs[1]["letters"] == letters
    text = (tmp_path / "out" / "bimedix2_toy_ar.yaml").read_text(encoding="utf-8")
    assert text.startswith('# "لعبة", split test\n')
    content = yaml.safe_load(text.replace("!function ", ""))
    assert (content["doc_to_text"], content["doc_to_choice"], content["doc_to_target"]) == (
        "prompt",
        "letters",
        "answer",
    )
    assert content["tag"] == ["bimedix2", "bimedix2_ar"]
    assert str(tmp_path) not in text  # the folder can be moved


def test_a_prompt_in_another_language_asks_for_its_own_as_our_engine_does(tmp_path: Path) -> None:
    english = Sample(id="1", task="t", language="ar", prompt="Which?", reference="A", options=("x",), letters=("A",))
    export_tasks([Task("t", "choice", lambda *_: iter([english]))], tmp_path, tmp_path, RunOptions(languages=("ar",)))
    assert lines(tmp_path / "bimedix2_t_ar.jsonl")[0]["prompt"] == "Which?\nAnswer in Arabic."


def test_what_cannot_be_exported_is_said(tmp_path: Path) -> None:
    vqa = Task("pictures", "vqa", read)
    with pytest.raises(ConfigError, match="pictures: only multiple-choice tasks") as caught:
        export_tasks([vqa], tmp_path, tmp_path / "out", RunOptions())
    assert "الاختيار من متعدد" in caught.value.message_ar
    shown = Sample(id="1", task="t", language="en", prompt="?", reference="A", letters=("A",), images=("a.png",))
    with pytest.raises(RecordError, match="t, row 1, field images: 1 shows an image"):
        export_tasks([Task("t", "choice", lambda *_: iter([shown]))], tmp_path, tmp_path / "out", RunOptions())
    with pytest.raises(ConfigError, match="no split 'dev'"):
        export_tasks([TOY], tmp_path, tmp_path / "out", RunOptions(split="dev"))
    with pytest.raises(ConfigError, match="none of the tasks has the language ar"):
        export_tasks([Task("t", "choice", read, ("en",))], tmp_path, tmp_path / "out", RunOptions(languages=("ar",)))
    assert not (tmp_path / "out").exists()


def test_command_line_in_both_languages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from typer.testing import CliRunner

    from bimedix2.cli.app import app

    (tmp_path / "mmlu").mkdir()
    rows = "Which organ?,Liver,Lung,Heart,Spleen,B\nBroken?,a,b,c,d,X\n"
    (tmp_path / "mmlu" / "anatomy_test.csv").write_text(rows, encoding="utf-8")
    for language, said in (("en", "1 bad rows left out"), ("ar", "تُرك 1 من الصفوف")):
        monkeypatch.setenv("BIMEDIX2_LANG", language)
        arguments = [
            "harness",
            "lm-eval-tasks",
            "mmlu_anatomy",
            "--data",
            str(tmp_path),
            "--out",
            str(tmp_path / "out"),
        ]
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, result.output
        assert result.stdout == "bimedix2_mmlu_anatomy_en\t1\n"
        assert said in result.stderr
    assert lines(tmp_path / "out" / "bimedix2_mmlu_anatomy_en.jsonl")[0]["prompt"].endswith("\nD. Spleen")


def test_without_the_package_the_command_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    from typer.testing import CliRunner

    from bimedix2.cli.app import app

    monkeypatch.setitem(sys.modules, "lm_eval", None)
    for name in [name for name in sys.modules if name.endswith("lm_eval_model") or name.startswith("lm_eval.")]:
        monkeypatch.delitem(sys.modules, name)
    result = CliRunner().invoke(app, ["harness", "lm-eval-run", "--tasks", "x"])
    assert result.exit_code == 1
    assert "pip install 'bimedix2[harness]'" in result.output
