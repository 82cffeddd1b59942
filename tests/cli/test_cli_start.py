"""Start-up stays light, and every failure ends with a message and a code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

from bimedix2.cli._checks import _INCLUDES, PACKAGES
from bimedix2.cli._errors import message_language
from bimedix2.cli._options import window_option
from bimedix2.errors import ConfigError

REPOSITORY = Path(__file__).resolve().parents[2]
HEAVY = ("torch", "transformers", "pydicom", "pyarrow", "numpy", "PIL", "rich", "sklearn", "matplotlib")
COMMANDS = (
    [], ["ask"], ["chat"], ["pull"], ["convert"], ["compose"], ["merge"], ["export"], ["train"],
    ["train", "status"], ["doctor"], ["data"],
    ["data", "show"], ["data", "build"], ["data", "card"], ["data", "convert"], ["data", "fetch"],
    ["data", "ingest"], ["data", "sources"], ["data", "stats"],
    ["data", "rewrite"], ["data", "translate"], ["data", "check"],
    ["data", "mix"], ["data", "shard"], ["data", "unshard"],
    ["data", "review"], ["data", "review", "start"], ["data", "review", "serve"], ["data", "review", "report"],
    ["data", "review", "export"], ["data", "review", "import"], ["evaluate"], ["score"],
    ["compare"], ["report"], ["overlap"], ["harness"], ["serve"],
    ["keys"], ["keys", "create"], ["keys", "list"], ["keys", "revoke"],
    ["audit"], ["audit", "verify"], ["audit", "tail"],
)  # fmt: skip


def test_no_help_page_imports_a_heavy_library() -> None:
    code = f"""
import sys
from typer.testing import CliRunner
from bimedix2.cli.app import app
for command in {COMMANDS!r}:
    result = CliRunner().invoke(app, [*command, "--help"])
    assert result.exit_code == 0, (command, result.output)
    assert "Usage:" in result.output
print([name for name in {HEAVY!r} if name in sys.modules])
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_version(run) -> None:
    import bimedix2

    result = run("--version")
    assert (result.returncode, result.stdout.strip()) == (0, f"bimedix2 {bimedix2.__version__}")


def test_wrong_option_and_unknown_command_exit_with_2(run) -> None:
    assert run("ask", "--no-such-option").returncode == 2
    assert run("no-such-command").returncode == 2


def test_an_error_is_told_in_both_languages_without_traceback(run) -> None:
    result = run("pull", "giant")
    assert result.returncode == 2
    english, arabic = result.stderr.strip().splitlines()
    assert english.startswith("error [bad_config]: 'giant' cannot be pulled")
    assert arabic.startswith("خطأ [bad_config]: لا يمكن جلب 'giant'")
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("setting", "start"),
    [
        ({"BIMEDIX2_LANG": "ar"}, "خطأ"),
        ({"LC_ALL": "ar_EG.UTF-8"}, "خطأ"),
        ({"BIMEDIX2_LANG": "en", "LC_ALL": "ar_EG.UTF-8"}, "error"),
    ],
)
def test_language_of_messages(run, setting: dict[str, str], start: str) -> None:
    (line,) = run("pull", "giant", **setting).stderr.strip().splitlines()
    assert line.startswith(start)


