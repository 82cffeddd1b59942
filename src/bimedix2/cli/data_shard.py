"""``bimedix2 data shard`` and ``bimedix2 data unshard``: a mix as files to keep and pass on, and back."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class PhiMode(StrEnum):
    """What becomes of images that the privacy scan marks."""

    refuse = "refuse"
    skip = "skip"
    allow = "allow"


def shard(
    mix: Annotated[Path, typer.Argument(help="Records, .jsonl or .parquet; with --verify a folder of shards.")],
    out: Annotated[Path | None, typer.Option(help="Folder of the shards.")] = None,
    data: Annotated[Path, typer.Option(help="Folder that image paths start from.")] = Path("data"),
    records_per_shard: Annotated[int, typer.Option(help="Records of a Parquet file.", min=1)] = 10_000,
    shard_bytes: Annotated[int, typer.Option(help="Most bytes of an image tar file.", min=1)] = 256 << 20,
    skip_missing: Annotated[
        bool, typer.Option("--skip-missing", help="Leave out records whose images are not there.")
    ] = False,
    phi: Annotated[
        PhiMode, typer.Option(help="Images that seem to have writing: refuse, skip their records, or allow.")
    ] = PhiMode.refuse,
    verify: Annotated[bool, typer.Option("--verify", help="Only check the hashes of a folder of shards.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace what is in the folder.")] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print the manifest as JSON.")] = False,
) -> None:
    """Write a mix as Parquet record shards, image shards in which every image is once, and a manifest with hashes.

    A run that was killed goes on with the shard it was at; the result has the same bytes.

    كتابة الخليط أجزاء: سجلات Parquet وصور كل منها مرة واحدة مع بيان بالبصمات. يستأنف التشغيل المقطوع من حيث توقف.
    """
    import json

    from bimedix2.data.shard import ShardSettings, run_shard
    from bimedix2.data.shard import verify as check
    from bimedix2.errors import ConfigError

    from ._terminal import tell

    if verify == (out is not None):
        raise ConfigError(
            "Give --out FOLDER to write shards, or --verify alone to check a folder of them.",
            "أعط --out FOLDER لكتابة الأجزاء، أو --verify وحده لفحص مجلد منها.",
        )
    if out is None:
        count = check(mix)
        tell(f"{count} files are whole.", f"عدد الملفات السليمة: {count}.")
        return
    settings = ShardSettings(mix, data, out, records_per_shard, shard_bytes, skip_missing, phi.value, force)
    report = run_shard(settings, tell)
    if json_output:
        typer.echo(json.dumps(report.content, ensure_ascii=False, indent=2))
    else:
        typer.echo(f"{report.records:8d}  records\n{report.images:8d}  images  {report.manifest}")
    if report.reused:
        tell("Nothing changed since the last run.", "لم يتغير شيء منذ آخر تشغيل.")
    left = sum(report.content["left_out"].values())
    if left:
        place = report.out / "quarantine.jsonl"
        tell(f"{left} records left out: {place}", f"عدد السجلات المتروكة {left}: {place}")


def unshard(
    shards: Annotated[Path, typer.Argument(help="Folder of shards.")],
    out: Annotated[Path, typer.Option(help="Folder for records.jsonl and images/.")],
) -> None:
    """Unpack shards for a training run, checking all hashes; give the folder to `bimedix2 train` as --data.

    فك الأجزاء لتدريب مع فحص كل البصمات؛ أعط المجلد إلى bimedix2 train بالخيار --data.
    """
    from bimedix2.data.shard import unpack

    from ._terminal import tell

    typer.echo(f"{unpack(shards, out, tell):8d}  {out / 'records.jsonl'}")
