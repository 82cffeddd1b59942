"""``bimedix2 overlap``: which evaluation items are in the training data, and what the score owes to them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bimedix2.errors import ConfigError

from .evaluate import LANGUAGES, DataRoot, Languages

if TYPE_CHECKING:
    from rich.table import Table


def overlap(
    tasks: Annotated[
        list[str] | None, typer.Argument(help="Tasks to check, as for evaluate; of a run only these.")
    ] = None,
    run: Annotated[Path | None, typer.Option(help="Folder of a run: check the samples that it asked.")] = None,
    train: Annotated[
        list[Path] | None, typer.Option(help="Training records, .jsonl or .parquet; may be repeated.")
    ] = None,
    train_task: Annotated[
        list[str] | None,
        typer.Option(help="NAME:SPLIT to take as training; without any, the training splits of the tasks."),
    ] = None,
    data: DataRoot = Path("data"),
    train_data: Annotated[
        Path | None, typer.Option(help="Folder that image paths of --train start from; --data if not given.")
    ] = None,
    lang: Annotated[Languages, typer.Option(help="Languages of the items.")] = Languages.both,
    split: Annotated[str, typer.Option(help="Split of every task; its default if not given.")] = "",
    similarity: Annotated[float, typer.Option(help="Cosine of similar questions.", min=0.05, max=1.0)] = 0.6,
    image_bits: Annotated[int, typer.Option(help="Most bits of 64 in which hashes of an image differ.", min=0)] = 8,
    images: Annotated[bool, typer.Option(help="Compare images too.")] = True,
    translations: Annotated[
        list[Path] | None, typer.Option(help="JSON {questions: {english: arabic}}; may be repeated.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the intervals.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder for the result where there is no --run.")] = Path("runs/overlap"),
    json_output: Annotated[bool, typer.Option("--json", help="Print overlap.json instead of tables.")] = False,
) -> None:
    """Find evaluation items that are in the training data: images, questions, answers and translations.

    Writes overlap.json and overlap-items.jsonl; with --run, also the score with and without the overlapping items.

    البحث عن عناصر التقييم الموجودة في بيانات التدريب: الصور والأسئلة والإجابات والترجمات.
    """
    from bimedix2.evaluate.overlap.check import check
    from bimedix2.evaluate.overlap.content import write_overlap
    from bimedix2.evaluate.overlap.questions import Coverage
    from bimedix2.evaluate.overlap.sources import TrainingSources, training_tasks
    from bimedix2.evaluate.overlap.training import Training
    from bimedix2.evaluate.runner import Notes

    from ._terminal import say
    from .evaluate import _say_notes

    notes = Notes()
    asked = _asked(tasks or [], run, data, lang, split, translations or [], notes)
    _say_notes(notes, say)
    coverage = Coverage(item.item.texts[0] for item in asked if item.item.texts)
    splits = training_tasks(train_task or [], (item.sample.task for item in asked)) if train_task or not train else []
    sources = TrainingSources(train or (), train_data or data, splits, data)
    training = Training(coverage)
    sources.fill(training, say)
    with _store(images) as store:
        checked = check(asked, training, coverage, store, threshold=similarity, max_bits=image_bits, say=say)
    settings = {"similarity": similarity, "image_bits": image_bits, "images": images}
    folder = run or out
    content = write_overlap(folder, checked, asked, training, sources, notes, settings, seed)
    if run is not None:
        _refresh_report(run, data)
    _print(content, json_output, folder)


def _refresh_report(run: Path, data: Path) -> None:
    from bimedix2.evaluate.report.page import write_report

    write_report([run], data if data.is_dir() else None)


def _asked(
    names: list[str], run: Path | None, data: Path, lang: Languages, split: str, tables: list[Path], notes: Any
) -> list[Any]:
    from bimedix2.evaluate.overlap.sources import asked_of_run, asked_of_tasks, translation_tables
    from bimedix2.evaluate.registry import find_tasks
    from bimedix2.evaluate.runner import RunOptions

    if run is not None:
        found = asked_of_run(run, names, data, translation_tables(tables))
        return [item for item in found if item.item.language in LANGUAGES[lang]]
    if not names:
        raise ConfigError(
            "Name the tasks to check, or give the folder of a run with --run.",
            "اذكر المهام المطلوب فحصها، أو أعط مجلد تشغيل بالخيار --run.",
        )
    splits = {name: part for name, _, part in (item.partition(":") for item in names) if part}
    options = RunOptions(languages=LANGUAGES[lang], split=split, splits=splits)
    chosen = find_tasks([name.partition(":")[0] for name in names])
    return asked_of_tasks(chosen, data, options, translation_tables(tables), notes)


def _store(wanted: bool) -> Any:
    from contextlib import nullcontext

    if not wanted:
        return nullcontext()
    from bimedix2.images.prints import PrintStore

    return PrintStore()


def _print(content: dict[str, Any], as_json: bool, folder: Path) -> None:
    from ._terminal import say, tell

    if as_json:
        import json

        typer.echo(json.dumps(content, indent=2, ensure_ascii=False))
    else:
        from rich.console import Console

        console = Console()
        console.print(overlap_table(content))
        if content["scores"]:
            console.print(score_table(content))
        tell(content["summary"][0]["en"], content["summary"][0]["ar"])
    say(f"{folder}/overlap.json, {folder}/overlap-items.jsonl")


def overlap_table(content: dict[str, Any]) -> Table:
    """Criteria (rows) by task and language: how many items overlap."""
    from rich.table import Table

    from bimedix2.evaluate.overlap.check import CRITERIA

    table = Table(box=None, title="items in training", title_justify="left")
    table.add_column("overlap")
    rows = content["tasks"]
    for row in rows:
        table.add_column(f"{row['task']} {row['language']} {row['split']}", justify="right")
    for name in CRITERIA:
        table.add_row(name.replace("_", " "), *(_share(row["overlap"][name], row["n"]) for row in rows))
    table.add_row("median cosine", *(f"{row['similarity']['median']:.2f}" for row in rows))
    table.add_row("bad images", *(str(row["image_errors"]) for row in rows))
    table.add_row("items", *(str(row["n"]) for row in rows))
    return table


def _share(number: int, whole: int) -> str:
    return f"{number} ({100 * number / whole:.1f} %)"


def score_table(content: dict[str, Any]) -> Table:
    """The headline figures of overlapping items and of the others."""
    from rich.table import Table

    from ._tables import cell

    table = Table(box=None, title="what the score owes to them", title_justify="left")
    for name in ("task", "lang", "mode", "figure", "overlap", "overlapping [95 % interval]", "n", "others", "n"):
        table.add_column(name)
    for row in content["scores"]:
        names = [row["task"], row["language"], row["mode"], row["headline"], row["criterion"].replace("_", " ")]
        inside, outside = row["overlapping"], row["others"]
        table.add_row(*names, cell(inside), str(inside["items"]), cell(outside), str(outside["items"]))
    return table
