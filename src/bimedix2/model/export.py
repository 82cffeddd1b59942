"""Export a loaded model as one plain Hugging Face folder that transformers, vLLM and others read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bimedix2.cache import atomic_folder
from bimedix2.errors import ModelError

from .bundle import Bundle
from .keys import KeyStyle, module_to_file
from .processor import write_processor
from .quantize import refuse_quantized
from .tensors import ShardWriter

if TYPE_CHECKING:
    from torch import Tensor


def export_hf(bundle: Bundle, target: str | Path, *, key_style: KeyStyle = "classic") -> Path:
    """Write weights (adapter merged), configuration, tokenizer and processor files to ``target``.

    An adapter on ``bundle.model`` is folded in only in what is written: the bundle stays as it is. Parts that
    were trained in float32 are written in the type of the rest.

    Args:
        bundle: the model. Nano exports too, but only this package knows its pixel-shuffle projector.
        target: folder to write; must not exist or be empty, and appears only when complete.
        key_style: ``"classic"`` are the names that vLLM reads (``language_model.model.layers…``,
            ``vision_tower.vision_model…``); ``"current"`` are those that transformers 5 writes.

    Returns:
        ``target``.

    Raises:
        ModelError: ``target_exists``, ``noop_adapter`` or ``quantized_base``.
        AssetError: ``no_disk_space``; nothing is left behind.
    """
    target = Path(target)
    refuse_existing(target)
    model = plain_model(bundle.model)
    refuse_quantized(model)
    refuse_noop(model)
    needed = sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())
    with atomic_folder(target, int(needed * 1.02)) as scratch:
        writer = ShardWriter(scratch)
        for name, tensor in merged_weights(model, key_style):
            writer.add(name, tensor.to(bundle.dtype) if tensor.is_floating_point() else tensor)
        writer.close()
        _write_config(model.config, bundle.dtype, scratch)
        bundle.tokenizer.save_pretrained(scratch)
        bundle.manifest().write(scratch, tokens_per_image=bundle.tokens_per_image)
        write_processor(scratch, bundle.manifest(), model.config, bundle.tokenizer.backend_tokenizer)
    return target


def refuse_existing(target: Path) -> None:
    """Raise ``ModelError`` (``target_exists``) unless ``target`` is a new or an empty folder."""
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ModelError(
            f"{target} exists already. Choose a new folder, or delete this one first.",
            f"المجلد {target} موجود بالفعل. اختر مجلدا جديدا أو احذف هذا أولا.",
            code="target_exists",
        )


def plain_model(model: Any) -> Any:
    """The LLaVA model inside a ``PeftModel``, or the model itself."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def _tuned_layers(model: Any) -> dict[str, Any]:
    if not hasattr(model, "peft_config"):
        return {}
    from peft.tuners.tuners_utils import BaseTunerLayer

    return {name: module for name, module in model.named_modules() if isinstance(module, BaseTunerLayer)}


def refuse_noop(model: Any) -> None:
    """Raise ``noop_adapter`` where an adapter is attached that changes nothing."""
    layers = _tuned_layers(model).values()
    if layers and not any(factor.weight.any() for layer in layers for factor in layer.lora_B.values()):
        raise ModelError(
            "The adapter on this model changes nothing (all lora_B weights are zero). Train it or load a "
            "trained one, or load the model with adapter='none', before exporting.",
            "المحول على هذا النموذج لا يغير شيئا (كل أوزان lora_B أصفار). دربه أو حمل محولا مدربا قبل التصدير.",
            code="noop_adapter",
        )


def merged_weights(model: Any, key_style: KeyStyle) -> Iterator[tuple[str, Tensor]]:
    """Yield (name in the file, tensor on the CPU) with LoRA updates added, one tensor at a time.

    A tied language-model head is left out: readers tie it again.
    """
    layers = _tuned_layers(model)
    clip_tower = model.config.vision_config.model_type in ("clip_vision_model", "siglip_vision_model")
    for key, tensor in model.state_dict().items():
        if ".lora_" in key or (key == "lm_head.weight" and model.config.tie_word_embeddings):
            continue
        owner, _, leaf = key.rpartition(".base_layer.")
        if owner and leaf == "weight":
            tensor = tensor + sum(layers[owner].get_delta_weight(name) for name in layers[owner].lora_A)
        plain = f"{owner}.{leaf}" if owner else key
        yield module_to_file(plain, key_style, clip_tower=clip_tower), tensor.detach().to("cpu")


def _write_config(config: Any, dtype: Any, folder: Path) -> None:
    """``config.json`` that old readers understand too.

    Releases before 5 look for ``rope_theta``, ``rope_scaling`` and ``torch_dtype`` and fall back to silent
    defaults without them, so they stand beside today's ``rope_parameters`` and ``dtype``.
    """
    values = config.to_dict()
    values["architectures"] = ["LlavaForConditionalGeneration"]
    values["dtype"] = values["torch_dtype"] = str(dtype).removeprefix("torch.")
    # An export is for others too: folders on this machine are not told.
    for part in (values, values["vision_config"], values["text_config"]):
        part.pop("_name_or_path", None)
    if origin := values.get("vision_encoder"):
        origin["source"] = Path(origin["source"]).name if Path(origin["source"]).is_absolute() else origin["source"]
    rope = values["text_config"].get("rope_parameters") or {}
    if "rope_theta" in rope:
        values["text_config"]["rope_theta"] = rope["rope_theta"]
        scaled = {name: value for name, value in rope.items() if name != "rope_theta"}
        values["text_config"]["rope_scaling"] = scaled if rope.get("rope_type") != "default" else None
    text = json.dumps(values, indent=2, sort_keys=True)
    (folder / "config.json").write_text(text, encoding="utf-8")