def test_the_answer_language_is_the_message_language(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BIMEDIX2_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for arguments, expected in (
        (["ask", "x", "--lang", "ar"], "ar"),
        (["ask", "x", "--lang=en"], "en"),
        (["ask", "--lang", "auto"], None),
        (["ask", "what does --lang ar do?"], None),
        (["ask", "x"], None),
    ):
        monkeypatch.setattr(sys, "argv", ["bimedix2", *arguments])
        assert message_language() == expected


def test_debug_shows_the_traceback(run) -> None:
    assert "Traceback" not in run("pull", "giant").stderr
    assert "Traceback" in run("pull", "giant", BIMEDIX2_DEBUG="1").stderr


def test_an_empty_question_and_a_bad_report_are_refused(run, tmp_path: Path) -> None:
    assert "[empty_question]" in run("ask").stderr
    report = tmp_path / "report.txt"
    report.write_bytes(b"\xff\xfe\x00binary")
    for path in (report, tmp_path, tmp_path / "missing.txt"):
        result = run("ask", "Summarise.", "--file", str(path))
        assert result.returncode == 1
        assert "[bad_text_file]" in result.stderr


def test_settings_out_of_range_are_refused_before_anything_is_loaded(run) -> None:
    for option in (["--temperature", "3"], ["--top-p", "0"], ["--max-tokens", "0"], ["--stop", ""]):
        result = run("ask", "What?", *option)
        assert result.returncode == 2, option
        assert "[bad_config]" in result.stderr


def test_a_missing_package_names_the_extra_to_install(tmp_path: Path) -> None:
    code = """
import sys
sys.modules["torch"] = None  # makes `import torch` fail as if it were not installed
from bimedix2.cli._errors import as_known
try:
    import torch
except ImportError as error:
    print(as_known(error).message)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'bimedix2[ask]'" in result.stdout


def test_ctrl_c_exits_with_130(tmp_path: Path) -> None:
    code = "import sys, time\nfrom bimedix2.cli import app, ask\n" \
           "ask.decode = lambda *a: (print('here', flush=True), time.sleep(30))\n" \
           "app.app()"  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-c", code, "ask", "What?", "--image", "x.png"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background job ignores it
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "here\n"
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in errors


def test_a_reader_that_leaves_early_is_no_error() -> None:
    code = "from bimedix2.cli import main; main()"
    reading, writing = os.pipe()
    os.close(reading)
    result = subprocess.run(
        [sys.executable, "-c", code, "doctor", "--json"],
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writing)
    assert (result.returncode, result.stderr) == (0, "")


def test_window_option() -> None:
    assert window_option(None) is None
    assert window_option("40, 400") == (40.0, 400.0)
    for bad in ("40", "a,b", "40,0", "40,-1", "1,2,3"):
        with pytest.raises(ConfigError):
            window_option(bad)


def test_doctor_json(run, tmp_path: Path) -> None:
    result = run("doctor", "--json")
    report = json.loads(result.stdout)
    assert result.returncode == (0 if report["jobs"]["ask"]["ready"] else 1)
    assert report["cache"]["folder"] == str(tmp_path / "cache")
    assert report["nano"]["cached"] is False
    assert report["hub"]["checked"] is False
    assert report["packages"]["typer"]["version"]
    assert report["cpu"]["cores"] >= 1


def test_doctor_names_damage_of_an_assembled_nano(run, tmp_path: Path) -> None:
    from bimedix2.model.nano.assemble import FORMAT

    folder = tmp_path / "cache" / f"nano-v{FORMAT}"
    folder.mkdir(parents=True)
    for name in ("bimedix2.json", "config.json", "tokenizer.json"):
        (folder / name).write_text("{}")
    (folder / "model.safetensors").write_bytes(b"\x00" * 20)
    result = run("doctor", BIMEDIX2_LANG="en")
    assert "damaged" in result.stdout
    assert "bimedix2 pull nano --force" in result.stdout


def test_doctor_in_arabic(run) -> None:
    assert "ما يستطيعه هذا الجهاز" in run("doctor", "--lang", "ar").stdout


def test_doctor_knows_the_extras_of_pyproject() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]

    def split(rows: list[str]) -> tuple[set[str], set[str]]:
        included = {name for row in rows if row.startswith("bimedix2[") for name in row[9:-1].split(",")}
        return {_name(row) for row in rows if not row.startswith("bimedix2[")}, included

    assert {name for name, extra in PACKAGES.items() if not extra} == {_name(row) for row in project["dependencies"]}
    for extra in set(PACKAGES.values()) - {""}:
        assert {name for name, own in PACKAGES.items() if own == extra} == split(extras[extra])[0], extra
    for job, included in _INCLUDES.items():
        reached, waiting = set(), [job]
        while waiting:
            extra = waiting.pop()
            reached.add(extra)
            waiting += split(extras[extra])[1] - reached
        assert set(included) | {job} == reached, job


def _name(requirement: str) -> str:
    import re

    return re.split(r"[<>=\[;,]", requirement)[0].strip()
