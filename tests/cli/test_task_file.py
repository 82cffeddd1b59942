"""A task from outside the package: the example of ``docs/adding-a-task.md`` as printed, and what can be wrong."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bimedix2.evaluate import registry

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "adding-a-task.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    """The one code block of the page in a language."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.M | re.S)
    return str(found)


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    """Task files live as long as the process."""
    yield
    registry._named.clear()
    registry._installed.cache_clear()


@pytest.fixture
def ward(tmp_path: Path) -> Path:
    """The page's file, and below ``data`` the page's rows with images of noise."""
    (tmp_path / "ward.py").write_text(block("python"), encoding="utf-8")
    images = tmp_path / "data" / "ward" / "images"
    images.mkdir(parents=True)
    (images.parent / "test.jsonl").write_text(block("json"), encoding="utf-8")
    for line in block("json").splitlines():
        pixels = np.random.default_rng(len(line)).integers(0, 255, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(images / json.loads(line)["image"])
    return tmp_path / "ward.py"


def arguments(ward: Path, model: Path, *more: str) -> list[str]:
    """The page's first command."""
    out, data = str(ward.parent / "run"), str(ward.parent / "data")
    return ["evaluate", "ward", "--task-file", str(ward), "--data", data, "--out", out, "--model", str(model), *more]


def test_the_printed_file_is_asked_in_both_languages(
    invoke: Callable[..., Any], ward: Path, model_folder: Path
) -> None:
    done = invoke(*arguments(ward, model_folder, "--json"))
    assert done.exit_code == 0, done.output
    results = json.loads((ward.parent / "run" / "results.json").read_text(encoding="utf-8"))
    rows = {(row["language"], row["condition"], row["mode"]): row for row in results["rows"]}
    for language, answers in (("en", ["no", "left"]), ("ar", ["لا", "اليسرى"])):
        assert rows[language, "model", "corrected"]["n"] == 2
        assert rows[language, "model", "corrected"]["errors"] == 0
        assert rows[language, "shuffled", "corrected"]["n"] == 2
        # One of the two answers for both: the closed question is right or the open one, never both.
        majority = rows[language, "majority", "corrected"]["metrics"]
        assert majority["closed_accuracy"]["value"] + majority["open_accuracy"]["value"] == 1.0
        folder = ward.parent / "run" / "ward" / language
        samples = [json.loads(line) for line in (folder / "samples.jsonl").read_text(encoding="utf-8").splitlines()]
        assert [sample["reference"] for sample in samples] == answers
        replies = (folder / "replies.jsonl").read_text(encoding="utf-8").splitlines()
        assert all(json.loads(line).get("text") for line in replies)
    page = (ward.parent / "run" / "report.html").read_text(encoding="utf-8")
    assert "أسئلة القسم" in page


def test_the_file_is_run_only_when_it_is_named(invoke: Callable[..., Any], ward: Path, model_folder: Path) -> None:
    assert "ward" not in invoke("evaluate").output.split()
    done = invoke("evaluate", "ward", "--model", str(model_folder), "--data", str(ward.parent / "data"))
    assert done.exit_code == 2
    assert "task 'ward' is not known" in done.output
    assert "ward" in invoke("evaluate", "--task-file", str(ward)).output.split()


def test_stored_predictions_are_scored_by_its_family(invoke: Callable[..., Any], ward: Path) -> None:
    rows = [
        {"id": 1, "prediction": "No.", "reference": "no", "answer_type": "closed", "language": "en"},
        {"id": 1, "prediction": "نعم", "reference": "لا", "answer_type": "closed", "language": "ar"},
    ]
    file = ward.parent / "answers.jsonl"
    file.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    done = invoke("score", "ward", "--task-file", str(ward), "--predictions", str(file), "--json")
    languages = json.loads(done.stdout)["languages"]
    assert languages["en"]["metrics"]["closed_accuracy"]["value"] == 1.0
    assert languages["ar"]["metrics"]["closed_accuracy"]["value"] == 0.0


def test_a_bad_row_of_its_data_is_named_and_loses_nothing_else(
    invoke: Callable[..., Any], ward: Path, model_folder: Path
) -> None:
    file = ward.parent / "data" / "ward" / "test.jsonl"
    file.write_text(block("json") + '{"id": "w3", "image": "1.png", "question": "?", "answer": "x"}\n', "utf-8")
    done = invoke(*arguments(ward, model_folder, "--no-controls", "--lang", "ar"))
    assert done.exit_code == 0, done.output
    results = json.loads((ward.parent / "run" / "results.json").read_text(encoding="utf-8"))
    assert "test.jsonl, row 3, field question_ar" in results["bad_rows"][0]["first"][0]
    assert results["rows"][0]["n"] == 2


BROKEN = [
    ("x = 1\n", "holds no task", "لا توجد مهمة"),
    ("a = 1\nraise KeyError('oops')\n", "line 2: the task file fails with KeyError: 'oops'", "فشل ملف المهمة"),
    ("def (:\n", "line 1: the task file fails with SyntaxError", "فشل ملف المهمة"),
    ("import no_such_module\n", "line 1: the task file fails with ModuleNotFoundError", "فشل ملف المهمة"),
    (block("python").replace('NAME = "ward"', 'NAME = "vqa_rad"'), "already a task 'vqa_rad'", "موجودة من قبل"),
    (block("python").replace('NAME = "ward"', 'NAME = "../up"'), "field name: '../up'", "الحقل name"),
    (block("python").replace('family="vqa"', 'family="vqq"'), "no family 'vqq'", "لا توجد عائلة 'vqq'"),
    (block("python").replace('splits=("test",)', "splits=()"), "splits must not be empty", "splits فارغة"),
]


@pytest.mark.parametrize(("content", "english", "arabic"), BROKEN)
def test_what_is_wrong_with_a_file_is_said_in_both_languages(
    invoke: Callable[..., Any], tmp_path: Path, content: str, english: str, arabic: str
) -> None:
    file = tmp_path / "broken.py"
    file.write_text(content, encoding="utf-8")
    done = invoke("evaluate", "vqa_rad", "--task-file", str(file), "--out", str(tmp_path / "run"))
    assert done.exit_code == 2
    assert "broken.py" in done.output
    assert english in done.output
    assert arabic in done.output
    assert not (tmp_path / "run").exists()


def test_a_missing_file_and_a_file_of_another_kind(invoke: Callable[..., Any], tmp_path: Path) -> None:
    done = invoke("evaluate", "--task-file", str(tmp_path / "none.py"))
    assert (done.exit_code, "there is no such file" in done.output) == (2, True)
    (tmp_path / "task.txt").write_text("TASK = 1", encoding="utf-8")
    done = invoke("evaluate", "--task-file", str(tmp_path / "task.txt"))
    assert (done.exit_code, "must end in .py" in done.output) == (2, True)


def test_installed_packages_bring_tasks_and_a_broken_one_is_left_out(
    invoke: Callable[..., Any], ward: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = ward.parent / "site"
    (site / "ward_tasks-1.dist-info").mkdir(parents=True)
    (site / "ward_tasks-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: ward-tasks\nVersion: 1\n")
    entries = "[bimedix2.tasks]\nbroken = ward_broken_module\nward = ward_task_module\n"
    (site / "ward_tasks-1.dist-info" / "entry_points.txt").write_text(entries)
    (site / "ward_task_module.py").write_text(block("python"), encoding="utf-8")
    (site / "ward_broken_module.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(str(site))
    registry._installed.cache_clear()
    with pytest.warns(RuntimeWarning, match="broken = ward_broken_module.*ZeroDivisionError") as caught:
        listed = invoke("evaluate").output.split()
    assert "فشل ملف المهمة" in str(caught[0].message)
    assert {"ward", "vqa_rad"} <= set(listed)
    assert registry.find_family("ward").name == "vqa"
    sys.modules.pop("ward_task_module")


def test_a_file_may_bring_its_own_scoring(invoke: Callable[..., Any], tmp_path: Path) -> None:
    file, predictions = tmp_path / "lengths.py", tmp_path / "p.jsonl"
    file.write_text(
        block("python").replace('family="vqa"', 'family="length"').replace('NAME = "ward"', 'NAME = "lengths"')
        + """

from bimedix2.evaluate.authoring import Scored


class Length:
    name, modes, headline = "length", ("characters",), "length"
    metrics = {"length": {"en": "Length", "ar": "الطول"}}
    composites, lower_is_better = {}, frozenset()

    def score(self, samples, replies, mode):
        return [
            Scored(id=s.id, language=s.language, cluster=s.cluster, values={"length": float(len(r.text))})
            for s, r in zip(samples, replies, strict=True)
        ]


FAMILY = Length()
""",
        encoding="utf-8",
    )
    predictions.write_text('{"id": 1, "prediction": "رئة", "reference": "x"}\n', encoding="utf-8")
    done = invoke("score", "lengths", "--task-file", str(file), "--predictions", str(predictions), "--json")
    assert json.loads(done.stdout)["metrics"]["length"]["value"] == 3.0
