"""``bimedix2 report``: a run as one page to look at."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ._options import MessageLang, TaskFile
from .evaluate import DataRoot


def report(
    runs: Annotated[list[Path], typer.Argument(help="Folder of a run; further ones get a row in the tables.")],
    data: DataRoot = Path("data"),
    lang: Annotated[MessageLang, typer.Option(help="Language that the page opens in.")] = MessageLang.en,
    samples: Annotated[int, typer.Option(help="Most samples of a task and language on the page.", min=0)] = 500,
    images: Annotated[int, typer.Option(help="Most thumbnails on the page.", min=0)] = 400,
    task_file: TaskFile = None,
) -> None:
    """Write report.html and report.md into the run's folder; the page opens without network.

    كتابة صفحة التقرير report.html وreport.md في مجلد التشغيل؛ تفتح الصفحة دون شبكة.
    """
    from bimedix2.evaluate.report.page import write_report

    from ._terminal import tell

    root = data if data.is_dir() else None
    paths = write_report(runs, root, language=lang.value, samples=samples, images=images)
    if root is None and images:
        tell(
            f"The page has no images, for there is no folder {data}. Give the data sets' folder with --data.",
            f"الصفحة بلا صور لأن المجلد {data} غير موجود. أعط مجلد البيانات بالخيار --data.",
        )
    for path in paths:
        typer.echo(path)
