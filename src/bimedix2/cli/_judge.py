"""The judge of an evaluation, chosen from the command's options."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from bimedix2.errors import ConfigError

from . import _engines as e

if TYPE_CHECKING:
    from bimedix2.evaluate.judge.judge import Judge
    from bimedix2.evaluate.runner import Job, Notes
    from bimedix2.evaluate.schema import Family, Mode, Reply, Sample

USAGE = "judge-usage.json"


@dataclass(frozen=True)
class JudgeOptions:
    """Options of a judge, as they are on the command line: ``endpoint`` is ``--judge-endpoint`` and so on."""

    endpoint: Annotated[str, typer.Option(help="OpenAI-compatible server of a judge.")] = ""
    model: Annotated[str, typer.Option(help="Name of the judge there.")] = ""
    key_env: Annotated[str, typer.Option(help="Environment variable that holds its key.")] = e.DEFAULT_KEY
    budget: Annotated[float | None, typer.Option(help="Most that judging may cost.", min=0)] = None
    price_in: Annotated[float | None, typer.Option(help="Price of a million prompt tokens.", min=0)] = None
    price_out: Annotated[float | None, typer.Option(help="Price of a million reply tokens.", min=0)] = None
    repeats: Annotated[int, typer.Option(help="Ask every question so often.", min=1, max=20)] = 1
    prompts: Annotated[Path | None, typer.Option(help="JSON with texts in place of ours, such as originals.")] = None


NO_JUDGE = JudgeOptions()


def takes_judge(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of a judge; its parameter ``judge`` receives them as :class:`JudgeOptions`."""
    own = inspect.signature(command, eval_str=True)
    kinds = get_type_hints(JudgeOptions, include_extras=True)
    keyword = inspect.Parameter.KEYWORD_ONLY
    added = {
        f"judge_{part.name}": inspect.Parameter(
            f"judge_{part.name}", keyword, default=part.default, annotation=kinds[part.name]
        )
        for part in fields(JudgeOptions)
    }

    @functools.wraps(command)
    def wrapped(*args: Any, **given: Any) -> None:
        chosen = {name.removeprefix("judge_"): given.pop(name) for name in added if name in given}
        command(*args, **given, judge=JudgeOptions(**chosen))

    kept = [parameter for name, parameter in own.parameters.items() if name != "judge"]
    signature = own.replace(parameters=[*kept, *added.values()])
    wrapped.__signature__ = signature  # type: ignore[attr-defined]
    wrapped.__annotations__ = {name: part.annotation for name, part in signature.parameters.items()}
    return wrapped


def judge_of(options: JudgeOptions, usage: Path) -> Judge | None:
    """The judge; none where no address is given.

    Args:
        options: of the command.
        usage: file of what was spent before, which the budget counts.

    Raises:
        ConfigError: an option cannot be used, lacks another, or the variable that was named is not set.
    """
    _check(options)
    if not options.endpoint:
        return None
    from bimedix2.evaluate.engines.endpoint import Price
    from bimedix2.evaluate.judge.judge import Judge
    from bimedix2.evaluate.judge.wording import read_wording, wording

    price = None
    if options.price_in is not None or options.price_out is not None:
        price = Price(options.price_in or 0.0, options.price_out or 0.0)
    server = e.Server(
        options.endpoint,
        options.key_env,
        price_in=options.price_in,
        price_out=options.price_out,
        budget=options.budget,
    )
    endpoint = e.server_endpoint(options.model, server, e.spent_in(usage))
    texts = read_wording(options.prompts) if options.prompts else wording()
    return Judge(endpoint, price, options.repeats, texts=texts, usage_file=usage)


def _check(options: JudgeOptions) -> None:
    if bool(options.endpoint) != bool(options.model):
        raise ConfigError(
            "A judge needs both --judge-endpoint (its address) and --judge-model (its name there).",
            "يحتاج المحكم إلى الخيارين معا: --judge-endpoint (العنوان) و--judge-model (الاسم هناك).",
        )
    if options.budget is not None and options.price_in is None and options.price_out is None:
        raise ConfigError(
            "--judge-budget needs --judge-price-in and --judge-price-out, per million tokens.",
            "يحتاج الخيار --judge-budget إلى --judge-price-in و--judge-price-out لكل مليون رمز.",
        )
    if options.endpoint and options.key_env != e.DEFAULT_KEY and not os.environ.get(options.key_env):
        raise ConfigError(
            f"The environment variable {options.key_env} (--judge-key-env) is not set. Set it to the judge's key.",
            f"متغير البيئة {options.key_env} (--judge-key-env) غير مضبوط. ضع فيه مفتاح المحكم.",
        )


