"""`bimedix2 data translate` and `bimedix2 data rewrite` as a user types them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from llm_records import findings, record
from llm_server import LlmServer, serving
from typer.testing import CliRunner

from bimedix2.cli.app import app
from bimedix2.records import read_records, write_jsonl


@pytest.fixture
def invoke(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    for name in ("LC_ALL", "LC_MESSAGES", "LANG", "BIMEDIX2_LANG", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)

    def command(*arguments: str, lang: str = "en") -> Any:
        monkeypatch.setenv("BIMEDIX2_LANG", lang)
        monkeypatch.setattr(sys, "argv", ["bimedix2", *arguments])
        return CliRunner().invoke(app, arguments)

    return command


def options(folder: Path, url: str, *more: str) -> list[str]:
    write_jsonl(folder / "in.jsonl", findings(4))
    return [str(folder / "in.jsonl"), "--out", str(folder / "out.jsonl"), "--endpoint", url, "--model", "m", *more]


def test_translate_with_a_critic_and_a_glossary_of_the_users(tmp_path: Path, invoke: Callable[..., Any]) -> None:
    terms = tmp_path / "terms.csv"
    terms.write_text("english,arabic\nleft lung,الرئة اليسرى\n", "utf-8")
    with serving(LlmServer()) as writer, serving(LlmServer()) as critic:
        more = [
            "--audit-share",
            "1",
            "--no-checks",
            "--critic-endpoint",
            critic.url,
            "--critic-model",
            "judge",
            "--glossary",
            str(terms),
        ]
        result = invoke("data", "translate", *options(tmp_path, writer.url, *more))
        assert result.exit_code == 0, result.output
        again = invoke("data", "translate", *options(tmp_path, writer.url, *more), "--json")
    assert "4 records, 4 for review, 0 in quarantine" in result.stderr
    assert json.loads(again.stdout)["requests"] == 0
    assert (len(writer.requests), len(critic.requests)) == (4, 4)
    assert {request.body["model"] for request in critic.requests} == {"judge"}
    assert "left lung = الرئة اليسرى" in writer.requests[0].text
    assert (tmp_path / "out.jsonl.work" / "ledger.sqlite").is_file()
    assert len(list(read_records(tmp_path / "out.jsonl"))) == 4


def test_the_summary_and_the_estimate_speak_both_languages(tmp_path: Path, invoke: Callable[..., Any]) -> None:
    with serving(LlmServer()) as server:
        prices = tmp_path / "prices.yaml"
        prices.write_text("m: {prompt: 2.5, completion: 10}\n", "utf-8")
        given = options(tmp_path, server.url, "--no-critique", "--no-checks", "--prices", str(prices))
        english = invoke("data", "translate", *given, "--dry-run")
        arabic = invoke("data", "translate", *given, "--dry-run", lang="ar")
        assert server.requests == []
        as_json = json.loads(invoke("data", "translate", *given, "--dry-run", "--json").stdout)
        done = invoke("data", "translate", *given, lang="ar")
    assert "4 rows: 4 to do, 0 done" in english.stderr
    assert "الصفوف 4: المتبقي 4" in arabic.stderr
    assert as_json["requests"] == [4, 4]
    assert (
        0
        < as_json["cost"][0]
        < as_json["cost"][1]
        == pytest.approx((as_json["prompt_tokens"][1] * 2.5 + as_json["completion_tokens"][1] * 10) / 1e6)
    )
    assert "السجلات 4" in done.stderr


def test_rewrite(tmp_path: Path, invoke: Callable[..., Any]) -> None:
    item = record("q", "Is there a fracture?", "Yes")
    write_jsonl(tmp_path / "q.jsonl", [item])
    with serving(LlmServer(lambda request: '{"answers": ["Yes, there is a fracture."]}')) as server:
        given = [str(tmp_path / "q.jsonl"), "--out", str(tmp_path / "o.parquet"), "--endpoint", server.url, "-m", "m"]
        result = invoke("data", "rewrite", "expand", *given)
    assert result.exit_code == 0, result.output
    (new,) = read_records(tmp_path / "o.parquet")
    assert new.turns[1].text == "Yes, there is a fracture."


@pytest.mark.parametrize(
    ("extra", "words", "words_ar"),
    [
        (["--body", "[1]"], "--body must be a JSON object", "كائن JSON"),
        (["--budget", "1"], "A budget needs the price", "الميزانية"),
        (["--api-key-env", "NO_SUCH_KEY"], "NO_SUCH_KEY", "غير مضبوط"),
        (["--endpoint", "ftp://x"], "not an address", "عنوان"),
        (["--prompts", "/no/such/folder"], "cannot be read", "تعذرت قراءة"),
        (["--glossary", "/no/such/file.csv"], "cannot be read", "تعذرت قراءة"),
        (["--out", "o.txt"], "must end in .jsonl or .parquet", "يجب أن ينتهي"),
    ],
)
def test_options_that_cannot_be_used(
    tmp_path: Path, invoke: Callable[..., Any], extra: list[str], words: str, words_ar: str
) -> None:
    for lang, expected in (("en", words), ("ar", words_ar)):
        result = invoke("data", "translate", *options(tmp_path, "http://127.0.0.1:9/v1"), *extra, lang=lang)
        assert result.exit_code != 0
        assert expected in result.stderr


def test_an_error_that_ends_a_run_sets_the_exit_code_and_keeps_the_rest(
    tmp_path: Path, invoke: Callable[..., Any]
) -> None:
    with serving(LlmServer()) as server:
        given = options(tmp_path, server.url, "--no-critique", "--no-checks")
        given += ["--price-out", "1000000", "--budget", "4140"]
        result = invoke("data", "translate", *given, "--concurrency", "1", lang="ar")
    assert result.exit_code == 1
    assert "خطأ [budget_exceeded]" in result.stderr
    assert "السجلات 3" in result.stderr
