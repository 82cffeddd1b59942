"""A run as logs of inspect, for its viewer and its data frames (the extra ``harness``).

One log holds one task in one language: every prompt with its images, the raw reply, the scores of every mode, and
the figures of ``results.json``. Option scoring has no reply; the options' log-probabilities stand in its place.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from inspect_ai.log import (
    EvalConfig,
    EvalDataset,
    EvalError,
    EvalLog,
    EvalMetric,
    EvalResults,
    EvalSample,
    EvalScore,
    EvalSpec,
    EvalStats,
    write_eval_log,
)
from inspect_ai.model import (
    ChatMessageAssistant,
    ChatMessageUser,
    ContentImage,
    ContentText,
    ModelOutput,
    ModelUsage,
)
from inspect_ai.scorer import Score

from bimedix2 import __version__
from bimedix2.errors import ConfigError
from bimedix2.evaluate.controls import MODEL, under
from bimedix2.evaluate.report.samples import Thumbnails
from bimedix2.evaluate.schema import Reply, Sample, Scored
from bimedix2.evaluate.store import TaskFolder, read_lines, read_results

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Choice:
    """Which part of a run to export.

    Attributes:
        tasks, languages: all if empty.
        condition: the model, or a control such as ``blind``.
        images: most images a log; small copies of them are put into it.
    """

    tasks: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    condition: str = MODEL
    images: int = 400


def export_run(run: Path, out: Path, root: Path | None, choice: Choice | None = None) -> list[Path]:
    """Write a run's logs.

    Args:
        run: folder of the run.
        out: a file ``….eval`` for the one log that fits the choice, else a folder that gets one file a log.
        root: folder that image paths start from; without it prompts name their images.
        choice: what to export; everything that the model answered by default.

    Returns:
        The files.

    Raises:
        ConfigError: the run holds no such part, or several and ``out`` is a file.
        RecordError: a file of the run is damaged.
    """
    choice = choice or Choice()
    results = read_results(run)
    parts = _parts(results, choice)
    single = out.suffix == ".eval"
    if not parts or (single and len(parts) > 1):
        raise _unfit(run, parts, choice)
    written = []
    for (task, language), rows in parts.items():
        path = out if single else out / _file_name(results, task, language, choice.condition)
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = path.with_name(f".{path.name}")  # the suffix decides the format
        write_eval_log(_log(TaskFolder(run, task, language), results, rows, root, choice), str(scratch))
        scratch.replace(path)
        written.append(path)
    return written


def _parts(results: Row, choice: Choice) -> dict[tuple[str, Any], list[Row]]:
    """(task, language) -> its rows, one a mode."""
    parts: dict[tuple[str, Any], list[Row]] = {}
    for row in results["rows"]:
        wanted = (not choice.tasks or row["task"] in choice.tasks) and row["condition"] == choice.condition
        if wanted and (not choice.languages or row["language"] in choice.languages):
            parts.setdefault((row["task"], row["language"]), []).append(row)
    return parts


def _unfit(run: Path, parts: Mapping[tuple[str, str], Any], choice: Choice) -> ConfigError:
    if not parts:
        return ConfigError(
            f"{run} holds nothing of condition {choice.condition} for these tasks and languages.",
            f"لا يحتوي {run} على شيء من الحالة {choice.condition} لهذه المهام واللغات.",
        )
    names = ", ".join(f"{task} {language}" for task, language in parts)
    return ConfigError(
        f"A file holds one task in one language, and {run} has {names}. Give --task and --lang, or a folder to --out.",
        f"يحتوي الملف على مهمة واحدة بلغة واحدة، وفي {run}: {names}. حدد --task و--lang أو أعط مجلدا للخيار --out.",
    )


def _file_name(results: Row, task: str, language: str, condition: str) -> str:
    """The viewer's ``TIME_TASK_ID.eval``; the same run gives the same name."""
    name = re.sub(r"[^A-Za-z0-9]+", "-", f"{task}-{language}" + ("" if condition == MODEL else f"-{condition}"))
    return f"{re.sub(r'[:.+]', '-', results['created'])}_{name}_{_digest(results, task, language, condition)[:12]}.eval"


def _digest(results: Row, *parts: str) -> str:
    return hashlib.sha256("|".join((results["model"], results["created"], *parts)).encode()).hexdigest()[:22]


