"""Keys and values of earlier prompts and answers, found again by their longest common beginning."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bimedix2.inference.decode import new_cache

from .pool import Layers

if TYPE_CHECKING:
    from transformers.cache_utils import DynamicCache

    from bimedix2.images import DecodedImage
    from bimedix2.model import Bundle

# A token, or the picture and which of its tokens: equal ids may hide another picture.
Key = int | tuple[str, int]
_Name = tuple[str | None, tuple[Key, ...]]


def identify(bundle: Bundle, ids: Sequence[int], images: Sequence[DecodedImage]) -> list[Key]:
    """What each position of a prompt stands for; the images are those shown, in order."""
    keys: list[Key] = []
    seen = 0
    for token in ids:
        if token == bundle.image_token_id:
            keys.append((images[seen // bundle.tokens_per_image].sha256, seen % bundle.tokens_per_image))
            seen += 1
        else:
            keys.append(token)
    return keys


class PrefixCache:
    """Least recently used beginnings, bounded in bytes.

    Args:
        capacity: bytes of keys and values; 0 keeps nothing.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity, self.bytes = capacity, 0
        self._known: OrderedDict[_Name, Layers] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def find(self, keys: Sequence[Key], adapter: str | None) -> tuple[int, DynamicCache]:
        """The longest known beginning: its length and a cache of its own that holds it.

        At least the last position is left to compute, and an image is never divided.
        """
        best, length = None, 0
        for name in self._known:
            if name[0] == adapter and (shared := _shared(keys, name[1])) > length:
                best, length = name, shared
        cache = new_cache()
        if best is not None:
            self._known.move_to_end(best)
            for number, (own, values) in enumerate(self._known[best]):
                cache.update(own[..., :length, :], values[..., :length, :], number)
        return length, cache

    def add(self, keys: Sequence[Key], adapter: str | None, layers: Layers) -> None:
        """Remember (1, heads, T, D) keys and values of T positions; shorter beginnings of the same go."""
        name = (adapter, tuple(keys))
        size = sum(part.nbytes for layer in layers for part in layer)
        if size > self.capacity or name in self._known:
            return
        for other in [known for known in self._known if known[0] == adapter and name[1][: len(known[1])] == known[1]]:
            self._drop(other)
        self._known[name] = layers
        self.bytes += size
        while self.bytes > self.capacity:
            self._drop(next(iter(self._known)))

    def clear(self) -> None:
        """Forget everything."""
        self._known.clear()
        self.bytes = 0

    def _drop(self, name: _Name) -> None:
        self.bytes -= sum(part.nbytes for layer in self._known.pop(name) for part in layer)


def _shared(keys: Sequence[Key], known: Sequence[Key]) -> int:
    limit = min(len(keys) - 1, len(known))
    shared = next((i for i in range(limit) if keys[i] != known[i]), limit)
    while shared and isinstance(key := keys[shared], tuple) and key[1] != 0:
        shared -= 1
    return shared
