"""``bimedix2 serve`` as a person runs it."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

CODE = "from bimedix2.cli import main; main()"


def environment(folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "BIMEDIX2_"))}
    own = {"BIMEDIX2_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1", "PYTHONUTF8": "1", "BIMEDIX2_LANG": "en"}
    return kept | own


class Result:
    """How a command ended."""

    def __init__(self, found: Any) -> None:
        self.returncode, self.stdout, self.stderr = found.exit_code, found.stdout, found.stderr


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run ``bimedix2 serve`` in this process, with options that make it end by itself."""
    from bimedix2.cli.app import app

    for name in ("LC_ALL", "LC_MESSAGES", "LANG", "BIMEDIX2_LANG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("BIMEDIX2_CACHE", str(tmp_path / "cache"))

    def run(*options: str, language: str = "") -> Result:
        monkeypatch.setenv("BIMEDIX2_LANG", language)
        return Result(CliRunner().invoke(app, ["serve", "--data", str(tmp_path / "data"), *options]))

    return run


@contextmanager
def started(folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    arguments = [sys.executable, "-c", CODE, "serve", "--engine", "echo", "--data", str(folder / "data"), *options]
    process = subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True, env=environment(folder))
    try:
        assert process.stderr is not None
        found = re.search(r"http://[^ ]+:\d+", process.stderr.readline())
        assert found is not None
        yield process, found[0]
    finally:
        process.kill()
        process.wait(30)


def test_it_answers_on_a_free_port_until_it_is_told_to_end(tmp_path: Path) -> None:
    with started(tmp_path, "--port", "0") as (process, url):
        transport = httpx.HTTPTransport(retries=3)
        with httpx.Client(base_url=url, trust_env=False, transport=transport, timeout=30) as client:
            assert client.get("/health").json()["ready"] is True
            body = {"messages": [{"role": "user", "content": "أين المرارة؟"}]}
            answer = client.post("/v1/chat/completions", json=body).json()
        assert answer["choices"][0]["message"]["content"] == "سألت: أين المرارة؟"
        process.send_signal(signal.SIGTERM)
        _, rest = process.communicate(timeout=30)
        assert "المرارة" not in rest
        assert "Traceback" not in rest
    assert (tmp_path / "data").stat().st_mode & 0o077 == 0


def test_two_servers_on_one_folder_or_port(tmp_path: Path, command: Callable[..., Result]) -> None:
    with started(tmp_path, "--port", "0") as (_, url):
        same_folder = command("--engine", "echo", "--port", "0")
        assert (same_folder.returncode, "[busy]" in same_folder.stderr) == (2, True)
        same_port = command("--engine", "echo", "--port", url.rpartition(":")[2])
        assert (same_port.returncode, "[port_taken]" in same_port.stderr) == (2, True)
        checked = command("--engine", "echo", "--check")
        assert checked.returncode == 1
        assert "FAULT data: Another server uses" in checked.stdout


def test_a_public_address_needs_a_key(command: Callable[..., Result]) -> None:
    english = command("--engine", "echo", "--port", "0", "--host", "0.0.0.0", language="en")
    assert english.returncode == 2
    assert "[keys_needed]" in english.stderr
    assert "bimedix2 keys create" in english.stderr


@pytest.mark.parametrize(("language", "words"), [("en", "ok    data"), ("ar", "سليم data")])
def test_a_check_that_finds_all_in_place(command: Callable[..., Result], language: str, words: str) -> None:
    found = command("--engine", "echo", "--check", language=language)
    assert found.returncode == 0, found.stdout
    assert words in found.stdout
    assert len(found.stdout.splitlines()) == 8


def test_a_check_names_every_fault_and_says_what_to_do(tmp_path: Path, command: Callable[..., Result]) -> None:
    (tmp_path / "data").mkdir(mode=0o755)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
    options = ("--check", "--engine", "openai", "--upstream", f"http://127.0.0.1:{port}/v1", "--host", "0.0.0.0")
    found = command(*options, "--adapters", str(tmp_path / "none"))
    assert found.returncode == 1
    faults = {line.split()[1].rstrip(":") for line in found.stdout.splitlines() if line.startswith("FAULT")}
    assert faults == {"data", "keys", "engine", "adapters"}
    assert sum(line.startswith("خلل") for line in found.stdout.splitlines()) == 4
    assert "chmod 700" in found.stdout


def test_a_check_of_a_model_that_is_not_there(command: Callable[..., Result]) -> None:
    assert "no model folder" in command("--check", "--model", "./missing").stdout
    assert "note  engine: nano is put together" in command("--check").stdout


def test_a_check_names_the_models_that_the_upstream_has(tmp_path: Path, command: Callable[..., Result]) -> None:
    (tmp_path / "up").mkdir()
    with started(tmp_path / "up", "--port", "0") as (_, url):
        wrong = command("--check", "--engine", "openai", "--upstream", f"{url}/v1", "--model", "other", language="en")
        assert "Its models: echo." in wrong.stdout
        assert "the upstream serves echo" in command("--check", "--engine", "openai", "--upstream", f"{url}/v1").stdout


def test_the_settings_load_neither_torch_nor_fastapi() -> None:
    code = "import sys, bimedix2.serve.settings; print([m for m in ('torch', 'fastapi', 'numpy') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
