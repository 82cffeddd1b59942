"""Tiny random checkpoints in every layout the package reads, made by the real libraries."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from torch import nn
from transformers import (
    CLIPVisionConfig,
    CLIPVisionModel,
    LlamaConfig,
    LlamaForCausalLM,
    LlavaForConditionalGeneration,
    PreTrainedTokenizerFast,
)

from bimedix2.images import ImagePolicy
from bimedix2.model import Bundle, tiny_config
from bimedix2.text.chat import get_template

LLAMA3_TOKENS = (
    "<|begin_of_text|>",
    "<|end_of_text|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eot_id|>",
)
RESERVED = "<|reserved_special_token_0|>"
IMAGE_SIZE = 28
TOKENS = 4


def toy_tokenizer(*names: str) -> PreTrainedTokenizerFast:
    """Bytes and special tokens only; ids 256, 257 … are the specials in order."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={char: i for i, char in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokens = [*LLAMA3_TOKENS, *names]
    tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in tokens])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|eot_id|>")


def spread(module: nn.Module, seed: int) -> Any:
    """Larger random weights: at the usual 0.02 a toy's outputs hardly depend on its inputs."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(0, 0.2, generator=generator)
    return module.eval()


def toy_bundle(seed: int = 0) -> Bundle:
    """The 8B's structure around a toy tokenizer whose last token is ``<image>``."""
    tokenizer = toy_tokenizer("<image>")
    image_token_id = len(tokenizer) - 1
    config = tiny_config(len(tokenizer), image_token_id=image_token_id)
    return Bundle(
        model=spread(LlavaForConditionalGeneration(config), seed),
        tokenizer=tokenizer,
        template=get_template("llama3"),
        image_policy=ImagePolicy.clip(IMAGE_SIZE),
        image_token_id=image_token_id,
        tokens_per_image=TOKENS,
        name="toy",
    )


def inputs(image_token_id: int, tokens: int = TOKENS) -> dict[str, torch.Tensor]:
    """One prompt with an image in the middle."""
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randn(1, 3, IMAGE_SIZE, IMAGE_SIZE, generator=generator)
    return {"input_ids": torch.tensor([[256, 70, 71, *[image_token_id] * tokens, 80, 81, 82]]), "pixel_values": pixels}


@torch.no_grad()
def logits(model: Any, image_token_id: int, tokens: int = TOKENS) -> torch.Tensor:
    return model(**inputs(image_token_id, tokens)).logits.float()


@dataclass
class Original:
    """The parts an original LLaVA checkpoint is made of."""

    folder: Path
    llama: Any
    clip: Any
    projector: nn.Sequential

    @torch.no_grad()
    def reference_logits(self, layer: int = -2, *, drop_class: bool = True) -> torch.Tensor:
        """Embeddings joined by hand at the image's place, the way original LLaVA does it."""
        batch = inputs(-200)
        ids = batch["input_ids"][0]
        place = (ids == -200).nonzero()[:, 0]
        before, after = ids[: place[0]], ids[place[-1] + 1 :]
        states = self.clip(batch["pixel_values"], output_hidden_states=True).hidden_states[layer]
        image = self.projector(states[:, 1:] if drop_class else states)
        embed = self.llama.get_input_embeddings()
        joined = torch.cat([embed(before)[None], image, embed(after)[None]], dim=1)
        return self.llama(inputs_embeds=joined).logits


CONFIG: dict[str, Any] = {
    "architectures": ["LlavaLlamaForCausalLM"],
    "model_type": "llava_llama",
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 131072,
    "rms_norm_eps": 1e-5,
    "rope_theta": 500000.0,
    "rope_scaling": {
        "factor": 8.0,
        "high_freq_factor": 4.0,
        "low_freq_factor": 1.0,
        "original_max_position_embeddings": 8192,
        "rope_type": "llama3",
    },
    "bos_token_id": 256,
    "eos_token_id": 260,
    "torch_dtype": "float32",
    "mm_vision_tower": "clip",
    "mm_projector_type": "mlp2x_gelu",
    "mm_hidden_size": 16,
    "mm_vision_select_layer": -2,
    "mm_vision_select_feature": "patch",
    "mm_use_im_start_end": False,
    "mm_use_im_patch_token": False,
    "image_aspect_ratio": "pad",
    "tokenizer_model_max_length": 4096,
    "use_mm_proj": True,
}
_LANGUAGE = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads")


def _parts(vocab: int) -> tuple[Any, Any, nn.Sequential]:
    """Each part built by itself, with no code of the converter."""
    llama = LlamaForCausalLM(
        LlamaConfig(
            **{name: CONFIG[name] for name in (*_LANGUAGE, "max_position_embeddings", "rms_norm_eps")},
            vocab_size=vocab,
            rope_parameters={**CONFIG["rope_scaling"], "rope_theta": 500000.0},
        )
    )
    clip = CLIPVisionModel(
        CLIPVisionConfig(
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=3,
            num_attention_heads=2,
            image_size=28,
            patch_size=14,
        )
    )
    projector = nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 32))
    return spread(llama, 1), spread(clip, 2), spread(projector, 3)


def original_folder(folder: Path, *names: str, tower_inside: bool = True, shards: int = 2, **changes: Any) -> Original:
    """Write an original LLaVA checkpoint; the CLIP folder lies in ``folder/clip`` either way."""
    folder.mkdir(parents=True)
    tokenizer = toy_tokenizer(*names)
    llama, clip, projector = _parts(len(tokenizer))
    state = dict(llama.state_dict())
    state |= {f"model.mm_projector.{key}": value for key, value in projector.state_dict().items()}
    state["model.layers.0.self_attn.rotary_emb.inv_freq"] = torch.ones(4)
    if tower_inside:
        prefix = "model.vision_tower.vision_tower.vision_model."
        state |= {prefix + key: value for key, value in clip.state_dict().items()}
    keys = sorted(state)
    weight_map = {}
    for shard in range(shards):
        name = f"model-{shard + 1:05d}-of-{shards:05d}.safetensors"
        mine = keys[shard::shards]
        save_file({key: state[key].contiguous() for key in mine}, folder / name, metadata={"format": "pt"})
        weight_map |= dict.fromkeys(mine, name)
    write_json(folder / "model.safetensors.index.json", {"metadata": {}, "weight_map": weight_map})
    clip.save_pretrained(folder / "clip")
    tokenizer.save_pretrained(folder)
    write_json(folder / "config.json", {**CONFIG, "vocab_size": len(tokenizer), **changes})
    return Original(folder, llama, clip, projector)


def write_json(file: Path, content: Any) -> None:
    file.write_text(json.dumps(content), encoding="utf-8")


def edit_json(file: Path, **changes: Any) -> None:
    write_json(file, json.loads(file.read_text(encoding="utf-8")) | changes)
