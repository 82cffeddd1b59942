"""Where evaluation items and training items come from: tasks, folders of runs, files of records."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bimedix2.errors import BiMediX2Error, ConfigError, RecordError
from bimedix2.evaluate.registry import all_tasks, find_tasks
from bimedix2.evaluate.runner import Notes, RunOptions, split_of
from bimedix2.evaluate.schema import Sample, Task
from bimedix2.evaluate.store import TaskFolder, read_lines, read_results
from bimedix2.evaluate.tasks._files import translations
from bimedix2.images.prints import Say
from bimedix2.records import read_records
from bimedix2.records.schema import Language
from bimedix2.text.canonical import canonical

from .items import OTHER, Asked, Item, record_items, sample_item
from .training import Training

_SAY = 50_000
Tables = Mapping[Language, Mapping[str, Sequence[str]]]


@dataclass
class TrainingSources:
    """What the model was trained on.

    Attributes:
        files: records, as `bimedix2 train` reads them.
        root: folder that the records' image paths start from.
        tasks: splits of benchmarks, as (task, split).
        data: folder of the benchmarks.
        bad_rows: receives the errors of rows that were left out.
    """

    files: Sequence[Path] = ()
    root: Path = field(default_factory=Path)
    tasks: Sequence[tuple[Task, str]] = ()
    data: Path = field(default_factory=Path)
    bad_rows: list[RecordError] = field(default_factory=list)

    def names(self) -> list[str]:
        """Files and splits as a report calls them."""
        return [*map(str, self.files), *(f"{task.name}:{split}" for task, split in self.tasks)]

    def fill(self, training: Training, say: Say) -> None:
        """Add every item.

        Raises:
            RecordError: a file is missing or not readable at all.
            ConfigError: there is not one item.
        """
        for path in self.files:
            for record in read_records(path, on_error=self.bad_rows.append):
                for item in record_items(record, self.root):
                    training.add(item)
                    if training.items % _SAY == 0:
                        say(f"training items read: {training.items}")
        for task, split in self.tasks:
            for item in self._of_task(task, split):
                training.add(item, names=False)
        if not training.items:
            raise ConfigError(
                f"there is nothing to compare with in {', '.join(self.names())}",
                f"لا يوجد ما يقارن به في {'، '.join(self.names())}",
            )

    def _of_task(self, task: Task, split: str) -> Iterator[Item]:
        """Items in every language that is there; one of them has to be."""
        missing: list[BiMediX2Error] = []
        for language in task.languages:
            try:
                for sample in task.samples(self.data, language, split, self.bad_rows):
                    yield sample_item(sample, split, self.data)
            except RecordError as error:
                missing.append(error)
        if len(missing) == len(task.languages):
            raise missing[0]


def asked_of_tasks(tasks: Sequence[Task], root: Path, options: RunOptions, tables: Tables, notes: Notes) -> list[Asked]:
    """Samples of tasks; what cannot be read goes into ``notes``.

    Raises:
        BiMediX2Error: nothing at all can be read; the first reason.
    """
    found: list[Asked] = []
    for task in tasks:
        split, samples = split_of(task, options), dict[Language, dict[str, Sample]]()
        for language in task.languages:
            bad: list[RecordError] = []
            try:
                samples[language] = {s.id: s for s in task.samples(root, language, split, bad)}
            except BiMediX2Error as error:
                if language in options.languages:
                    notes.skipped[task.name, language] = error
            if bad and language in options.languages:
                notes.bad_rows[task.name, language] = bad
        for language in options.languages:
            found += _asked(samples, language, split, root, tables)
    if not found and notes.skipped:
        raise next(iter(notes.skipped.values()))
    return found


def asked_of_run(run: Path, names: Sequence[str], root: Path, tables: Tables) -> list[Asked]:
    """Samples that a run asked, all of it or only those of some tasks.

    Raises:
        ConfigError: the folder holds no results, or none of these tasks.
        RecordError: a file of samples is damaged.
    """
    wanted = {task.name for task in find_tasks(list(names))} if names else None
    rows = {(row["task"], row["language"]): row["split"] for row in read_results(run)["rows"]}
    samples: dict[str, dict[Language, dict[str, Sample]]] = defaultdict(dict)
    for task, language in rows:
        read = read_lines(TaskFolder(run, task, language).path / "samples.jsonl", Sample)
        samples[task][language] = {sample.id: sample for sample in read}
    found: list[Asked] = []
    for (task, language), split in rows.items():
        if wanted is None or task in wanted:
            known = samples[task] | _counterparts(task, OTHER[language], split, root, samples[task])
            found += _asked(known, language, split, root, tables)
    if not found:
        raise ConfigError(
            f"{run} has no samples of {', '.join(names) or 'any task'}",
            f"لا توجد في {run} عينات من {'، '.join(names) or 'أي مهمة'}",
        )
    return found


def _counterparts(
    name: str, language: Language, split: str, root: Path, known: Mapping[Language, object]
) -> dict[Language, dict[str, Sample]]:
    """The items in a language that the run did not ask in, where the data set is at hand."""
    task = all_tasks().get(name)
    if language in known or task is None or language not in task.languages:
        return {}
    try:
        return {language: {sample.id: sample for sample in task.samples(root, language, split, [])}}
    except BiMediX2Error:
        return {}


def _asked(
    samples: Mapping[Language, Mapping[str, Sample]], language: Language, split: str, root: Path, tables: Tables
) -> Iterator[Asked]:
    others = samples.get(OTHER[language], {})
    for sample in samples.get(language, {}).values():
        item, other = sample_item(sample, split, root), others.get(sample.id)
        known = [text for form in item.texts for text in tables[language].get(form, ())]
        counterpart = sample_item(other, split, root) if other is not None else None
        yield Asked(item, sample, split, counterpart, tuple(dict.fromkeys(known)))


def translation_tables(paths: Iterable[Path]) -> Tables:
    """Translations of questions, language -> canonical question -> canonical translations.

    Args:
        paths: JSON files as in the ``…_ar`` folders: ``{"questions": {english: arabic}, "answers": {…}}``.

    Raises:
        RecordError: a file is missing or has another shape.
    """
    tables: dict[Language, dict[str, list[str]]] = {"en": defaultdict(list), "ar": defaultdict(list)}
    for path in paths:
        for english, arabic in translations(path)["questions"].items():
            tables["en"][canonical(english)].append(canonical(arabic))
            tables["ar"][canonical(arabic)].append(canonical(english))
    return tables


def training_tasks(names: Sequence[str], defaults: Iterable[str]) -> list[tuple[Task, str]]:
    """Splits to take as training.

    Args:
        names: ``NAME:SPLIT``, or ``NAME`` for the task's own training split.
        defaults: names of the evaluated tasks, whose training splits are taken if ``names`` is empty.

    Raises:
        ConfigError: a task or split is not known, or there is nothing to take.
    """
    chosen: list[tuple[Task, str]] = []
    for name in names:
        base, _, split = name.partition(":")
        for task in find_tasks([base]):
            wanted = split or task.train_split or task.splits[0]
            chosen.append((task, split_of(task, RunOptions(split=wanted))))
    if not names:
        known = (all_tasks().get(name) for name in dict.fromkeys(defaults))
        chosen = [(task, task.train_split) for task in known if task is not None and task.train_split]
    if not chosen:
        raise ConfigError(
            "These tasks have no training split. Give the training data: --train FILE (records) or --train-task "
            "NAME:SPLIT.",
            "ليس لهذه المهام قسم تدريب. أعط بيانات التدريب: --train FILE (سجلات) أو --train-task NAME:SPLIT.",
        )
    return chosen
