"""Visual question answering: the six metrics of the paper's Table 5, as published and corrected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bimedix2.evaluate.metrics.vqa import score_pair
from bimedix2.evaluate.metrics.vqa_corrected import score_corrected
from bimedix2.evaluate.metrics.vqa_llava_med import score_llava_med
from bimedix2.evaluate.schema import Mode, Reply, Sample, Scored
from bimedix2.records.schema import Language

Values = dict[str, float | None]


class Vqa:
    """Scores short answers about an image.

    ``multimedeval`` is MultiMedEval 1.0.0 to 1e-6: what the paper reports. It reads no Arabic, and counts every
    Arabic answer as open. ``corrected`` is the one to compare models by. ``llava_med`` is LLaVA-Med's script, whose
    figures have the same names and other values; its words are counted and its closed answers sought as letters.
    """

    name = "vqa"
    modes: tuple[Mode, ...] = ("corrected", "multimedeval", "llava_med")
    default_modes: tuple[Mode, ...] = ("corrected", "multimedeval")
    metrics: Mapping[str, Mapping[Language, str]] = {
        "bleu1": {"en": "BLEU-1", "ar": "BLEU-1"},
        "closed_accuracy": {"en": "Closed accuracy", "ar": "دقة الأسئلة المغلقة"},
        "open_recall": {"en": "Open recall", "ar": "استرجاع الأسئلة المفتوحة"},
        "recall": {"en": "Recall", "ar": "الاسترجاع"},
        "open_accuracy": {"en": "Open accuracy", "ar": "دقة الأسئلة المفتوحة"},
        "f1": {"en": "F1", "ar": "F1"},
        "exact": {"en": "Exact match", "ar": "التطابق التام"},
    }
    headline = "mean"
    composites: Mapping[str, tuple[str, ...]] = {
        "mean": ("bleu1", "closed_accuracy", "open_recall", "recall", "open_accuracy", "f1")
    }
    lower_is_better: frozenset[str] = frozenset()
    empty_values: Mapping[Mode, float] = {"multimedeval": 0.0}

    def score(self, samples: Sequence[Sample], replies: Sequence[Reply], mode: Mode) -> list[Scored]:
        """One row per sample; a metric that is not about a question's type is ``None``."""
        one = {"multimedeval": _multimedeval, "llava_med": _llava_med}.get(mode, _corrected)
        return [one(sample, reply) for sample, reply in zip(samples, replies, strict=True)]


def _multimedeval(sample: Sample, reply: Reply) -> Scored:
    pair = score_pair(reply.text, sample.reference)
    values = _by_type(pair.bleu1, pair.f1, pair.recall, pair.closed, pair.correct)
    return _scored(sample, values, bool(reply.text.strip()))


def _corrected(sample: Sample, reply: Reply) -> Scored:
    pair = score_corrected(reply.text, sample.reference, sample.group.get("answer_type", ""))
    values = _by_type(pair.bleu1, pair.f1, pair.recall, pair.closed, pair.correct)
    return _scored(sample, values | {"exact": float(pair.exact)}, pair.parsed)


def _llava_med(sample: Sample, reply: Reply) -> Scored:
    """Only open questions have F1, exact match and recall; what is closed says the data set, else a yes or no."""
    pair = score_llava_med(reply.text, sample.reference)
    closed = sample.group.get("answer_type") or ("closed" if sample.reference.strip().lower() in ("yes", "no") else "")
    if closed == "closed":
        return _scored(sample, {"closed_accuracy": float(pair.closed_hit)}, bool(reply.text.strip()))
    values: Values = {"open_recall": pair.recall, "f1": pair.f1, "exact": pair.exact}
    return _scored(sample, values, bool(reply.text.strip()))


def _by_type(bleu1: float, f1: float, recall: float, closed: bool, correct: bool) -> Values:
    return {
        "bleu1": bleu1,
        "closed_accuracy": float(correct) if closed else None,
        "open_recall": None if closed else recall,
        "recall": recall,
        "open_accuracy": None if closed else float(correct),
        "f1": f1,
    }


def _scored(sample: Sample, values: Values, parsed: bool) -> Scored:
    return Scored(
        id=sample.id,
        language=sample.language,
        cluster=sample.cluster,
        group=sample.group,
        values=values,
        parsed=parsed,
    )


FAMILY = Vqa()
