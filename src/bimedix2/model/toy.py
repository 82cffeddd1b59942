"""Toy models of the real structures with random weights, made without any download, for rehearsals and tests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from .bundle import Bundle

Structure = Literal["llama", "phi3", "nano"]
IMAGE_TOKEN = "<image>"  # noqa: S105 - a vocabulary entry, not a secret
SIZE, PATCH, WIDTH, LAYERS = 56, 14, 64, 2
_TEMPLATES = {"llama": "llama3", "phi3": "phi3", "nano": "gemma"}
_VOCABULARY = 1200


def toy_tokenizer(texts: Iterable[str], specials: Sequence[str], vocab_size: int) -> Any:
    """A byte-level BPE trained on ``texts``, as a transformers fast tokenizer.

    Args:
        texts: what it should have words for; any other text falls apart into bytes.
        specials: control tokens, added after the vocabulary.
        vocab_size: most entries before the control tokens.
    """
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    fast: Any = PreTrainedTokenizerFast  # carries no annotations
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_special_tokens([AddedToken(name, normalized=False, special=True) for name in specials])
    return fast(tokenizer_object=tokenizer)


def toy_bundle(structure: Structure, texts: Iterable[str], *, seed: int = 0) -> Bundle:
    """A random model of two layers and 64 channels with the real chat template.

    Args:
        structure: ``llama`` (CLIP and Llama 3.1, the 8B and 70B), ``phi3`` (CLIP and Phi-3, LLaVA++'s small one)
            or ``nano`` (DINOv2, pixel shuffle and Gemma 3).
        texts: what its tokenizer has words for.
        seed: of the weights.
    """
    from bimedix2.images import ImagePolicy
    from bimedix2.text.chat import get_template

    from .bundle import Bundle

    template = get_template(_TEMPLATES[structure])
    specials = list(dict.fromkeys([template.bos[0], template.close, *sorted(template.specials), template.stops[-1]]))
    tokenizer = toy_tokenizer(texts, [*specials, IMAGE_TOKEN], _VOCABULARY)
    tokenizer.eos_token = tokenizer.pad_token = template.close
    image_token_id = int(tokenizer.convert_tokens_to_ids(IMAGE_TOKEN))
    build = _toy_nano if structure == "nano" else _toy_llava
    model = _random(build(structure, len(tokenizer), image_token_id), seed)
    return Bundle(
        model=model,
        tokenizer=tokenizer,
        template=template,
        image_policy=ImagePolicy.dinov2(SIZE) if structure == "nano" else ImagePolicy.clip(SIZE),
        image_token_id=image_token_id,
        tokens_per_image=int(model.config.image_seq_length),
        name=f"toy-{structure}",
    )


def _toy_llava(structure: Structure, vocab: int, image_token_id: int) -> Any:
    from transformers import LlavaForConditionalGeneration, Phi3Config

    from .sizes import tiny_config

    config = tiny_config(vocab, hidden=WIDTH, layers=LAYERS, image_token_id=image_token_id, image_size=SIZE)
    if structure == "phi3":
        config.text_config = Phi3Config(
            vocab_size=vocab, hidden_size=WIDTH, intermediate_size=2 * WIDTH, num_hidden_layers=LAYERS,
            num_attention_heads=4, num_key_value_heads=4, max_position_embeddings=4096, pad_token_id=0,
            bos_token_id=0, eos_token_id=1,
        )  # fmt: skip
    return LlavaForConditionalGeneration(config)


def _toy_nano(_structure: Structure, vocab: int, image_token_id: int) -> Any:
    from transformers import Dinov2Config, Gemma3TextConfig, LlavaConfig

    from .projector import PixelShuffleLlava

    config = LlavaConfig(
        vision_config=Dinov2Config(
            hidden_size=WIDTH, num_hidden_layers=LAYERS, num_attention_heads=2, image_size=SIZE, patch_size=PATCH
        ),
        text_config=Gemma3TextConfig(
            vocab_size=vocab, hidden_size=WIDTH, intermediate_size=2 * WIDTH, num_hidden_layers=LAYERS,
            num_attention_heads=2, num_key_value_heads=1, head_dim=32, sliding_window=24,
            layer_types=["sliding_attention", "full_attention"], max_position_embeddings=4096,
            pad_token_id=0, bos_token_id=1, eos_token_id=2,
        ),
        image_token_index=image_token_id,
        image_seq_length=(SIZE // PATCH // 2) ** 2,
        vision_feature_layer=-1,
        tie_word_embeddings=True,
    )  # fmt: skip
    config.pixel_shuffle = 2
    return PixelShuffleLlava(config)


def _random(model: Any, seed: int) -> Any:
    """Weights that keep the size of what goes through them, so that outputs depend on inputs.

    At the usual 0.02 a toy's answer hardly depends on its question.
    """
    import torch

    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "embed" in name or "class_embedding" in name or "cls_token" in name:
                parameter.normal_(0, 0.1, generator=generator)
            elif parameter.dim() > 1:
                parameter.normal_(0, parameter[0].numel() ** -0.5, generator=generator)
    return model.eval()
