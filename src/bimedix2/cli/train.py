"""``bimedix2 train``: run a recipe, go on where it stopped, or try it out first."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from bimedix2.train.recipe import Recipe


def train(
    recipe: Annotated[Path, typer.Argument(help="Recipe (YAML).")],
    settings: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KEY=VALUE",
            help="Settings that replace the recipe's: lora.r=16 stages.instruct.lr=1e-4 records=[a.jsonl,b.jsonl]",
        ),
    ] = None,
    data: Annotated[Path, typer.Option(help="Folder that image paths start from.")] = Path(),
    out: Annotated[Path, typer.Option(help="Folder of the run; an interrupted run in it is taken up again.")] = Path(
        "runs/latest"
    ),
    print_config: Annotated[bool, typer.Option("--print-config", help="Print the complete settings and exit.")] = False,
    rehearse: Annotated[
        bool,
        typer.Option(
            "--rehearse",
            help="Run the recipe on a toy model and drawn pictures in OUT/rehearsal: all stages, stop and resume, "
            "export, evaluation. Needs no data; under two minutes on two cores.",
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Prepare the records and print the plan, but do not train.")
    ] = False,
) -> None:
    """Train projector and adapter as a recipe says.

    Ctrl-C or SIGTERM writes a checkpoint and ends with status 0; the same command resumes exactly there.
    `bimedix2 train status RUN` shows how far a run is.

    تدريب المسقط والمهايئ حسب الوصفة. يكتب Ctrl-C نقطة حفظ، والأمر نفسه يستأنف منها. يجرب --rehearse الوصفة على نموذج
    مصغر، ويعرض --dry-run الخطة دون تدريب.
    """
    from bimedix2.train.recipe_file import dump_recipe, load_recipe

    loaded = load_recipe(recipe, settings or ())
    if print_config:
        typer.echo(f"# fingerprint {loaded.fingerprint()}")
        typer.echo(dump_recipe(loaded).rstrip())
    elif rehearse:
        _rehearse(loaded, out / "rehearsal")
    elif dry_run:
        _dry_run(loaded, recipe.parent, data, out)
    else:
        _train(loaded, recipe.parent, data, out)


def _dry_run(recipe: Recipe, folder: Path, data: Path, out: Path) -> None:
    from bimedix2.train import run

    from ._terminal import in_one_language, quiet_libraries

    quiet_libraries()
    records, files = run.read_all(recipe, folder, out)
    run.dry_run(recipe, records, lambda: run.load_start(recipe), data, out, in_one_language, files)


def _train(recipe: Recipe, folder: Path, data: Path, out: Path) -> None:
    from bimedix2.train.run import train_recipe
    from bimedix2.train.signals import stop_on_signals

    from ._terminal import in_one_language, quiet_libraries, tell

    quiet_libraries()
    with stop_on_signals() as stop:
        finished = train_recipe(recipe, folder, data, out, in_one_language, stop)
    if finished:
        typer.echo(str(out / "final"))
        return
    tell(
        f"Stopped with a checkpoint in {out}/checkpoints. Run the same command to go on.",
        f"توقف التدريب مع نقطة حفظ في {out}/checkpoints. شغل الأمر نفسه للمتابعة.",
    )


def _rehearse(recipe: Recipe, out: Path) -> None:
    from bimedix2.train.rehearse import MARK, rehearse

    from ._errors import message_language
    from ._terminal import in_one_language, quiet_libraries, readable

    quiet_libraries()
    report = rehearse(recipe, out, in_one_language)
    language = message_language()
    lines = report.lines()
    for wanted, texts in (("en", [english for english, _ in lines]), ("ar", [arabic for _, arabic in lines])):
        if language in (None, wanted):
            typer.echo("\n".join(readable(text) for text in texts))
    typer.echo(str(out / MARK))
    if report.faults():
        raise typer.Exit(1)
