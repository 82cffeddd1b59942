"""What a rehearsal measures, by means that the trainer has no part in: transformers' forward, files, answers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bimedix2.records.schema import Record

if TYPE_CHECKING:
    from torch import Tensor

    from bimedix2.model import Bundle

_LONGEST_ANSWER = 8


def forward(bundle: Bundle, record: Record, root: Path) -> tuple[Tensor, Tensor]:
    """Logits (1, T, V) and labels (1, T) of one conversation with pictures, by transformers alone."""
    import numpy as np
    import torch
    from PIL import Image

    from bimedix2.text.chat import encode_conversation

    encoded = encode_conversation(
        record.turns,
        bundle.tokenizer,
        bundle.template,
        image_token_id=bundle.image_token_id,
        tokens_per_image=bundle.tokens_per_image,
    )
    pictures = [np.asarray(Image.open(root / image.path).convert("RGB")) for image in record.images]
    pixels = torch.from_numpy(np.stack([bundle.image_policy.preprocess(picture) for picture in pictures]))
    with torch.no_grad():
        output = bundle.model(input_ids=torch.tensor([encoded.input_ids]), pixel_values=pixels)
    return output.logits.float(), torch.tensor([encoded.labels])


def held_out_loss(bundle: Bundle, records: Sequence[Record], root: Path) -> float:
    """Nats per supervised token."""
    from torch.nn.functional import cross_entropy

    total, tokens = 0.0, 0
    for record in records:
        logits, labels = forward(bundle, record, root)
        total += float(cross_entropy(logits[0, :-1], labels[0, 1:], reduction="sum"))
        tokens += int((labels[0, 1:] != -100).sum())
    return total / tokens


def exact_match(bundle: Bundle, records: Sequence[Record], root: Path) -> float:
    """Share of the first questions that the model answers word for word."""
    from bimedix2.inference.answer import Question
    from bimedix2.inference.assistant import Assistant
    from bimedix2.inference.config import GenerationConfig

    questions = [
        Question(record.turns[0].text, tuple(root / image.path for image in record.images), record.turns[0].language)
        for record in records
    ]
    answers = Assistant(bundle).ask_batch(questions, GenerationConfig(max_new_tokens=_LONGEST_ANSWER))
    right = [answer.text == record.turns[1].text for answer, record in zip(answers, records, strict=True)]
    return sum(right) / len(right)


def logits_gap(one: Sequence[Tensor], other: Sequence[Tensor]) -> float:
    """Largest difference between two lists of logits."""
    return max(float((a - b).abs().max()) for a, b in zip(one, other, strict=True))


def loss_gap(one: Sequence[dict[str, Any]], other: Sequence[dict[str, Any]]) -> float:
    """Largest difference between the losses of two runs' log rows; infinite where they have not the same steps."""
    steps = [[(row["stage_index"], row["step"]) for row in rows] for rows in (one, other)]
    if steps[0] != steps[1]:
        return float("inf")
    return max(abs(float(a["loss"]) - float(b["loss"])) for a, b in zip(one, other, strict=True))


def weight_gap(one: Path, other: Path) -> float:
    """Largest difference between the tensors of two folders of safetensors; infinite where names differ."""
    from safetensors.torch import load_file

    found = [
        {
            f"{path.name}/{key}": value
            for path in sorted(folder.glob("*.safetensors"))
            for key, value in load_file(path).items()
        }
        for folder in (one, other)
    ]
    if not found[0] or found[0].keys() != found[1].keys():
        return float("inf")
    return max(float((value.float() - found[1][key].float()).abs().max()) for key, value in found[0].items())
