"""Does the picture reach the language model? Three checks of nano on ROCOv2.

    python benchmarks/nano_vision_probe.py --data DATA [--out benchmarks/results/nano_vision_probe.json]

1. A linear probe on the frozen encoder's features: what the features hold.
2. nano's own modality accuracy on training figures: whether it learnt what it was shown.
3. The length of image embeddings beside that of text embeddings.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

import bimedix2
from bimedix2.data.sources.rocov2 import Figure, read_figures
from bimedix2.evaluate.families.classification import named_class
from bimedix2.evaluate.registry import all_tasks
from bimedix2.images import load_images
from bimedix2.inference import GenerationConfig, Question
from nano_speed import machine


def features(model: Any, data: Path, figures: list[Figure]) -> Any:
    """Mean and maximum over patches of the encoder's last layer, (N, 2 C)."""
    policy, tower = model.bundle.image_policy, model.bundle.model.model.vision_tower
    rows = []
    for start in range(0, len(figures), 16):
        images = load_images([data / figure.image for figure in figures[start : start + 16]])
        pixels = torch.from_numpy(np.stack([policy.preprocess(image.pixels) for image in images]))
        with torch.inference_mode():
            hidden = tower(pixels.to(model.bundle.dtype), output_hidden_states=True).hidden_states[-1][:, 1:]
            hidden = torch.nn.functional.layer_norm(hidden.float(), hidden.shape[-1:])
        rows.append(torch.cat([hidden.mean(1), hidden.amax(1)], 1))
    return torch.cat(rows).numpy()


def probe(model: Any, data: Path) -> float:
    """Test accuracy of a logistic regression for the modality, fitted on the training figures."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    train, test = ([f for f in read_figures(data, folder) if f.modality] for folder in ("train", "test"))
    fitted = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=2000))
    fitted.fit(features(model, data, train), [figure.modality for figure in train])
    return float(fitted.score(features(model, data, test), [figure.modality for figure in test]))


def on_training_figures(model: Any, data: Path, count: int = 64) -> float:
    """Modality accuracy of nano on figures that it was trained on."""
    samples = list(all_tasks()["rocov2_modality"].samples(data, "en", "train"))[:count]
    questions = [Question(sample.prompt, (str(data / sample.images[0]),), "en") for sample in samples]
    right = 0
    for start in range(0, count, 16):
        answers = model.ask_batch(questions[start : start + 16], GenerationConfig(max_new_tokens=24))
        for sample, answer in zip(samples[start : start + 16], answers, strict=True):
            right += named_class(answer.text, sample.options) == sample.reference
    return right / len(samples)


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    data = args.data
    model = bimedix2.load("nano")
    figures = list(read_figures(data, "train"))[:16]
    images = torch.stack([model.encoder.encode(image) for image in load_images([data / f.image for f in figures])])
    text = model.bundle.model.get_input_embeddings()(torch.arange(1000, 3000))
    report = {
        "machine": machine(),
        "modality_linear_probe_test": round(probe(model, data), 3),
        "modality_nano_train": round(on_training_figures(model, data), 3),
        "image_embedding_norm": round(images.float().norm(dim=-1).mean().item(), 1),
        "text_embedding_norm": round(text.float().norm(dim=-1).mean().item(), 1),
    }
    print(json.dumps(report, indent=1))
    if args.out:
        args.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