def _log(folder: TaskFolder, results: Row, rows: Sequence[Row], root: Path | None, choice: Choice) -> EvalLog:
    first = rows[0]
    samples = under(choice.condition, read_lines(folder.path / "samples.jsonl", Sample))
    replies = folder.answers(choice.condition)
    answered = [sample for sample in samples if sample.id in replies]
    scored = {
        row["mode"]: {item.id: item for item in read_lines(folder.scored_path(choice.condition, row["mode"]), Scored)}
        for row in rows
    }
    pictures = _pictures(answered, root, choice.images)
    logged = [_sample(sample, replies[sample.id], scored, pictures, results["model"]) for sample in answered]
    tokens = sum(reply.tokens for reply in replies.values())
    name = f"{first['task']}_{first['language']}" + ("" if choice.condition == MODEL else f"_{choice.condition}")
    spec = EvalSpec(
        created=results["created"],
        eval_id=_digest(results, name),
        run_id=_digest(results),
        task_id=_digest(results, name, "task"),
        task=name,
        dataset=EvalDataset(name=first["task"], samples=len(samples), sample_ids=[sample.id for sample in samples]),
        model=results["model"],
        config=EvalConfig(),
        packages={"bimedix2": __version__},
        metadata={key: first[key] for key in ("language", "split", "condition", "request", "clusters")}
        | {"signature": results["signature"]},
    )
    return EvalLog(
        status="cancelled" if results["partial"] else "success",
        eval=spec,
        samples=logged,
        results=EvalResults(
            total_samples=len(samples),
            completed_samples=sum(not replies[sample.id].error for sample in answered),
            scores=[score for row in rows for score in _figures(row)],
        ),
        stats=EvalStats(
            started_at=results["created"],
            completed_at=results["created"],
            model_usage={results["model"]: ModelUsage(output_tokens=tokens, total_tokens=tokens)},
        ),
    )


def _figures(row: Row) -> Iterator[EvalScore]:
    """One score a metric with its 95 % interval, the headline first, as the viewer shows that one in lists."""
    names = sorted(row["metrics"], key=lambda name: name != row["headline"])
    for name in names:
        metric = row["metrics"][name]
        if metric["value"] is None:
            continue
        found = {"mean": metric["value"], "ci_low": metric["low"], "ci_high": metric["high"]}
        yield EvalScore(
            name=name,
            scorer=row["mode"],
            scored_samples=metric["n"],
            metrics={key: EvalMetric(name=key, value=value) for key, value in found.items() if value is not None},
            metadata={key: row[key] for key in ("n", "unparsed", "refused", "errors")},
        )


def _pictures(samples: Sequence[Sample], root: Path | None, limit: int) -> dict[str, str]:
    """Image path -> small copy as a data URI; a path that leaves the root is not followed."""
    if root is None:
        return {}
    thumbnails, inside = Thumbnails(root, limit), root.resolve()
    for image in dict.fromkeys(image for sample in samples for image in sample.images):
        if (root / image).resolve().is_relative_to(inside):
            thumbnails.want(image)
    thumbnails.decode()
    return {path: uri for path, uri in thumbnails.images.items() if uri}


def _sample(
    sample: Sample, reply: Reply, scored: Mapping[str, Mapping[str, Scored]], pictures: Mapping[str, str], model: str
) -> EvalSample:
    content: list[Any] = [
        ContentImage(image=pictures[image]) if image in pictures else ContentText(text=f"[image: {image}]")
        for image in sample.images
    ]
    question = ChatMessageUser(content=[*content, ContentText(text=sample.prompt)] if content else sample.prompt)
    text = _shown(reply, sample)
    output = ModelOutput.from_content(model=model, content=text)
    usage = ModelUsage(output_tokens=reply.tokens, total_tokens=reply.tokens)
    return EvalSample(
        id=sample.id,
        epoch=1,
        input=[question],
        choices=list(sample.options) or None,
        target=sample.reference,
        messages=[question, ChatMessageAssistant(content=text, model=model, source="generate")],
        output=output,
        scores={mode: _score(items[sample.id], reply) for mode, items in scored.items() if sample.id in items},
        metadata=_metadata(sample, reply),
        model_usage={model: usage},
        total_time=reply.seconds,
        error=EvalError(message=reply.error, traceback="", traceback_ansi="") if reply.error else None,
    )


def _metadata(sample: Sample, reply: Reply) -> dict[str, Any]:
    found = {
        "language": sample.language,
        "question": sample.question,
        "images": list(sample.images),
        "letters": list(sample.letters),
        "cluster": sample.cluster,
        "context": sample.context,
        "option_logprobs": list(reply.option_logprobs),
        **sample.group,
    }
    return {key: value for key, value in found.items() if value}


def _score(item: Scored, reply: Reply) -> Score:
    """The values of one mode; a metric that is not about this sample is ``None``, as in our files."""
    marks = [word for word, true in (("not parsed", not item.parsed), ("refused", item.refused)) if true]
    verdicts = {"verdicts": msgspec.to_builtins(reply.verdicts)} if reply.verdicts else {}
    return Score(
        value=item.values,
        explanation=", ".join(marks) or None,
        metadata={"parsed": item.parsed, "refused": item.refused, **verdicts},
    )


def _shown(reply: Reply, sample: Sample) -> str:
    if not reply.option_logprobs:
        return reply.text
    letters = sample.letters or sample.options
    return "\n".join(f"{letter}: {value:.4f}" for letter, value in zip(letters, reply.option_logprobs, strict=False))
