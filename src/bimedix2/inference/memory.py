"""The keys and values of the last conversation, cut back to what a new prompt shares with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from .decode import crop_cache, new_cache, prefill
from .prompt import ImageEncoder, embed_prompt

if TYPE_CHECKING:
    from bimedix2.images import DecodedImage

Key = int | tuple[str, int]


class PromptMemory:
    """Runs prompts and keeps their KV cache, so that a later turn pays for its new tokens only.

    Attributes:
        reused: positions of the last prompt that came out of the cache.
    """

    def __init__(self, encoder: ImageEncoder) -> None:
        self.encoder = encoder
        self.cache = new_cache()
        self._keys: list[Key] = []
        self.reused = 0

    def run(
        self, ids: Sequence[int], images: Sequence[DecodedImage], head: Callable[[Tensor], Tensor] | None = None
    ) -> Tensor:
        """Scores (1, V) of the token after the prompt.

        Args:
            ids: the whole prompt.
            images: what its image tokens stand for, in order.
            head: as for :func:`bimedix2.inference.decode.prefill`.
        """
        keys = self._identify(ids, images)
        shared = self._shared(keys)
        if shared:
            crop_cache(self.cache, shared)
        else:
            self._reset()
        self.reused = shared
        first_image = self._images_before(ids, shared)
        embeds = embed_prompt(self.encoder, ids[shared:], images[first_image:])
        scores = prefill(self.encoder.bundle.model, embeds, self.cache, head=head)
        self._keys = keys
        return scores

    def note(self, token: int) -> None:
        """Remember a generated token whose keys and values have entered the cache."""
        self._keys.append(token)

    def trim(self) -> None:
        """Forget noted tokens that never entered the cache (the last one of an answer)."""
        del self._keys[self.cache.get_seq_length() :]

    def _identify(self, ids: Sequence[int], images: Sequence[DecodedImage]) -> list[Key]:
        """Token ids, with each image token named by its picture: equal ids may hide another image."""
        per_image, image_token = self.encoder.bundle.tokens_per_image, self.encoder.bundle.image_token_id
        keys: list[Key] = []
        seen = 0
        for token in ids:
            if token == image_token:
                keys.append((images[seen // per_image].sha256, seen % per_image))
                seen += 1
            else:
                keys.append(token)
        return keys

    def _shared(self, keys: Sequence[Key]) -> int:
        """Longest common beginning, at least one token short of the prompt and never inside an image."""
        limit = min(len(keys) - 1, len(self._keys), self.cache.get_seq_length())
        shared = next((i for i in range(limit) if keys[i] != self._keys[i]), limit)
        while shared and isinstance(keys[shared], tuple) and keys[shared][1] != 0:  # type: ignore[index]
            shared -= 1
        return shared

    def _images_before(self, ids: Sequence[int], position: int) -> int:
        bundle = self.encoder.bundle
        return sum(token == bundle.image_token_id for token in ids[:position]) // bundle.tokens_per_image

    def _reset(self) -> None:
        self.cache = new_cache()
        self._keys = []
