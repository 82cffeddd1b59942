"""inspect's logs: what a run holds is what inspect reads back."""

from __future__ import annotations

import base64
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bimedix2.evaluate.engines.local import LocalEngine
from bimedix2.evaluate.runner import RunOptions, ask_all, plan
from bimedix2.evaluate.schema import Reply, Sample, Scored, Task
from bimedix2.evaluate.scoring import results_of
from bimedix2.evaluate.store import TaskFolder, read_lines, read_results
from bimedix2.evaluate.tasks._choice import choice_sample
from bimedix2.inference.assistant import Assistant
from bimedix2.records.schema import Language
from tiny import tiny_bundle

QUESTIONS = {"en": ("Is it normal?", "What is it?"), "ar": ("هل هذا طبيعي؟", "ما هذا؟")}
ANSWERS = {"en": ("Yes", "left lung"), "ar": ("نعم", "الرئة اليسرى")}


def pictured(root: Path, language: Language, split: str) -> Iterator[Sample]:
    """Six questions: closed and open ones, one about an image that is missing, one that points out of the root."""
    images = ("0.png", "1.png", "0.png", "1.png", "missing.png", "../secret.png")
    for number, image in enumerate(images):
        question = f"{QUESTIONS[language][number % 2]} {number}"
        yield Sample(
            id=f"q{number}", task="pictured", language=language, prompt=question, question=question,
            reference=ANSWERS[language][number % 2], images=(image,), cluster=image,
            group={"answer_type": ("closed", "open")[number % 2]},
        )  # fmt: skip


def lettered(root: Path, language: Language, split: str) -> Iterator[Sample]:
    for number in range(4):
        yield choice_sample("lettered", str(number), language, QUESTIONS[language][1], ANSWERS[language], number % 2)


