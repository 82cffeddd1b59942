"""What the documents tell a user to type exists."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from bimedix2.cli.app import app
from bimedix2.notice import NOTICE_AR, NOTICE_EN

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = [
    REPOSITORY / "README.md",
    REPOSITORY / "CONTRIBUTING.md",
    *sorted((REPOSITORY / "docs").glob("*.md")),
]
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)


def blocks(page: Path, language: str) -> list[str]:
    return [text for kind, text in BLOCK.findall(page.read_text(encoding="utf-8")) if kind == language]


def command_lines(page: Path) -> list[list[str]]:
    lines = [line for block in blocks(page, "bash") for line in block.replace("\\\n", " ").splitlines()]
    words = [shlex.split(line, comments=True) for line in lines]
    return [row[next(i for i, w in enumerate(row) if "=" not in w or w.startswith("-")) :] for row in words if row]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_options_exist(page: Path) -> None:
    root: Any = typer.main.get_command(app)
    for words in command_lines(page):
        if words[0] != "bimedix2":
            continue
        command, rest = root, words[1:]
        while hasattr(command, "commands"):
            if (two := " ".join(rest[:2])) in command.commands:
                command, rest = command.commands[two], rest[2:]
                continue
            assert rest[0] in command.commands, words
            command, rest = command.commands[rest[0]], rest[1:]
        if command.context_settings.get("ignore_unknown_options"):
            continue  # hands its options on to another program
        known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
        options = {word.split("=")[0] for word in rest if re.match(r"-{1,2}[a-z]", word)}
        assert options <= known, (words, options - known)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_make_targets_exist(page: Path) -> None:
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    used = {words[1] for words in command_lines(page) if words[0] == "make"}
    assert used <= targets


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_blocks_parse_and_use_public_names(page: Path) -> None:
    import bimedix2
    import bimedix2.records

    for code in blocks(page, "python"):
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "bimedix2":
                assert hasattr(bimedix2, node.attr)
            if isinstance(node, ast.ImportFrom) and node.module == "bimedix2.records":
                assert all(hasattr(bimedix2.records, alias.name) for alias in node.names)


def test_the_notice_stands_in_both_languages() -> None:
    for page in (REPOSITORY / "README.md", REPOSITORY / "MODEL_CARD.md", REPOSITORY / "docs" / "index.md"):
        text = " ".join(page.read_text(encoding="utf-8").replace(">", " ").replace("**", "").split())
        assert NOTICE_EN.split("only. ")[1] in text, page
        assert NOTICE_AR.split("فقط. ")[1] in text, page


def test_local_links_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            if not target.startswith("http"):
                assert (page.parent / target).exists(), (page.name, target)
