"""Steps 9 to 11: the mix, its shards, its card."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bimedix2.data.quarantine import quarantine_path
from bimedix2.records import read_jsonl

from .clean_steps import forget_times, reasons
from .job import Job, Outcome
from .recipe import CardRecipe, MixRecipe, ShardRecipe

SHARDS, MIX = "shards", "mix.jsonl"


def mix(job: Job) -> Outcome:
    """Choose records by cell; without the step decontaminate the shipped test sets are compared now."""
    from bimedix2.data.decontaminate.run import DecontaminateSettings, report_path
    from bimedix2.data.mix import MixSettings, run_mix
    from bimedix2.data.mix.settings import report_path as mix_report

    recipe: MixRecipe = job.settings
    settings = MixSettings(
        inputs=(job.source,),
        out=job.out,
        targets=recipe.targets,
        unit=recipe.unit,
        total=recipe.total or None,
        seed=recipe.seed,
        upsample_limit=recipe.upsample_limit,
        pairs_together=recipe.pairs_together,
        splits=frozenset(recipe.splits),
        shared_images=recipe.shared_images,
        tokens=recipe.tokens,
        contamination="report" if report_path(job.source).is_file() else "refuse",
        decontaminate=DecontaminateSettings(data=job.place.data),
    )
    report = run_mix(settings, lambda english, arabic: None)  # its tables stand in the report and the card
    content = _stable(mix_report(job.out), job)
    aside = {**content["left_out"], **reasons(quarantine_path(job.out))}
    copies = sum(cell.copied for cell in report.cells)
    rows_in = content["read"] + content["quarantine"]["rows"]
    not_chosen = rows_in - sum(aside.values()) - (report.records - copies)
    if not_chosen:
        aside["not_chosen"] = not_chosen
    names = ("unit", "seed", "size", "targets", "cells", "counted_with", "content_sha256", "source", "licence")
    details = {name: content[name] for name in names if name in content}
    kept = {name: count for name, count in aside.items() if count}
    return Outcome(rows_in, report.records, added=copies, aside=kept, details=details)


def _stable(path: Path, job: Job) -> dict[str, Any]:
    """The mix's report without what differs between two builds of the same set."""
    content: dict[str, Any] = json.loads(path.read_bytes())
    inputs = [{"path": str(job.source), "bytes": job.source.stat().st_size}]
    out = {**content["out"], "path": job.out.name}
    aside = content["quarantine"]
    aside["path"] = aside["path"] and Path(aside["path"]).name
    return forget_times(path, inputs=inputs, out=out, quarantine=aside, decontamination=_dateless(content))


def _dateless(content: dict[str, Any]) -> list[dict[str, Any]]:
    return [{name: value for name, value in one.items() if name != "date"} for one in content["decontamination"]]


def shard(job: Job) -> Outcome:
    """Parquet records and image shards."""
    from bimedix2.data.shard import ShardSettings, run_shard

    recipe: ShardRecipe = job.settings
    settings = ShardSettings(
        mix=_linked(job),
        data=job.place.data,
        out=job.folder / SHARDS,
        records_per_shard=recipe.records_per_shard,
        shard_bytes=recipe.shard_mb * 1_000_000,
        skip_missing=recipe.skip_missing,
        phi=recipe.phi,
    )
    report = run_shard(settings, job.place.tell)
    aside = reasons(job.folder / SHARDS / "quarantine.jsonl")
    details = {"images": report.images, "image_bytes": report.image_bytes, "files": len(report.content["files"])}
    rows_in = sum(1 for _ in read_jsonl(job.source, unique_ids=False))
    return Outcome(rows_in, report.records, aside=aside, details=details)


def _linked(job: Job) -> Path:
    """The mix under a name in the build's own folder: pictures in that folder may be named by its records."""
    link = job.place.out / MIX
    link.unlink(missing_ok=True)
    link.symlink_to(job.source.relative_to(job.place.out))
    return link


def card(job: Job) -> Outcome:
    """The data card of what the earlier steps made."""
    from bimedix2.data.card import CardSettings, write_card

    recipe: CardRecipe = job.settings
    settings = CardSettings(
        recipe.description, recipe.description_ar, recipe.limits, recipe.limits_ar, plots=recipe.plots,
        name=job.place.recipe.name, name_ar=job.place.recipe.name_ar,
    )  # fmt: skip
    records = write_card(job.place.out, job.folder / "card.md", settings, job.place.tell)
    return Outcome(records, records)
