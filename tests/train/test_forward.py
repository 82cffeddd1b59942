"""The packed forward pass against transformers' own, one conversation at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from samples_in_memory import MemoryTokens, make_tokens
from torch.nn.functional import cross_entropy, scaled_dot_product_attention

from bimedix2.train.forward.attention import Spans, span_attention
from bimedix2.train.forward.batch import IGNORED, build_batch
from bimedix2.train.forward.loss import token_losses
from bimedix2.train.forward.vlm import PackModel
from bimedix2.train.objective import by_cell
from bimedix2.train.plan.packs import Pack, pack_epoch
from tiny import IMAGE, tiny_bundle


def picture(index: int) -> NDArray[np.uint8]:
    return np.random.default_rng(index).integers(0, 255, (IMAGE, IMAGE, 3), dtype=np.uint8)


def mixed(bundle: Any) -> MemoryTokens:
    """Three conversations about image 0, one about 1, one about 0 and 1, two texts."""
    generator = np.random.default_rng(1)
    one = [bundle.image_token_id] * bundle.tokens_per_image

    def words(count: int) -> list[int]:
        return generator.integers(10, 60, count).tolist()

    head = words(3)

    def about(images: tuple[int, ...], size: int, cell: str) -> dict[str, object]:
        prefix = [*head, *one] if len(images) == 1 else [*head, *one, *words(2), *one]
        own = words(size)
        return {
            "ids": [*prefix, *own],
            "supervised": [False] * (len(prefix) + size // 2) + [True] * (size - size // 2),
            "images": images,
            "prefix": len(prefix),
            "cell": cell,
        }

    def text(size: int, cell: str) -> dict[str, object]:
        return {"ids": words(size), "supervised": [False] * 4 + [True] * (size - 4), "cell": cell}

    return make_tokens(
        [
            about((0,), 9, "en/ct/vqa"),
            about((0,), 14, "ar/ct/vqa"),
            about((0,), 30, "en/ct/report"),
            about((1,), 8, "en/ct/vqa"),
            about((0, 1), 8, "ar/ct/vqa"),
            text(40, "en/text/qa"),
            text(12, "ar/text/qa"),
        ]
    )


def one_pack(tokens: MemoryTokens) -> Pack:
    rows = np.arange(len(tokens.table))
    (pack,) = pack_epoch(tokens.table, rows, np.ones_like(rows), budget=10_000, images=0, seed=0, epoch=0)
    return pack


def single_losses(bundle: Any, tokens: MemoryTokens, row: int) -> torch.Tensor:
    """Per-token losses by transformers, one conversation alone."""
    ids = torch.from_numpy(tokens.ids(row).astype(np.int64))[None]
    images = [bundle.image_policy.normalise(picture(int(index))) for index in tokens.table.images(row)]
    pixels = torch.from_numpy(np.stack(images)) if images else None
    logits = bundle.model(input_ids=ids, pixel_values=pixels).logits[0, :-1]
    kept = torch.from_numpy(tokens.supervised(row))[1:]
    return cross_entropy(logits[kept].float(), ids[0, 1:][kept], reduction="none")


def reference(kind: str) -> Any:
    bundle = tiny_bundle(kind)
    bundle.model.requires_grad_(False)
    bundle.model.model.multi_modal_projector.requires_grad_(True)
    return bundle


@pytest.mark.parametrize("kind", ["llava", "nano"])
def test_packed_losses_and_gradients_equal_single_ones_by_transformers(kind: str) -> None:
    plain, packed = reference(kind), reference(kind)
    tokens = mixed(plain)
    pack = one_pack(tokens)
    expected = torch.zeros(len(tokens.table.cells), 2, dtype=torch.float64)
    for row in range(len(tokens.table)):
        losses = single_losses(plain, tokens, row)
        expected[int(tokens.table.cell[row])] += torch.tensor([float(losses.detach().sum()), len(losses)])
        if losses.requires_grad:
            losses.sum().backward()
    model = PackModel(packed.model, packed.image_token_id, packed.image_policy)
    batch = build_batch(pack, tokens, picture, IMAGE)
    assert len(batch.pixels) == 2  # each image once, though three blocks show them
    loss, losses = model(batch)
    loss.backward()
    sums = by_cell(losses, batch.cells[batch.targets != IGNORED], len(tokens.table.cells))
    assert torch.allclose(sums, expected, rtol=1e-5)
    for name, parameter in plain.model.named_parameters():
        if parameter.grad is not None:
            own = packed.model.get_parameter(name).grad
            assert torch.allclose(own, parameter.grad, rtol=1e-3, atol=1e-4 * float(parameter.grad.abs().max())), name


@pytest.mark.parametrize("kind", ["llava", "nano"])
def test_gradient_checkpointing_changes_nothing(kind: str) -> None:
    gradients = []
    for checkpointing in (False, True):
        bundle = reference(kind)
        tokens = mixed(bundle)
        model = PackModel(bundle.model, bundle.image_token_id, bundle.image_policy, checkpointing=checkpointing)
        model.train()
        loss, _ = model(build_batch(one_pack(tokens), tokens, picture, IMAGE))
        loss.backward()
        gradients.append(bundle.model.model.multi_modal_projector.linear_1.weight.grad)
    assert torch.allclose(*gradients, rtol=1e-5)


def test_texts_never_call_the_encoder_and_still_reach_the_projector() -> None:
    bundle = reference("llava")
    tokens = make_tokens([{"ids": list(range(10, 30)), "supervised": [False] * 10 + [True] * 10}])
    calls = []
    bundle.model.model.vision_tower.register_forward_pre_hook(lambda *_: calls.append(1))
    for block in bundle.model.model.vision_tower.encoder.layers:
        block.register_forward_pre_hook(lambda *_: calls.append(1))
    loss, _ = PackModel(bundle.model, bundle.image_token_id, bundle.image_policy)(
        build_batch(one_pack(tokens), tokens, None, IMAGE)
    )
    loss.backward()
    assert not calls
    gradient = bundle.model.model.multi_modal_projector.linear_1.weight.grad
    assert gradient is not None
    assert not gradient.any()


def test_what_a_neighbour_says_changes_nothing() -> None:
    bundle = tiny_bundle("nano")
    tokens = mixed(bundle)
    pack = one_pack(tokens)
    model = PackModel(bundle.model, bundle.image_token_id, bundle.image_policy)
    batch = build_batch(pack, tokens, picture, IMAGE)
    before = model(batch)[1]
    target = pack.blocks[-1].rows[-1]
    start = batch.input_ids.shape[1] - int(tokens.table.length[target] - tokens.table.prefix[target])
    changed = batch.input_ids.clone()
    changed[0, start:] = 10
    object.__setattr__(batch, "input_ids", changed)
    after = model(batch)[1]
    others = (batch.targets[:start] != IGNORED).sum()
    assert torch.equal(before[:others], after[:others])
    assert not torch.equal(before[others:], after[others:])


@pytest.mark.parametrize("window", [None, 5])
def test_span_attention_equals_a_dense_mask(window: int | None) -> None:
    torch.manual_seed(0)
    spans = Spans.of([4, 3, 8, 2, 3], [-1, 0, 0, -1, 3])
    segment = [0] * 4 + [1] * 3 + [2] * 8 + [3] * 2 + [4] * 3
    position = [0, 1, 2, 3, 4, 5, 6, *range(4, 12), 0, 1, 2, 3, 4]
    sees = {0: {0}, 1: {0, 1}, 2: {0, 2}, 3: {3}, 4: {3, 4}}
    mask = torch.tensor(
        [
            [
                segment[j] in sees[segment[i]] and j <= i and (window is None or position[i] - position[j] < window)
                for j in range(20)
            ]
            for i in range(20)
        ]
    )
    query, key, value = (torch.randn(1, heads, 20, 8) for heads in (4, 2, 2))
    expected = scaled_dot_product_attention(query, key, value, mask, scale=0.3, enable_gqa=True)
    result, _ = span_attention(None, query, key, value, None, spans=spans, scaling=0.3, sliding_window=window)
    assert torch.allclose(result.transpose(1, 2), expected, atol=1e-6)


def test_keys_of_the_one_call_kernel_are_those_of_the_loop() -> None:
    # The CUDA path reads (keys, query_ends, key_ends); here the same numbers drive a plain loop, bottom-right causal.
    torch.manual_seed(0)
    spans = Spans.of([4, 3, 8, 2], [-1, 0, 0, -1])
    query, key, value = (torch.randn(1, 2, 17, 8) for _ in range(3))
    expected, _ = span_attention(None, query, key, value, None, spans=spans)
    for number in range(4):
        own = slice(*spans.query_ends[number : number + 2].tolist())
        seen = spans.keys[slice(*spans.key_ends[number : number + 2].tolist())]
        n, k = own.stop - own.start, len(seen)
        causal = torch.ones(n, k, dtype=torch.bool).tril(k - n)
        result = scaled_dot_product_attention(query[:, :, own], key[:, :, seen], value[:, :, seen], causal)
        assert torch.allclose(result.transpose(1, 2), expected[:, own], atol=1e-6)
    assert spans.longest == (8, 12)


def test_token_losses_against_torch_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bimedix2.train.forward.loss._LOGITS", 50 * 16)  # 16 positions at a time
    torch.manual_seed(0)
    hidden, head = torch.randn(70, 12, requires_grad=True), torch.randn(50, 12)
    targets = torch.randint(0, 50, (70,))
    targets[::3] = IGNORED
    weights = torch.rand(int((targets != IGNORED).sum()))
    losses = token_losses(hidden, head, targets)
    (losses * weights).sum().backward()
    other = hidden.detach().clone().requires_grad_()
    expected = cross_entropy(other @ head.T, targets, reduction="none")[targets != IGNORED]
    (expected * weights).sum().backward()
    assert torch.allclose(losses, expected, atol=1e-5)
    assert torch.allclose(hidden.grad, other.grad, atol=1e-6)


def test_loss_is_fp32_in_a_bf16_model() -> None:
    torch.manual_seed(0)
    hidden, head = torch.randn(40, 64).bfloat16(), torch.randn(300, 64).bfloat16()
    targets = torch.randint(0, 300, (40,))
    losses = token_losses(hidden, head, targets)
    assert losses.dtype == torch.float32
    expected = cross_entropy((hidden @ head.T).float(), targets, reduction="none")
    assert torch.allclose(losses, expected, rtol=1e-5)
