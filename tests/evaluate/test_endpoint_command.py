"""``bimedix2 evaluate --endpoint``: options, key, usage and budget, on a real task and a real server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image
from scripted_server import says, serving
from typer.testing import CliRunner

from bimedix2.cli.app import app

KEY = "sk-secret-0123456789"
PROMPT = {"en": "Is item {} normal?", "ar": "هل العنصر {} طبيعي؟"}


def slake(root: Path) -> None:
    row = {"img_name": "1.png", "q_lang": "en", "answer_type": "CLOSED", "answer": "Yes"}
    rows = [{**row, "qid": number, "question": PROMPT["en"].format(number)} for number in range(6)]
    arabic = {
        "questions": {row["question"]: PROMPT["ar"].format(row["qid"]) for row in rows},
        "answers": {"Yes": "نعم"},
    }
    (root / "slake" / "imgs").mkdir(parents=True)
    (root / "slake_ar").mkdir()
    Image.new("RGB", (20, 20), (50, 90, 9)).save(root / "slake" / "imgs" / "1.png")
    (root / "slake" / "test.json").write_text(json.dumps(rows))
    (root / "slake_ar" / "test_ar.json").write_text(json.dumps(arabic))


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slake(tmp_path / "data")
    monkeypatch.setenv("BIMEDIX2_LANG", "ar")
    monkeypatch.setenv("MY_KEY", KEY)
    out = tmp_path / "out"
    with serving(default=says("نعم")) as server:
        command = ["evaluate", "slake", "--data", str(tmp_path / "data"), "--out", str(out), "--no-controls",
                   "--endpoint", server.url, "--model", "m", "--api-key-env", "MY_KEY", "--concurrency", "2",
                   "--price-in", "1000000", "--price-out", "1000000"]  # fmt: skip
        done = CliRunner().invoke(app, [*command, "--lang", "en"])
        assert done.exit_code == 0, done.output
        assert "الاستخدام: 6 طلبا" in done.output
        usage = json.loads((out / "results.json").read_text())["usage"]
        assert usage == {"requests": 6, "retries": 0, "prompt_tokens": 60, "completion_tokens": 12,
                         "uncounted": 0, "cost": 72.0}  # fmt: skip
        # The budget covers the folder, so 100 is used up before a single Arabic question.
        stopped = CliRunner().invoke(app, [*command, "--budget", "100"])
        assert stopped.exit_code == 3
        assert "[budget_exceeded]: أنفق" in stopped.output
        assert len(server.seen) == 6
        whole = CliRunner().invoke(app, command)
        assert whole.exit_code == 0, whole.output
        results = json.loads((out / "results.json").read_text())
        assert results["usage"]["requests"] == len(server.seen) == 12
        assert results["model"] == f"m @ 127.0.0.1:{server.server_address[1]}"
        assert {exchange.headers["Authorization"] for exchange in server.seen} == {f"Bearer {KEY}"}
    assert not any(KEY.encode() in file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    assert KEY not in done.output + stopped.output + whole.output


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        (["--endpoint", "nowhere"], "http://127.0.0.1:8000/v1"),
        (["--endpoint", "http://127.0.0.1:9/v1", "--api-key-env", "UNSET_KEY"], "UNSET_KEY"),
        (["--endpoint", "http://127.0.0.1:9/v1", "--adapter", "a"], "--adapter"),
        (["--endpoint", "http://127.0.0.1:9/v1", "--budget", "1"], "--price-in"),
        (["--endpoint", "http://127.0.0.1:9/v1", "--body", '{"model": "x"}'], "--body"),
        (["--endpoint", "http://127.0.0.1:9/v1", "--body", "[]"], "--body"),
    ],
)
def test_options_that_do_not_go_together(tmp_path: Path, options: list[str], fault: str) -> None:
    command = ["evaluate", "slake", "--data", str(tmp_path), "--out", str(tmp_path / "out"), *options]
    found = CliRunner().invoke(app, command)
    assert (found.exit_code, fault in found.output) == (2, True), found.output
