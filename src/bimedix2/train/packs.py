"""Packs: one image and the conversations about it in one row, each blind to the others.

A pack is ``prefix | segment | segment | …``. The prefix (BOS, turn header, image tokens) is the same for every
conversation about an image, so it is computed once; each segment sees the prefix and itself alone, and its
positions go on from the prefix. The result equals training on each conversation by itself.

Worked example, prefix length 3 and segments of 2 and 3 tokens::

    index        0 1 2 | 3 4 | 5 6 7
    segment      0 0 0 | 1 1 | 2 2 2
    position     0 1 2 | 3 4 | 3 4 5
    6 may see    0 1 2         5 6
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Sample(NamedTuple):
    """A tokenised conversation.

    Attributes:
        id, group, source: record id; samples with one ``group`` are phrasings of one fact in one language,
            of which an epoch uses one; name of the data set.
        image: index into the image store, or ``None``.
        input_ids, labels: labels are -100 where nothing is supervised and are not shifted.
        prefix: length of the part that all samples about the image share; 0 without an image.
    """

    id: str
    group: str
    source: str
    image: int | None
    input_ids: tuple[int, ...]
    labels: tuple[int, ...]
    prefix: int


class Pack(NamedTuple):
    """Samples that share one image (or have none) and fit the token budget together."""

    image: int | None
    samples: tuple[Sample, ...]

    @property
    def tokens(self) -> int:
        """Length of the row."""
        first = self.samples[0].prefix
        return first + sum(len(sample.input_ids) - sample.prefix for sample in self.samples)


def rank(seed: int, epoch: int, key: str) -> int:
    """Place of ``key`` in a shuffle that depends on its arguments alone."""
    return int.from_bytes(hashlib.sha256(f"{seed}|{epoch}|{key}".encode()).digest()[:8], "big")


def repeats(weight: float, drawn: int) -> int:
    """How often a sample occurs in an epoch: ``weight`` on average, decided by its hash.

    ``weight`` 1.25 gives 2 to a quarter of the samples and 1 to the others.
    """
    whole = int(weight)
    return whole + (drawn % 10_000 < round((weight - whole) * 10_000))


def plan_epoch(
    samples: Sequence[Sample], *, seed: int, epoch: int, budget: int, weights: dict[str, float]
) -> list[Pack]:
    """Packs of one epoch in training order: a pure function of its arguments.

    Args:
        samples: every sample; their order does not matter.
        seed, epoch: choose phrasing, packing and order.
        budget: longest pack in tokens; a longer sample gets a pack of its own.
        weights: expected uses of each source's images (or texts) per epoch, 1 where absent.
    """
    by_group: dict[str, list[Sample]] = {}
    for sample in samples:
        by_group.setdefault(sample.group, []).append(sample)
    chosen: dict[tuple[int, ...], list[Sample]] = {}
    for key in sorted(by_group):
        options = sorted(by_group[key], key=lambda sample: sample.id)
        sample = options[rank(seed, epoch, key) % len(options)]
        # All conversations about an image come or stay away together: a row with one of them is mostly image.
        unit = key if sample.image is None else f"{sample.source}|image {sample.image}"
        for _ in range(repeats(weights.get(sample.source, 1.0), rank(seed, epoch, f"use|{unit}"))):
            # Conversations can share a row only if their first tokens are the very same.
            chosen.setdefault(_shared(sample), []).append(sample)
    packs: list[Pack] = []
    for _, members in sorted(chosen.items()):
        members.sort(key=lambda sample: rank(seed, epoch, f"member|{sample.id}"))
        packs.extend(_fill(members, budget))
    packs.sort(key=lambda pack: rank(seed, epoch, "pack|" + pack.samples[0].id))
    return packs


def _shared(sample: Sample) -> tuple[int, ...]:
    image = -1 if sample.image is None else sample.image
    return (image, *sample.input_ids[: sample.prefix])


def _fill(samples: Iterable[Sample], budget: int) -> Iterable[Pack]:
    row: list[Sample] = []
    used = 0
    for sample in samples:
        own = len(sample.input_ids) - sample.prefix
        if row and used + own > budget:
            yield Pack(row[0].image, tuple(row))
            row = []
        used = (used if row else sample.prefix) + own
        row.append(sample)
    if row:
        yield Pack(row[0].image, tuple(row))
