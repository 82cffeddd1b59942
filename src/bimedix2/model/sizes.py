"""Configurations of the published sizes and a tiny one of the same structure.

The sizes are CLIP ViT-L/14 at 336 pixels (layer -2, class token dropped: 24 x 24 = 576 tokens an image), a
two-layer GELU projector and Llama 3.1 Instruct; see arXiv 2412.07769 and the published training scripts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import LlavaConfig

# `<|reserved_special_token_0|>`: Llama 3.1 has 248 tokens to spare, so the embedding table need not grow.
LLAMA31_IMAGE_TOKEN_ID = 128002
CLIP_L_336: dict[str, Any] = {
    "model_type": "clip_vision_model",
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "image_size": 336,
    "patch_size": 14,
    "projection_dim": 768,
    "hidden_act": "quick_gelu",
}
LLAMA31_ROPE: dict[str, Any] = {
    "rope_type": "llama3",
    "rope_theta": 500000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}


def _llama31(hidden: int, intermediate: int, layers: int, heads: int) -> dict[str, Any]:
    return {
        "model_type": "llama",
        "vocab_size": 128256,
        "hidden_size": hidden,
        "intermediate_size": intermediate,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": 8,
        "max_position_embeddings": 131072,
        "rms_norm_eps": 1e-5,
        "rope_parameters": dict(LLAMA31_ROPE),
        "bos_token_id": 128000,
        "eos_token_id": [128001, 128008, 128009],
        "tie_word_embeddings": False,
    }


def _llava(vision: dict[str, Any], text: dict[str, Any], image_token_id: int) -> LlavaConfig:
    from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig

    grid = vision["image_size"] // vision["patch_size"]
    return LlavaConfig(
        vision_config=CLIPVisionConfig(**vision),
        text_config=LlamaConfig(**text),
        image_token_index=image_token_id,
        image_seq_length=grid * grid,
        vision_feature_layer=-2,
        vision_feature_select_strategy="default",
        projector_hidden_act="gelu",
    )


def config_8b() -> LlavaConfig:
    """BiMediX2-8B: Llama 3.1 8B, projector 1024 -> 4096 -> 4096 (20,979,712 parameters)."""
    return _llava(CLIP_L_336, _llama31(4096, 14336, 32, 32), LLAMA31_IMAGE_TOKEN_ID)


def config_70b() -> LlavaConfig:
    """BiMediX2-70B: Llama 3.1 70B, projector 1024 -> 8192 -> 8192."""
    return _llava(CLIP_L_336, _llama31(8192, 28672, 80, 64), LLAMA31_IMAGE_TOKEN_ID)


def tiny_config(
    vocab_size: int = 320, *, hidden: int = 32, layers: int = 2, image_token_id: int = 5, image_size: int = 28
) -> LlavaConfig:
    """The 8B's structure at toy size, for tests and dry runs.

    Args:
        vocab_size: V; at least the tokenizer's size.
        hidden: D of the language model and C of the tower; divisible by 8.
        layers: layers of each half.
        image_token_id: token replaced by image embeddings.
        image_size: side of the square input; 14-pixel patches, so 28 gives 4 tokens an image.
    """
    vision = {
        **CLIP_L_336,
        "hidden_size": hidden,
        "intermediate_size": 2 * hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": 2,
        "image_size": image_size,
        "projection_dim": 16,
    }
    text = {
        **_llama31(hidden, 2 * hidden, layers, 4),
        "vocab_size": vocab_size,
        "num_key_value_heads": 2,
        "bos_token_id": 0,
        "eos_token_id": 1,
    }
    return _llava(vision, text, image_token_id)
