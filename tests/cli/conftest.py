"""The command as a user runs it, and a tiny random model in a folder."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run ``bimedix2`` in a process of its own, with an empty cache and without a set language."""

    def command(*arguments: str, stdin: str | None = None, **extra: str) -> subprocess.CompletedProcess[str]:
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("LC_", "LANG", "BIMEDIX2_"))}
        environment |= {
            "BIMEDIX2_CACHE": str(tmp_path / "cache"),
            "PYTHONUTF8": "1",
            "OMP_NUM_THREADS": "1",
        } | extra
        code = "from bimedix2.cli import main; main()"
        return subprocess.run(
            [sys.executable, "-c", code, *arguments],
            capture_output=True, text=True, encoding="utf-8", env=environment, input=stdin or "", check=False,
        )  # fmt: skip

    return command


@pytest.fixture
def invoke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Run ``bimedix2`` in this process: the model libraries are imported once for all tests."""
    from typer.testing import CliRunner

    from bimedix2.cli.app import app

    for name in ("LC_ALL", "LC_MESSAGES", "LANG", "BIMEDIX2_LANG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("BIMEDIX2_CACHE", str(tmp_path / "cache"))

    def command(*arguments: str, stdin: str = "") -> Any:
        monkeypatch.setattr(sys, "argv", ["bimedix2", *arguments])
        return CliRunner().invoke(app, arguments, input=stdin)

    return command


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LLaVA of two layers with random weights, stored like any checkpoint."""
    from tiny import tiny_bundle

    folder = tmp_path_factory.mktemp("tiny-model")
    bundle = tiny_bundle()
    bundle.model.save_pretrained(folder)
    bundle.tokenizer.save_pretrained(folder)
    bundle.manifest().write(folder, tokens_per_image=bundle.tokens_per_image)
    return folder


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A small PNG of noise."""
    path = tmp_path / "picture.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)).save(path)
    return path
