"""``bimedix2 train status``: how far a training run is, here or on another machine."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import RenderableType

    from bimedix2.train.watch.labels import Labels
    from bimedix2.train.watch.status import RunStatus

_EVERY = 5.0  # seconds between two looks of --watch


def status(
    run: Annotated[Path, typer.Argument(help="Folder of the run, the --out of train.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object; with --watch one a line.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Look again every few seconds until the run ends.")] = False,
    plots: Annotated[
        bool, typer.Option("--plots", help="Draw loss, cells, mix and speed into the run's folder and exit.")
    ] = False,
) -> None:
    """Show how far a training run is: step, time left, loss by cell, speed, checkpoints.

    Reads the run's files alone, so it works while the run goes on, in another process or on another machine.

    عرض حال التدريب: الخطوة والوقت المتبقي والخسارة بالخلية والسرعة ونقاط الحفظ، من ملفات المجلد وحدها.
    """
    from bimedix2.train.watch.status import check_run, run_status

    if plots:
        from bimedix2.train.watch.plots import draw_plots

        check_run(run)
        for path in draw_plots(run):
            typer.echo(path)
        return
    found = run_status(run)
    if not watch:
        _print(found, as_json)
    elif as_json:
        _follow_json(run, found)
    else:
        _follow(run, found)


def _print(found: RunStatus, as_json: bool) -> None:
    if as_json:
        typer.echo(found.as_json())
        return
    import sys

    from rich.console import Console

    from bimedix2.train.watch.labels import Labels, view_language

    labels = Labels(view_language(), sys.stdout)
    Console(highlight=False).print(_picture(found, labels))


def _picture(found: RunStatus, labels: Labels) -> RenderableType:
    from rich.console import Group

    from bimedix2.train.watch.status_text import facts
    from bimedix2.train.watch.tables import cells_table, facts_table

    parts: list[RenderableType] = [facts_table(facts(found, labels.language), labels)]
    if found.cells:
        parts += ["", cells_table(found.cells, found.languages, labels)]
    return Group(*parts)


def _follow(run: Path, found: RunStatus) -> None:
    """Redraw in a terminal; elsewhere print the state again whenever a step was made."""
    import sys

    from rich.console import Console
    from rich.live import Live

    from bimedix2.train.watch.labels import Labels, view_language
    from bimedix2.train.watch.status import run_status

    labels = Labels(view_language(), sys.stdout)
    console = Console(highlight=False)
    if not console.is_terminal:
        place = (found.stage_index, found.step)
        console.print(_picture(found, labels))
        while found.goes_on:
            time.sleep(_EVERY)
            found = run_status(run)
            if (found.stage_index, found.step) != place or not found.goes_on:
                place = (found.stage_index, found.step)
                console.print("", _picture(found, labels), sep="\n")
        return
    with Live(_picture(found, labels), console=console, auto_refresh=False) as live:
        while found.goes_on:
            time.sleep(_EVERY)
            found = run_status(run)
            live.update(_picture(found, labels), refresh=True)


def _follow_json(run: Path, found: RunStatus) -> None:
    import json

    from bimedix2.train.watch.status import run_status

    typer.echo(json.dumps(json.loads(found.as_json()), ensure_ascii=False))
    while found.goes_on:
        time.sleep(_EVERY)
        found = run_status(run)
        typer.echo(json.dumps(json.loads(found.as_json()), ensure_ascii=False))
