"""``bimedix2 data``: look at a sample, build nano's training set, convert between formats."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import _options as o

if TYPE_CHECKING:
    from bimedix2.data.show import ChatSetup


def show(
    records: Annotated[Path, typer.Option(help="Records: .jsonl, .parquet or LLaVA .json.")],
    sample: Annotated[str, typer.Option(help="Id of a record, or its position from 0.")] = "0",
    model: o.Model = "nano",
    color: Annotated[
        bool | None, typer.Option("--color/--no-color", help="Colour spans; the default is on in a terminal.")
    ] = None,
    lang: Annotated[o.MessageLang, typer.Option(help="Language of the labels.")] = o.MessageLang.en,
) -> None:
    """Print a sample as the model sees it, with the supervised spans marked.

    عرض عينة كما يراها النموذج مع تمييز ما يتعلم كتابته.
    """
    from bimedix2.data.show import show_command
    from bimedix2.records import read_records

    wanted = sys.stdout.isatty() and "NO_COLOR" not in os.environ if color is None else color
    rows = read_records(records)
    typer.echo(show_command(rows, sample, _setup(model), color=wanted, language=lang.value))


def _setup(model: str) -> ChatSetup:
    """The text side of a model; its weights are not loaded where its folder is at hand."""
    from bimedix2.data.show import read_text_setup
    from bimedix2.model.nano import nano_folder

    if model in ("nano", "nano-base"):
        return read_text_setup(nano_folder())
    if (Path(model) / "bimedix2.json").is_file():
        return read_text_setup(Path(model))
    from bimedix2.model import load_bundle

    return load_bundle(model, device="cpu")


def build_nano(
    data: Annotated[Path, typer.Option(help="Folder of the public data sets.")],
    out: Annotated[Path, typer.Option(help="Folder for records.jsonl and images made on the way.")],
) -> None:
    """Write the bilingual set that nano is trained on.

    بناء مجموعة البيانات الثنائية اللغة التي يدرب عليها nano.
    """
    from bimedix2.data.nano_mix import build_nano_mix

    counts = build_nano_mix(data, out)
    for name, count in counts.items():
        typer.echo(f"{count:8d}  {name}")
    typer.echo(f"{sum(counts.values()):8d}  {out / 'records.jsonl'}")


def convert(
    source: Annotated[Path, typer.Argument(help=".jsonl, .parquet, or LLaVA .json / .jsonl")],
    target: Annotated[Path, typer.Argument(help=".jsonl or .parquet; the ending chooses the format.")],
) -> None:
    """Convert records between JSON lines, Parquet and LLaVA's format.

    تحويل السجلات بين JSON lines وParquet وصيغة LLaVA.
    """
    from bimedix2.records import read_records, write_records

    count = write_records(target, read_records(source))
    typer.echo(f"{count} records -> {target}" if isinstance(count, int) else str(target))
