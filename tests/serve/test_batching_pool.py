"""The row cache and the prefix cache by themselves."""

from __future__ import annotations

import pytest
import torch

from bimedix2.errors import ModelError
from bimedix2.serve.engines.batching.model import attention_windows
from bimedix2.serve.engines.batching.pool import KVPool, Layers, row_masks
from bimedix2.serve.engines.batching.prefix import Key, PrefixCache

SIZE = 2 * 2 * 2 * 3 * 4  # bytes of a position: keys and values, layers, heads, D, float32


def layers(length: int, value: float) -> Layers:
    return [(torch.full((1, 2, length, 3), value), torch.full((1, 2, length, 3), -value)) for _ in range(2)]


def test_rows_keep_their_values_when_others_leave_and_the_block_grows() -> None:
    pool = KVPool(3, block=4)
    for number, length in enumerate((3, 9, 5)):
        assert pool.join(layers(length, number + 1.0), 1) == number
    assert pool.capacity == 12
    pool.leave(0)
    assert pool.lengths == [5, 9]
    assert [float(pool.copy(row, 5)[1][0].mean()) for row in range(2)] == [3.0, 2.0]
    with pytest.raises(ValueError, match="taken"):
        pool.join(layers(1, 0.0), 1), pool.join(layers(1, 0.0), 1)


def test_an_empty_pool_holds_no_memory() -> None:
    pool = KVPool(2, block=4)
    pool.join(layers(100, 1.0), 1)
    assert pool.bytes >= 2 * 101 * SIZE
    pool.leave(0)
    assert (pool.bytes, pool.capacity, pool.lengths) == (0, 0, [])


def test_a_row_does_not_see_what_a_former_one_left() -> None:
    """NaN times a weight of zero is NaN, so a mask alone would not do."""
    pool = KVPool(2, block=8)
    pool.join(layers(2, 1.0), 1)
    pool.join(layers(8, float("nan")), 1)
    pool.leave(1)
    pool.join(layers(3, 2.0), 1)
    keys, _ = pool.cache(slice(0, 2)).layers[0].update(torch.zeros(2, 2, 1, 3), torch.zeros(2, 2, 1, 3))
    assert keys.isfinite().all()
    assert pool.copy(1, 8)[0][0].isfinite().all()


def test_masks_by_hand() -> None:
    masks = row_masks([1, 3], {"full": None, "near": 2}, torch.device("cpu"))
    assert masks["full"][:, 0, 0].int().tolist() == [[1, 1, 0, 0], [1, 1, 1, 1]]
    assert masks["near"][:, 0, 0].int().tolist() == [[1, 1, 0, 0], [0, 0, 1, 1]]
    added = row_masks([1, 3], {"near": 2}, torch.device("cpu"), torch.float32)["near"]
    assert added[1, 0, 0].tolist() == [torch.finfo(torch.float32).min] * 2 + [0.0, 0.0]


class Kinds:
    def __init__(self, layer_types: list[str] | None, sliding_window: int | None) -> None:
        self.layer_types, self.sliding_window = layer_types, sliding_window


def test_kinds_of_attention() -> None:
    both = ["sliding_attention", "full_attention"]
    assert attention_windows(Kinds(both, 24)) == {"full_attention": None, "sliding_attention": 24}
    assert attention_windows(Kinds(None, 24)) == {"all": 24}
    assert attention_windows(Kinds(["full_attention"], 24)) == {"full_attention": None}
    with pytest.raises(ModelError) as caught:
        attention_windows(Kinds(["linear_attention"], None))
    assert caught.value.code == "unsupported_model"
    assert "vLLM" in caught.value.message_ar


def image(name: str) -> list[Key]:
    return [(name, index) for index in range(4)]


def test_the_longest_beginning_is_found_and_images_stay_whole() -> None:
    cache = PrefixCache(10**6)
    cache.add([1, *image("a"), 7, 8], None, layers(7, 1.0))
    cache.add([1, 2, 3], None, layers(3, 2.0))
    length, found = cache.find([1, *image("a"), 7, 9], None)
    assert (length, found.get_seq_length()) == (6, 6)
    assert cache.find([1, *image("b"), 7, 8], None)[0] == 1  # equal ids, another picture
    assert cache.find([1, *image("a")[:3]], None)[0] == 1  # a part of a picture is no picture
    assert cache.find([1, 2, 3], None)[0] == 2  # the last token is always computed
    assert cache.find([1, 2, 3, 4], "adapter")[0] == 0
    found.update(torch.zeros(1, 2, 1, 3), torch.zeros(1, 2, 1, 3), 0)
    assert cache.find([1, *image("a"), 7, 8, 9], None)[1].get_seq_length() == 7


def test_the_prefix_cache_is_bounded_in_bytes() -> None:
    cache = PrefixCache(10 * SIZE)
    cache.add([1, 2, 3, 4], None, layers(4, 1.0))
    cache.add([5, 6, 7, 8], None, layers(4, 2.0))
    cache.find([1, 2, 9], None)  # now the other is the older one
    cache.add([9, 9, 9], None, layers(3, 3.0))
    assert (len(cache), cache.bytes) == (2, 7 * SIZE)
    assert cache.find([5, 6, 7, 8, 9], None)[0] == 0
    assert cache.find([1, 2, 3, 4, 9], None)[0] == 4
    cache.add(list(range(11)), None, layers(11, 4.0))  # larger than all the room
    assert cache.find(list(range(12)), None)[0] == 0


def test_a_longer_beginning_takes_the_place_of_a_shorter() -> None:
    cache = PrefixCache(10**6)
    cache.add([1, 2], None, layers(2, 1.0))
    cache.add([1, 2, 3], None, layers(3, 1.0))
    assert (len(cache), cache.bytes) == (1, 3 * SIZE)
    cache.clear()
    assert (len(cache), cache.bytes) == (0, 0)
