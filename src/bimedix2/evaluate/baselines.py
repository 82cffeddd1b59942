"""Answerers that look at no image: what any score has to be read against."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from bimedix2.records.schema import Language

ALWAYS_NO: dict[Language, str] = {"en": "no", "ar": "لا"}


class Known(NamedTuple):
    """A training question with its answer and image."""

    question: str
    answer: str
    image: str


def always_no(questions: Sequence[str], language: Language) -> list[str]:
    """The most frequent answer of VQA-RAD for every question."""
    return [ALWAYS_NO[language]] * len(questions)


def blind_lookup(known: Sequence[Known], questions: Sequence[str]) -> list[str]:
    """Answer of the most similar training question by tf-idf of words and word pairs; the image is not used.

    Ties go to the answer that is most frequent among the tied questions, then to the first.
    """
    import numpy as np
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"(?u)\b\w+\b")  # noqa: S106
    table = vectorizer.fit_transform([item.question for item in known])
    similarity = (vectorizer.transform(questions) @ table.T).toarray()
    answers = []
    for row in similarity:
        tied = np.flatnonzero(row >= row.max() - 1e-9)
        given = [known[int(index)].answer for index in tied]
        answers.append(max(given, key=lambda answer: (given.count(answer), -given.index(answer))))
    return answers


def same_image_lookup(known: Sequence[Known], questions: Sequence[str], images: Sequence[str]) -> list[str]:
    """The look-up among questions about the same image, among all where the image is new."""
    by_image: dict[str, list[Known]] = defaultdict(list)
    for item in known:
        by_image[item.image].append(item)
    return [
        blind_lookup(by_image.get(image) or known, [question])[0]
        for question, image in zip(questions, images, strict=True)
    ]
