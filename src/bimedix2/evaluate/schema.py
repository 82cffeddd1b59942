"""What a task asks, what a model replied and what that is worth: the types that all of evaluation shares."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

import msgspec

from bimedix2.errors import RecordError
from bimedix2.records.schema import Language

Mode = str
"""How a family scores: ``multimedeval``, ``corrected`` and the like; every figure carries it."""


class Sample(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One question put to a model, in one language.

    Attributes:
        id: unique within a task and language; the same in both languages where the item is the same.
        task: name of the task.
        language: of prompt and reference.
        prompt: the whole text that the model reads, options and instruction included.
        reference: the right answer (for multiple choice the letter, see ``letters``).
        question: the bare question, for reports, overlap checks and blind baselines.
        images: paths, relative to the data root.
        options: texts of the choices, in order; empty for open questions.
        letters: label of each choice as the prompt shows it (``A`` … or ``أ`` …).
        cluster: samples that share it (one image, one claim) are resampled together; the id if empty.
        group: categories for breakdowns, such as ``{"answer_type": "closed", "domain": "ct"}``.
        context: further text that a judge or a metric needs (caption, claim) and the model does not see.
    """

    id: str
    task: str
    language: Language
    prompt: str
    reference: str
    question: str = ""
    images: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    letters: tuple[str, ...] = ()
    cluster: str = ""
    group: dict[str, str] = {}
    context: str = ""


class Verdict(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a judge said about one reply.

    Attributes:
        question: which of the judge's questions it answers, such as ``fixed/model_first``.
        repeat: number of the repetition, from 0.
        text: the judge's raw reply.
        scores: of the reference and of the model, where they are given instead of a text.
        label: ``agree``, ``disagree`` or ``neutral``, where it is given instead of a text.
    """

    question: str
    repeat: int = 0
    text: str = ""
    scores: tuple[float, float] | None = None
    label: str = ""


class Reply(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a model gave back for one sample.

    Attributes:
        id: the sample's.
        text: raw reply, nothing removed; empty for option scoring.
        option_logprobs: log-probability (nats) of each option's continuation, for option scoring.
        tokens: generated tokens.
        seconds: share of the batch's time.
        error: why there is no reply, ``code: message``; such a sample counts as wrong and is reported.
        verdicts: of a judge, for the families that need one.
    """

    id: str
    text: str = ""
    option_logprobs: tuple[float, ...] = ()
    tokens: int = 0
    seconds: float = 0.0
    error: str = ""
    verdicts: tuple[Verdict, ...] = ()


class Scored(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one reply is worth.

    Attributes:
        id, language, cluster, group: from the sample.
        values: metric name -> value; ``None`` where the metric is not about this sample (such as open recall of
            a closed question). A metric over a set is the mean of its values that are not ``None``.
        parsed: whether an answer was found in the reply.
        refused: whether the reply declines to answer.
    """

    id: str
    language: Language
    cluster: str
    values: dict[str, float | None]
    group: dict[str, str] = {}
    parsed: bool = True
    refused: bool = False


class Family(Protocol):
    """A way of scoring that several tasks share, such as ``vqa``.

    Attributes:
        name: as in ``bimedix2 score NAME``.
        modes: the first is the default.
        metrics: names in ``Scored.values``, in the order of tables, with their titles in both languages.
        headline: the metric (or composite) that stands for a task in one figure.
        composites: name -> metrics whose plain mean it is.
        lower_is_better: metrics for which less is better.
    """

    name: str
    modes: tuple[Mode, ...]
    metrics: Mapping[str, Mapping[Language, str]]
    headline: str
    composites: Mapping[str, tuple[str, ...]]
    lower_is_better: frozenset[str]

    def score(self, samples: Sequence[Sample], replies: Sequence[Reply], mode: Mode) -> list[Scored]:
        """Score replies; ``replies[i]`` answers ``samples[i]`` (same ids)."""
        ...


class RunStopped(Exception):  # noqa: N818 -- a way to end, not a fault of its own
    """An engine cannot go on within a batch; what it had answered by then comes along and is kept.

    Attributes:
        reason: why: an error that every further sample would meet too, or an interrupt.
        replies: to those samples of the batch that were answered.
    """

    def __init__(self, reason: BaseException, replies: Sequence[Reply]) -> None:
        super().__init__(str(reason))
        self.reason, self.replies = reason, list(replies)


ReadSamples = Callable[[Path, Language, str], Iterator[Sample | RecordError]]
"""(data root, language, split) -> samples, lazily; in place of a bad row its error, naming file, row and field.

Raises ``RecordError`` where the file as a whole is missing or damaged.
"""


@dataclass(frozen=True)
class Task:
    """A benchmark: where its samples come from, how they are asked and scored.

    Attributes:
        name: as on the command line.
        family: name of the scoring family.
        read: reads the samples of one language and split from the original files, else from the Hub's.
        languages: languages it can be asked in.
        splits: the first is the default.
        train_split: split that answers without a model may learn from (majority answer, nearest question), or ``""``.
        request: free text, or log-probabilities of the options.
        max_new_tokens: limit of a free-text reply.
        title: name in both languages.
        licence: of the data.
        hub: id of the data set on the Hub that the same adapter reads once downloaded, or ``""``.
        hub_files: patterns of the files there that it reads; all data files if empty.
        folder: of its files, below the data root; the name if empty.
        table: table of the paper that it belongs to, such as ``"2"``, or ``""``.
    """

    name: str
    family: str
    read: ReadSamples
    languages: tuple[Language, ...] = ("en", "ar")
    splits: tuple[str, ...] = ("test",)
    train_split: str = ""
    request: Literal["generate", "options"] = "generate"
    max_new_tokens: int = 64
    title: Mapping[Language, str] = field(default_factory=dict)
    licence: str = ""
    hub: str = ""
    hub_files: tuple[str, ...] = ()
    folder: str = ""
    table: str = ""

    def samples(
        self, root: Path, language: Language, split: str, bad: list[RecordError] | None = None
    ) -> Iterator[Sample]:
        """Samples of one split.

        Args:
            root, language, split: as in ``read``.
            bad: receives the errors of bad rows; without it the first one is raised.

        Raises:
            RecordError: the file is missing or damaged, or a row is bad and ``bad`` is not given.
        """
        for item in self.read(root, language, split):
            if isinstance(item, Sample):
                yield item
            elif bad is None:
                raise item
            else:
                bad.append(item)


class Engine(Protocol):
    """Anything that answers samples.

    Attributes:
        name: shown in reports.
        fingerprint: changes with weights, prompts and settings; part of every stored reply's key.
    """

    name: str
    fingerprint: str

    def generate(self, samples: Sequence[Sample], root: Path, max_new_tokens: int) -> list[Reply]:
        """Free-text replies, in order; a sample that fails gives a reply with ``error`` set.

        Raises:
            RunStopped: no further sample can be answered, and some of these were.
        """
        ...

    def option_scores(self, samples: Sequence[Sample], root: Path) -> list[Reply]:
        """Log-probability of each option, in order; raises ``ConfigError`` if the engine cannot give them."""
        ...
