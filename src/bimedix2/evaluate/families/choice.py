"""Multiple choice by log-probability of the options or by a free reply: the tests of the paper's Table 2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bimedix2.evaluate.metrics.choice import pick_by_logprob, pick_from_reply, pick_multimedeval, pick_yes_no_maybe
from bimedix2.evaluate.schema import Mode, Reply, Sample, Scored
from bimedix2.records.schema import Language

_YES_NO_MAYBE = ("yes", "no", "maybe")


class Choice:
    """Accuracy; a reply that picks no option counts as wrong and as not parsed.

    Where a reply carries log-probabilities they decide, in every mode: ``accuracy`` by their sum,
    ``accuracy_norm`` by their sum over the number of characters (lm-evaluation-harness's acc and acc_norm).
    Otherwise the text does: ``lenient`` and ``strict`` read both scripts, ``multimedeval`` is MultiMedEval 1.0.0.
    """

    name = "choice"
    modes: tuple[Mode, ...] = ("lenient", "strict", "multimedeval")
    metrics: Mapping[str, Mapping[Language, str]] = {
        "accuracy": {"en": "Accuracy", "ar": "الدقة"},
        "accuracy_norm": {"en": "Accuracy (per character)", "ar": "الدقة (لكل حرف)"},
    }
    headline = "accuracy"
    composites: Mapping[str, tuple[str, ...]] = {}
    lower_is_better: frozenset[str] = frozenset()

    def score(self, samples: Sequence[Sample], replies: Sequence[Reply], mode: Mode) -> list[Scored]:
        """One row per question."""
        return [_scored(sample, reply, mode) for sample, reply in zip(samples, replies, strict=True)]


def _scored(sample: Sample, reply: Reply, mode: Mode) -> Scored:
    letters = sample.letters or sample.options
    values: dict[str, float | None]
    if reply.option_logprobs:
        picks = [pick_by_logprob(reply.option_logprobs, letters, per_character=norm) for norm in (False, True)]
        names = ("accuracy", "accuracy_norm")
        values = {name: float(_right(sample, pick)) for name, pick in zip(names, picks, strict=True)}
        parsed = True
    else:
        picked = _pick(sample, reply.text, mode)
        values, parsed = {"accuracy": float(picked is not None and _right(sample, picked))}, picked is not None
    return Scored(
        id=sample.id,
        language=sample.language,
        cluster=sample.cluster,
        group=sample.group,
        values=values,
        parsed=parsed,
    )


def _pick(sample: Sample, text: str, mode: Mode) -> int | None:
    letters = sample.letters or sample.options
    if mode != "multimedeval":
        return pick_from_reply(text, letters, sample.options, strict=mode == "strict")
    if tuple(option.lower() for option in sample.options) == _YES_NO_MAYBE:
        return pick_yes_no_maybe(text)
    return pick_multimedeval(text, letters, sample.options, colon=sample.task == "medmcqa")


def _right(sample: Sample, picked: int) -> bool:
    """Whether the option is the reference, which may be its label in either case or its text."""
    wanted = sample.reference.strip()
    label = (sample.letters or sample.options)[picked]
    if wanted.lower() == label.lower():
        return True
    labels = {letter.lower() for letter in sample.letters}
    return wanted.lower() not in labels and wanted.lower() == sample.options[picked].strip().lower()


FAMILY = Choice()
