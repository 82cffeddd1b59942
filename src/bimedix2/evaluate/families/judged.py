"""Open answers beside a reference, scored by a judge: BiMed-MBench, the paper's Tables 3 and 4."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

import msgspec

from bimedix2.evaluate.judge.protocols import (
    MODEL_FIRST,
    ORIGINAL,
    REFERENCE_FIRST,
    JudgeQuestion,
    comparison_questions,
)
from bimedix2.evaluate.judge.scores import Pair, lenient_scores, original_scores
from bimedix2.evaluate.judge.tally import NO_JUDGE, Tally, note, verdicts_by_question
from bimedix2.evaluate.judge.wording import Wording
from bimedix2.evaluate.schema import Mode, Reply, Sample, Scored, Verdict
from bimedix2.records.schema import Language

QUESTIONS: dict[Mode, tuple[str, ...]] = {"fixed": (REFERENCE_FIRST, MODEL_FIRST), "original": (ORIGINAL,)}
TYPES = ("conversation", "detailed_description")
_NAMES = ("relative_score", "model_score", "reference_score", "order_agreement", "first_place", "repeat_agreement")
_ONE_ORDER = (
    "only verdicts of one order are there; `fixed` needs `scores` and `scores_swapped`, or a judge",
    "لا توجد إلا أحكام بترتيب واحد؛ يحتاج النمط fixed إلى scores وscores_swapped أو إلى محكم",
)
Values = dict[str, float | None]


class Judged:
    """The model's score over the reference's, item by item, then averaged; above 1 the judge prefers the model.

    ``original`` is LLaVA-Med's protocol: the reference always first, one reply, its strict reader; where its summary
    would stop with an error, or divide by a reference score of 0, the item counts as not parsed and is left out.
    ``fixed`` asks in both orders and averages each side's scores over them before dividing, so that a liking for one
    place cancels out.
    """

    name = "judged"
    modes: tuple[Mode, ...] = ("fixed", "original")
    default_modes: tuple[Mode, ...] = ("fixed", "original")
    metrics: Mapping[str, Mapping[Language, str]] = {
        "relative_score": {"en": "Score relative to the reference", "ar": "الدرجة نسبة إلى المرجع"},
        "model_score": {"en": "Model's score (1–10)", "ar": "درجة النموذج (1–10)"},
        "reference_score": {"en": "Reference's score (1–10)", "ar": "درجة المرجع (1–10)"},
        "order_agreement": {"en": "Same winner in both orders", "ar": "الفائز نفسه بالترتيبين"},
        "first_place": {"en": "Points gained by coming first", "ar": "نقاط يكسبها الأول في الترتيب"},
        "repeat_agreement": {"en": "Same winner in all repeats", "ar": "الفائز نفسه في كل التكرارات"},
    }
    headline = "relative_score"
    composites: Mapping[str, tuple[str, ...]] = {}
    lower_is_better: frozenset[str] = frozenset()

    def questions(self, sample: Sample, reply: Reply, mode: Mode, texts: Wording) -> list[JudgeQuestion]:
        """What the judge is asked about one reply."""
        return comparison_questions(sample, reply.text, mode, texts)

    def score(self, samples: Sequence[Sample], replies: Sequence[Reply], mode: Mode) -> list[Scored]:
        """One row per item; without verdicts its values are ``None``."""
        any_judged = any(_complete(reply, mode) for reply in replies)
        return [_scored(s, r, mode, any_judged) for s, r in zip(samples, replies, strict=True)]

    def unjudged(self, replies: Sequence[Reply], mode: Mode) -> dict[str, tuple[str, str]]:
        """Why there are no figures, where no item has its verdicts."""
        if not replies or any(_complete(reply, mode) for reply in replies):
            return {}
        one_order = any(verdicts_by_question(reply, QUESTIONS[mode]) for reply in replies)
        return {self.headline: _ONE_ORDER if one_order else NO_JUDGE}

    def judging(
        self,
        samples: Sequence[Sample],
        replies: Sequence[Reply],
        scored: Sequence[Scored],
        mode: Mode,
        *,
        configured: bool,
    ) -> dict[str, Any]:
        """How the judge fared: verdicts, those without scores, items still to judge, and oddities of the data."""
        tally = Tally()
        for reply in replies:
            found = verdicts_by_question(reply, QUESTIONS[mode])
            tally.add([_pair(verdict, mode) is not None for part in found.values() for verdict in part])
        missing = sum(not reply.error and not _complete(reply, mode) for reply in replies)
        agreed = [value for row in scored if (value := row.values.get("order_agreement")) is not None]
        return {
            **tally.as_json(),
            "missing": missing if configured or tally.verdicts else 0,
            "order_agreement": fmean(agreed) if agreed else None,
            "notes": _notes(scored, mode),
        }


def _complete(reply: Reply, mode: Mode) -> bool:
    return len(verdicts_by_question(reply, QUESTIONS[mode])) == len(QUESTIONS[mode])


def _pair(verdict: Verdict, mode: Mode) -> Pair | None:
    """Scores of the reference and of the model."""
    if verdict.scores is not None:
        return verdict.scores
    # LLaVA-Med strips the judge's reply before it is stored.
    found = original_scores(verdict.text.strip()) if mode == ORIGINAL else lenient_scores(verdict.text)
    return found[::-1] if found and verdict.question == MODEL_FIRST else found


def _scored(sample: Sample, reply: Reply, mode: Mode, any_judged: bool) -> Scored:
    empty = Scored(
        id=sample.id,
        language=sample.language,
        cluster=sample.cluster,
        group=_group(sample, mode),
        values=dict.fromkeys(_NAMES[: 3 if mode == ORIGINAL else 5]),
    )
    if reply.error and any_judged:
        return msgspec.structs.replace(empty, values={**empty.values, "relative_score": 0.0})
    if reply.error or not _complete(reply, mode):
        return empty
    verdicts = verdicts_by_question(reply, QUESTIONS[mode])
    pairs = {name: [p for v in part if (p := _pair(v, mode)) is not None] for name, part in verdicts.items()}
    reference = fmean(fmean(p[0] for p in part) for part in pairs.values()) if all(pairs.values()) else 0.0
    if reference <= 0:
        return msgspec.structs.replace(empty, parsed=False)
    model = fmean(fmean(p[1] for p in part) for part in pairs.values())
    values: Values = {
        "relative_score": model / reference,
        "model_score": model,
        "reference_score": reference,
        **_agreement(pairs),
    }
    return msgspec.structs.replace(empty, values=values)


def _agreement(pairs: Mapping[str, Sequence[Pair]]) -> Values:
    """How far the judge agrees with itself, over orders and over repeats."""
    values: Values = {}
    if REFERENCE_FIRST in pairs:
        lead = {name: fmean(pair[1] - pair[0] for pair in part) for name, part in pairs.items()}
        values["order_agreement"] = float(_sign(lead[REFERENCE_FIRST]) == _sign(lead[MODEL_FIRST]))
        values["first_place"] = (lead[MODEL_FIRST] - lead[REFERENCE_FIRST]) / 2
    if any(len(part) > 1 for part in pairs.values()):
        same = [len({_sign(pair[1] - pair[0]) for pair in part}) == 1 for part in pairs.values()]
        values["repeat_agreement"] = float(all(same))
    return values


def _sign(value: float) -> int:
    return (value > 0) - (value < 0)


def _group(sample: Sample, mode: Mode) -> dict[str, str]:
    """Categories; ``original`` keeps a type as the file has it, translated or not."""
    group = {name: value for name, value in sample.group.items() if name != "type_in_file"}
    written = sample.group.get("type_in_file", "")
    return {**group, "type": written} if written and mode == ORIGINAL else group


def _notes(scored: Sequence[Scored], mode: Mode) -> list[dict[str, str]]:
    """Types that no column of the published tables has; their items count in the overall score only."""
    types = Counter(kind for row in scored if (kind := row.group.get("type", "")) and kind not in TYPES)
    fixed = ("", "") if mode != ORIGINAL else (" (mode fixed gives them their type)", " (النمط fixed يعطيها نوعها)")
    return [
        note(
            f"{n} items have the type {kind!r}, which is a group of its own{fixed[0]}",
            f"لدى {n} عنصرا النوع {kind!r} وهو مجموعة مستقلة{fixed[1]}",
        )
        for kind, n in sorted(types.items())
    ]


FAMILY = Judged()
