"""The vision encoder in training: same features as the whole tower, gradients only where blocks are unfrozen."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from peft import get_peft_model
from torch import nn
from torch.autograd.graph import saved_tensors_hooks
from toy_checkpoints import spread
from transformers import (
    CLIPVisionConfig,
    Dinov2Config,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    SiglipVisionConfig,
    ViTConfig,
)

from bimedix2.errors import ConfigError, ModelError
from bimedix2.model import lora_config
from bimedix2.model.encoder import (
    encode_images,
    encoder_blocks,
    encoder_digest,
    trained_blocks,
    unfreeze_blocks,
    used_blocks,
)

SIDE, PATCH, LAYERS, WIDTH = 28, 14, 4, 16
_VISION: dict[str, Any] = {
    "hidden_size": WIDTH, "num_hidden_layers": LAYERS, "num_attention_heads": 2, "image_size": SIDE,
    "patch_size": PATCH,
}  # fmt: skip
CONFIGS = {
    "clip": CLIPVisionConfig(**_VISION, intermediate_size=32),
    "siglip": SiglipVisionConfig(**_VISION, intermediate_size=32),
    "dinov2": Dinov2Config(**_VISION),
}
KINDS = sorted(CONFIGS)


def llava(kind: str, layer: int | list[int] = -2, vision: Any = None) -> Any:
    """A random LLaVA around a tower of four blocks."""
    text = LlamaConfig(
        vocab_size=32, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=2, pad_token_id=0, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    config = LlavaConfig(
        vision_config=vision or CONFIGS[kind],
        text_config=text,
        image_token_index=31,
        vision_feature_layer=layer,
        vision_feature_select_strategy="full" if kind == "siglip" else "default",
    )
    return spread(LlavaForConditionalGeneration(config), 0)


def pictures(count: int = 2) -> torch.Tensor:
    return torch.randn(count, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(count))


def whole_tower(model: Any, pixels: torch.Tensor) -> torch.Tensor:
    """What transformers itself hands to the projector."""
    seen: list[torch.Tensor] = []
    hook = model.model.multi_modal_projector.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    model.get_image_features(pixels, return_dict=True)
    hook.remove()
    return seen[0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("layer", [-2, -1, 2, [-1, -3]])
@pytest.mark.parametrize("kind", KINDS)
def test_features_are_bit_for_bit_those_of_the_whole_tower(kind: str, layer: Any, dtype: torch.dtype) -> None:
    model = llava(kind, layer).to(dtype)
    found = encode_images(model, pictures())
    assert torch.equal(found, whole_tower(model, pictures().to(dtype)))
    assert found.dtype == dtype


@pytest.mark.parametrize(("layer", "used"), [(-2, 3), (-1, 4), (1, 1), (0, 0), ([-3, 3], 3)])
def test_only_used_blocks_run(layer: Any, used: int) -> None:
    model = llava("clip", layer)
    runs: list[int] = []
    for index, block in enumerate(encoder_blocks(model)):
        block.register_forward_hook(lambda *_, index=index: runs.append(index))
    encode_images(model, pictures())
    assert runs == list(range(used))
    assert used_blocks(model) == used


@pytest.mark.parametrize("kind", KINDS)
def test_the_last_used_blocks_become_trainable_and_nothing_else(kind: str) -> None:
    model = llava(kind).to(torch.bfloat16)
    trained = unfreeze_blocks(model, 2)
    tower = model.model.vision_tower
    names = {name for name, parameter in tower.named_parameters() if parameter.requires_grad}
    assert {name.split(".")[2] for name in names} == {"1", "2"}  # of blocks 0 to 3 the last is never used
    assert {id(parameter) for parameter in trained} == {id(tower.get_parameter(name)) for name in names}
    assert {parameter.dtype for parameter in trained} == {torch.float32}
    assert {p.dtype for name, p in tower.named_parameters() if name not in names} == {torch.bfloat16}
    assert trained_blocks(model) == [1, 2]
    assert unfreeze_blocks(model, 0) == []
    assert not any(parameter.requires_grad for parameter in tower.parameters())
    assert trained_blocks(model) == [1, 2]  # still to be stored


@pytest.mark.parametrize("count", [-1, 4])
def test_more_blocks_than_are_used(count: int) -> None:
    with pytest.raises(ConfigError) as caught:
        unfreeze_blocks(llava("clip"), count)
    assert "3 blocks" in caught.value.message
    assert "3 كتلة" in caught.value.message_ar


def reference_gradients(model: Any, names: list[str], pixels: torch.Tensor) -> dict[str, torch.Tensor]:
    """Gradients through the whole tower of transformers, all of it trainable."""
    tower = model.model.vision_tower.requires_grad_()
    whole_tower(model, pixels).square().mean().backward()
    return {name: tower.get_parameter(name).grad.clone() for name in names}


def gradients(model: Any, count: int, pixels: torch.Tensor, **options: Any) -> dict[str, torch.Tensor]:
    tower = model.model.vision_tower
    unfreeze_blocks(model, count)
    encode_images(model, pixels, **options).float().square().mean().backward()
    found = {name: parameter.grad for name, parameter in tower.named_parameters() if parameter.requires_grad}
    assert all(p.grad is None for p in tower.parameters() if not p.requires_grad)
    return found


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_those_of_the_whole_tower(kind: str, checkpointing: bool) -> None:
    found = gradients(llava(kind), 2, pictures(), checkpointing=checkpointing)
    wanted = reference_gradients(llava(kind), list(found), pictures())
    assert len(found) == len(list(encoder_blocks(llava(kind))[0].parameters())) * 2
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, wanted[name], rtol=1e-4, atol=1e-6)


def kept_for_backward(model: Any, **options: Any) -> int:
    """Bytes of activations that wait for the backward pass."""
    own = {parameter.data_ptr() for parameter in model.parameters()}
    kept: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with saved_tensors_hooks(pack, lambda tensor: tensor):
        features = encode_images(model, pictures(8), **options)
    del features
    return sum(kept.values())


@pytest.mark.parametrize("kind", KINDS)
def test_frozen_blocks_keep_nothing_and_checkpointing_keeps_little(kind: str) -> None:
    kept = []
    for count in (0, 1, 2, 3):
        model = llava(kind)
        unfreeze_blocks(model, count)
        kept.append(kept_for_backward(model))
    assert kept[0] == 0
    assert kept[1] > 0
    # Every further block costs alike, so what is below the first unfrozen one costs nothing.
    assert kept[2] - kept[1] == pytest.approx(kept[3] - kept[2], rel=0.15)
    assert kept[2] == pytest.approx(2 * kept[1], rel=0.15)
    assert kept_for_backward(model, checkpointing=True) < kept[3] / 3


@pytest.mark.parametrize("kind", KINDS)
def test_float32_blocks_in_a_bfloat16_tower(kind: str) -> None:
    exact, mixed = llava(kind), llava(kind).to(torch.bfloat16)
    # From equal weights, so that only the arithmetic differs.
    exact.load_state_dict({name: value.float() for name, value in mixed.state_dict().items()})
    wanted, wanted_features = gradients(exact, 2, pictures()), encode_images(exact, pictures())
    found, features = gradients(mixed, 2, pictures()), encode_images(mixed, pictures())
    assert features.dtype == torch.bfloat16
    assert features.requires_grad
    assert (features - wanted_features).norm() / wanted_features.norm() < 0.03
    for name, gradient in found.items():
        assert gradient.dtype == torch.float32
        if wanted[name].norm() > 1e-4:  # softmax leaves the bias of the keys without a gradient
            similarity = nn.functional.cosine_similarity(gradient.flatten(), wanted[name].flatten(), dim=0)
            assert similarity > 0.97, name


@pytest.mark.parametrize("kind", KINDS)
def test_blocks_that_are_frozen_again_still_run(kind: str) -> None:
    model = llava(kind, -1).to(torch.bfloat16)
    before = encode_images(model, pictures())
    unfreeze_blocks(model, 2)
    unfreeze_blocks(model, 0)
    after = encode_images(model, pictures())
    assert (after.dtype, after.requires_grad) == (torch.bfloat16, False)
    assert (after - before).norm() / before.norm() < 0.03


@pytest.mark.parametrize("kind", KINDS)
def test_no_images_do_not_reach_the_tower(kind: str) -> None:
    model = llava(kind).to(torch.bfloat16)
    wanted = encode_images(model, pictures(1)).shape
    model.model.vision_tower.embeddings.register_forward_hook(lambda *_: pytest.fail("the tower ran"))
    found = encode_images(model, pictures(0))
    assert (found.shape, found.dtype) == ((0, *wanted[1:]), torch.bfloat16)


def test_a_peft_model_is_looked_through() -> None:
    model = llava("clip")
    wanted = encode_images(model, pictures())
    wrapped = get_peft_model(model, lora_config(r=2, alpha=2))
    assert len(unfreeze_blocks(wrapped, 1)) == len(list(encoder_blocks(model)[0].parameters()))
    assert torch.equal(encode_images(wrapped, pictures()), wanted)


def test_faults_are_named() -> None:
    with pytest.raises(ModelError) as caught:
        used_blocks(llava("clip", -7))
    assert caught.value.code == "bad_feature_layer"
    other = llava("vit", vision=ViTConfig(**_VISION))
    with pytest.raises(ModelError, match="type vit") as caught:
        encode_images(other, pictures())
    assert caught.value.code == "unsupported_model"
    assert caught.value.message_ar != caught.value.message


def test_the_digest_follows_weights_and_settings() -> None:
    model = llava("clip")
    first = encoder_digest(model)
    assert encoder_digest(llava("clip")) == first
    assert encoder_digest(llava("clip", -1)) != first
    assert encoder_digest(llava("clip").to(torch.bfloat16)) != first
    with torch.no_grad():
        next(iter(encoder_blocks(model)[0].parameters())).view(-1)[0] += 1
    assert encoder_digest(model) != first
