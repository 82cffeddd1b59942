"""Packs made into tensors ahead of the step that needs them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bimedix2.train.forward.batch import Batch, Tokens, build_batch
from bimedix2.train.plan.packs import Pack

Work = tuple[Pack, str | None]
"""A pack and the key of its augmentation, ``None`` for pictures as they are."""


class Images(Protocol):
    """Where pixels come from (:class:`bimedix2.train.samples.images.ImageStore`)."""

    def get_uint8(self, index: int, augment_key: str | None) -> NDArray[np.uint8]:
        """(S, S, 3) of one image."""


class Loader:
    """Builds batches in threads: image work in numpy and Pillow leaves Python's lock, so it overlaps with the model.

    Args:
        tokens: token store.
        images: image store, or ``None`` without images.
        side: S, edge of an image in pixels.
        workers: threads; each holds two batches at most.
    """

    def __init__(self, tokens: Tokens, images: Images | None, side: int, workers: int) -> None:
        self.tokens, self.images, self.side, self.workers = tokens, images, side, max(1, workers)

    def build(self, work: Work) -> Batch:
        """One batch; the key of an image's augmentation is the pack's and the image's."""
        pack, key = work
        images = self.images
        if images is None:
            return build_batch(pack, self.tokens, None, self.side)

        def pixels(index: int) -> NDArray[np.uint8]:
            return images.get_uint8(index, None if key is None else f"{key}|{index}")

        return build_batch(pack, self.tokens, pixels, self.side)

    def stream(self, work: Iterable[Work]) -> Iterator[Batch]:
        """Batches in the order of ``work``, built up to ``2 x workers`` ahead."""
        with ThreadPoolExecutor(self.workers, thread_name_prefix="packs") as pool:
            waiting: deque[Future[Batch]] = deque()
            try:
                for item in work:
                    waiting.append(pool.submit(self.build, item))
                    if len(waiting) > 2 * self.workers:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for future in waiting:
                    future.cancel()
