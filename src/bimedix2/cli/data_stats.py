"""``bimedix2 data stats``: what record files hold."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.table import Table

    from bimedix2.data.stats import Stats


def stats(
    files: Annotated[list[Path], typer.Argument(help="Records: .jsonl or .parquet; several are counted together.")],
    tokens: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Count supervised tokens with this model's tokenizer.")
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw bars into this file (.png, .svg, .pdf).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Count records by language, modality, task, source and split; also pairs, images and licences.

    عد السجلات حسب اللغة والنوع والمهمة والمصدر والقسم مع الأزواج والصور والتراخيص. يرسمها --plot.
    """
    from itertools import chain

    from bimedix2.data.stats import draw_stats, stats_of, supervised_counter
    from bimedix2.records import read_records

    from ._errors import message_language
    from .data import _setup

    language = message_language() or "en"
    count = supervised_counter(_setup(tokens)) if tokens else None
    found = stats_of(chain.from_iterable(read_records(path, unique_ids=False) for path in files), count)
    if as_json:
        import msgspec

        typer.echo(msgspec.json.format(msgspec.json.encode(found), indent=1).decode())
    else:
        _print(found, language)
    if plot is not None:
        typer.echo(str(draw_stats(found, plot, language)), err=as_json)


def _print(found: Stats, language: str) -> None:
    from rich.console import Console

    from bimedix2.data.stats import WORDS

    from ._terminal import readable

    def word(name: str) -> str:
        return readable(WORDS[name][language == "ar"])

    console = Console(highlight=False)
    console.print(_cells_table(found, word))
    for name in ("records", "turns", "with_images", "images", "pairs", "cross_language", "repeated_ids", "tokens"):
        value = getattr(found, name)
        if value is not None:
            console.print(f"{value:12,d}  {word(name)}", soft_wrap=True)
    for licence, count in found.licences.items():
        console.print(f"{count:12,d}  {word('licence')}: {licence}", markup=False, soft_wrap=True)


def _cells_table(found: Stats, word: Callable[[str], str]) -> Table:
    from rich.table import Table

    table = Table(box=None)
    names = ("language", "modality", "task", "source", "split")
    for name in names:
        table.add_column(word(name))
    numbers = ("records",) if found.tokens is None else ("records", "tokens")
    for name in numbers:
        table.add_column(word(name), justify="right")
    for cell in found.cells:
        table.add_row(*(getattr(cell, name) for name in names), *(f"{getattr(cell, name):,}" for name in numbers))
    return table
