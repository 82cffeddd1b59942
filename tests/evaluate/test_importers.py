"""Prediction files in the exact forms of other harnesses: they score like the same rows in our own form."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from harness_files import AR_PROMPT, CASES, EN_PROMPT, lm_eval_choice, lm_eval_text, lmms_eval, write_csv, write_lines

from bimedix2.errors import ConfigError, RecordError
from bimedix2.evaluate.importers._base import final_answer, label_of, options_in, options_of
from bimedix2.evaluate.importing import find_importer, import_predictions
from bimedix2.evaluate.registry import all_importers
from bimedix2.evaluate.schema import Reply, Sample

GOLDEN = Path(__file__).parent / "golden"


def read(path: Path, name: str = "auto", bad: list[RecordError] | None = None) -> tuple[list[Sample], list[Reply]]:
    return import_predictions(path, find_importer(path, name), bad)


Score = Callable[..., dict[str, Any]]


@pytest.fixture
def score(monkeypatch: pytest.MonkeyPatch) -> Score:
    """``bimedix2 score … --json`` in this process."""
    from typer.testing import CliRunner

    from bimedix2.cli.app import app

    def run(task: str, path: Path, *more: str, code: int = 0) -> dict[str, Any]:
        arguments = ["score", task, "--predictions", str(path), "--json", *more]
        monkeypatch.setattr(sys, "argv", ["bimedix2", *arguments])
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == code, result.output
        return json.loads(result.stdout) if code == 0 else {"error": result.output}

    return run


def same_figures(one: dict[str, Any], other: dict[str, Any]) -> bool:
    names = ("n", "metrics", "languages", "mode", "family")
    return {name: one[name] for name in names} == {name: other[name] for name in names}


@pytest.mark.parametrize("name", CASES)
def test_a_file_scores_like_the_same_rows_in_our_form(tmp_path: Path, score: Score, name: str) -> None:
    task, make, rows = CASES[name]
    foreign, own = make(tmp_path), write_lines(tmp_path / "own.jsonl", *rows)
    found = score(task, foreign, "--save", str(tmp_path / "saved.jsonl"))
    assert found["format"] == name.split()[0]
    assert same_figures(found, score(task, own, "--format", "jsonl"))
    assert same_figures(found, score(task, tmp_path / "saved.jsonl"))


def test_hand_counted_accuracy_of_scored_options(tmp_path: Path, score: Score) -> None:
    found = score("choice", CASES["lm-eval"][1](tmp_path))["languages"]
    assert found["en"]["metrics"]["accuracy"]["value"] == 0.5
    # -4/3, -5/2, -4.5/5: per character the last one wins, and it is right.
    assert found["en"]["metrics"]["accuracy_norm"]["value"] == 1.0
    assert found["ar"]["metrics"]["accuracy"]["value"] == 0.0


def test_golden_pairs_as_a_multimedeval_log_give_its_own_figures(tmp_path: Path, score: Score) -> None:
    golden = json.loads((GOLDEN / "vqa_multimedeval.json").read_text(encoding="utf-8"))
    header = ["correct", "predicted", "F1", "BLEU", "recall", "correct tokens", "predicted tokens"]
    rows = [[right, reply, f1, bleu, recall, set(), set()] for reply, right, f1, bleu, recall in golden["pairs"]]
    found = score("vqa", write_csv(tmp_path / "VQA-Rad.csv", header, *rows), "--mode", "multimedeval")
    names = {"bleu": "bleu1", "F1": "f1", "recall": "recall", "closedQuestionsAccuracy": "closed_accuracy",
             "openQuestionsRecall": "open_recall", "openQuestionsAccuracy": "open_accuracy"}  # fmt: skip
    ours = {theirs: found["metrics"][name]["value"] for theirs, name in names.items()}
    assert ours == pytest.approx(golden["metrics"], abs=1e-6)


def test_golden_rows_as_an_lm_eval_log_give_its_own_figures(tmp_path: Path, score: Score) -> None:
    golden = json.loads((GOLDEN / "upstream.json").read_text(encoding="utf-8"))["lm_eval"]
    rows = [
        lm_eval_choice(number, f"Question {number}\nAnswer:", row["choices"], row["loglikelihoods"], row["gold"])
        for number, row in enumerate(golden["rows"])
    ]
    found = score("choice", write_lines(tmp_path / "samples_pubmedqa_x.jsonl", *rows))["metrics"]
    assert (found["accuracy"]["value"], found["accuracy_norm"]["value"]) == (golden["acc"], golden["acc_norm"])


def test_every_format_is_found_and_no_file_fits_two(tmp_path: Path) -> None:
    assert set(all_importers()) == {"jsonl", "lm-eval", "lmms-eval", "medevalkit", "multimedeval"}
    with pytest.raises(ConfigError, match=r"format 'lmeval' is not known.*lm-eval") as caught:
        find_importer(tmp_path, "lmeval")
    assert "غير معروف" in caught.value.message_ar
    odd = write_lines(tmp_path / "odd.jsonl", {"question": "?", "output": "!"})
    with pytest.raises(ConfigError, match="begins like no known predictions file") as caught:
        find_importer(odd)
    assert "حدد --format" in caught.value.message_ar
    mixed = {"id": "1", "prediction": "B", "reference": "B", "doc_id": 3}
    assert find_importer(write_lines(tmp_path / "own.jsonl", mixed)).name == "jsonl"


BAD: dict[str, tuple[str, Any, str]] = {
    "no JSON": ("lm-eval", "{", "row 2, field row: not JSON"),
    "no object": ("lmms-eval", "[1]", "row 2, field row: is not a JSON object"),
    "target outside": ("lm-eval", lm_eval_choice(9, "p", ["A", "B"], [-1, -2], 7), "field target: '7' does not name"),
    "several targets": ("lm-eval", lm_eval_choice(9, "p", ["A", "B"], [-1, -2], [0, 1]), "field target"),
    "digits as labels": ("lm-eval", lm_eval_choice(9, "p", ["1", "2"], [-1, -2], 1), "field target: '1' does not"),
    "equal continuations": ("lm-eval", lm_eval_choice(9, "p", ["x", "x"], [-1, -2], 0), "field arguments: contin"),
    "one continuation": ("lm-eval", lm_eval_choice(9, "p", ["x"], [-1], 0), "field arguments: one continuation"),
    "no number": ("lm-eval", {**lm_eval_choice(9, "p", ["A", "B"], [-1, -2], 0), "filtered_resps": ["a", "b"]},
                  "field filtered_resps: is not a list of"),
    "not a number": ("lm-eval", lm_eval_choice(9, "p", ["A", "B"], [-1, float("nan")], 0), "filtered_resps: is not 2"),
    "no arguments": ("lm-eval", {**lm_eval_text(9, "p", "r", "t"), "arguments": 3}, "field arguments: is not a list"),
    "no reply": ("lm-eval", {**lm_eval_text(9, "p", "r", "t"), "resps": [], "filtered_resps": []}, "field resps"),
    "no target": ("lmms-eval", {"doc_id": 9, "filtered_resps": ["x"]}, "row 2, field target: missing"),
    "empty target": ("lmms-eval", lmms_eval(9, "p", ["x"], " "), "row 2, field target: is empty"),
    "id twice": ("lmms-eval", lmms_eval(0, "p", ["x"], "y"), "row 2, field id: '0' comes twice"),
    "half a character": ("lmms-eval", '{"doc_id": 9, "target": "x", "filtered_resps": ["\\ud800"]}',
                         "holds half a character"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_rows_are_named_and_lose_nothing_else(tmp_path: Path, name: str) -> None:
    form, row, message = BAD[name]
    good = [lm_eval_text(n, "?", "r", "t") if form == "lm-eval" else lmms_eval(n, "?", ["r"], "t") for n in (0, 1)]
    path = write_lines(tmp_path / "rows.jsonl", good[0], row, good[1])
    assert find_importer(path).name == form
    with pytest.raises(RecordError, match=message) as caught:
        read(path)
    assert "rows.jsonl, row 2" in str(caught.value)
    assert "الصف 2" in caught.value.message_ar
    bad: list[RecordError] = []
    samples, _ = read(path, bad=bad)
    assert [sample.id for sample in samples] == ["0", "1"]
    assert [error.row for error in bad] == [2]


def test_bad_rows_of_arrays_and_tables(tmp_path: Path) -> None:
    good = {"answer": "yes", "response": "yes", "question": "?"}
    rows = [good, {**good, "lang": "zh"}, {**good, "choices": ["a", "b"]}, {"answer": "x"}, good]
    array = write_lines(tmp_path / "results.json", json.dumps(rows))
    bad: list[RecordError] = []
    assert [sample.id for sample in read(array, bad=bad)[0]] == ["1", "5"]
    assert [(error.row, error.field) for error in bad] == [(2, "lang"), (3, "answer"), (4, "response")]
    cut = tmp_path / "cut.json"
    cut.write_text(json.dumps([good, good])[:-20], encoding="utf-8")
    bad.clear()
    assert len(read(cut, bad=bad)[0]) == 1
    assert bad[0].row == 2
    header = ["correct", "predicted", "F1", "BLEU", "recall", "correct tokens", "predicted tokens"]
    table = write_csv(tmp_path / "VQA-Rad.csv", header, ["yes", "no"], ["yes", "yes", 1, 1, 1])
    bad.clear()
    assert [sample.id for sample in read(table, bad=bad)[0]] == ["2"]
    assert [(error.row, error.field) for error in bad] == [(1, "row")]
    choices = write_csv(
        tmp_path / "MMLU.csv", ["A. x.", "A", "1", "1", True], ["", "A", "1", "1", True], ["E. x.", *"A11"]
    )
    bad.clear()
    assert [sample.id for sample in read(choices, bad=bad)[0]] == ["1"]
    assert [(error.row, error.field) for error in bad] == [(2, "right answer"), (3, "row")]
    classes = write_csv(tmp_path / "M.csv", ["a (index 1)", "a (index 1)", True], ["a (index [1, 0])", "a", False])
    bad.clear()
    assert [sample.id for sample in read(classes, bad=bad)[0]] == ["1"]
    assert [(error.row, error.field) for error in bad] == [(2, "class")]
    with pytest.raises(RecordError, match="is none of the logs of MultiMedEval"):
        read(write_csv(tmp_path / "old.csv", ["C", " The answer is B."]))
    (tmp_path / "latin.csv").write_bytes(b"correct,predicted\ncaf\xe9,x")
    with pytest.raises(RecordError, match="not CSV in UTF-8"):
        read(tmp_path / "latin.csv")


@pytest.mark.parametrize("name", ["none.jsonl", "none.csv", "none.json"])
def test_missing_and_empty_files(tmp_path: Path, name: str) -> None:
    with pytest.raises(RecordError, match="cannot be read"):
        read(tmp_path / name)
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(RecordError):
        read(tmp_path / name)


def test_a_line_without_end_is_named_before_it_fills_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bimedix2.evaluate.predictions._MAX_LINE", 1 << 20)
    path = tmp_path / "x.jsonl"
    path.write_bytes(b'{"doc_id": 1, "target": "' + b"x" * (2 << 20))
    with pytest.raises(RecordError, match="row 1, field row: longer than 1 MiB"):
        read(path)


def test_skipped_rows_are_counted_in_the_report(tmp_path: Path, score: Score) -> None:
    path = write_lines(tmp_path / "x.jsonl", lmms_eval(0, "?", ["r"], "t"), "{", lmms_eval(1, "?", ["r"], "t"))
    assert "row 2, field row" in score("vqa", path, code=1)["error"]
    found = score("vqa", path, "--skip-bad")
    assert (found["n"], found["bad_rows"]["n"]) == (2, 1)
    assert "row 2, field row" in found["bad_rows"]["first"][0]
    worse = write_lines(tmp_path / "y.jsonl", {"doc_id": 1, "target": "x"}, "{")
    assert "row 1" in score("vqa", worse, "--skip-bad", code=1)["error"]


def test_a_mode_that_needs_option_texts_is_refused_without_them(tmp_path: Path, score: Score) -> None:
    path = CASES["multimedeval choice"][1](tmp_path)
    assert "holds no option texts" in score("choice", path, "--mode", "multimedeval", code=2)["error"]


def test_paths_in_a_file_are_never_opened(tmp_path: Path) -> None:
    row = lm_eval_text(0, "?", "r", "t", img_name="../../../etc/passwd")
    samples, _ = read(write_lines(tmp_path / "x.jsonl", row))
    assert (samples[0].images, samples[0].cluster) == ((), "../../../etc/passwd")


def test_options_in_prompts_and_data_set_rows() -> None:
    assert options_in(f"A. one\nB. two\nAnswer: A\n\n{EN_PROMPT}") == {"A": "Liver", "B": "Lung", "C": "Heart"}
    assert options_in(AR_PROMPT) == {"أ": "الكبد", "ب": "الرئة", "ج": "القلب"}
    assert options_in("(A) one\n(B) two") == {"A": "one", "B": "two"}
    assert options_in("أ) س\nب) ص\nC. z") == {"أ": "س", "ب": "ص"}
    assert options_in("A. A patient came.\nWhat now?") == {}
    assert options_of({"opa": "w", "opb": "x", "opc": "y", "opd": "z"}) == {"A": "w", "B": "x", "C": "y", "D": "z"}
    assert options_of({"choices": {"text": ["x", "y"], "label": ["1", "2"]}}) == {"1": "x", "2": "y"}
    assert options_of({"options": ["A: x", "B: y"]}) == {"A": "x", "B": "y"}
    assert options_of({"options": ["A", "x"]}) == {"A": "A", "B": "x"}
    assert label_of("(b)", {"A": "x", "B": "y"}) == "B"
    assert label_of("Y ", {"A": "x", "B": "y"}) == "B"
    assert label_of("هـ", {"د": "x", "هـ": "y"}) == "هـ"
    assert label_of("neither", {"A": "x", "B": "y"}) is None


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        ("plain ", "plain "),
        ("<think>a</think> b", "b"),
        ("<answer> ب </answer>", "ب"),
        ("<answer>cut off", "cut off"),
        (r"\boxed{A} or rather \boxed{ \text{B} }", "B"),
        (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        ("", ""),
    ],
)
def test_final_answers(reply: str, answer: str) -> None:
    assert final_answer(reply) == answer
