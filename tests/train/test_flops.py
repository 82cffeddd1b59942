"""Operations of a step: worked out by hand, counted by PyTorch, and as a share of a device's peak."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from processes import image_and_text, picture
from torch.utils.flop_counter import FlopCounterMode

from bimedix2.model import add_adapter, lora_config
from bimedix2.model.sizes import tiny_config
from bimedix2.train.flops import Meter, ModelFlops, attended, peak_flops, spans, step_flops
from bimedix2.train.forward.batch import build_batch
from bimedix2.train.forward.vlm import PackModel
from bimedix2.train.optim import select_trained
from bimedix2.train.recipe import StageRecipe
from tiny import IMAGE, tiny_bundle

BOTH, ALONE = StageRecipe("instruct"), StageRecipe("align", "projector")


def of_tiny_config() -> Any:
    from transformers import LlavaForConditionalGeneration

    model = LlavaForConditionalGeneration(tiny_config())
    policy = SimpleNamespace(size=28)
    return SimpleNamespace(model=model, image_policy=policy, tokens_per_image=4, dtype=torch.bfloat16)


def test_by_hand() -> None:
    bundle = of_tiny_config()
    select_trained(bundle.model, ALONE)
    flops = ModelFlops.of(bundle)
    # A layer: q and o 32 x 32, k and v 32 x 16, three of 32 x 64; two layers, frozen: 2 forward, 2 backward.
    assert flops.token == 4 * 2 * (2 * 1024 + 2 * 512 + 3 * 2048) == 73_728
    # 4 heads of width 8: scores and sum 2 x 2 x 32 for a pair, and twice that backward.
    assert flops.attention == ((384, None), (384, None))
    assert flops.supervised == 4 * 320 * 32
    # 4 patches of 3 x 14 x 14 to 32; one of two blocks (layer -2), forward alone, on 4 + 1 tokens: 4 x (32 x 32) and
    # 2 x (32 x 64), scores and sum 4 x 32 x 5 x 5. The projector: 32 x 32 twice, without a gradient of its input.
    encoder = 2 * 588 * 32 * 4 + 5 * 2 * (4096 + 4096) + 4 * 32 * 25
    assert flops.image == encoder + 4 * (4 * 1024 + 6 * 1024) == 276_608


def test_adapters_and_unfrozen_blocks_by_hand() -> None:
    bundle = of_tiny_config()
    add_adapter(bundle.model, lora_config(4, 8, 0.0))
    select_trained(bundle.model, StageRecipe("instruct", unfreeze_blocks=1))
    flops = ModelFlops.of(bundle)
    # r (in + out) for each matrix of a layer, 2 forward and 4 backward.
    assert flops.token == 73_728 + 6 * 2 * 4 * (64 + 48 + 48 + 64 + 3 * 96)
    # The block costs three times its forward pass, and the projector's input now needs a gradient.
    encoder = 2 * 588 * 32 * 4 + 3 * (5 * 2 * (4096 + 4096) + 4 * 32 * 25)
    assert flops.image == encoder + 4 * (6 * 1024 + 6 * 1024)


@pytest.mark.parametrize("kind", ["llava", "nano"])
@pytest.mark.parametrize("stage", [BOTH, ALONE, StageRecipe("instruct", unfreeze_blocks=1)])
def test_matrices_as_pytorch_counts_them(kind: str, stage: StageRecipe) -> None:
    bundle = tiny_bundle(kind)
    if stage.train == "projector+lora":
        add_adapter(bundle.model, lora_config(4, 8, 0.0))
    select_trained(bundle.model, stage)
    tokens, packs = image_and_text(bundle)
    flops = ModelFlops.of(bundle)
    model = PackModel(bundle.model, bundle.image_token_id, bundle.image_policy)
    with FlopCounterMode(display=False) as counter:
        for pack in packs:
            loss, _ = model(build_batch(pack, tokens, picture, IMAGE))
            loss.backward()
    # Its table has no entry for attention on a CPU, so that is left out here, and tested below.
    counted = {str(name) for name in counter.get_flop_counts()["Global"]}
    assert counted <= {"aten.mm", "aten.addmm", "aten.bmm", "aten.convolution", "aten.convolution_backward"}
    vision = bundle.model.config.vision_config
    seen = (IMAGE // vision.patch_size) ** 2 + 1
    blocks = {"llava": 1, "nano": 2}[kind]
    trained = 2 * stage.unfreeze_blocks  # backward passes cost twice a forward pass
    inside = 4 * vision.hidden_size * seen**2 * (blocks + trained)
    matrices = step_flops(ModelFlops(flops.token, (), flops.supervised, flops.image), packs, tokens.table) - inside
    assert counter.get_total_flops() == matrices


def test_pairs_of_spans() -> None:
    bundle = tiny_bundle("nano")
    tokens, packs = image_and_text(bundle)
    queries, seen = spans(packs, tokens.table)
    prefix = 2 + bundle.tokens_per_image
    assert list(zip(queries.tolist(), seen.tolist(), strict=True)) == [(prefix, 0), (9, prefix), (40, 0)]
    for window in (None, 1, 7, 24, 1000):
        expected = 0
        for own, before in zip(queries, seen, strict=True):
            place = np.arange(before, before + own)[:, None]
            key = np.arange(before + own)[None]
            expected += int(((key <= place) & (place - key < (window or 10**9))).sum())
        assert attended(queries, seen, window) == expected
    flops = ModelFlops.of(bundle)
    assert [window for _, window in flops.attention] == [24, None]
    rest = ModelFlops(flops.token, (), flops.supervised, flops.image)
    own = step_flops(flops, packs, tokens.table) - step_flops(rest, packs, tokens.table)
    cost = 12 * 2 * 16
    assert own == cost * (attended(queries, seen, 24) + attended(queries, seen, None))


@pytest.mark.parametrize(
    ("name", "tera"),
    [
        ("NVIDIA H100 80GB HBM3", 989.4),
        ("NVIDIA H100 PCIe", 756),
        ("NVIDIA H100 NVL", 835),
        ("NVIDIA H200", 989.4),
        ("NVIDIA GH200 480GB", 989.4),
        ("NVIDIA B200", 2250),
        ("NVIDIA A100-SXM4-80GB", 312),
        ("NVIDIA A100 80GB PCIe", 312),
        ("NVIDIA L4", 121),
        ("NVIDIA L40S", 362),
        ("AMD Instinct MI250X", 191.5),
        ("AMD Instinct MI300X", 1307.4),
        ("NVIDIA GeForce RTX 4090", 165.2),
        ("NVIDIA H100 80GB HBM3 MIG 1g.10gb", None),
        ("NVIDIA A10G", None),
        ("NVIDIA L40", None),
        ("Tesla V100-SXM2-16GB", None),
    ],
)
def test_peaks(name: str, tera: float | None) -> None:
    assert peak_flops(name) == (None if tera is None else tera * 1e12)


def test_share_of_the_peak(monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = of_tiny_config()
    tokens, packs = image_and_text(tiny_bundle("llava"))
    assert Meter(bundle, tokens.table, torch.device("cpu"), 1).row(packs, 1.0) == {}
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "NVIDIA A100-SXM4-80GB")
    meter = Meter(bundle, tokens.table, torch.device("cuda"), 2)
    seconds = step_flops(ModelFlops.of(bundle), packs, tokens.table) / 312e12
    assert meter.row(packs, seconds) == {"mfu": 0.5}  # two devices
    bundle.dtype = torch.float32
    assert Meter(bundle, tokens.table, torch.device("cuda"), 2).row(packs, seconds) == {}
