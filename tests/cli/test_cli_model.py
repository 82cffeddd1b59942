"""``ask``, ``chat``, ``export`` and ``train`` against a tiny random model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bimedix2.notice import NOTICE_AR, NOTICE_EN

FIELDS = {
    "answer", "language", "model", "prompt_tokens", "tokens", "reused_tokens",
    "finish_reason", "timings", "warnings", "notice",
}  # fmt: skip


def test_ask_json_holds_everything_and_is_the_only_output(invoke, model_folder: Path, picture: Path) -> None:
    arguments = [
        "ask",
        "What is shown?",
        "--image",
        str(picture),
        "--model",
        str(model_folder),
        "--max-tokens",
        "6",
    ]
    result = invoke(*arguments, "--json")
    assert result.exit_code == 0, result.stderr
    answer = json.loads(result.stdout)
    assert set(answer) == FIELDS
    assert set(answer["timings"]) == {"load", "decode", "images", "first_token", "total", "tokens_per_second"}
    assert (answer["language"], answer["notice"]) == ("en", NOTICE_EN)
    assert 1 <= answer["tokens"] <= 6
    plain = invoke(*arguments)
    # Greedy: the streamed words are the same, and the notice is not among them.
    assert plain.stdout.strip() == answer["answer"]
    assert NOTICE_EN in plain.stderr
    assert NOTICE_EN not in plain.stdout


def test_ask_in_arabic_from_stdin_with_a_report(invoke, model_folder: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.txt"
    report.write_text("الرئة اليسرى سليمة.", encoding="utf-8")
    result = invoke(
        "ask", "-", "--file", str(report), "--model", str(model_folder), "--max-tokens", "5", "--json",
        stdin="ماذا يظهر؟",
    )  # fmt: skip
    answer = json.loads(result.stdout)
    assert (answer["language"], answer["notice"]) == ("ar", NOTICE_AR)
    without = invoke("ask", "ماذا يظهر؟", "--model", str(model_folder), "--max-tokens", "5", "--json")
    assert answer["prompt_tokens"] > json.loads(without.stdout)["prompt_tokens"]


def test_a_bad_image_is_refused_before_the_model_is_touched(invoke, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"not an image")
    result = invoke("ask", "What?", "--image", str(broken), "--model", str(tmp_path / "no-model"))
    assert result.exit_code == 1
    assert "broken.png" in result.stderr or "image" in result.stderr
    assert "no-model" not in result.stderr
    assert "Traceback" not in result.stderr


def test_a_folder_that_is_no_model(invoke, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    result = invoke("ask", "What?", "--model", str(tmp_path / "empty"))
    assert result.exit_code == 1
    assert "error [" in result.stderr
    assert "خطأ [" in result.stderr
    assert "Traceback" not in result.stderr


def test_chat_from_a_pipe_saves_and_resumes(invoke, model_folder: Path, picture: Path, tmp_path: Path) -> None:
    history = tmp_path / "talk.jsonl"
    arguments = ["chat", "--model", str(model_folder), "--history", str(history), "--max-tokens", "4"]
    first = invoke(*arguments, stdin=f"/image {picture}\nWhat is shown?\n/لغة ar\nIs it CT?\n/خروج\nnever read\n")
    assert first.exit_code == 0, first.stderr
    assert first.stderr.index(NOTICE_EN) < first.stderr.index("(60 x 40)")
    assert NOTICE_AR in first.stderr
    turns = json.loads(history.read_text(encoding="utf-8"))["turns"]
    assert [turn["role"] for turn in turns] == ["user", "assistant"] * 2
    assert turns[0]["images"] == [0]
    assert turns[3]["language"] == "ar"
    second = invoke(*arguments, stdin="What is clear?\n")
    assert "Resumed" in second.stderr
    assert "2 answers, 1 images" in second.stderr
    assert len(json.loads(history.read_text(encoding="utf-8"))["turns"]) == 6


def test_chat_commands_survive_mistakes(invoke, model_folder: Path, tmp_path: Path) -> None:
    saved = tmp_path / "saved.jsonl"
    lines = [
        "/image nowhere.png",
        "/nonsense",
        "/lang klingon",
        "Is it CT?",
        f"/حفظ {saved}",
        "/جديد",
        "/quit",
    ]
    result = invoke("chat", "--model", str(model_folder), "--max-tokens", "3", stdin="\n".join(lines))
    assert result.exit_code == 0
    assert "error [" in result.stderr  # the missing image
    assert "? /nonsense" in result.stderr
    assert "New conversation" in result.stderr
    assert len(json.loads(saved.read_text(encoding="utf-8"))["turns"]) == 2


def test_export_refuses_an_existing_folder_and_its_result_answers_the_same(
    invoke, model_folder: Path, tmp_path: Path
) -> None:
    existing = invoke("export", str(model_folder), str(tmp_path))
    assert existing.exit_code == 2
    target = tmp_path / "exported"
    result = invoke("export", str(model_folder), str(target))
    assert (result.exit_code, result.stdout.strip()) == (0, str(target)), result.stderr
    arguments = ["ask", "What is shown?", "--max-tokens", "6", "--json", "--model"]
    answers = [json.loads(invoke(*arguments, str(folder)).stdout)["answer"] for folder in (model_folder, target)]
    assert answers[0] == answers[1]


@pytest.fixture
def recipe(model_folder: Path, picture: Path, tmp_path: Path) -> Path:
    rows = [
        {
            "id": str(number),
            "turns": [
                {"role": "user", "text": question, "language": language, "images": [0]},
                {"role": "assistant", "text": answer, "language": language},
            ],
            "images": [{"path": picture.name}],
            "task": "vqa",
            "modality": "ct",
            "source": "test",
            "licence": "CC0-1.0",
        }
        for number, (question, answer, language) in enumerate(
            [("Is it CT?", "Yes", "en"), ("ماذا يظهر؟", "الرئة", "ar"), ("Is it clear?", "No", "en")]
        )
    ]
    lines = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    (tmp_path / "records.jsonl").write_text(lines + "\n", encoding="utf-8")
    path = tmp_path / "recipe.yaml"
    path.write_text(
        f"model: {model_folder}\nrecords: [records.jsonl]\nseed: 1\npack_tokens: 400\ncheckpoint_steps: 1\n"
        "lora: {r: 2, alpha: 4, dropout: 0.0}\nstages:\n"
        "  - {name: align, train: projector, epochs: 1, lr: 1e-2}\n"
        "  - {name: instruct, train: projector+lora, epochs: 2, lr: 1e-2, projector_lr: 1e-3}\n",
        encoding="utf-8",
    )
    return path


def test_train_writes_an_adapter_that_ask_takes(invoke, recipe: Path, model_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    result = invoke("train", str(recipe), "--data", str(tmp_path), "--out", str(out))
    assert (result.exit_code, result.stdout.strip()) == (0, str(out / "final")), result.stderr
    manifest = json.loads((out / "manifest.json").read_text())
    assert (manifest["samples"], manifest["images"], manifest["seed"]) == (3, 1, 1)
    assert (out / "log.jsonl").read_text().count("\n") == 3
    arguments = ["ask", "Is it CT?", "--max-tokens", "6", "--json", "--model", str(model_folder)]
    answer = invoke(*arguments, "--adapter", str(out / "final"))
    assert answer.exit_code == 0, answer.stderr


def test_a_stopped_run_goes_on_and_ends_with_the_same_losses(recipe: Path, tmp_path: Path) -> None:
    from bimedix2.train.recipe_file import load_recipe
    from bimedix2.train.run import train_recipe

    settings, folder = load_recipe(recipe), recipe.parent

    def losses(out: Path) -> list[float]:
        return [json.loads(line)["loss"] for line in (out / "log.jsonl").read_text().splitlines()]

    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert train_recipe(settings, folder, tmp_path, whole, lambda *_: None)
    assert not train_recipe(settings, folder, tmp_path, parts, lambda *_: None, lambda: True)
    assert not (parts / "final").exists()
    assert train_recipe(settings, folder, tmp_path, parts, lambda *_: None)
    assert losses(parts) == losses(whole)
    for file in (whole / "final").glob("*.safetensors"):
        assert file.read_bytes() == (parts / "final" / file.name).read_bytes(), file.name


def test_print_config_and_missing_records(invoke, recipe: Path, tmp_path: Path) -> None:
    shown = invoke("train", str(recipe), "--print-config")
    assert "fingerprint" in shown.stdout
    assert "max_grad_norm: 1.0" in shown.stdout
    (tmp_path / "records.jsonl").unlink()
    result = invoke("train", str(recipe), "--data", str(tmp_path), "--out", str(tmp_path / "run"))
    assert result.exit_code == 2
    assert "records.jsonl" in result.stderr
    assert not (tmp_path / "run").exists()


def test_data_show_and_convert(invoke, recipe: Path, model_folder: Path, tmp_path: Path) -> None:
    source = str(tmp_path / "records.jsonl")
    shown = invoke("data", "show", "--records", source, "--sample", "1", "--model", str(model_folder))
    assert shown.exit_code == 0, shown.stderr
    assert "⟦" in shown.stdout
    assert "الرئة" in shown.stdout
    target = tmp_path / "records.parquet"
    assert invoke("data", "convert", source, str(target)).exit_code == 0
    back = tmp_path / "back.jsonl"
    assert invoke("data", "convert", str(target), str(back)).exit_code == 0
    as_rows = [json.loads(line) for line in Path(source).read_text(encoding="utf-8").splitlines()]
    assert [json.loads(line)["turns"] for line in back.read_text(encoding="utf-8").splitlines()] == [
        row["turns"] for row in as_rows
    ]


def test_llava_rows_come_in_and_go_out(invoke, tmp_path: Path) -> None:
    rows = [
        {
            "id": "a",
            "image": "a.png",
            "conversations": [
                {"from": "human", "value": "<image>\nما هذا؟"},
                {"from": "gpt", "value": "أشعة"},
            ],
        },
        {"id": "b", "conversations": [{"from": "nobody", "value": "x"}]},
    ]
    source, target = tmp_path / "llava.json", tmp_path / "records.jsonl"
    source.write_text(json.dumps(rows), encoding="utf-8")
    arguments = ["data", "convert", str(source), str(target), "--source-name", "mine", "--licence", "CC0-1.0"]
    refused = invoke(*arguments)
    assert refused.exit_code == 1
    assert "row 2, field conversations[0].from" in refused.stderr
    assert not target.exists()
    assert invoke(*arguments, "--task", "poetry").exit_code == 2
    assert invoke(*arguments, "--keep-going").exit_code == 0
    (record,) = [json.loads(line) for line in target.read_text(encoding="utf-8").splitlines()]
    assert (record["source"], record["licence"], record["turns"][0]["text"]) == ("mine", "CC0-1.0", "ما هذا؟")
    back = tmp_path / "back.jsonl"
    assert invoke("data", "convert", str(target), str(back), "--to", "llava").exit_code == 0
    assert json.loads(back.read_text(encoding="utf-8")) == rows[0]
