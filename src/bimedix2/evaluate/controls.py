"""What a score has to be read against: the same model without the image or with another one, and no model at all."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bimedix2.records.schema import Language

from .schema import Reply, Sample, Task

MODEL, BLIND, SHUFFLED, MAJORITY, LOOKUP = "model", "blind", "shuffled", "majority", "lookup"
ASKED = (MODEL, BLIND, SHUFFLED)
"""Conditions in which the model replies; the others need none."""
CONDITIONS = (*ASKED, MAJORITY, LOOKUP)
_IMPOSSIBLE = -1e9


def applies(condition: str, samples: Sequence[Sample]) -> bool:
    """Whether a condition means anything for these samples; the image controls need two different images."""
    if condition == BLIND:
        return any(sample.images for sample in samples)
    if condition == SHUFFLED:
        return len({sample.images for sample in samples if sample.images}) > 1
    return True


def under(condition: str, samples: Sequence[Sample]) -> list[Sample]:
    """The samples as the model sees them under a condition; ids, references and clusters stay."""
    if condition == BLIND:
        return [msgspec.structs.replace(sample, images=()) for sample in samples]
    if condition == SHUFFLED:
        return _shuffled(samples)
    return list(samples)


def _shuffled(samples: Sequence[Sample]) -> list[Sample]:
    """Every sample with the images of another one, the same every time.

    The distinct image tuples are laid in a circle in the order of their hashes and every sample takes the one
    after its own: with two or more none keeps its own, and samples about one image still share one.
    """
    circle = sorted({sample.images for sample in samples if sample.images}, key=_rank)
    following = dict(zip(circle, [*circle[1:], *circle[:1]], strict=True))
    return [msgspec.structs.replace(s, images=following.get(s.images, s.images)) for s in samples]


def _rank(images: tuple[str, ...]) -> str:
    return hashlib.sha256("\0".join(images).encode()).hexdigest()


def training(task: Task, root: Path, language: Language) -> list[Sample]:
    """What a baseline may learn from: the readable rows of the task's training split, none if it has no such split."""
    return list(task.samples(root, language, task.train_split, [])) if task.train_split else []


def majority_replies(train: Sequence[Sample], samples: Sequence[Sample]) -> list[Reply]:
    """The most frequent reference of the training samples for every sample (ties: the first).

    Without training samples the samples' own references are counted, so that no constant answer can do better.
    """
    answer = Counter(sample.reference for sample in train or samples).most_common(1)[0][0]
    return [constant(sample, answer) for sample in samples]


def lookup_replies(train: Sequence[Sample], samples: Sequence[Sample]) -> list[Reply]:
    """Answer of the most similar training question by tf-idf of words and word pairs; no image is used.

    Ties go to the answer that is most frequent among the tied questions, then to the first.
    """
    import numpy as np
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"(?u)\b\w+\b")  # noqa: S106
    table = vectorizer.fit_transform([sample.question for sample in train])
    similarity = vectorizer.transform([sample.question for sample in samples]) @ table.T
    replies = []
    for place, sample in enumerate(samples):
        row = similarity[place].toarray()[0]
        tied = np.flatnonzero(row >= row.max() - 1e-9)
        given = [train[int(index)].reference for index in tied]
        replies.append(constant(sample, max(given, key=lambda answer: (given.count(answer), -given.index(answer)))))
    return replies


def constant(sample: Sample, answer: str) -> Reply:
    """A reply that says ``answer``, as text and, for options, as all of the probability."""
    logprobs = tuple(0.0 if letter == answer else _IMPOSSIBLE for letter in sample.letters)
    return Reply(id=sample.id, text=answer, option_logprobs=logprobs if answer in sample.letters else ())