def judge_run(
    jobs: Sequence[Job], judge: Judge | None, out: Path, modes: Sequence[Mode], notes: Notes, *, ask: bool
) -> bool:
    """Judge a run's replies, or say which need a judge; whether all verdicts that can be had are there.

    Args:
        jobs: with their replies; they receive the verdicts.
        judge: none leaves the jobs that need one without figures.
        out: folder of the run.
        modes: scoring modes.
        notes: receives the reason where the judge cannot go on.
        ask: without it only stored verdicts are taken.
    """
    from bimedix2.evaluate.judge.judging import judge_jobs

    from ._terminal import say

    if judge is None:
        _tell_missing(jobs)
        return True
    try:
        return judge_jobs(jobs, judge, out, modes, say, notes, ask=ask)
    except KeyboardInterrupt:
        say("stopped; scoring what has been judged")
        return False


def _tell_missing(jobs: Sequence[Job]) -> None:
    from bimedix2.evaluate.judge.judging import JudgedFamily
    from bimedix2.evaluate.registry import find_family

    from ._terminal import tell

    tasks = dict.fromkeys(job.task.name for job in jobs if isinstance(find_family(job.task.family), JudgedFamily))
    if tasks:
        tell(
            f"{', '.join(tasks)}: replies are kept but not scored; --judge-endpoint and --judge-model score them",
            f"{'، '.join(tasks)}: تحفظ الإجابات دون تقييم؛ ويقيمها الخياران --judge-endpoint و--judge-model",
        )


@dataclass(frozen=True)
class JudgedReplies:
    """Stored predictions with their verdicts.

    Attributes:
        replies: as they are scored.
        about: what judged them; empty without a judge.
        complete: every verdict is there.
    """

    replies: list[Reply]
    about: dict[str, Any]
    complete: bool = True


def judge_predictions(
    family: Family,
    samples: Sequence[Sample],
    replies: list[Reply],
    mode: Mode,
    options: JudgeOptions,
    predictions: Path,
) -> JudgedReplies:
    """Ask the judge, if there is one, about stored predictions.

    Verdicts are kept beside the predictions, in ``<file>.verdicts.jsonl``.

    Raises:
        ConfigError: an option cannot be used, or the family needs no judge.
    """
    judge = judge_of(options, predictions.with_name(f"{predictions.name}.{USAGE}"))
    if judge is None:
        return JudgedReplies(replies, {})
    from bimedix2.evaluate.judge.judging import JudgedFamily, judge_replies
    from bimedix2.evaluate.judge.verdicts import VERDICTS

    from ._errors import report
    from ._terminal import say

    if not isinstance(family, JudgedFamily):
        raise ConfigError(
            f"{family.name} is scored without a judge. Leave out --judge-endpoint.",
            f"تقيم {family.name} بلا محكم. احذف --judge-endpoint.",
        )
    path = predictions.with_name(f"{predictions.name}.{VERDICTS}")
    judged, about, outcome = judge_replies(family, samples, replies, (mode,), judge, path, say)
    if outcome.stopped is not None:
        report(outcome.stopped)
    return JudgedReplies(judged, about, outcome.complete)


def end(judged: JudgedReplies, report: Mapping[str, Any]) -> None:
    """Say what a judged figure must not hide, and leave with status 3 where verdicts are missing."""
    tell_about(report)
    if not judged.complete:
        raise typer.Exit(3)


def tell_run(results: Mapping[str, Any]) -> None:
    """For the model's own rows of a run: what their judged figures must not hide."""
    from ._terminal import say

    for row in results["rows"]:
        if row["condition"] == "model" and row.get("judge", {}).get("verdicts"):
            say(f"{row['task']} {row['language']} {row['mode']}:")
            tell_about(row)


def tell_about(row: Mapping[str, Any]) -> None:
    """Why a figure is not there, and how many verdicts it rests on; nothing for families without a judge."""
    from ._terminal import tell

    found = row.get("judge")
    if found is None:
        return
    for reason in {part["en"]: part for part in row["unavailable"].values()}.values():
        tell(f"not available: {reason['en']}", f"غير متاح: {reason['ar']}")
    if found["verdicts"]:
        counts = (found["verdicts"], found["unparsed_verdicts"], found["missing"])
        tell(
            "{} verdicts, {} of them not parsed, {} items still without".format(*counts),
            "{} حكما، منها {} غير مفهومة، و{} عنصرا بلا حكم".format(*counts),
        )
    for line in found["notes"]:
        tell(line["en"], line["ar"])
