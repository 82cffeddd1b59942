"""Tiny random models of the real structures, so that tests run the real code without any download."""

from __future__ import annotations

from typing import Any

SPECIALS = [
    "<|begin_of_text|>",
    "<|end_of_text|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eot_id|>",
    "<image>",
]
TEXTS = [
    "What is shown? The left lung is clear. Yes No chest CT 12 mm",
    "ماذا يظهر؟ الرئة اليسرى سليمة. نعم لا الصدر",
] * 3
IMAGE, PATCH = 56, 14


def tiny_tokenizer() -> Any:
    """A byte-level BPE with Llama 3's special tokens as a transformers fast tokenizer."""
    from bimedix2.model.toy import toy_tokenizer

    tokenizer = toy_tokenizer(TEXTS, SPECIALS, 340)
    tokenizer.eos_token, tokenizer.pad_token = "<|eot_id|>", "<|end_of_text|>"
    return tokenizer


def tiny_llava(vocab: int, image_token_id: int) -> Any:
    """CLIP + Llama, two layers each: the 8B's structure."""
    import torch
    from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

    torch.manual_seed(0)
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(
            hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=IMAGE,
            patch_size=PATCH, projection_dim=16,
        ),
        text_config=LlamaConfig(
            vocab_size=vocab, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, max_position_embeddings=512,
        ),
        image_token_index=image_token_id,
        image_seq_length=(IMAGE // PATCH) ** 2,
        vision_feature_layer=-2,
    )  # fmt: skip
    return _spread(LlavaForConditionalGeneration(config))


def tiny_nano(vocab: int, image_token_id: int) -> Any:
    """DINOv2 + Gemma 3 with local layers and a pixel-shuffle projector: nano's structure."""
    import torch
    from transformers import Dinov2Config, Gemma3TextConfig, LlavaConfig

    from bimedix2.model.projector import PixelShuffleLlava

    torch.manual_seed(0)
    config = LlavaConfig(
        vision_config=Dinov2Config(
            hidden_size=12, num_hidden_layers=2, num_attention_heads=2, image_size=IMAGE, patch_size=PATCH
        ),
        text_config=Gemma3TextConfig(
            vocab_size=vocab, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2,
            num_key_value_heads=1, head_dim=16, sliding_window=24, layer_types=["sliding_attention", "full_attention"],
            max_position_embeddings=512, pad_token_id=0, bos_token_id=1, eos_token_id=2,
        ),
        image_token_index=image_token_id,
        image_seq_length=4,
        vision_feature_layer=-1,
        pixel_shuffle=2,
        tie_word_embeddings=True,
    )  # fmt: skip
    return _spread(PixelShuffleLlava(config))


def _spread(model: Any) -> Any:
    """Weights whose outputs depend on the inputs: at the usual 0.02 they hardly do, and large tied embeddings echo."""
    import torch

    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1:
                parameter.normal_(0, 0.05 if "embed_tokens" in name else 0.5, generator=generator)
    return model.eval()


def tiny_bundle(kind: str = "llava") -> Any:
    """A :class:`bimedix2.model.Bundle` around a tiny model of ``kind`` ``llava`` or ``nano``."""
    from bimedix2.images import ImagePolicy
    from bimedix2.model.bundle import Bundle
    from bimedix2.text.chat import get_template

    tokenizer = tiny_tokenizer()
    image_token_id = tokenizer.convert_tokens_to_ids("<image>")
    build = tiny_llava if kind == "llava" else tiny_nano
    model = build(len(tokenizer), image_token_id)
    return Bundle(
        model=model,
        tokenizer=tokenizer,
        template=get_template("llama3"),
        image_policy=ImagePolicy.clip(IMAGE) if kind == "llava" else ImagePolicy.dinov2(IMAGE),
        image_token_id=image_token_id,
        tokens_per_image=model.config.image_seq_length,
        name=f"tiny-{kind}",
    )
