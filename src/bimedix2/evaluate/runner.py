"""Puts the samples of tasks to an engine and keeps every reply: batches, resume, progress, bad samples."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec

from bimedix2.errors import BiMediX2Error, ConfigError, RecordError
from bimedix2.records.schema import Language

from .controls import ASKED, LOOKUP, MAJORITY, applies, lookup_replies, majority_replies, training, under
from .schema import Engine, Reply, RunStopped, Sample, Task, Verdict
from .selection import limited, readable, shared_ids
from .store import StoredReply, TaskFolder, reply_key, write_lines

Say = Callable[[str], None]
_MAX_FAILED_BATCHES = 3


@dataclass(frozen=True)
class RunOptions:
    """What to ask, and how.

    Attributes:
        languages: a task is asked in those of them that it has.
        split: the task's default if empty; ``splits`` has exceptions by task name.
        limit: only so many samples a task, drawn by the hash of seed and id, so the same in every language.
        seed: of that draw and of the bootstrap.
        batch: samples per batch.
        conditions: from :data:`bimedix2.evaluate.controls.CONDITIONS`.
        request: ``generate`` asks multiple-choice tasks for text instead of scoring their options.
    """

    languages: tuple[Language, ...] = ("en", "ar")
    split: str = ""
    splits: dict[str, str] = field(default_factory=dict)
    limit: int | None = None
    seed: int = 0
    batch: int = 16
    conditions: tuple[str, ...] = ("model",)
    request: Literal["auto", "generate", "options"] = "auto"


@dataclass
class Job:
    """One task in one language under one condition.

    Attributes:
        task, language, split, condition: what it is.
        samples: as the model sees them, in the order of the data.
        request: how they are asked.
        folder: where replies go.
        keys: one per sample.
        replies: by key; complete unless the run was cut short.
        verdicts: sample id -> what a judge said, see :mod:`bimedix2.evaluate.judge.judging`.
        judge: what judged and what it cost; empty without one.
    """

    task: Task
    language: Language
    split: str
    condition: str
    samples: list[Sample]
    request: Literal["generate", "options"]
    folder: TaskFolder
    keys: list[str] = field(default_factory=list)
    replies: dict[str, Reply] = field(default_factory=dict)
    verdicts: dict[str, tuple[Verdict, ...]] = field(default_factory=dict)
    judge: dict[str, Any] = field(default_factory=dict)

    def missing(self) -> list[tuple[str, Sample]]:
        """Samples without a good reply, one per key: equal questions are asked once."""
        found = {
            key: sample
            for key, sample in zip(self.keys, self.samples, strict=True)
            if key not in self.replies or self.replies[key].error
        }
        return list(found.items())

    def in_order(self) -> list[Reply | None]:
        """The reply to each sample, under the sample's own id."""
        replies = (self.replies.get(key) for key in self.keys)
        return [
            msgspec.structs.replace(reply, id=sample.id, verdicts=self.verdicts.get(sample.id, ()))
            if reply is not None
            else None
            for reply, sample in zip(replies, self.samples, strict=True)
        ]


@dataclass
class Notes:
    """What of the data could not be used.

    Attributes:
        skipped: (task, language) -> why there is nothing to ask, such as a missing file.
        bad_rows: (task, language) -> errors of rows that were left out.
        untrained: (task, language) -> why the controls have no training questions to learn from.
        stopped: why the engine could not go on, such as a used-up budget.
    """

    skipped: dict[tuple[str, Language], BiMediX2Error] = field(default_factory=dict)
    bad_rows: dict[tuple[str, Language], list[RecordError]] = field(default_factory=dict)
    untrained: dict[tuple[str, Language], BiMediX2Error] = field(default_factory=dict)
    stopped: BiMediX2Error | None = None


def plan(
    tasks: Sequence[Task], engine: Engine, root: Path, run: Path, options: RunOptions, notes: Notes | None = None
) -> Iterator[Job]:
    """The jobs of a run, with the replies that are stored already.

    Args:
        tasks: what to ask.
        engine: what answers; its fingerprint is part of the keys.
        root: of the data sets.
        run: folder of the run.
        options: languages, splits, limit and so on.
        notes: receives bad rows, and tasks whose data are not there; without it those are errors.

    Raises:
        ConfigError: no task has any of the languages, or a split is not known.
        RecordError: a file of a task is missing or damaged, and there is no ``notes`` or no other task.
    """
    made = 0
    shared: dict[str, frozenset[str]] = {}
    for task, language in itertools.product(tasks, options.languages):
        if language not in task.languages:
            continue
        made += 1
        split = split_of(task, options)
        bad: list[RecordError] | None = None if notes is None else []
        try:
            samples = readable(task, root, language, split, bad)
            if options.limit is not None and task.name not in shared:
                shared[task.name] = shared_ids(task, root, options.languages, split)
            samples = limited(samples, options.limit, options.seed, shared.get(task.name, ()))
        except BiMediX2Error as error:
            if notes is None:
                raise
            notes.skipped[task.name, language] = error
            continue
        if notes is not None and bad:
            notes.bad_rows[task.name, language] = bad
        folder = TaskFolder(run, task.name, language)
        folder.write_samples(samples)
        train = _training(task, root, language, options, notes)
        for condition in options.conditions:
            if applies(condition, samples) and not (condition == LOOKUP and not train):
                yield _job(task, language, split, condition, samples, train, folder, engine, root, options)
    if made and notes is not None and len(notes.skipped) == made:
        raise next(iter(notes.skipped.values()))
    if not made:
        raise ConfigError(
            f"none of the tasks has the language {', '.join(options.languages)}",
            f"لا تدعم أي من المهام اللغة {'، '.join(options.languages)}",
        )


