"""First alignment: image embeddings learn to point at the words of the answers about the image.

A projector trained through a frozen base model first spends its updates on the form of the answers, and on small
data the picture itself hardly gets through (benchmarks/README.md has the measurement). This objective leaves the
language model out: the cosine between every image embedding and the model's own word embeddings, averaged over
the image, has to predict the words (after Joulin et al. 2016, arXiv 1511.02251, who learn visual features from
bags of words). An epoch of it costs seconds, and the next stage starts from image embeddings that already mean
something to the language model.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

from bimedix2.model.encoder import encode_images, encoder_digest

from .plan.ranks import ranks
from .progress import Tell, silent
from .samples.table import CHAT

if TYPE_CHECKING:
    from bimedix2.model import Bundle

    from .samples.images import ImageStore
    from .samples.prepare import Prepared

LOGIT_SCALE = 30.0
MIN_IMAGES = 4
_BATCH = 4


class WordAlignment:
    """Targets, word directions and cached image features of one data set.

    Args:
        bundle: the model; its projector is trained in place.
        prepared: samples and images at training resolution; images are not augmented here, so features are
            computed once.
        folder: where the features are kept between runs.
        weights: a source with weight 0 is left out.
        say: receives progress lines.

    Attributes:
        vocabulary: (V,) token ids that occur in the answers about at least four images and hold two letters.
        targets: (N, V), each row sums to 1 (or is 0 for an image without such words):
            log(1 + count) * log(N / images with the token), normalised.
        prior: (V,) log of the mean target, so that embeddings need only say what sets an image apart.
    """

    def __init__(
        self,
        bundle: Bundle,
        prepared: Prepared,
        folder: Path,
        weights: dict[str, float],
        say: Tell = silent,
    ) -> None:
        assert prepared.images is not None
        count = len(prepared.images.pixels)
        answers = _answers(prepared, weights)
        self.vocabulary, self.targets = word_targets(answers, count, bundle.tokenizer)
        self.images = [index for index in range(count) if self.targets[index].sum() > 0]
        self.prior = self.targets[self.images].mean(0).clamp_min(1e-6).log()
        self.projector: Any = bundle.model.model.multi_modal_projector
        with torch.no_grad():
            words = bundle.model.get_input_embeddings()(self.vocabulary.to(bundle.device)).float()
        # Embeddings of one table share a large mean, which would make all cosines alike.
        self.center = words.mean(0)
        self.directions = normalize(words - self.center, dim=-1)
        self.features = _features(bundle, prepared.images, folder, say)

    def plan(self, seed: int, epochs: int, size: int) -> list[list[int]]:
        """Images of every step; a pure function of its arguments and the data."""
        images = np.array(self.images, dtype=np.int64)
        steps: list[list[int]] = []
        for epoch in range(epochs):
            order = images[np.argsort(ranks(images.astype(np.uint64), seed, epoch, "words"), kind="stable")].tolist()
            steps.extend(order[start : start + size] for start in range(0, len(order), size))
        return steps

    def logits(self, images: list[int]) -> Tensor:
        """(N, V) scores: scale * mean over tokens of the cosine with each word, plus the prior."""
        features = torch.from_numpy(np.asarray(self.features[images])).view(torch.bfloat16)
        parameter = next(self.projector.parameters())
        embeds = self.projector(features.to(parameter.device, parameter.dtype)).float() - self.center
        cosines: Tensor = normalize(embeds, dim=-1).mean(1) @ self.directions.T
        return LOGIT_SCALE * cosines + self.prior.to(cosines.device)

    def loss(self, images: list[int]) -> Tensor:
        """Summed cross-entropy against the targets."""
        logits = self.logits(images)
        loss: Tensor = -(self.targets[images].to(logits.device) * logits.log_softmax(-1)).sum()
        return loss


def _answers(prepared: Prepared, weights: dict[str, float]) -> Iterable[tuple[int, NDArray[np.int32]]]:
    """(image, supervised token ids) of every sample with one image whose source takes part."""
    store = prepared.store
    counts = store.table.image_count()
    for row in range(len(store.table)):
        shown = counts[row] == 1 and store.table.form[row] == CHAT
        if shown and weights.get(store.table.sources[store.table.source[row]], 1.0) > 0:
            yield int(store.table.images(row)[0]), store.ids(row)[store.supervised(row)]


def word_targets(
    answers: Iterable[tuple[int, NDArray[np.int32]]], images: int, tokenizer: Any
) -> tuple[Tensor, Tensor]:
    """Vocabulary (V,) and targets (images, V) from the supervised tokens of (image, answer) pairs.

    Worked example: of 100 images, 10 have "CT" in their answers, one of them once and nothing else: its row is 1
    at "CT" whatever the weight, log 2 * log 10 before it is normalised.
    """
    counts = [Counter[int]() for _ in range(images)]
    for image, tokens in answers:
        counts[image].update(set(tokens.tolist()))
    seen = Counter(token for count in counts for token in count)
    kept = sorted(token for token, times in seen.items() if times >= MIN_IMAGES and _wordlike(tokenizer, token))
    place = {token: index for index, token in enumerate(kept)}
    targets = torch.zeros(images, len(kept))
    for image, count in enumerate(counts):
        for token in count.keys() & place.keys():
            targets[image, place[token]] = math.log1p(count[token]) * math.log(images / seen[token])
    return torch.tensor(kept, dtype=torch.long), targets / targets.sum(1, keepdim=True).clamp_min(1e-6)


def _wordlike(tokenizer: Any, token: int) -> bool:
    if token in tokenizer.all_special_ids:
        return False
    text: str = tokenizer.decode([token])
    return sum(letter.isalpha() for letter in text) >= 2


def _features(bundle: Bundle, images: ImageStore, folder: Path, say: Tell) -> Any:
    """(N, P, C) patch features of the frozen encoder, memory-mapped; bf16 bits as int16."""
    key = f"{images.name}|{encoder_digest(bundle.model)}|{bundle.model.config.vision_feature_layer}"
    target = folder / f"features-{hashlib.sha256(key.encode()).hexdigest()[:16]}.npy"
    if not target.exists():
        # The process number keeps several processes out of each other's way; they write the same bytes.
        import os

        scratch, array, count = target.with_suffix(f".{os.getpid()}.partial"), None, len(images.pixels)
        for start in range(0, count, _BATCH):
            rows = _encode(bundle, images, range(start, min(start + _BATCH, count)))
            if array is None:
                shape = (count, *rows.shape[1:])
                array = np.lib.format.open_memmap(scratch, mode="w+", dtype=np.int16, shape=shape)
            array[start : start + _BATCH] = rows
            if start % 200 == 0:
                say(f"encoding image {start + 1} of {count}", f"ترميز الصورة {start + 1} من {count}")
        assert array is not None
        array.flush()
        scratch.rename(target)
    return np.load(target, mmap_mode="r")


@torch.no_grad()
def _encode(bundle: Bundle, images: ImageStore, indices: range) -> Any:
    pixels = np.stack([images.policy.normalise(images.get_uint8(index, None)) for index in indices])
    features = encode_images(bundle.model, torch.from_numpy(pixels).to(bundle.device))
    return features.to("cpu", torch.bfloat16).contiguous().view(torch.int16).numpy()
