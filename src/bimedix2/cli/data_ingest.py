"""``bimedix2 data ingest`` and ``sources``: from a public set's original files to records."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from bimedix2.data.sources._reading import SourceInfo
    from bimedix2.records import Split


class SplitName(StrEnum):
    """A split."""

    train = "train"
    dev = "dev"
    test = "test"


class Missing(StrEnum):
    """What becomes of a record whose image is not there."""

    quarantine = "quarantine"
    keep = "keep"


def ingest(
    source: Annotated[str, typer.Argument(help="One of `bimedix2 data sources`.")],
    root: Annotated[Path, typer.Option(help="Folder that holds the data sets, one folder each.")],
    out: Annotated[Path, typer.Option(help="Records: .jsonl or .parquet.")],
    split: Annotated[
        list[SplitName] | None,
        typer.Option(help="Wanted split; may be repeated. The default is train and dev: never the official test."),
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Option of the source; may be repeated.")
    ] = None,
    encoding: Annotated[str, typer.Option(help="Of text files that are not UTF-8, such as cp1256.")] = "utf-8",
    missing_images: Annotated[
        Missing, typer.Option(help="A record whose image is not there is set aside, or kept.")
    ] = Missing.quarantine,
    hash_images: Annotated[bool, typer.Option("--hash-images", help="Put each image's SHA-256 into its records.")] = (
        False
    ),
    pictures: Annotated[
        Path | None, typer.Option(help="Folder for pictures that lie inside data files; default OUT's folder/pictures.")
    ] = None,
    unpack: Annotated[bool, typer.Option("--unpack", help="Unpack archives that are not unpacked yet.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="End at the first bad row and write nothing.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Do it again though nothing has changed.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Turn a public data set into records.

    OUT appears whole or not at all. Rows that cannot be taken are in OUT's name with .quarantine.jsonl, with file, row,
    field and reason; counts, licences and hashes are in .ingest.json. The same command does nothing if nothing changed.

    تحويل مجموعة بيانات عامة إلى سجلات. يظهر الملف كاملا أو لا يظهر، والصفوف المرفوضة مع أسبابها في ملف quarantine. لا
    يدخل قسم الاختبار الرسمي إلا بالخيار --split test.
    """
    from bimedix2.data.ingest import IngestSettings
    from bimedix2.data.ingest import ingest as run
    from bimedix2.data.sources._reading import DEFAULT_SPLITS

    from ._terminal import tell

    wanted: frozenset[Split] = frozenset(item.value for item in split) if split else DEFAULT_SPLITS
    report = run(
        source,
        root,
        out,
        IngestSettings(
            splits=wanted,
            options=_pairs(settings or []),
            encoding=encoding,
            keep_missing_images=missing_images is Missing.keep,
            hash_images=hash_images,
            pictures=pictures,
            unpack=unpack,
            strict=strict,
            force=force,
        ),
        tell,
    )
    _print(report, as_json)


def _pairs(given: list[str]) -> dict[str, str]:
    from bimedix2.errors import ConfigError

    for text in given:
        if "=" not in text:
            raise ConfigError(f"--set {text}: must be NAME=VALUE.", f"--set {text}: يجب أن يكون NAME=VALUE.")
    return dict(text.split("=", 1) for text in given)


def _print(report: dict[str, Any], as_json: bool) -> None:
    from ._errors import message_language
    from ._terminal import readable, tell

    if as_json:
        import json

        typer.echo(json.dumps(report, ensure_ascii=False, indent=1))
        return
    for name in ("split", "language", "task", "modality", "licence"):
        for value, count in report["by"][name].items():
            typer.echo(f"{count:9,d}  {name} {value}")
    typer.echo(f"{report['records']:9,d}  {report['out']['path']}")
    arabic = message_language() == "ar"
    for entry in report["skipped"]:
        typer.echo(readable(f"{entry['rows']:9,d}  - {entry['reason_ar' if arabic else 'reason']}"))
    if report["absent"]:
        names = ", ".join(report["absent"])
        tell(f"not there: {names}", f"غير موجود: {names}")
    if report["numbers"].get("images_missing"):
        count = report["numbers"]["images_missing"]
        tell(f"{count} records were kept without their images", f"سجلات أبقيت بلا صورها: {count}")
    aside = report["quarantine"]
    if aside["rows"]:
        kinds = ", ".join(f"{count} {code}" for code, count in aside["by_code"].items())
        tell(f"set aside with reasons: {kinds} -> {aside['path']}", f"رفضت مع الأسباب: {kinds} -> {aside['path']}")
    if report["reused"]:
        tell("nothing has changed since it was made; --force does it again", "لم يتغير شيء؛ يعيده الخيار --force")


def sources(
    name: Annotated[str | None, typer.Argument(help="Show one source with its options.")] = None,
    root: Annotated[Path | None, typer.Option(help="Say which sources have files in this folder.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the data sets that `data ingest` reads: licence, languages, tasks, files.

    عرض المصادر التي يقرؤها data ingest مع تراخيصها ولغاتها ومهامها وملفاتها.
    """
    from bimedix2.data.sources.registry import all_sources, find_source

    found = [find_source(name).info] if name else all_sources()
    if as_json:
        import json

        import msgspec

        typer.echo(json.dumps([msgspec.to_builtins(info) for info in found], ensure_ascii=False, indent=1))
        return
    for info in found:
        here = "" if root is None else ("* " if (root / info.files[0].split("/")[0]).is_dir() else "  ")
        _print_source(info, here, whole=name is not None)


def _print_source(info: SourceInfo, here: str, *, whole: bool) -> None:
    from ._errors import message_language
    from ._terminal import readable

    arabic = message_language() == "ar"
    typer.echo(f"{here}{info.name}  [{info.licence}]  {'+'.join(info.languages)}  {', '.join(info.tasks)}")
    if not whole:
        return
    typer.echo(f"  splits: {', '.join(info.splits)}")
    for file in info.files:
        typer.echo(f"  {file}")
    typer.echo(readable(f"  {info.notes_ar if arabic else info.notes}"))
    for option in info.options:
        meaning = option.meaning_ar if arabic else option.meaning
        typer.echo(readable(f"  --set {option.name}={option.default}  {meaning}"))