def _training(task: Task, root: Path, language: Language, options: RunOptions, notes: Notes | None) -> list[Sample]:
    """What the answers without a model learn from; where it cannot be read they do without, and that is noted."""
    if not {MAJORITY, LOOKUP} & set(options.conditions):
        return []
    try:
        return training(task, root, language)
    except BiMediX2Error as error:
        if notes is None:
            raise
        notes.untrained[task.name, language] = error
        return []


def _job(
    task: Task,
    language: Language,
    split: str,
    condition: str,
    samples: list[Sample],
    train: list[Sample],
    folder: TaskFolder,
    engine: Engine,
    root: Path,
    options: RunOptions,
) -> Job:
    request: Literal["generate", "options"] = task.request if options.request == "auto" else options.request
    if request == "options" and not all(sample.options for sample in samples):
        request = "generate"
    seen = under(condition, samples)
    job = Job(task, language, split, condition, seen, request, folder)
    if condition in ASKED:
        job.keys = [reply_key(sample, root, engine.fingerprint, request, task.max_new_tokens) for sample in seen]
        wanted, stored = set(job.keys), folder.replies(condition)
        job.replies = {key: reply for key, reply in stored.items() if key in wanted}
    else:
        job.keys = [sample.id for sample in seen]
        given = majority_replies(train, seen) if condition == MAJORITY else lookup_replies(train, seen)
        job.replies = {reply.id: reply for reply in given}
        write_lines(folder.replies_path(condition), given)
    return job


def split_of(task: Task, options: RunOptions) -> str:
    """The split a task is asked on.

    Raises:
        ConfigError: the task has no such split.
    """
    split = options.splits.get(task.name) or options.split or task.splits[0]
    if split not in task.splits:
        raise ConfigError(
            f"{task.name} has no split {split!r}. Choose one of: {', '.join(task.splits)}.",
            f"لا يوجد قسم {split!r} في {task.name}. اختر من: {', '.join(task.splits)}.",
        )
    return split


def ask_all(
    jobs: Sequence[Job], engine: Engine, root: Path, options: RunOptions, say: Say, notes: Notes | None = None
) -> bool:
    """Ask what is missing, batch by batch; every batch is on disk before the next one starts.

    Returns:
        Whether every job was carried through. It is not when several batches in a row brought nothing but
        errors, as when an endpoint has gone away, or when the engine cannot go on (``notes`` then holds the reason,
        which is raised without them): what was answered stays, and the same command goes on later.
    """
    work = [(job, job.missing()) for job in jobs if job.condition in ASKED]
    total, done, failed, started = sum(len(missing) for _, missing in work), 0, 0, time.monotonic()
    stored = sum(len(job.samples) for job in jobs if job.condition in ASKED) - total
    if stored:
        say(f"{stored} replies are stored already, {total} to go")
    for job, missing in work:
        for batch in _batched(missing, options.batch):
            try:
                replies = answer_batch(engine, [sample for _, sample in batch], root, job)
            except RunStopped as stop:
                _keep(job, batch, stop.replies)
                if notes is None or not isinstance(stop.reason, BiMediX2Error):
                    raise stop.reason from stop
                notes.stopped = stop.reason
                return False
            _keep(job, batch, replies)
            done += len(batch)
            left = (time.monotonic() - started) / done * (total - done)
            errors = [reply.error for reply in replies if reply.error]
            say(
                f"{job.task.name} {job.language} {job.condition}: {done}/{total} replies, {left / 60:.1f} min left"
                + (f", {len(errors)} errors in this batch ({errors[-1]})" if errors else "")
            )
            failed = failed + 1 if len(errors) == len(batch) else 0
            if failed >= _MAX_FAILED_BATCHES:
                say(f"{failed} batches in a row failed; stopping here. The same command asks only what is missing.")
                return False
    return True


def _keep(job: Job, batch: Sequence[tuple[str, Sample]], replies: Sequence[Reply]) -> None:
    """Store the replies to some or all samples of a batch."""
    keys = {sample.id: key for key, sample in batch}
    rows = [StoredReply(key=keys[reply.id], **msgspec.structs.asdict(reply)) for reply in replies]
    job.folder.add_replies(job.condition, rows)
    job.replies |= {row.key: row for row in rows}


def _batched(items: Sequence[tuple[str, Sample]], size: int) -> Iterator[tuple[tuple[str, Sample], ...]]:
    for start in range(0, len(items), size):
        yield tuple(items[start : start + size])


def answer_batch(engine: Engine, samples: Sequence[Sample], root: Path, job: Job) -> list[Reply]:
    """Replies of the engine; when a batch fails its samples are asked alone, and the bad ones carry the error."""
    try:
        if job.request == "options":
            return engine.option_scores(samples, root)
        return engine.generate(samples, root, job.task.max_new_tokens)
    except ConfigError:
        raise
    except (BiMediX2Error, OSError, ValueError, RuntimeError, MemoryError) as error:
        if len(samples) == 1:
            return [Reply(id=samples[0].id, error=_describe(error))]
        return [reply for sample in samples for reply in answer_batch(engine, [sample], root, job)]


def _describe(error: BaseException) -> str:
    code = error.code if isinstance(error, BiMediX2Error) else type(error).__name__
    return f"{code}: {error}"
