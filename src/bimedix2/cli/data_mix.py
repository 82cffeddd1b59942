"""``bimedix2 data mix``: record files to one training mix."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

if TYPE_CHECKING:
    from bimedix2.data.mix import MixReport


class MixUnit(StrEnum):
    """What targets count."""

    samples = "samples"
    tokens = "tokens"


def mix(
    records: Annotated[list[Path], typer.Argument(help="Records: .jsonl or .parquet.")],
    out: Annotated[Path, typer.Option(help="The mix, .jsonl or .parquet; its report is beside it as .json.")],
    targets: Annotated[Path | None, typer.Option(help="YAML file of targets, total, unit and seed.")] = None,
    target: Annotated[
        list[str] | None,
        typer.Option(help="'ar/*/*=0.5': language/modality/task and its share, or an amount over 1; may be repeated."),
    ] = None,
    unit: Annotated[MixUnit | None, typer.Option(help="Records, or supervised tokens.")] = None,
    total: Annotated[
        int | None, typer.Option(help="Size of the mix; the most that targets allow if not given.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Chooses the records; 0 if not given.")] = None,
    upsample_limit: Annotated[int | None, typer.Option(help="Most uses of one record; 1 if not given.")] = None,
    pairs_together: Annotated[
        bool | None,
        typer.Option("--pairs-together/--pairs-apart", help="Take or leave the translations of a sample together."),
    ] = None,
    split: Annotated[list[str] | None, typer.Option(help="train (default) or dev; may be repeated.")] = None,
    shared_images: Annotated[bool, typer.Option("--shared-images", help="Allow one image in train and dev.")] = False,
    tokens: Annotated[
        str, typer.Option(help="Model whose tokenizer counts, words or characters; auto: nano's if it is on disk.")
    ] = "auto",
    decontaminate: Annotated[
        bool, typer.Option("--decontaminate", help="Compare with test sets now instead of asking for reports.")
    ] = False,
    drop: Annotated[bool, typer.Option("--drop", help="With --decontaminate: leave test items out.")] = False,
    test: Annotated[
        list[Path] | None, typer.Option(help="With --decontaminate: test records; may be repeated.")
    ] = None,
    hashes: Annotated[
        list[Path] | None, typer.Option(help="With --decontaminate: test-set hashes of your own.")
    ] = None,
    shipped: Annotated[bool, typer.Option(help="With --decontaminate: also the hashes in the package.")] = True,
    data: Annotated[Path, typer.Option(help="With --decontaminate: folder that image paths start from.")] = Path(
        "data"
    ),
    images: Annotated[bool, typer.Option(help="With --decontaminate: open images.")] = True,
    strict: Annotated[bool, typer.Option("--strict", help="End at the first bad row.")] = False,
    plot: Annotated[Path | None, typer.Option(help="Draw the cells (.png, .svg).")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and write nothing.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Mix again though nothing changed.")] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Mix record files by targets for language, modality and task; the same seed gives the same mix.

    Refuses test records, test items of public sets, ids with two contents, and pairs or images in two splits.

    خلط ملفات السجلات حسب أهداف اللغة والنوع والمهمة؛ البذرة نفسها تعطي الخليط نفسه. يرفض عناصر الاختبار والتعارضات.
    """
    from bimedix2.data.decontaminate.run import DecontaminateSettings
    from bimedix2.data.mix import MixSettings, run_mix
    from bimedix2.data.mix.targets import parse_targets, read_targets
    from bimedix2.errors import ConfigError

    from ._terminal import tell

    if drop and not decontaminate:
        raise ConfigError("--drop goes with --decontaminate.", "الخيار --drop مع --decontaminate.")
    asked: dict[str, Any] = read_targets(targets) if targets else {}
    asked["targets"] = asked.get("targets", {}) | parse_targets(target or ())
    given = {
        "unit": unit and unit.value, "total": total, "seed": seed, "upsample_limit": upsample_limit,
        "pairs_together": pairs_together,
    }  # fmt: skip
    asked |= {name: value for name, value in given.items() if value is not None}
    compare = DecontaminateSettings(
        tests=tuple(test or ()), hashes=tuple(hashes or ()), use_shipped=shipped, data=data, images=images
    )
    settings = MixSettings(
        inputs=tuple(records), out=out, splits=frozenset(split or ["train"]), shared_images=shared_images,
        tokens=tokens,
        contamination="drop" if drop else "refuse" if decontaminate else "report", decontaminate=compare,
        strict=strict, plot=plot, dry_run=dry_run, force=force, **asked,
    )  # fmt: skip
    _print(run_mix(settings, tell), as_json=json_output, dry_run=dry_run)


def _print(report: MixReport, *, as_json: bool, dry_run: bool) -> None:
    import json

    from ._terminal import tell

    if as_json:
        typer.echo(json.dumps(report.content, ensure_ascii=False, indent=2))
    elif not dry_run:
        typer.echo(f"{report.records:8d}  {report.out}  {report.content_sha256[:16]}")
    if report.reused:
        tell("Nothing changed since the last run.", "لم يتغير شيء منذ آخر تشغيل.")
    rows = cast("dict[str, Any]", report.content["quarantine"])
    if rows["rows"] and not dry_run:
        tell(f"{rows['rows']} rows left out: {rows['path']}", f"عدد الصفوف المتروكة {rows['rows']}: {rows['path']}")
    for about in report.content["decontamination"]:
        if not about["images_compared"]:
            tell(
                f"{about['input']}: its images were not compared with the test sets.",
                f"{about['input']}: لم تقارن صوره بمجموعات الاختبار.",
            )
