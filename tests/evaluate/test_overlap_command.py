"""The command: a run whose training is known is checked, its score split, and the report tells of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from test_overlap import BOTH, UNRELATED, record, sample
from test_overlap_images import drawing
from typer.testing import CliRunner

from bimedix2.cli.app import app
from bimedix2.evaluate.overlap.check import Overlap
from bimedix2.evaluate.runner import RunOptions, ask_all, plan
from bimedix2.evaluate.schema import Reply, Sample, Task
from bimedix2.evaluate.scoring import results_of
from bimedix2.evaluate.store import read_lines
from bimedix2.records import write_records
from bimedix2.records.schema import Language


class Memorised:
    """An engine that knows the answers to the first half of the samples by heart and nothing else."""

    name = fingerprint = "memorised"

    def generate(self, samples: Sequence[Sample], root: Path, max_new_tokens: int) -> list[Reply]:
        return [Reply(id=s.id, text=s.reference if int(s.id) < 4 else "?") for s in samples]

    def option_scores(self, samples: Sequence[Sample], root: Path) -> list[Reply]:
        raise AssertionError


WORDS = {"en": "liver heart lung spleen kidney bone skin brain", "ar": "كبد قلب رئة طحال كلية عظم جلد دماغ"}
ANSWERS = {"en": ("Yes", "left lung"), "ar": ("نعم", "الرئة اليسرى")}
ASK = {"en": "Does the {} look abnormal?", "ar": "هل يبدو {} غير طبيعي؟"}


def read(root: Path, language: Language, split: str) -> Iterator[Sample]:
    for number, word in enumerate(WORDS[language].split()):
        kind = number % 2
        group = {"answer_type": ("closed", "open")[kind]}
        yield sample(
            language, ASK[language].format(word), ANSWERS[language][kind], "a.png", id=str(number), group=group
        )


@pytest.fixture
def run_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run of eight questions, of which the first four were trained on, in English only; one image is broken."""
    root = tmp_path
    drawing(1).save(root / "a.png")
    drawing(1).resize((90, 70)).save(root / "copy.jpg", quality=70)
    monkeypatch.setenv("BIMEDIX2_CACHE", str(root / "cache"))
    task, options = Task("toy", "vqa", read), RunOptions()
    jobs = list(plan([task], Memorised(), root, root / "run", options))
    assert ask_all(jobs, Memorised(), root, options, lambda _: None)
    results_of(jobs, "memorised", options, root / "run", ())
    seen = [record(f"r{s.id}", "en", s.question, "yes", "copy.jpg") for s in list(read(root, "en", ""))[:4]]
    (root / "bad.png").write_bytes(b"nothing")
    write_records(root / "train.jsonl", [*seen, record("bad", "ar", UNRELATED["ar"], "لا", "bad.png")])
    with (root / "train.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"id": "half"\n')
    return root / "run"


def command(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["overlap", *map(str, arguments)])


def test_score_is_split_and_the_report_shows_it(run_folder: Path) -> None:
    root = run_folder.parent
    result = command("--run", run_folder, "--train", root / "train.jsonl", "--data", root, "--json")
    assert result.exit_code == 0, result.output
    content = json.loads((run_folder / "overlap.json").read_text(encoding="utf-8"))
    assert json.loads(result.stdout) == content
    counted = {row["language"]: row["overlap"] for row in content["tasks"]}
    assert (counted["en"]["duplicate"], counted["en"]["exact"], counted["en"]["image"]) == (4, 4, 8)
    # The Arabic questions were never trained on, but their English originals were.
    assert (counted["ar"]["duplicate"], counted["ar"]["translated"], counted["ar"]["similar"]) == (4, 4, 0)
    split = {(row["language"], row["mode"], row["criterion"]): row for row in content["scores"]}
    for language in BOTH:
        row = split[language, "corrected", "duplicate"]
        assert (row["overlapping"]["items"], row["others"]["items"]) == (4, 4)
        assert (row["headline"], row["overlapping"]["value"], row["others"]["value"]) == ("mean", 1.0, 0.0)
    exact = [row for row in read_lines(run_folder / "overlap-items.jsonl", Overlap) if row.duplicate]
    assert {row.id for row in exact} == {"0", "1", "2", "3"}
    assert "bad.png" in content["bad_images"]["first"][0]["reason"]["ar"]
    assert content["training"]["bad_rows"] == 1
    page, text = ((run_folder / name).read_text(encoding="utf-8") for name in ("report.html", "report.md"))
    for line in content["summary"]:
        assert line["en"] in text.replace("\\", "")
        assert line["en"].split(",")[0] in page
        assert line["ar"].split("،")[0] in page


def test_table_and_errors(run_folder: Path) -> None:
    root = run_folder.parent
    result = command("--run", run_folder, "--train", root / "train.jsonl", "--data", root, "--no-images")
    assert "toy ar" in result.stdout
    assert "50.0 %" in result.stdout
    assert command().exit_code == 2
    assert command("--run", run_folder, "--train", root / "none.jsonl").exit_code == 1
    assert command("--run", root, "--train", root / "train.jsonl").exit_code == 2


@pytest.mark.data
def test_development_sets_of_vqa_rad(data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By construction: ``dev_image`` shares no image, ``dev_question`` every image but no question with its answer."""
    monkeypatch.setenv("BIMEDIX2_CACHE", str(tmp_path))
    for split, images in (("dev_image", 0), ("dev_question", 219)):
        result = command(f"vqa_rad:{split}", "--data", data_root, "--out", tmp_path / split, "--json")
        rows = json.loads(result.stdout)["tasks"]
        assert [row["overlap"]["image"] for row in rows] == [images, images]
        assert [row["overlap"]["same_all"] for row in rows] == [0, 0]
        assert all(0.1 < row["overlap"]["exact"] / row["n"] < 0.5 for row in rows)
