"""Frozen layers in 4 bits: which, how exactly, how small, and what may not be done with them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from bimedix2.errors import ConfigError, ModelError
from bimedix2.model import add_adapter, export_hf, lora_config, merge
from bimedix2.model.quantize import is_quantized, quantize_layers, require_nf4
from tiny import tiny_bundle

CPU = torch.device("cpu")
# The levels of 4-bit NormalFloat, arXiv 2305.14314, appendix E.
LEVELS = [
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
    -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
    0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
]  # fmt: skip


@pytest.fixture
def library() -> Any:
    return pytest.importorskip("bitsandbytes", reason="quantize: nf4 needs bitsandbytes, which is optional")


def bytes_of(layer: Any) -> int:
    """A 4-bit layer: packed weights, 8-bit scales and their scales; not the two tables of 16 and 256 levels."""
    state = layer.weight.quant_state
    tensors = [layer.weight, state.absmax, state.state2.absmax]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def test_without_the_package_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(ConfigError) as caught:
        require_nf4("none", CPU)
    for text in (caught.value.message, caught.value.message_ar):
        assert "pip install 'bimedix2[gpu]'" in text
        assert "quantize=none" in text


def test_sharding_is_refused_before_anything_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(ConfigError, match="engine=ddp") as caught:
        require_nf4("fsdp2", CPU)
    assert "engine=ddp" in caught.value.message_ar


def test_a_device_that_cannot_is_found_by_trying(library: Any) -> None:
    require_nf4("none", CPU)
    with pytest.raises(ConfigError, match="on meta here"):
        require_nf4("none", torch.device("meta"))


@pytest.mark.parametrize("kind", ["llava", "nano"])
def test_only_linear_layers_of_the_decoder_layers_change(library: Any, kind: str) -> None:
    before = {name for name, module in tiny_bundle(kind).model.named_modules() if type(module) is torch.nn.Linear}
    model = quantize_layers(tiny_bundle(kind).model, CPU)
    changed = {name for name, module in model.named_modules() if isinstance(module, library.nn.Linear4bit)}
    kept = {name for name, module in model.named_modules() if type(module) is torch.nn.Linear}
    assert changed | kept == before
    assert changed == {name for name in before if "language_model.layers" in name}
    assert len(changed) == 2 * 7
    assert {"lm_head", "model.multi_modal_projector.linear_1"} <= kept
    assert any("vision_tower" in name for name in kept)
    assert is_quantized(model)
    assert not is_quantized(tiny_bundle(kind).model)


def test_values_are_the_nearest_levels_of_each_block(library: Any) -> None:
    torch.manual_seed(0)
    weight = torch.randn(48, 128)
    bundle = tiny_bundle("llava")
    bundle.model.model.language_model.layers[0].mlp.up_proj = torch.nn.Linear(128, 48, bias=False)
    layer = bundle.model.model.language_model.layers[0].mlp.up_proj
    layer.weight.data.copy_(weight)
    quantize_layers(bundle.model, CPU)
    made = bundle.model.model.language_model.layers[0].mlp.up_proj
    back = library.functional.dequantize_4bit(made.weight.data, made.weight.quant_state)
    blocks = weight.reshape(-1, 64)
    scale = blocks.abs().amax(1, keepdim=True)
    levels = torch.tensor(LEVELS)
    nearest = levels[(blocks[..., None] / scale[..., None] - levels).abs().argmin(-1)] * scale
    # The scales are stored in 8 bits, which moves a block's values by a common factor near 1.
    factor = back.reshape(-1, 64) / nearest.where(nearest != 0, torch.inf)
    used = nearest != 0
    for own, mask in zip(factor, used, strict=True):
        assert torch.allclose(own[mask], own[mask][0].expand(int(mask.sum())), rtol=1e-4)
        assert abs(float(own[mask][0]) - 1) < 0.02


def test_a_weight_takes_4_127_bits(library: Any) -> None:
    bundle = tiny_bundle("llava")
    wide = torch.nn.Linear(1024, 1024, bias=False, dtype=torch.bfloat16)
    bundle.model.model.language_model.layers[0].mlp.up_proj = wide
    quantize_layers(bundle.model, CPU)
    made: Any = bundle.model.model.language_model.layers[0].mlp.up_proj
    # 4 bits, 8 for every 64 weights, 32 for every 256 of those
    assert bytes_of(made) * 8 / 2**20 == 4 + 8 / 64 + 32 / (64 * 256)
    assert made.compute_dtype == torch.bfloat16


def test_there_is_a_gradient_after_an_evaluation_too(library: Any) -> None:
    bundle = tiny_bundle("llava")
    bundle.model.bfloat16()
    quantize_layers(bundle.model, CPU)
    layer = bundle.model.model.language_model.layers[0].mlp.up_proj
    torch.manual_seed(0)
    given = torch.randn(3, layer.in_features, dtype=torch.bfloat16, requires_grad=True)
    results = []
    for _ in range(2):
        given.grad = None
        result = layer.train()(given)
        result.sum().backward()
        results.append((result.detach(), given.grad))
        with torch.no_grad():
            layer.eval()(given)
    assert results[1][1] is not None
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1], results[1][1])


def test_export_and_merge_are_refused(library: Any, tmp_path: Path) -> None:
    bundle = tiny_bundle("llava")
    quantize_layers(bundle.model, CPU)
    with pytest.raises(ModelError) as caught:
        export_hf(bundle, tmp_path / "plain")
    assert caught.value.code == "quantized_base"
    add_adapter(bundle.model, lora_config(4, 8, 0.0))
    for attempt in (lambda: export_hf(bundle, tmp_path / "out"), lambda: merge(bundle.model)):
        with pytest.raises(ModelError) as caught:
            attempt()
        assert caught.value.code == "quantized_base"
    assert not any(tmp_path.iterdir())


def test_a_model_with_an_adapter_is_refused(library: Any) -> None:
    model = add_adapter(tiny_bundle("llava").model, lora_config(4, 8, 0.0))
    with pytest.raises(ModelError, match="without an adapter"):
        quantize_layers(model, CPU)
