"""``bimedix2 evaluate``: put the questions of benchmarks to a model and score its replies."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from . import _engines as e
from . import _judge as j
from . import _options as o

if TYPE_CHECKING:
    from bimedix2.evaluate.judge.judge import Judge
    from bimedix2.evaluate.runner import RunOptions
    from bimedix2.evaluate.schema import Engine, Task


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
Names = Annotated[
    list[str] | None,
    typer.Argument(help="Task names, NAME:SPLIT for one split, PREFIX* or all; none lists the tasks."),
]
DataRoot = Annotated[Path, typer.Option(help="Folder that holds the data sets, one folder each.")]
Out = Annotated[Path, typer.Option(help="Folder of the run; replies in it are not asked again.")]
Controls = Annotated[
    bool, typer.Option(help="Also ask without image and with shuffled images, and answer without a model.")
]
Requested = Annotated[Request, typer.Option(help="Multiple choice: score the options, or generate a reply.")]


@j.takes_judge
def evaluate(
    tasks: Names = None,
    data: DataRoot = Path("data"),
    model: o.Model = "nano",
    adapter: o.Adapter = None,
    lang: Annotated[Languages, typer.Option(help="Languages to ask in.")] = Languages.both,
    split: Annotated[str, typer.Option(help="Split of every task; its default if not given.")] = "",
    limit: Annotated[int | None, typer.Option(help="Only N items a task, the same in both languages.", min=1)] = None,
    seed: Annotated[int, typer.Option(help="Seed of --limit and of the intervals.")] = 0,
    batch: Annotated[int, typer.Option(help="Samples per batch.", min=1)] = 16,
    controls: Controls = True,
    request: Requested = Request.auto,
    mode: Annotated[list[str] | None, typer.Option(help="Scoring mode; may be repeated.")] = None,
    out: Out = Path("runs/evaluate"),
    json_output: Annotated[bool, typer.Option("--json", help="Print results.json instead of tables.")] = False,
    download: Annotated[bool, typer.Option("--download", help="First fetch missing data sets from the Hub.")] = False,
    endpoint: e.Address = "",
    api_key_env: e.KeyVariable = e.DEFAULT_KEY,
    concurrency: e.Concurrency = 8,
    timeout: e.Timeout = 120,
    price_in: e.PriceIn = None,
    price_out: e.PriceOut = None,
    budget: e.Budget = None,
    body: e.Body = "",
    system_role: e.SystemRole = True,
    task_file: o.TaskFile = None,
    judge: j.JudgeOptions = j.NO_JUDGE,
) -> None:
    """Ask a model the questions of benchmarks in English and Arabic; every reply is kept and can be looked at.

    طرح أسئلة مجموعات التقييم على نموذج بالإنجليزية والعربية مع حفظ كل الإجابات.
    """
    if not tasks:
        _list_tasks()
        return
    from bimedix2.evaluate.controls import CONDITIONS, MODEL
    from bimedix2.evaluate.registry import find_tasks
    from bimedix2.evaluate.runner import RunOptions

    chosen = find_tasks([name.partition(":")[0] for name in tasks], mode or ())
    server = e.Server(endpoint, api_key_env, concurrency, timeout, price_in, price_out, budget, body, system_role)
    engine = e.engine_of(model, adapter, server, out)
    options = RunOptions(
        languages=LANGUAGES[lang],
        split=split,
        splits={name: part for name, _, part in (item.partition(":") for item in tasks) if part},
        limit=limit,
        seed=seed,
        batch=max(batch, concurrency) if endpoint else batch,
        conditions=CONDITIONS if controls else (MODEL,),
        request=request.value,
    )
    if download:
        _fetch_missing(chosen, options, data)
    results, complete = _run(chosen, engine, options, data, out, mode or (), j.judge_of(judge, out / j.USAGE))
    _print(results, json_output)
    if not complete:
        raise typer.Exit(3)


def _fetch_missing(tasks: Sequence[Task], options: RunOptions, data: Path) -> None:
    """What cannot be fetched is told here and skipped by the run."""
    from bimedix2.evaluate.download import fetch_missing
    from bimedix2.evaluate.runner import split_of

    from ._terminal import tell

    def needed(task: Task) -> list[str]:
        return [part for part in (split_of(task, options), task.train_split) if part]

    fetch_missing(tasks, data, needed, tell)


def _run(
    tasks: Sequence[Task],
    engine: Engine,
    options: RunOptions,
    data: Path,
    out: Path,
    modes: Sequence[str],
    judge: Judge | None,
) -> tuple[dict[str, Any], bool]:
    """Ask, score and write the report: ``results.json``, and whether every question was asked."""
    from bimedix2.evaluate.report.page import write_report
    from bimedix2.evaluate.runner import Notes, ask_all, plan
    from bimedix2.evaluate.scoring import results_of

    from ._errors import report
    from ._terminal import say, tell

    notes = Notes()
    jobs = list(plan(tasks, engine, data, out, options, notes))
    _say_notes(notes, say)
    try:
        complete = ask_all(jobs, engine, data, options, say, notes)
    except KeyboardInterrupt:
        say("stopped; scoring what has been answered")
        complete = False
    complete = j.judge_run(jobs, judge, out, modes, notes, ask=complete) and complete
    if notes.stopped is not None:
        report(notes.stopped)
    used = e.usage_of(engine)
    results = results_of(jobs, engine.name, options, out, modes, notes, e.as_json(used))
    page, _ = write_report([out], data)
    say(f"report: {page}")
    j.tell_run(results)
    if used is not None:
        tell(*e.usage_line(used))
    return results, complete


def _say_notes(notes: Any, say: Any) -> None:
    """What of the data is left out, before the long work starts."""
    from ._errors import message_language

    language_of_messages = message_language() or "en"
    for (task, language), error in notes.skipped.items():
        say(f"skipped: {task} {language}: {error.in_language(language_of_messages)}")
    for (task, language), errors in notes.bad_rows.items():
        first = errors[0].in_language(language_of_messages)
        say(f"{task} {language}: {len(errors)} bad rows left out, the first: {first}")
    for (task, language), error in notes.untrained.items():
        say(f"{task} {language}: controls without training questions: {error.in_language(language_of_messages)}")


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
