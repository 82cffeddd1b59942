"""Steps 2 and 3: records that a language model makes of others, put after what they are made from.

The ledger lies in the build's ``work`` folder, outside the steps' own: what was paid for outlives a killed run.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

from bimedix2.data.llm.prompts import Prompts
from bimedix2.data.llm.settings import RunSettings, Server
from bimedix2.data.llm.step import By, Step
from bimedix2.data.llm.workspace import Summary, Work, run_work
from bimedix2.data.quarantine import quarantine_path
from bimedix2.endpoint.price import Price
from bimedix2.records import Record, read_jsonl, write_jsonl

from .clean_steps import reasons
from .job import Job, Outcome
from .recipe_models import EndpointRecipe, RewriteRecipe, TranslateRecipe

REVIEW = "review.jsonl"
_MADE, _TO_DO = "made.jsonl", "to-do.jsonl"


def rewrite(job: Job) -> Outcome:
    """Each kind of rewriting reads the records that came into the step, so that none rewrites another's."""
    from bimedix2.data.rewrite import KINDS, RewriteSettings

    recipe: RewriteRecipe = job.settings
    settings = RewriteSettings(
        exchanges=recipe.exchanges,
        items=recipe.items,
        sentences=recipe.sentences,
        short_words=recipe.short_words,
        allow_no_derivatives=recipe.allow_no_derivatives,
        max_tokens=recipe.endpoint.max_tokens,
    )
    outcome, made = Outcome(), []
    for kind in recipe.kinds:
        step = KINDS[kind](settings, Prompts())
        path = job.folder / f"{kind}.jsonl"
        _perform(job, kind, step, (job.source, path), {"writer": recipe.endpoint}, outcome)
        made.append(path)
    outcome.rows_out = write_jsonl(job.out, _with_made(job.source, made, outcome, recipe.keep_originals))
    outcome.added = sum(_count(path) for path in made)
    for path in made:
        path.unlink()
    return outcome


def translate_depends(job: Job) -> dict[str, Any]:
    """Content of the glossaries."""
    return {"glossaries": job.place.hashes(job.settings.glossaries, "translate.glossaries")}


def translate(job: Job) -> Outcome:
    """Translations go right after their originals, which get a ``pair_id`` where they had none."""
    from bimedix2.data.translate.checks import find_check
    from bimedix2.data.translate.glossary import Glossary, read_terms, read_tico19
    from bimedix2.data.translate.settings import TranslateSettings
    from bimedix2.data.translate.step import Translate

    recipe: TranslateRecipe = job.settings
    settings = TranslateSettings(
        target=recipe.target,
        threshold=recipe.threshold,
        rounds=recipe.rounds,
        critique=recipe.critique,
        audit_share=recipe.audit_share,
        keep_low=recipe.keep_low,
        with_originals=True,
        allow_no_derivatives=recipe.allow_no_derivatives,
        max_tokens=recipe.endpoint.max_tokens,
        seed=recipe.endpoint.seed,
    )
    named = [job.place.file(name, "translate.glossaries") for name in recipe.glossaries]
    terms = [term for path in named for term in read_terms(path)]
    terms += read_tico19(job.place.data / "tico19") if recipe.tico19 else []
    step = Translate(settings, Prompts(), Glossary(terms), find_check(wanted=recipe.checks))
    outcome, path = Outcome(), job.folder / _MADE
    endpoints: dict[By, EndpointRecipe] = {"writer": recipe.endpoint, "critic": recipe.critic or recipe.endpoint}
    source = job.folder / _TO_DO
    write_jsonl(source, _untranslated(job.source, recipe.target))
    _perform(job, "translate", step, (source, path), endpoints, outcome)
    source.unlink()
    outcome.rows_out = write_jsonl(job.out, _with_translations(job.source, path))
    outcome.added = outcome.rows_out - outcome.rows_in
    path.unlink()
    return outcome


