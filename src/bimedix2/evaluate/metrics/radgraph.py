"""F1-RadGraph and RadCliQ-v1: arithmetic over annotations and scores that models give (``.neural`` loads those)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Annotations = Mapping[str, Mapping[str, Any]]
"""Entity key -> ``{"tokens": str, "label": str, "relations": [[name, key], …]}``, as the radgraph package gives."""

# RadCliQ-v1 (Yu et al. 2023) in the order RadGraph, BERTScore, CheXbert cosine, BLEU-2: the published regression's
# standardisation and weights. The last weight is nil, so BLEU-2 does not matter.
_MEANS = (0.5379231241355762, 0.6175725628125001, 0.7647942121140658, 0.44738335396242174)
_SCALES = (0.3028258411486429, 0.22430938459304575, 0.2539439110169773, 0.2989271671041838)
_WEIGHTS = (-0.37708368261038905, -0.37030009974480316, -0.25261621789593225, 4.315048405024756e-12)
_INTERCEPT = 2.466552561323256e-10


def radgraph_f1(hypothesis: Annotations, reference: Annotations, *, fold_case: bool = False) -> float:
    """The "partial" reward: F1 of entities as (tokens, label, takes part in a relation) (Delbrouck et al. 2022).

    Args:
        hypothesis, reference: annotations.
        fold_case: compare tokens without case, as radgraph does since 2026; MultiMedEval does not.
    """
    given, wanted = _entities(hypothesis, fold_case), _entities(reference, fold_case)
    if not given or not wanted:
        return 0.0
    return 2 * len(given & wanted) / (len(given) + len(wanted))


def _entities(annotations: Annotations, fold_case: bool) -> set[tuple[str, str, bool]]:
    return {
        (item["tokens"].lower() if fold_case else item["tokens"], item["label"], bool(item["relations"]))
        for item in annotations.values()
    }


def radcliq(radgraph: float, bertscore: float, chexbert: float, bleu2: float = 0.0) -> float:
    """RadCliQ-v1 of one report; lower is better, a perfect report scores -1.4407.

    Args:
        radgraph: F1-RadGraph.
        bertscore: BERTScore F1, rescaled with its baseline.
        chexbert: cosine of CheXbert embeddings.
        bleu2: BLEU-2; its weight is 4e-12.
    """
    inputs: Sequence[float] = (radgraph, bertscore, chexbert, bleu2)
    terms = zip(inputs, _MEANS, _SCALES, _WEIGHTS, strict=True)
    return _INTERCEPT + sum(weight * (value - mean) / scale for value, mean, scale, weight in terms)
