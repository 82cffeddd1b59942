"""A composed model against its parts: each half computes what it computes alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import gelu
from transformers import CLIPVisionConfig, CLIPVisionModel, LlamaConfig, LlamaForCausalLM, Phi3Config, Phi3ForCausalLM

from bimedix2.errors import ModelError
from bimedix2.model import load_bundle
from bimedix2.model.compose import compose_llava
from bimedix2.model.toy import toy_tokenizer
from bimedix2.text.chat import get_template

SMALL = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "pad_token_id": 0, "bos_token_id": 0, "eos_token_id": 1,
}  # fmt: skip


def parts(folder: Path, kind: str) -> tuple[Any, Any]:
    template = get_template({"llama": "llama3", "phi3": "phi3"}[kind])
    tokenizer = toy_tokenizer(["left lung"], [template.bos[0], template.close, *sorted(template.specials)], 300)
    torch.manual_seed(0)
    settings = {**SMALL, "vocab_size": len(tokenizer)}
    language: Any = (
        LlamaForCausalLM(LlamaConfig(**settings)) if kind == "llama" else Phi3ForCausalLM(Phi3Config(**settings))
    )
    vision = CLIPVisionConfig(
        hidden_size=16, intermediate_size=24, num_hidden_layers=3, num_attention_heads=2, image_size=28, patch_size=14
    )
    tower = CLIPVisionModel(vision)
    language.save_pretrained(folder / "language", max_shard_size="20KB")
    tokenizer.save_pretrained(folder / "language")
    tower.save_pretrained(folder / "clip")
    return language.eval(), tower.eval()


@pytest.mark.parametrize("kind", ["llama", "phi3"])
@torch.no_grad()
def test_each_half_computes_what_it_computes_alone(kind: str, tmp_path: Path) -> None:
    language, tower = parts(tmp_path, kind)
    target = compose_llava(tmp_path / "language", tmp_path / "clip", tmp_path / "start")
    bundle = load_bundle(target, device="cpu", dtype="float32")
    assert bundle.template.name == {"llama": "llama3", "phi3": "phi3"}[kind]
    assert (bundle.image_policy.fit, bundle.image_policy.size, bundle.tokens_per_image) == ("pad", 28, 4)

    ids = torch.tensor([[5, 60, 70, 80]])
    torch.testing.assert_close(bundle.model(input_ids=ids).logits[..., : len(language.lm_head.weight)],
                               language(input_ids=ids).logits)  # fmt: skip

    pixels = torch.randn(1, 3, 28, 28, generator=torch.Generator().manual_seed(0))
    features = tower(pixels, output_hidden_states=True).hidden_states[-2][:, 1:]
    projector = bundle.model.model.multi_modal_projector
    expected = projector.linear_2(gelu(projector.linear_1(features)))
    found = bundle.model.get_image_features(pixels, return_dict=True).pooler_output[0]
    torch.testing.assert_close(found.reshape(expected.shape), expected)


def test_the_projector_follows_its_seed_alone(tmp_path: Path) -> None:
    parts(tmp_path, "llama")
    weights = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        torch.manual_seed(99)
        compose_llava(tmp_path / "language", tmp_path / "clip", tmp_path / name, seed=seed)
        bundle = load_bundle(tmp_path / name, device="cpu", dtype="float32")
        weights.append(bundle.model.model.multi_modal_projector.linear_1.weight)
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_other_language_models_and_missing_folders_are_refused(tmp_path: Path) -> None:
    parts(tmp_path, "llama")
    with pytest.raises(ModelError) as caught:
        compose_llava(tmp_path / "clip", tmp_path / "clip", tmp_path / "start")
    assert caught.value.code == "unsupported_model"
    with pytest.raises(ModelError) as caught:
        compose_llava(tmp_path / "nowhere", tmp_path / "clip", tmp_path / "start")
    assert caught.value.code == "model_not_found"
    assert caught.value.message != caught.value.message_ar
    assert not (tmp_path / "start").exists()
