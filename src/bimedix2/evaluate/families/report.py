"""Radiology reports and summaries: the metrics of the paper's Tables 6 and 7, as published and for both languages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bimedix2.evaluate.metrics import neural
from bimedix2.evaluate.metrics.findings import finding_f1
from bimedix2.evaluate.metrics.meteor import meteor, meteor_exact, wordnet_missing
from bimedix2.evaluate.metrics.overlap import Tokens, bleu, chrf, rouge_l
from bimedix2.evaluate.metrics.radgraph import radcliq, radgraph_f1
from bimedix2.evaluate.schema import Mode, Reply, Sample, Scored
from bimedix2.records.schema import Language

Values = dict[str, float | None]


class Report:
    """Compares a report with its reference, text against text, then averages over reports.

    ``multimedeval`` takes the raw strings as MultiMedEval 1.0.0 does (its ROUGE-L is 0 for any Arabic);
    ``corrected`` compares the words of either script. An empty report scores 0 and is counted as not parsed.
    """

    name = "report"
    modes: tuple[Mode, ...] = ("corrected", "multimedeval")
    default_modes: tuple[Mode, ...] = ("corrected", "multimedeval")
    metrics: Mapping[str, Mapping[Language, str]] = {
        "bleu1": {"en": "BLEU-1", "ar": "BLEU-1"},
        "bleu4": {"en": "BLEU-4", "ar": "BLEU-4"},
        "rouge_l": {"en": "ROUGE-L", "ar": "ROUGE-L"},
        "meteor": {"en": "METEOR", "ar": "METEOR"},
        "meteor_exact": {"en": "METEOR (no synonyms)", "ar": "METEOR (بلا مرادفات)"},
        "chrf": {"en": "chrF", "ar": "chrF"},
        "finding_f1": {"en": "Finding F1 (rules)", "ar": "F1 للموجودات (قواعد)"},
        "bertscore": {"en": "BERTScore", "ar": "BERTScore"},
        "radgraph_f1": {"en": "F1-RadGraph", "ar": "F1-RadGraph"},
        "chexbert": {"en": "CheXbert", "ar": "CheXbert"},
        "radcliq": {"en": "RadCliQ-v1 (lower is better)", "ar": "RadCliQ-v1 (الأقل أفضل)"},
    }
    headline = "rouge_l"
    composites: Mapping[str, tuple[str, ...]] = {}
    lower_is_better = frozenset({"radcliq"})

    def score(self, samples: Sequence[Sample], replies: Sequence[Reply], mode: Mode) -> list[Scored]:
        """One row per report."""
        tokens: Tokens = "original" if mode == "multimedeval" else "script_aware"
        synonyms = not wordnet_missing()
        values = [_overlap(r.text, s.reference, tokens, synonyms) for s, r in zip(samples, replies, strict=True)]
        for name, column in _learned(samples, replies, fold_case=mode == "corrected").items():
            for row, value in zip(values, column, strict=True):
                row[name] = value
        return [
            Scored(
                id=sample.id,
                language=sample.language,
                cluster=sample.cluster,
                group=sample.group,
                values=row,
                parsed=bool(reply.text.strip()),
            )
            for sample, reply, row in zip(samples, replies, values, strict=True)
        ]

    def unavailable(self) -> dict[str, tuple[str, str]]:
        """Metrics that cannot be had here, with what to do about it in both languages."""
        reasons = neural.why_not()
        if wordnet_missing():
            reasons["meteor"] = (
                "WordNet is missing: install Debian's wordnet-base, or NLTK's wordnet data",
                "قاعدة WordNet غير موجودة: ثبت حزمة wordnet-base في Debian أو بيانات wordnet الخاصة بـ NLTK",
            )
        return reasons


def _overlap(prediction: str, reference: str, tokens: Tokens, synonyms: bool) -> Values:
    values: Values = {
        "bleu1": bleu(prediction, reference, 1, tokens),
        "bleu4": bleu(prediction, reference, 4, tokens),
        "rouge_l": rouge_l(prediction, reference, tokens),
    }
    if synonyms:
        values["meteor"] = meteor(prediction, reference)
    if tokens == "script_aware":
        values["meteor_exact"] = meteor_exact(prediction, reference)
        values["chrf"] = chrf(prediction, reference)
        values["finding_f1"] = finding_f1(prediction, reference)
    return values


def _learned(samples: Sequence[Sample], replies: Sequence[Reply], *, fold_case: bool) -> dict[str, list[float]]:
    """Columns of the metrics whose weights are here."""
    missing = neural.why_not()
    given, wanted = [reply.text for reply in replies], [sample.reference for sample in samples]
    columns: dict[str, list[float]] = {}
    bert, chex = neural.bertscore_folder(), neural.chexbert_folder()
    if bert is not None:
        columns["bertscore"] = neural.bertscore_f1(given, wanted, bert)
    if chex is not None:
        columns["chexbert"] = neural.chexbert_cosine(given, wanted, chex)
    if "radgraph_f1" not in missing:
        sides = (neural.radgraph_annotations(texts) for texts in (given, wanted))
        columns["radgraph_f1"] = [radgraph_f1(a, b, fold_case=fold_case) for a, b in zip(*sides, strict=True)]
    if not missing:
        inputs = zip(columns["radgraph_f1"], columns["bertscore"], columns["chexbert"], strict=True)
        columns["radcliq"] = [radcliq(graph, neural.rescaled(b), c) for graph, b, c in inputs]
    return columns


FAMILY = Report()
