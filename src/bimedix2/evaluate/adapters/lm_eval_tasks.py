"""Multiple-choice tasks as task files of lm-evaluation-harness: the same items, prompts and labels.

``NAME_LANGUAGE.yaml`` describes a task, ``NAME_LANGUAGE.jsonl`` holds its items and ``bimedix2_docs.py`` reads them,
so the folder can be moved. lm-evaluation-harness itself is not needed to write them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import yaml

from bimedix2 import __version__
from bimedix2.errors import BiMediX2Error, ConfigError, RecordError
from bimedix2.evaluate.runner import Notes, RunOptions, split_of
from bimedix2.evaluate.schema import Sample, Task
from bimedix2.evaluate.store import write_lines
from bimedix2.inference.answer import user_turn
from bimedix2.records.schema import Language

PREFIX = "bimedix2"
_LOADER = '''"""Items of the tasks in this folder."""

import json
from pathlib import Path

import datasets


def load(file, **_):
    """The test split of one task."""
    lines = (Path(__file__).parent / file).read_text(encoding="utf-8").split("\\n")
    rows = [json.loads(line) for line in lines if line]
    return datasets.DatasetDict({"test": datasets.Dataset.from_list(rows)})
'''


class Doc(msgspec.Struct, frozen=True):
    """An item as lm-evaluation-harness reads it.

    Attributes:
        sample_id, language, question, options, letters: as in ``Sample``.
        prompt: the user's turn exactly as our own engine sends it.
        answer: index of the right letter.
    """

    sample_id: str
    language: Language
    prompt: str
    question: str
    options: tuple[str, ...]
    letters: tuple[str, ...]
    answer: int


@dataclass
class Exported:
    """What was written.

    Attributes:
        counts: name of the task -> items.
        notes: rows and tasks that were left out.
    """

    counts: dict[str, int] = field(default_factory=dict)
    notes: Notes = field(default_factory=Notes)


def export_tasks(tasks: Sequence[Task], root: Path, out: Path, options: RunOptions) -> Exported:
    """Write tasks for ``lm-eval run --include_path OUT``.

    Args:
        tasks: multiple-choice tasks.
        root: of the data sets.
        out: folder to write; files of the same names are replaced.
        options: languages and splits.

    Raises:
        ConfigError: a task is no multiple choice, or has no such split or none of the languages.
        RecordError: no task has any data.
    """
    other = [task.name for task in tasks if task.family != "choice"]
    if other:
        raise ConfigError(
            f"{', '.join(other)}: only multiple-choice tasks can be exported to lm-evaluation-harness.",
            f"{'، '.join(other)}: لا يمكن تصدير غير مهام الاختيار من متعدد إلى lm-evaluation-harness.",
        )
    done = Exported()
    for task in tasks:
        for language in options.languages:
            if language in task.languages:
                _export(task, language, split_of(task, options), root, out, done)
    if not done.counts and done.notes.skipped:
        raise next(iter(done.notes.skipped.values()))
    if not done.counts:
        raise ConfigError(
            f"none of the tasks has the language {', '.join(options.languages)}",
            f"لا تدعم أي من المهام اللغة {'، '.join(options.languages)}",
        )
    (out / f"{PREFIX}_docs.py").write_text(_LOADER, encoding="utf-8")
    return done


def _export(task: Task, language: Language, split: str, root: Path, out: Path, done: Exported) -> None:
    bad: list[RecordError] = []
    docs: list[Doc] = []
    try:
        for number, sample in enumerate(task.samples(root, language, split, bad), 1):
            doc = _doc(task.name, number, sample)
            if isinstance(doc, Doc):
                docs.append(doc)
            else:
                bad.append(doc)
        if not docs:
            empty = ConfigError(f"{task.name}: split {split} is empty", f"{task.name}: القسم {split} فارغ")
            raise bad[0] if bad else empty
    except BiMediX2Error as error:
        done.notes.skipped[task.name, language] = error
        return
    if bad:
        done.notes.bad_rows[task.name, language] = bad
    name = f"{PREFIX}_{task.name}_{language}"
    write_lines(out / f"{name}.jsonl", docs)
    (out / f"{name}.yaml").write_text(_yaml(task, name, language, split), encoding="utf-8")
    done.counts[name] = len(docs)


def _doc(task: str, number: int, sample: Sample) -> Doc | RecordError:
    """The item, or why it cannot be one."""
    letters = sample.letters or sample.options
    if sample.images:
        problem = f"{sample.id} shows an image, and lm-evaluation-harness gets text alone"
        return RecordError(task, number, "images", problem, "يعرض صورة، ولا يتلقى lm-evaluation-harness إلا النص")
    if sample.reference not in letters:
        return RecordError(task, number, "reference", f"{sample.reference!r} is no option", "ليس من الخيارات")
    return Doc(
        sample_id=sample.id,
        language=sample.language,
        prompt=user_turn(sample.prompt, 0, sample.language)[0].text,
        question=sample.question,
        options=sample.options,
        letters=letters,
        answer=letters.index(sample.reference),
    )


class _Function(str):
    """A function in a Python file beside the YAML file, which the harness's loader resolves."""


class _Dumper(yaml.SafeDumper):
    pass


_Dumper.add_representer(_Function, lambda dumper, value: dumper.represent_scalar("!function", str(value)))


def _yaml(task: Task, name: str, language: Language, split: str) -> str:
    """The task file; the delimiter " " is the harness's own, which it drops when a chat template is applied."""
    content: dict[str, Any] = {
        "task": name,
        "tag": [PREFIX, f"{PREFIX}_{language}"],
        "custom_dataset": _Function(f"{PREFIX}_docs.load"),
        "dataset_kwargs": {"file": f"{name}.jsonl"},
        "test_split": "test",
        "output_type": "multiple_choice",
        "doc_to_text": "prompt",
        "doc_to_choice": "letters",
        "doc_to_target": "answer",
        "target_delimiter": " ",
        "metric_list": [
            {"metric": metric, "aggregation": "mean", "higher_is_better": True} for metric in ("acc", "acc_norm")
        ],
        "metadata": {"version": 1, "source": f"bimedix2 {__version__}", "split": split, "licence": task.licence},
    }
    title = json.dumps(task.title.get(language, task.name), ensure_ascii=False)
    text: str = yaml.dump(content, Dumper=_Dumper, allow_unicode=True, sort_keys=False)
    return f"# {title}, split {split}\n{text}"