TASKS = (
    Task("pictured", "vqa", pictured, max_new_tokens=4),
    Task("lettered", "choice", lettered, request="options"),
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "root"
    folder.mkdir()
    for number, path in enumerate((folder / "0.png", folder / "1.png", folder.parent / "secret.png")):
        pixels = np.random.default_rng(number).integers(0, 255, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
    return folder


@pytest.fixture(scope="module")
def run(root: Path) -> Path:
    """A run of a tiny random model on both tasks, in both languages, with the blind control."""
    out, options = root.parent / "run", RunOptions(conditions=("model", "blind"))
    assistant = Assistant(tiny_bundle("nano"))
    engine = LocalEngine("tiny/model", "1", lambda: assistant)
    jobs = list(plan(TASKS, engine, root, out, options))
    assert ask_all(jobs, engine, root, options, lambda _: None)
    results_of(jobs, engine.name, options, out, ())
    return out


@pytest.fixture
def export(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The exporter, if inspect is installed."""
    pytest.importorskip("inspect_ai", reason="inspect-ai is not installed: pip install 'bimedix2[harness]'")
    from bimedix2.evaluate.adapters import inspect_log

    return inspect_log


def plain(content: Any) -> str:
    return content if isinstance(content, str) else content[-1].text


@pytest.mark.parametrize("condition", ["model", "blind"])
@pytest.mark.parametrize("language", ["en", "ar"])
def test_a_log_reads_back_as_the_run(
    export: Any, root: Path, run: Path, tmp_path: Path, language: Language, condition: str
) -> None:
    from inspect_ai.log import read_eval_log

    choice = export.Choice(tasks=("pictured",), languages=(language,), condition=condition)
    (path,) = export.export_run(run, tmp_path / "one.eval", root, choice)
    log = read_eval_log(str(path))
    folder = TaskFolder(run, "pictured", language)
    samples, replies = list(pictured(root, language, "test")), folder.answers(condition)
    assert (log.status, log.eval.model, log.eval.dataset.samples) == ("success", "tiny/model", len(samples))
    assert [item.id for item in log.samples] == [sample.id for sample in samples]
    assert [plain(item.input[0].content) for item in log.samples] == [sample.prompt for sample in samples]
    assert [item.target for item in log.samples] == [sample.reference for sample in samples]
    assert [item.output.completion for item in log.samples] == [replies[sample.id].text for sample in samples]
    assert [item.messages[1].content for item in log.samples] == [replies[sample.id].text for sample in samples]
    rows = [row for row in read_results(run)["rows"] if (row["task"], row["language"]) == ("pictured", language)]
    rows = [row for row in rows if row["condition"] == condition]
    assert [row["mode"] for row in rows] == ["corrected", "multimedeval"]
    for row in rows:
        scored = {item.id: item for item in read_lines(folder.scored_path(condition, row["mode"]), Scored)}
        assert {item.id: item.scores[row["mode"]].value for item in log.samples} == {
            name: item.values for name, item in scored.items()
        }
        found = {score.name: score for score in log.results.scores if score.scorer == row["mode"]}
        assert next(iter(found)) == row["headline"]
        wanted = {name: metric for name, metric in row["metrics"].items() if metric["value"] is not None}
        assert {name: score.metrics["mean"].value for name, score in found.items()} == {
            name: metric["value"] for name, metric in wanted.items()
        }
        assert {name: score.scored_samples for name, score in found.items()} == {
            name: metric["n"] for name, metric in wanted.items()
        }
    errors = [item.error.message if item.error else "" for item in log.samples]
    assert errors == [replies[sample.id].error for sample in samples]
    assert bool(errors[4]) == (condition == "model")  # without its image a question has nothing to miss


def test_images_are_small_copies_and_stay_inside_the_root(export: Any, root: Path, run: Path, tmp_path: Path) -> None:
    from inspect_ai.log import read_eval_log

    choice = export.Choice(tasks=("pictured",), languages=("en",))
    (path,) = export.export_run(run, tmp_path / "one.eval", root, choice)
    contents = [item.input[0].content[0] for item in read_eval_log(str(path), resolve_attachments=True).samples]
    assert [content.type for content in contents] == ["image"] * 4 + ["text"] * 2
    assert [content.text for content in contents[4:]] == ["[image: missing.png]", "[image: ../secret.png]"]
    picture = Image.open(io.BytesIO(base64.b64decode(contents[0].image.partition(",")[2])))
    assert (picture.format, picture.size) == ("JPEG", (40, 40))
    (path,) = export.export_run(run, tmp_path / "none.eval", None, choice)
    contents = [item.input[0].content[0].text for item in read_eval_log(str(path)).samples]
    assert contents[0] == "[image: 0.png]"


def test_scored_options_show_their_log_probabilities(export: Any, root: Path, run: Path, tmp_path: Path) -> None:
    from inspect_ai.log import read_eval_log

    (path,) = export.export_run(run, tmp_path / "a.eval", root, export.Choice(("lettered",), ("ar",)))
    log = read_eval_log(str(path))
    reply: Reply = TaskFolder(run, "lettered", "ar").answers("model")["1"]
    assert log.samples[1].choices == list(ANSWERS["ar"])
    assert log.samples[1].target == "ب"
    assert log.samples[1].metadata["letters"] == ["أ", "ب"]
    assert log.samples[1].metadata["option_logprobs"] == pytest.approx(reply.option_logprobs)
    first, second = log.samples[1].output.completion.split("\n")
    assert (first[:3], float(second[3:])) == ("أ: ", pytest.approx(reply.option_logprobs[1], abs=1e-4))


def test_a_folder_gets_a_log_for_each_task_and_language(
    export: Any, root: Path, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from inspect_ai.log import list_eval_logs, read_eval_log
    from typer.testing import CliRunner

    from bimedix2.cli.app import app

    monkeypatch.setenv("BIMEDIX2_LANG", "ar")
    for _ in range(2):  # the same run gives the same files
        arguments = ["harness", "inspect", str(run), "--out", str(tmp_path / "logs"), "--data", str(root)]
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, result.output
    logs = [read_eval_log(info, header_only=True) for info in list_eval_logs(str(tmp_path / "logs"))]
    assert {log.eval.task for log in logs} == {"pictured_en", "pictured_ar", "lettered_en", "lettered_ar"}
    assert len(logs) == len(list((tmp_path / "logs").iterdir())) == 4
    result = CliRunner().invoke(app, ["harness", "inspect", str(run), "--out", str(tmp_path / "x.eval")])
    assert (result.exit_code, "حدد --task و--lang" in result.stderr) == (2, True)
    result = CliRunner().invoke(app, [*arguments, "--condition", "lookup"])
    assert (result.exit_code, "lookup" in result.stderr) == (2, True)


def test_an_unfinished_run_is_marked(export: Any, root: Path, run: Path, tmp_path: Path) -> None:
    from inspect_ai.log import read_eval_log

    content = json.loads((run / "results.json").read_text(encoding="utf-8"))
    copy = tmp_path / "run"
    copy.mkdir()
    (copy / "lettered").symlink_to(run / "lettered")
    (copy / "results.json").write_text(json.dumps(content | {"partial": True}), encoding="utf-8")
    (path,) = export.export_run(copy, tmp_path / "a.eval", root, export.Choice(("lettered",), ("en",)))
    assert read_eval_log(str(path)).status == "cancelled"


def test_without_the_package_the_command_names_the_extra(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from typer.testing import CliRunner

    from bimedix2.cli.app import app

    monkeypatch.setitem(sys.modules, "inspect_ai", None)
    for name in [name for name in sys.modules if name.endswith("inspect_log") or name.startswith("inspect_ai.")]:
        monkeypatch.delitem(sys.modules, name)
    result = CliRunner().invoke(app, ["harness", "inspect", str(run), "--out", str(tmp_path / "a.eval")])
    assert result.exit_code == 1
    assert "pip install 'bimedix2[harness]'" in result.output
