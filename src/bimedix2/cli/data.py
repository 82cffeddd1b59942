"""``bimedix2 data``: look at a sample, fetch, convert between formats."""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from . import _options as o

if TYPE_CHECKING:
    from bimedix2.data.show import ChatSetup
    from bimedix2.errors import RecordError
    from bimedix2.records import Modality, Task


class Format(StrEnum):
    """Format of a JSON-lines file."""

    records = "records"
    llava = "llava"


def show(
    records: Annotated[Path, typer.Option(help="Records: .jsonl or .parquet.")],
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


def fetch(
    tasks: Annotated[list[str], typer.Argument(help="Tasks of `bimedix2 evaluate`, PREFIX* or all.")],
    data: Annotated[Path, typer.Option(help="Folder that holds the data sets, one folder each.")] = Path("data"),
    revision: Annotated[
        str | None, typer.Option(help="Branch, tag or commit of the data set; for one data set alone.")
    ] = None,
    include: Annotated[
        list[str] | None, typer.Option(help="Only files that fit, such as 'data/test-*'; may be repeated.")
    ] = None,
) -> None:
    """Fetch the data sets of evaluation tasks from the Hugging Face Hub; the commit is kept in hub.json.

    تنزيل مجموعات بيانات مهام التقييم من منصة Hugging Face مع حفظ رقم الإصدار في hub.json.
    """
    from bimedix2.errors import BiMediX2Error, ConfigError
    from bimedix2.evaluate.download import fetch as fetch_source
    from bimedix2.evaluate.download import sources
    from bimedix2.evaluate.registry import find_tasks

    from ._errors import report
    from ._terminal import tell

    chosen = find_tasks(tasks)
    for task in chosen:
        if not task.hub:
            tell(
                f"{task.name} is not on the Hub ({task.licence}); `bimedix2 evaluate {task.name}` says where to get it",
                f"{task.name} غير موجودة على المنصة ({task.licence})؛ يبين bimedix2 evaluate {task.name} مصدرها",
            )
    found = sources(chosen)
    if not found or (revision and len(found) > 1):
        raise ConfigError(
            "None of these tasks is on the Hub." if not found else "--revision goes with one data set; name one task.",
            "لا توجد أي من هذه المهام على المنصة." if not found else "الخيار --revision لمجموعة واحدة؛ سم مهمة واحدة.",
        )
    failed: list[BiMediX2Error] = []
    for source in found:
        try:
            held = fetch_source(source, data, revision=revision, include=include or (), tell=tell)
        except BiMediX2Error as error:
            failed.append(error)
            report(error)
        else:
            typer.echo(f"{data / source.folder}  {source.hub} @ {held.commit}  {len(held.files)} files")
    if failed:
        raise typer.Exit(failed[0].exit_status)


def convert(
    source: Annotated[Path, typer.Argument(help="Records (.jsonl, .parquet) or LLaVA (.json, .jsonl).")],
    target: Annotated[Path, typer.Argument(help=".parquet, or .jsonl; see --to.")],
    to: Annotated[Format, typer.Option(help="Format of a .jsonl target.")] = Format.records,
    source_name: Annotated[str, typer.Option(help="LLaVA input: name of the data set.")] = "llava",
    licence: Annotated[str, typer.Option(help="LLaVA input: its licence (SPDX name).")] = "unknown",
    task: Annotated[str, typer.Option(help="LLaVA input: task of every row.")] = "vqa",
    modality: Annotated[str, typer.Option(help="LLaVA input: modality of every row.")] = "other",
    keep_going: Annotated[bool, typer.Option("--keep-going", help="Report bad rows and leave them out.")] = False,
) -> None:
    """Convert records between JSON lines, Parquet and LLaVA's format.

    تحويل السجلات بين JSON lines وParquet وصيغة LLaVA.
    """
    from typing import get_args

    from bimedix2.records import (
        LlavaDefaults,
        looks_like_llava,
        read_llava,
        read_records,
        schema,
        write_jsonl,
        write_llava,
        write_parquet,
    )

    from ._terminal import tell

    for name, value, known in (
        ("--task", task, get_args(schema.Task)),
        ("--modality", modality, get_args(schema.Modality)),
    ):
        _require_known(name, value, known)
    refused: list[str] = []

    def note(error: RecordError) -> None:
        refused.append(error.message)
        tell(error.message, error.message_ar)

    on_error = note if keep_going else None
    if source.suffix != ".parquet" and source.is_file() and looks_like_llava(source):
        defaults = LlavaDefaults(source_name, licence, cast("Task", task), cast("Modality", modality))
        records = read_llava(source, defaults, on_error=on_error)
    else:
        records = read_records(source, on_error=on_error)
    write = write_parquet if target.suffix == ".parquet" else write_llava if to is Format.llava else write_jsonl
    typer.echo(f"{write(target, records)} records -> {target}")
    if refused:
        tell(f"{len(refused)} rows left out", f"عدد الصفوف المتروكة: {len(refused)}")


def _require_known(option: str, value: str, known: tuple[str, ...]) -> None:
    from bimedix2.errors import ConfigError

    if value not in known:
        raise ConfigError(
            f"{option} {value!r} is none of {', '.join(known)}.",
            f"القيمة {value!r} للخيار {option} ليست من: {'، '.join(known)}.",
        )
