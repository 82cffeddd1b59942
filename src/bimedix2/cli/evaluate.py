"""``bimedix2 evaluate``: put the questions of benchmarks to a model and score its replies."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from . import _options as o


class Languages(StrEnum):
    """Languages to ask in."""

    en = "en"
    ar = "ar"
    both = "both"


class Request(StrEnum):
    """How multiple-choice tasks are asked."""

    auto = "auto"
    generate = "generate"
    options = "options"


LANGUAGES: dict[Languages, tuple[Literal["en", "ar"], ...]] = {
    Languages.en: ("en",),
    Languages.ar: ("ar",),
    Languages.both: ("en", "ar"),
}
DataRoot = Annotated[Path, typer.Option(help="Folder that holds the data sets, one folder each.")]


def evaluate(
    tasks: Annotated[
        list[str] | None,
        typer.Argument(help="Task names, NAME:SPLIT for one split, PREFIX* or all; none lists the tasks."),
    ] = None,
    data: DataRoot = Path("data"),
    model: o.Model = "nano",
    adapter: o.Adapter = None,
    lang: Annotated[Languages, typer.Option(help="Languages to ask in.")] = Languages.both,
    split: Annotated[str, typer.Option(help="Split of every task; its default if not given.")] = "",
    limit: Annotated[int | None, typer.Option(help="Only N items a task, the same in both languages.", min=1)] = None,
    seed: Annotated[int, typer.Option(help="Seed of --limit and of the intervals.")] = 0,
    batch: Annotated[int, typer.Option(help="Samples per batch.", min=1)] = 16,
    controls: Annotated[
        bool, typer.Option(help="Also ask without image and with shuffled images, and answer without a model.")
    ] = True,
    request: Annotated[
        Request, typer.Option(help="Multiple choice: score the options, or generate a reply.")
    ] = Request.auto,
    mode: Annotated[list[str] | None, typer.Option(help="Scoring mode; may be repeated.")] = None,
    out: Annotated[Path, typer.Option(help="Folder of the run; replies in it are not asked again.")] = Path(
        "runs/evaluate"
    ),
    json_output: Annotated[bool, typer.Option("--json", help="Print results.json instead of tables.")] = False,
) -> None:
    """Ask a model the questions of benchmarks in English and Arabic; every reply is kept and can be looked at.

    طرح أسئلة مجموعات التقييم على نموذج بالإنجليزية والعربية مع حفظ كل الإجابات.
    """
    if not tasks:
        _list_tasks()
        return
    from bimedix2.evaluate.controls import CONDITIONS, MODEL
    from bimedix2.evaluate.engines.local import LocalEngine
    from bimedix2.evaluate.registry import find_tasks
    from bimedix2.evaluate.report.page import write_report
    from bimedix2.evaluate.runner import Notes, RunOptions, ask_all, plan
    from bimedix2.evaluate.scoring import results_of

    from ._terminal import say
    from .ask import load_assistant

    names = [name.partition(":")[0] for name in tasks]
    chosen = find_tasks(names)
    options = RunOptions(
        languages=LANGUAGES[lang],
        split=split,
        splits={name: part for name, _, part in (item.partition(":") for item in tasks) if part},
        limit=limit,
        seed=seed,
        batch=batch,
        conditions=CONDITIONS if controls else (MODEL,),
        request=request.value,
    )
    answering = LocalEngine(model, identity(model, adapter), lambda: load_assistant(model, adapter))
    notes = Notes()
    jobs = list(plan(chosen, answering, data, out, options, notes))
    _say_notes(notes, say)
    try:
        complete = ask_all(jobs, answering, data, options, say)
    except KeyboardInterrupt:
        say("stopped; scoring what has been answered")
        complete = False
    results = results_of(jobs, answering.name, options, out, mode or (), notes)
    page, _ = write_report([out], data)
    _print(results, json_output)
    say(f"report: {page}")
    if not complete:
        raise typer.Exit(3)


def _say_notes(notes: Any, say: Any) -> None:
    """What of the data is left out, before the long work starts."""
    from ._errors import message_language

    language_of_messages = message_language() or "en"
    for (task, language), error in notes.skipped.items():
        say(f"skipped: {task} {language}: {error.in_language(language_of_messages)}")
    for (task, language), errors in notes.bad_rows.items():
        first = errors[0].in_language(language_of_messages)
        say(f"{task} {language}: {len(errors)} bad rows left out, the first: {first}")


def _list_tasks() -> None:
    from rich.console import Console
    from rich.table import Table

    from bimedix2.evaluate.registry import all_tasks

    table = Table("task", "title", "family", "languages", "splits", "licence", box=None)
    for task in all_tasks().values():
        title = task.title.get("en", task.name)
        table.add_row(task.name, title, task.family, " ".join(task.languages), " ".join(task.splits), task.licence)
    Console().print(table)


def _print(results: dict[str, Any], as_json: bool) -> None:
    if as_json:
        import json

        typer.echo(json.dumps(results, indent=2, ensure_ascii=False))
        return
    from rich.console import Console

    from ._tables import results_table

    Console().print(results_table(results))


def identity(model: str, adapter: Path | None) -> str:
    """Name of a model with a short digest of what can change under that name.

    Trained parts are small and hashed whole; of a model folder, its files' names, sizes and times are taken.
    """
    import hashlib

    from bimedix2.model.nano import nano_adapter

    digest = hashlib.sha256()
    trained = [adapter, nano_adapter() if model == "nano" else None]
    for file in (file for folder in trained if folder for file in sorted(folder.glob("*.safetensors"))):
        digest.update(file.name.encode() + file.read_bytes())
    if Path(model).is_dir():
        for file in sorted(Path(model).iterdir()):
            state = file.stat()
            digest.update(f"{file.name}|{state.st_size}|{state.st_mtime_ns}".encode())
    return f"{model}{f' + {adapter}' if adapter else ''} #{digest.hexdigest()[:12]}"
