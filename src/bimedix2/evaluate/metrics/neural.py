"""Report metrics that need trained weights. They are loaded where present and never replaced by anything else.

| metric | weights | where they are looked for |
|---|---|---|
| BERTScore | distilroberta-base | folder in ``BIMEDIX2_BERTSCORE``, else the Hub cache |
| CheXbert cosine | CheXbert's BERT as safetensors, with its tokenizer | folder in ``BIMEDIX2_CHEXBERT`` |
| F1-RadGraph | the ``radgraph`` package with its weights | that package's own cache |

Nothing is downloaded and only safetensors are read.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .radgraph import Annotations

if TYPE_CHECKING:
    from torch import Tensor

Floats = list[float]
Reason = tuple[str, str]
BERTSCORE_MODEL, BERTSCORE_LAYER = "distilroberta-base", 5
# Mean F1 of unrelated English sentences with that model and layer (bert-score's baseline file for it).
BERTSCORE_BASELINE = 0.7572
_BATCH, _MAX_TOKENS = 32, 512


def why_not() -> dict[str, Reason]:
    """Metric -> why it cannot be computed here, in both languages."""
    reasons: dict[str, Reason] = {}
    if bertscore_folder() is None:
        reasons["bertscore"] = (
            "weights missing: put distilroberta-base in a folder and set BIMEDIX2_BERTSCORE to it",
            "الأوزان غير موجودة: ضع distilroberta-base في مجلد واضبط BIMEDIX2_BERTSCORE عليه",
        )
    if chexbert_folder() is None:
        reasons["chexbert"] = (
            "weights missing: put CheXbert as safetensors with its tokenizer in a folder and set BIMEDIX2_CHEXBERT",
            "الأوزان غير موجودة: ضع CheXbert بصيغة safetensors مع مجزئه في مجلد واضبط BIMEDIX2_CHEXBERT",
        )
    if _radgraph() is None:
        reasons["radgraph_f1"] = (
            "the radgraph package or its weights are missing: pip install radgraph and let it download once",
            "حزمة radgraph أو أوزانها غير موجودة: ثبتها ودعها تنزل أوزانها مرة واحدة",
        )
    if reasons:
        lacking = ", ".join(reasons)
        reasons["radcliq"] = (f"needs {lacking}", f"يحتاج إلى {lacking}")
    return reasons


def bertscore_folder() -> Path | None:
    """Folder of the BERTScore model, if it is there."""
    return _folder("BIMEDIX2_BERTSCORE") or _cached(BERTSCORE_MODEL)


def chexbert_folder() -> Path | None:
    """Folder of CheXbert, if it is there."""
    return _folder("BIMEDIX2_CHEXBERT")


def _folder(variable: str) -> Path | None:
    path = Path(os.environ.get(variable, ""))
    return path if os.environ.get(variable) and (path / "model.safetensors").is_file() else None


def _cached(repository: str) -> Path | None:
    try:
        from huggingface_hub import try_to_load_from_cache
    except ImportError:
        return None
    found = try_to_load_from_cache(repository, "model.safetensors")
    return Path(found).parent if isinstance(found, str) else None


@cache
def _encoder(folder: Path) -> tuple[Any, Any]:
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model = AutoModel.from_pretrained(folder, local_files_only=True, use_safetensors=True)
    return tokenizer, model.eval()


def chexbert_cosine(predictions: Sequence[str], references: Sequence[str], folder: Path) -> Floats:
    """Cosine of the [CLS] vectors of the last layer (Smit et al. 2020), one per pair; 0 for an empty report."""
    import torch

    given, wanted = (_first_vectors(texts, folder) for texts in (predictions, references))
    cosines = torch.nn.functional.cosine_similarity(given, wanted, dim=-1)
    return [float(c) if p.strip() else 0.0 for c, p in zip(cosines, predictions, strict=True)]


def _first_vectors(texts: Sequence[str], folder: Path) -> Tensor:
    import torch

    parts = [hidden[:, 0] for hidden, _, _ in _hidden(texts, folder, -1)]
    return torch.cat(parts)


def _hidden(texts: Sequence[str], folder: Path, layer: int) -> Any:
    """Hidden states (B, L, C), ids (B, L) and mask (B, L), batch by batch."""
    import torch

    tokenizer, model = _encoder(folder)
    limit = min(_MAX_TOKENS, int(tokenizer.model_max_length))
    for start in range(0, len(texts), _BATCH):
        batch = tokenizer(
            list(texts[start : start + _BATCH]), padding=True, truncation=True, max_length=limit, return_tensors="pt"
        )
        with torch.inference_mode():
            states = model(**batch, output_hidden_states=True).hidden_states
        yield states[layer], batch["input_ids"], batch["attention_mask"]


def bertscore_f1(
    predictions: Sequence[str], references: Sequence[str], folder: Path, *, layer: int = BERTSCORE_LAYER
) -> Floats:
    """BERTScore F1 (Zhang et al. 2020) with idf over the hypotheses, as MultiMedEval has it; not rescaled.

    Args:
        predictions, references: same length.
        folder: of the encoder.
        layer: index into the hidden states, 0 being the embeddings.
    """
    idf = _idf(predictions, folder)
    scores: Floats = []
    for given, wanted in zip(_hidden(predictions, folder, layer), _hidden(references, folder, layer), strict=True):
        for row in range(len(given[0])):
            sides = [(hidden[row], ids[row], mask[row]) for hidden, ids, mask in (given, wanted)]
            scores.append(_matched_f1(sides[0], sides[1], idf))
    return [score if text.strip() else 0.0 for score, text in zip(scores, predictions, strict=True)]


def _idf(texts: Sequence[str], folder: Path) -> dict[int, float]:
    """log((N + 1) / (n + 1)) of each token; a token seen in no text has log(N + 1)."""
    import math
    from collections import Counter

    tokenizer, _ = _encoder(folder)
    counts = Counter(token for text in texts for token in set(tokenizer(text, truncation=True)["input_ids"]))
    return {token: math.log((len(texts) + 1) / (count + 1)) for token, count in counts.items()} | {
        -1: math.log(len(texts) + 1)
    }


Side = tuple["Tensor", "Tensor", "Tensor"]
"""Hidden states (L, C), ids (L,) and mask (L,) of one text."""


def _matched_f1(given: Side, wanted: Side, idf: dict[int, float]) -> float:
    """Greedy matching of two texts; the first and last token (the special ones) have no weight."""
    import torch

    sides = []
    for hidden, ids, mask in (given, wanted):
        length = int(mask.sum())
        weights = torch.tensor([idf.get(int(token), idf[-1]) for token in ids[:length]])
        weights[0] = weights[-1] = 0.0
        sides.append((torch.nn.functional.normalize(hidden[:length], dim=-1), weights))
    (a, a_weight), (b, b_weight) = sides
    similarity = a @ b.T
    precision = (similarity.amax(1) * a_weight).sum() / a_weight.sum().clamp_min(1e-12)
    recall = (similarity.amax(0) * b_weight).sum() / b_weight.sum().clamp_min(1e-12)
    return float(2 * precision * recall / (precision + recall).clamp_min(1e-12))


def rescaled(score: float) -> float:
    """BERTScore on the scale where unrelated English sentences score 0."""
    return (score - BERTSCORE_BASELINE) / (1 - BERTSCORE_BASELINE)


@cache
def _radgraph() -> Any:
    """The radgraph package's annotator, or ``None``; it is told not to download."""
    before = os.environ.get("HF_HUB_OFFLINE")
    os.environ["HF_HUB_OFFLINE"] = "1"
    try:
        from radgraph import RadGraph

        return RadGraph(model_type="radgraph")
    except Exception:  # noqa: BLE001 - its failures have no common type: import, hub, file and version errors
        return None
    finally:
        os.environ.pop("HF_HUB_OFFLINE") if before is None else os.environ.update(HF_HUB_OFFLINE=before)


def radgraph_annotations(reports: Sequence[str]) -> list[Annotations]:
    """Entities of each report; an empty report has none."""
    found = _radgraph()([text if text.strip() else "none" for text in reports])
    return [found[str(place)]["entities"] if text.strip() else {} for place, text in enumerate(reports)]
