"""``bimedix2 data check``: translations against their sources."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from ._runner import RunnerKind, RunnerOption, WorkersOption

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from bimedix2.data.check import CheckResult
    from bimedix2.data.check.batches import CheckOptions
    from bimedix2.data.check.rows import BadRow
    from bimedix2.data.check.show import Summary
    from bimedix2.data.runner import Runner
    from bimedix2.records.schema import Language


def check(
    pairs: Annotated[
        Path | None, typer.Option(help="JSON lines with id, source and translation; - reads standard input.")
    ] = None,
    records: Annotated[
        Path | None, typer.Option(help="Records (.jsonl, .parquet): translations whose originals are in the same file.")
    ] = None,
    glossary: Annotated[
        Path | None, typer.Option(help="Terms: CSV, TSV or JSON lines with english, arabic and kind.")
    ] = None,
    direction: Annotated[str, typer.Option(help="en-ar, ar-en, or auto: by the letters of every row.")] = "auto",
    positions: Annotated[bool, typer.Option(help="Also compare upper/lower, anterior/posterior and the like.")] = False,
    scorer: Annotated[
        list[str] | None, typer.Option(help="A further scorer, package.module:name; may be repeated.")
    ] = None,
    least: Annotated[
        list[str] | None, typer.Option("--min", help="NAME=FIGURE: fail pairs that a scorer puts below it.")
    ] = None,
    encoder: Annotated[bool, typer.Option(help="Use the sentence encoder of the check extra.")] = True,
    quarantine: Annotated[Path | None, typer.Option(help="Also write bad rows there, with their reasons.")] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print a JSON line for every row.")] = False,
    show_all: Annotated[bool, typer.Option("--all", help="In the report, show the rows that passed, too.")] = False,
    runner: RunnerOption = RunnerKind.local,
    workers: WorkersOption = 0,
) -> None:
    """Check translations between English and Arabic: numbers, units, negation, sides, drugs, options and more.

    A row that cannot be read gets a line with its reason and stops nothing. The status is 0 when the run is complete,
    whatever it found.

    فحص الترجمات بين الإنجليزية والعربية: الأعداد والوحدات والنفي والجهات والأدوية والخيارات وغيرها. الصف الذي لا يُقرأ
    يُذكر سببه ولا يوقف البقية.
    """
    from bimedix2.data.check.show import Summary
    from bimedix2.data.runner import open_runner
    from bimedix2.errors import ConfigError

    if (pairs is None) == (records is None):
        raise ConfigError("Give either --pairs or --records.", "أعط أحد الخيارين --pairs أو --records.")
    options = _options(glossary, direction, positions, encoder, scorer or [], least or [])
    out = _Output(json_output, show_all, quarantine, Summary())
    # A row that comes through a pipe is answered at once, not when enough of them have come for all cores.
    with open_runner(runner.value, 1 if str(pairs) == "-" and runner.value == "local" else workers) as found:
        if pairs is not None:
            _check_pairs(pairs, options, out, found)
        elif records is not None:
            _check_records(records, options, out, found)
    out.end()


def _options(
    glossary: Path | None, direction: str, positions: bool, encoder: bool, scorers: list[str], least: list[str]
) -> CheckOptions:
    """What the checks need, on this machine or in another process."""
    from bimedix2.data.check import has_use
    from bimedix2.data.check.batches import CheckOptions
    from bimedix2.errors import ConfigError

    if direction not in ("auto", "en-ar", "ar-en"):
        raise ConfigError(
            f"--direction {direction!r} is none of auto, en-ar, ar-en.",
            f"القيمة {direction!r} للخيار --direction ليست auto ولا en-ar ولا ar-en.",
        )
    if encoder and not has_use():
        from ._terminal import tell

        tell(
            "No sentence encoder: 'mismatch' and 'cut' go by words and length. pip install 'bimedix2[check]' adds it.",
            "لا يوجد مرمز جمل، فيعتمد mismatch وcut على الكلمات والطول. يضيفه pip install 'bimedix2[check]'.",
        )
        encoder = False
    language: Language | None = None if direction == "auto" else "ar" if direction == "ar-en" else "en"
    options = CheckOptions(glossary, language, positions, encoder, tuple(scorers), _limits(least))
    if glossary or scorers:  # what cannot be read is told now, not with the first row
        replace(options, encoder=False).loaded()
    return options


def _limits(least: list[str]) -> dict[str, float]:
    from bimedix2.errors import ConfigError

    limits = {}
    for text in least:
        name, _, figure = text.partition("=")
        try:
            limits[name] = float(figure)
        except ValueError as error:
            raise ConfigError(
                f"--min {text!r} is not NAME=FIGURE, such as labse=0.8.",
                f"القيمة {text!r} للخيار --min ليست بصيغة NAME=FIGURE مثل labse=0.8.",
            ) from error
    return limits


class _Output:
    """Lines on standard output, bad rows also in a file, a summary at the end."""

    def __init__(self, as_json: bool, show_all: bool, quarantine: Path | None, summary: Summary) -> None:
        from ._errors import message_language

        self._json, self._all, self._summary = as_json, show_all, summary
        self._language = message_language() or "en"
        self._quarantine = quarantine.open("wb") if quarantine else None
        self._tty = sys.stdout.isatty()
        self._color = self._tty and "NO_COLOR" not in os.environ

    def result(self, result: CheckResult, texts: list[tuple[str, str]]) -> None:
        import msgspec

        from bimedix2.data.check.show import pair_report

        self._summary.add(result)
        if self._json:
            typer.echo(msgspec.json.encode(result).decode())
        elif result.failed or self._all:
            typer.echo(pair_report(result, texts, self._language, color=self._color, is_tty=self._tty))

    def bad(self, row: BadRow) -> None:
        import json

        from ._terminal import tell

        self._summary.bad += 1
        about = {"row": row.number, "error": row.english, "error_ar": row.arabic}
        if self._json:
            line = {"id": row.id, "failed": ["malformed"], "scores": {}, "findings": [], **about}
            typer.echo(json.dumps(line, ensure_ascii=False))
        else:
            tell(f"row {row.number}: {row.english}", f"الصف {row.number}: {row.arabic}")
        if self._quarantine:
            kept = {**about, "line": row.line.decode("utf-8", "backslashreplace")}
            self._quarantine.write(json.dumps(kept, ensure_ascii=False).encode("utf-8", "replace") + b"\n")
            self._quarantine.flush()

    def end(self) -> None:
        from ._terminal import say

        if self._quarantine:
            self._quarantine.close()
        say(self._summary.text(self._language)) if self._json else typer.echo(self._summary.text(self._language))


def _lines(path: Path) -> AbstractContextManager[BinaryIO]:
    """The file, or standard input for ``-``."""
    from bimedix2.errors import ConfigError

    if str(path) == "-":
        return nullcontext(sys.stdin.buffer)
    try:
        return path.open("rb")
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read ({error.strerror}). Give a file of JSON lines.",
            f"تعذرت قراءة {path}. أعط ملف JSON lines.",
        ) from error


def _check_pairs(path: Path, options: CheckOptions, out: _Output, runner: Runner) -> None:
    from bimedix2.data.check.batches import pair_checker
    from bimedix2.data.check.rows import read_pairs

    with _lines(path) as lines:
        _check(read_pairs(lines), partial(pair_checker, options), out, runner)


def _check_records(path: Path, options: CheckOptions, out: _Output, runner: Runner) -> None:
    from bimedix2.data.check.batches import record_checker
    from bimedix2.data.check.originals import with_originals

    _check(with_originals(path), partial(record_checker, options), out, runner)


def _check(rows: Iterable[Any], checker: Any, out: _Output, runner: Runner) -> None:
    """Check rows and tell of all in their order."""
    from bimedix2.data.check.batches import BATCH, texts_of
    from bimedix2.data.runner import batched, with_batches

    for batch, results in with_batches(runner, checker, batched(rows, BATCH)):
        for row, result in zip(batch, results, strict=True):
            if result is None:
                out.bad(row)
            else:
                out.result(result, texts_of(row))
