"""Step 8: no test item stays, and no question of a development set about an image that it shares with training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bimedix2.data.decontaminate.pictures import TestPictures
from bimedix2.data.decontaminate.run import DecontaminateSettings, decontaminate, report_path
from bimedix2.data.decontaminate.search import SearchSettings
from bimedix2.data.decontaminate.testset import Collector, save
from bimedix2.data.quarantine import quarantine_path
from bimedix2.records import read_jsonl

from .clean_steps import forget_times, reasons
from .ingest_step import held_out, watched
from .job import Job, Outcome
from .recipe import DecontaminateRecipe, HeldOutRecipe
from .same_question import leave_out_same_questions

HELD_OUT = "held-out.npz"
FIRST = "same-question.jsonl"


def depends(job: Job) -> dict[str, Any]:
    """Content of the recipe's own files of hashes."""
    return {"hashes": job.place.hashes(job.settings.hashes, "decontaminate.hashes")}


def run(job: Job) -> Outcome:
    """Drop or refuse what is evaluated."""
    recipe: DecontaminateRecipe = job.settings
    outcome = Outcome()
    hashes = [job.place.file(name, "decontaminate.hashes") for name in recipe.hashes]
    if recipe.held_out:
        hashes.append(_collected(job, recipe.held_out, outcome))
    source = _without_same_questions(job, recipe, outcome)
    settings = DecontaminateSettings(
        hashes=hashes,
        use_shipped=recipe.shipped,
        data=job.place.data,
        images=recipe.images,
        drop=recipe.action == "drop",
        search=SearchSettings(recipe.similarity, recipe.coverage, coarse_bits=recipe.image_bits),
        runner=job.place.runner,
    )
    _compare(job, source, settings, outcome, compare=bool(hashes or recipe.shipped))
    return outcome


def _compare(job: Job, source: Path, settings: DecontaminateSettings, outcome: Outcome, *, compare: bool) -> None:
    if not compare:
        source.rename(job.out)
        outcome.rows_out = sum(1 for _ in read_jsonl(job.out))
        return
    content = decontaminate(source, job.out, settings, None, job.place.tell)
    if source != job.source:
        source.unlink()
    stable = {"path": str(job.source)}
    out = {**content["out"], "path": job.out.name}
    report = forget_times(report_path(job.out), mix={**content["mix"], **stable}, out=out)
    outcome.rows_in = outcome.rows_in or report["mix"]["records"]
    outcome.rows_out = report["out"]["records"]
    found = reasons(quarantine_path(job.out))
    outcome.aside = {**outcome.aside, **found}
    names = ("test_sets", "settings", "offending_records", "by_reason", "by_test_set", "unreadable_images")
    outcome.details["decontamination"] = {
        **{name: report[name] for name in names},
        "translations_without_original": report["translations_without_original"],
    }


def _collected(job: Job, sets: tuple[HeldOutRecipe, ...], outcome: Outcome) -> Path:
    """Hashes of the held-out sets, together: what many items of them share are set phrases."""
    collector, names = Collector(), []
    records = job.folder / "held-out.jsonl"
    with TestPictures(job.place.data) as pictures:
        everything = []
        for one in sets:
            job.place.tell(f"held out: {one.source}", f"المحجوز للتقييم: {one.source}")
            report = held_out(job.place, one, records)
            outcome.watched += watched(report)
            names.append(one.source)
            outcome.details.setdefault("held_out", []).append(
                {"source": one.source, "splits": sorted(one.splits), "records": report["records"]}
            )
            everything += list(read_jsonl(records))
            records.unlink()
            quarantine_path(records).unlink(missing_ok=True)
        collector.add_set("held out: " + ", ".join(names), everything, pictures.looks)
    path = job.folder / HELD_OUT
    save(collector.collected(), path)
    return path


def _without_same_questions(job: Job, recipe: DecontaminateRecipe, outcome: Outcome) -> Path:
    if not recipe.same_question:
        return job.source
    tests = job.folder / "held-out.jsonl"
    out, questions = job.folder / FIRST, []
    for one in recipe.same_question:
        report = held_out(job.place, one, tests)
        outcome.watched += watched(report)
        questions += list(read_jsonl(tests))
        outcome.details.setdefault("same_question", []).append(
            {"source": one.source, "splits": sorted(one.splits), "records": report["records"]}
        )
        tests.unlink()
        quarantine_path(tests).unlink(missing_ok=True)
    outcome.rows_in, dropped = leave_out_same_questions(job.source, questions, job.place.data, out)
    if dropped:
        outcome.aside["same_question"] = dropped
    return out
