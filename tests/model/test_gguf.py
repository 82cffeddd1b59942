"""GGUF files read back by other readers: transformers gives the same logits, gguf-py the same tower."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gguf import GGUFReader
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from bimedix2.errors import ModelError
from bimedix2.model import Bundle, add_adapter, lora_config
from bimedix2.model.gguf import PROJECTOR, TEXT, export_gguf, llama3_factors, rope_order
from tiny import tiny_bundle


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return tiny_bundle("llava")


@pytest.fixture(scope="module")
def folder(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_gguf(bundle, tmp_path_factory.mktemp("gguf") / "out", dtype="f32")


def value(reader: GGUFReader, key: str) -> Any:
    return reader.fields[key].contents()


@torch.no_grad()
def test_transformers_reads_the_same_language_model(bundle: Bundle, folder: Path) -> None:
    again = AutoModelForCausalLM.from_pretrained(folder, gguf_file=TEXT, dtype=torch.float32).eval()
    ids = torch.tensor([[3, 9, 40, 7, 100, 200, 30]])
    ours = bundle.model(input_ids=ids).logits
    assert torch.allclose(again(input_ids=ids).logits, ours, atol=1e-4)


def test_tokenizer_survives(bundle: Bundle, folder: Path) -> None:
    again = AutoTokenizer.from_pretrained(folder, gguf_file=TEXT)
    for text in ("The left lung is clear. 12 mm", "الرئة اليسرى سليمة"):
        ids = bundle.tokenizer(text, add_special_tokens=False)["input_ids"]
        assert again(text, add_special_tokens=False)["input_ids"] == ids
    reader = GGUFReader(folder / TEXT)
    tokens = value(reader, "tokenizer.ggml.tokens")
    types = value(reader, "tokenizer.ggml.token_type")
    assert len(tokens) == bundle.model.config.text_config.vocab_size
    assert tokens[bundle.image_token_id] == "<image>" and types[bundle.image_token_id] == 3
    assert "<|start_header_id|>" in value(reader, "tokenizer.chat_template")
    assert value(reader, "tokenizer.ggml.eos_token_id") == bundle.tokenizer.eos_token_id


def mm(folder: Path) -> tuple[GGUFReader, dict[str, np.ndarray]]:
    reader = GGUFReader(folder / PROJECTOR)
    return reader, {item.name: np.asarray(item.data) for item in reader.tensors}


@torch.no_grad()
def test_tower_and_projector_compute_the_same(bundle: Bundle, folder: Path) -> None:
    """CLIP written out in numpy from the file alone, as clip.cpp computes it."""
    reader, w = mm(folder)
    picture = torch.randn(1, 3, 56, 56, generator=torch.Generator().manual_seed(1))
    wanted = bundle.model.get_image_features(pixel_values=picture)
    wanted = getattr(wanted, "pooler_output", wanted)
    wanted = torch.cat(list(wanted)) if isinstance(wanted, tuple | list) else wanted
    size, heads = value(reader, "clip.vision.patch_size"), value(reader, "clip.vision.attention.head_count")
    eps = value(reader, "clip.vision.attention.layer_norm_epsilon")

    def norm(x: np.ndarray, name: str) -> np.ndarray:
        mean, spread = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
        return (x - mean) / np.sqrt(spread + eps) * w[f"{name}.weight"] + w[f"{name}.bias"]

    def linear(x: np.ndarray, name: str) -> np.ndarray:
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    side = 56 // size
    patches = picture.numpy()[0].reshape(3, side, size, side, size).transpose(1, 3, 0, 2, 4).reshape(side * side, -1)
    kernel = w["v.patch_embd.weight"].reshape(w["v.patch_embd.weight"].shape[0], -1)
    x = np.vstack([w["v.class_embd"][None], patches @ kernel.T]) + w["v.position_embd.weight"]
    x = norm(x, "v.pre_ln")
    for n in range(value(reader, "clip.vision.block_count")):
        y = norm(x, f"v.blk.{n}.ln1")
        q, k, v = (linear(y, f"v.blk.{n}.attn_{c}").reshape(len(y), heads, -1).swapaxes(0, 1) for c in "qkv")
        scores = q @ k.swapaxes(1, 2) / np.sqrt(q.shape[-1])
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = (scores / scores.sum(-1, keepdims=True)) @ v
        x = x + linear(mixed.swapaxes(0, 1).reshape(len(y), -1), f"v.blk.{n}.attn_out")
        y = linear(norm(x, f"v.blk.{n}.ln2"), f"v.blk.{n}.ffn_up")
        x = x + linear(y / (1 + np.exp(-1.702 * y)), f"v.blk.{n}.ffn_down")
    y = torch.from_numpy(linear(x[1:].astype(np.float32), "mm.0"))
    found = linear(torch.nn.functional.gelu(y).numpy(), "mm.2")
    assert np.abs(found - wanted.reshape(found.shape).numpy()).max() < 1e-4


def test_settings_of_the_tower(bundle: Bundle, folder: Path) -> None:
    reader, weights = mm(folder)
    expected = {
        "general.architecture": "clip",
        "clip.has_vision_encoder": True,
        "clip.projector_type": "mlp",
        "clip.use_gelu": False,
        "clip.vision.image_size": 56,
        "clip.vision.patch_size": 14,
        "clip.vision.block_count": 1,  # two layers, of which the last but one is used
        "clip.vision.projection_dim": 32,
    }
    assert {key: value(reader, key) for key in expected} == expected
    assert np.allclose(value(reader, "clip.vision.image_mean"), bundle.image_policy.mean)
    assert not any(name.startswith("v.blk.1") or "post_ln" in name for name in weights)


def test_half_precision_keeps_vectors_wide(bundle: Bundle, tmp_path: Path) -> None:
    export_gguf(bundle, tmp_path / "out")
    kinds = {item.name: item.tensor_type.name for item in GGUFReader(tmp_path / "out" / TEXT).tensors}
    assert kinds["blk.0.attn_q.weight"] == "F16" and kinds["blk.0.attn_norm.weight"] == "F32"
    assert mm(tmp_path / "out")[1]["v.position_embd.weight"].dtype == np.float32


@torch.no_grad()
def test_an_adapter_is_merged_and_a_noop_is_refused(tmp_path: Path) -> None:
    tuned = tiny_bundle("llava")
    tuned.model = add_adapter(tuned.model, lora_config(r=2, alpha=4)).eval()
    with pytest.raises(ModelError) as caught:
        export_gguf(tuned, tmp_path / "out")
    assert caught.value.code == "noop_adapter"
    for name, parameter in tuned.model.named_parameters():
        if "lora_B" in name:
            parameter.normal_(generator=torch.Generator().manual_seed(2))
    export_gguf(tuned, tmp_path / "out", dtype="f32")
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "out", gguf_file=TEXT, dtype=torch.float32).eval()
    ids = torch.tensor([[3, 9, 40, 7]])
    assert torch.allclose(again(input_ids=ids).logits, tuned.model(input_ids=ids).logits, atol=1e-3)


def test_what_gguf_cannot_hold(bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        export_gguf(tiny_bundle("nano"), tmp_path / "out")
    assert caught.value.code == "gguf_unsupported" and caught.value.message_ar != caught.value.message
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    with pytest.raises(ModelError) as caught:
        export_gguf(bundle, tmp_path / "full")
    assert caught.value.code == "target_exists"
    large = tiny_bundle("llava")
    large.model.get_parameter("lm_head.weight").data[0, 0] = 1e6
    with pytest.raises(ModelError) as caught:
        export_gguf(large, tmp_path / "large")
    assert caught.value.code == "gguf_overflow" and not (tmp_path / "large").exists()


def test_rope_order_by_hand() -> None:
    # One head of four rows: halves (a0 a1 | b0 b1) become pairs a0 b0 a1 b1.
    assert rope_order(np.array([[0.0], [1], [2], [3]], np.float32), 1).ravel().tolist() == [0, 2, 1, 3]


def test_llama3_factors_are_those_of_transformers() -> None:
    rope = {"rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0}
    rope |= {"high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
    config = LlamaConfig(hidden_size=128, num_attention_heads=1, max_position_embeddings=131072, rope_parameters=rope)
    scaled, _ = ROPE_INIT_FUNCTIONS["llama3"](config, torch.device("cpu"))
    plain = 1.0 / 500000.0 ** (np.arange(0, 128, 2) / 128)
    assert np.allclose(plain / llama3_factors(rope, 128), scaled.numpy(), rtol=1e-5)