def _perform(
    job: Job,
    name: str,
    step: Step,
    files: tuple[Path, Path],
    endpoints: Mapping[By, EndpointRecipe],
    outcome: Outcome,
) -> None:
    """Run a step on a model and take its lists along; an error ends the build.

    Args:
        job: of the build.
        name: of the step.
        step: what is asked of the model.
        files: records in, records out.
        endpoints: a model for every role.
        outcome: gets the figures.

    Raises:
        BiMediX2Error: the server cannot be reached, the budget is spent, and the like.
    """
    source, out = files
    work_folder = job.place.out / "work" / name
    servers: dict[By, Server] = {role: _server(endpoint) for role, endpoint in endpoints.items()}
    first = endpoints["writer"]
    settings = RunSettings(concurrency=first.concurrency, repairs=first.repairs, budget=first.budget or None)
    work = Work(step, [source], out, work_folder, servers, settings)
    summary, error = run_work(work)
    if error is not None:
        raise error
    outcome.rows_in = sum(1 for _ in read_jsonl(job.source, unique_ids=False))
    if (work_folder / REVIEW).is_file() and (work_folder / REVIEW).stat().st_size:
        shutil.copyfile(work_folder / REVIEW, job.folder / f"{name}.{REVIEW}")
    _given_up(job, name, out, outcome)
    models = {role: endpoint.model for role, endpoint in endpoints.items()}
    outcome.details[name] = {"models": models, **_figures(summary)}


def _given_up(job: Job, name: str, out: Path, outcome: Outcome) -> None:
    """Records that the model could not do anything with stay as they are, and are listed."""
    listed = quarantine_path(out)
    for code, count in reasons(listed).items():
        outcome.listed[f"{name}: {code}"] = count
    if listed.exists():
        listed.rename(job.folder / f"{name}.quarantine.jsonl")


def _figures(summary: Summary) -> dict[str, Any]:
    """What is the same however often the run was cut short."""
    return {
        "records": summary.records,
        "review": summary.review,
        "quarantine": summary.quarantine,
        "passed_over": summary.passed_over,
        "quarantined": summary.quarantined,
    }


def _server(one: EndpointRecipe) -> Server:
    price = Price(one.price_prompt, one.price_completion) if one.price_prompt or one.price_completion else None
    return Server(
        address=one.address,
        model=one.model,
        key_variable=one.api_key_env,
        timeout_s=one.timeout_s,
        retries=one.retries,
        requests_per_minute=one.requests_per_minute or None,
        tokens_per_minute=one.tokens_per_minute or None,
        price=price,
        temperature=one.temperature,
        seed=one.seed,
        reply_format=one.reply_format,
        tokens_field=one.tokens_field,
    )


def _count(path: Path) -> int:
    return sum(1 for _ in read_jsonl(path, unique_ids=False))


def _with_made(source: Path, made: list[Path], outcome: Outcome, keep: bool) -> Iterator[Record]:
    """Each record, then what was made from it, kind after kind; both files are in the order of the input."""
    groups = [groupby(read_jsonl(path, unique_ids=False), lambda record: record.parent) for path in made]
    waiting = [next(group, None) for group in groups]
    for record in read_jsonl(source, unique_ids=False):
        new: list[Record] = []
        for at, head in enumerate(waiting):
            if head is not None and head[0] == record.id:
                new += list(head[1])
                waiting[at] = next(groups[at], None)
        if keep or not new:
            yield record
        else:
            outcome.aside["rewritten"] = outcome.aside.get("rewritten", 0) + 1
        yield from new


def _untranslated(source: Path, target: str) -> Iterator[Record]:
    """Records in the other language that have no translation yet."""
    taken: set[str] = set()
    for record in read_jsonl(source, unique_ids=False):
        if record.turns[-1].language == target:
            taken.update(name for name in (record.parent, record.pair_id) if name)
    for record in read_jsonl(source, unique_ids=False):
        if record.id not in taken and record.pair_id not in taken:
            yield record


def _with_translations(source: Path, made: Path) -> Iterator[Record]:
    """Each record, in the form that the translation step gave it, then its translation."""
    found = read_jsonl(made, unique_ids=False)
    pairs = zip(found, found, strict=True)  # original, translation
    head = next(pairs, None)
    for record in read_jsonl(source, unique_ids=False):
        if head and head[0].id == record.id:
            yield from head
            head = next(pairs, None)
        else:
            yield record
