"""``bimedix2 harness``: our tasks, model and runs in other evaluation harnesses; ``score --format`` reads theirs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from .evaluate import LANGUAGES, DataRoot, Languages


def lm_eval_tasks(
    tasks: Annotated[list[str], typer.Argument(help="Multiple-choice tasks, NAME:SPLIT for one split, or PREFIX*.")],
    out: Annotated[Path, typer.Option(help="Folder for lm-eval's --include_path.")],
    data: DataRoot = Path("data"),
    lang: Annotated[Languages, typer.Option(help="Languages of the tasks.")] = Languages.both,
    split: Annotated[str, typer.Option(help="Split of every task; its default if not given.")] = "",
) -> None:
    """Write multiple-choice tasks for lm-evaluation-harness: the same items, prompts and labels.

    كتابة مهام الاختيار من متعدد لأداة lm-evaluation-harness بالعناصر والأسئلة والحروف نفسها.
    """
    from bimedix2.evaluate.adapters.lm_eval_tasks import export_tasks
    from bimedix2.evaluate.registry import find_tasks
    from bimedix2.evaluate.runner import RunOptions

    from ._terminal import tell

    options = RunOptions(
        languages=LANGUAGES[lang],
        split=split,
        splits={name: part for name, _, part in (item.partition(":") for item in tasks) if part},
    )
    done = export_tasks(find_tasks([name.partition(":")[0] for name in tasks]), data, out, options)
    for (task, language), error in done.notes.skipped.items():
        tell(f"skipped: {task} {language}: {error.message}", f"تُركت: {task} {language}: {error.message_ar}")
    for (task, language), errors in done.notes.bad_rows.items():
        tell(
            f"{task} {language}: {len(errors)} bad rows left out, the first: {errors[0].message}",
            f"{task} {language}: تُرك {len(errors)} من الصفوف، أولها: {errors[0].message_ar}",
        )
    for name, count in done.counts.items():
        typer.echo(f"{name}\t{count}")


def lm_eval_run(context: typer.Context) -> None:
    """Run lm-evaluation-harness with our model; takes the options of lm-eval run, such as --tasks.

    تشغيل lm-evaluation-harness بنموذجنا؛ يقبل خيارات الأمر lm-eval run مثل --tasks.
    """
    from bimedix2.evaluate.adapters import lm_eval_model

    given = context.args
    model = [] if "--model" in given or "-M" in given else ["--model", "bimedix2"]
    sys.argv = ["lm-eval", "run", *model, *given]
    lm_eval_model.main()


def inspect(
    run: Annotated[Path, typer.Argument(help="Folder of a run.")],
    out: Annotated[Path, typer.Option(help="FILE.eval for one task and language, or a folder for all.")],
    data: DataRoot = Path("data"),
    task: Annotated[list[str] | None, typer.Option(help="Only this task; may be repeated.")] = None,
    lang: Annotated[Languages, typer.Option(help="Only this language.")] = Languages.both,
    condition: Annotated[str, typer.Option(help="model, or a control such as blind.")] = "model",
    images: Annotated[int, typer.Option(help="Most images a log; small copies are put into it.", min=0)] = 400,
) -> None:
    """Write a run as logs for inspect's viewer: prompts, images, replies, scores and figures.

    كتابة تشغيل كسجلات لعارض inspect: الأسئلة والصور والإجابات والدرجات والأرقام.
    """
    from bimedix2.evaluate.adapters.inspect_log import Choice, export_run

    choice = Choice(tuple(task or ()), LANGUAGES[lang], condition, images)
    for path in export_run(run, out, data if data.is_dir() else None, choice):
        typer.echo(path)
