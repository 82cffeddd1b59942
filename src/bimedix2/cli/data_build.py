"""``bimedix2 data build``: from public sets to a training mix, as a recipe says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ._runner import RunnerKind, RunnerOption, WorkersOption

if TYPE_CHECKING:
    from bimedix2.data.build.job import Place


def build(
    recipe: Annotated[Path, typer.Argument(help="Data recipe (YAML).")],
    data: Annotated[Path, typer.Option(help="Folder of the public data sets.")],
    out: Annotated[Path, typer.Option(help="Folder of the build; a build that stopped in it is taken up again.")],
    until: Annotated[str, typer.Option(help="Last step to do.")] = "",
    start: Annotated[str, typer.Option("--from", help="Do this step and those after it again, changed or not.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="In the place of the recipe's: dedup.similarity=0.9"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
    runner: RunnerOption = RunnerKind.local,
    workers: WorkersOption = 0,
) -> None:
    """Run the whole line: ingest, rewrite, translate, check, review, phi, dedup, decontaminate, mix, shard, card.

    A recipe takes the steps that it names. Each writes OUT/NN-STEP whole or not at all; the same command goes on where
    it stopped and does again only what a change of settings or files touches.

    تشغيل خط البيانات كله حسب الوصفة. تكتب كل خطوة مجلدها كاملا أو لا تكتبه، والأمر نفسه يستأنف من حيث توقف ولا يعيد إلا
    ما مسه التغيير.
    """
    from bimedix2.data.build.job import Place
    from bimedix2.data.build.line import build as run
    from bimedix2.data.build.line import summary
    from bimedix2.data.build.recipe_file import load_build_recipe
    from bimedix2.data.build.table import summary_lines
    from bimedix2.data.runner import open_runner

    from ._terminal import tell

    loaded = load_build_recipe(recipe, settings or ())
    place = Place(loaded, recipe.parent.absolute(), data.absolute(), out.absolute(), tell)
    if dry_run:
        _plan(place, until, start, as_json)
        return
    with open_runner(runner.value, workers) as found:
        done = summary(run(replace(place, runner=found), until, start))
    if as_json:
        import json

        typer.echo(json.dumps(done, ensure_ascii=False, indent=1))
        return
    _show(lambda language: summary_lines(done, out, language))


def _plan(place: Place, until: str, start: str, as_json: bool) -> None:
    from bimedix2.data.build.line import plan
    from bimedix2.data.build.table import plan_lines

    steps = list(plan(place, until, start))
    if as_json:
        import json

        typer.echo(json.dumps([{"step": step.name, "why": why} for step, why in steps], indent=1))
        return
    _show(lambda language: plan_lines(steps, language))


def _show(lines: object) -> None:
    from ._errors import message_language
    from ._terminal import readable

    assert callable(lines)
    language = message_language()
    for name in ("en", "ar") if language is None else (language,):
        typer.echo("\n".join(readable(line) for line in lines(name)))
