"""The published sizes have the parameter counts that follow from their parts."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from torch import nn
from transformers import AutoModel, Gemma3TextConfig, LlamaConfig, LlavaForConditionalGeneration, Phi3Config

from bimedix2.model import add_adapter, config_8b, config_70b, lora_config, tiny_config
from bimedix2.model.adapters import TARGETS
from bimedix2.model.load import tokens_per_image


def on_meta(config: Any) -> Any:
    with torch.device("meta"):
        return LlavaForConditionalGeneration(config)


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.fixture(scope="module")
def model_8b() -> Any:
    return on_meta(config_8b())


def test_8b_parts(model_8b: Any) -> None:
    assert count(model_8b.model.multi_modal_projector) == 20_979_712
    assert count(model_8b.model.language_model) + count(model_8b.lm_head) == 8_030_261_248
    assert count(model_8b.model.vision_tower) == 303_507_456
    assert tokens_per_image(model_8b.config, 336) == model_8b.config.image_seq_length == 576
    assert model_8b.config.image_token_index == 128002 < model_8b.config.text_config.vocab_size


def test_8b_lora_is_the_published_size(model_8b: Any) -> None:
    model = add_adapter(on_meta(config_8b()), lora_config(r=8, alpha=16))
    trainable = {name: p for name, p in model.named_parameters() if p.requires_grad}
    assert sum(p.numel() for p in trainable.values()) == 20_971_520
    assert all("language_model.layers" in name and ".lora_" in name for name in trainable)


def test_70b_parts() -> None:
    model = on_meta(config_70b())
    assert count(model.model.language_model) + count(model.lm_head) == 70_553_706_496
    assert count(model.model.multi_modal_projector) == 1024 * 8192 + 8192 + 8192 * 8192 + 8192


def test_rope_is_llama31s() -> None:
    rope = config_8b().text_config.rope_parameters
    assert (rope["rope_theta"], rope["rope_type"], rope["factor"]) == (500000.0, "llama3", 8.0)


def test_tiny_has_the_same_parameter_names(model_8b: Any) -> None:
    def names(model: Any) -> set[str]:
        return {name for name in model.state_dict() if ".layers." not in name or ".layers.0." in name}

    assert names(on_meta(tiny_config())) == names(model_8b)


@pytest.mark.parametrize("cls", [LlamaConfig, Phi3Config, Gemma3TextConfig], ids=lambda cls: str(cls.model_type))
def test_targets_are_every_linear_layer_of_the_language_model(cls: Any) -> None:
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = cls(**sizes, vocab_size=40, pad_token_id=0)
    with torch.device("meta"):
        language = AutoModel.from_config(config)
        parts = nn.ModuleDict({"language_model": language, "vision_tower": nn.Linear(2, 2)})
        parts["multi_modal_projector"] = nn.Linear(2, 2)
        model = nn.ModuleDict({"model": parts, "lm_head": nn.Linear(2, 2)})
    linear = {name for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    wanted = {name for name in linear if name.startswith("model.language_model.")}
    assert {name for name, _ in model.named_modules() if re.fullmatch(TARGETS, name)} == wanted
    assert len(wanted) >= 8
