"""Export as GGUF for llama.cpp and what is built on it: ``text.gguf``, and ``mmproj.gguf`` for tower and projector.

llama.cpp's own converter refuses a CLIP LLaVA, so names and keys are written here as its loader reads them
(``clip.cpp`` and ``convert_hf_to_gguf.py``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from bimedix2.cache import atomic_folder
from bimedix2.errors import ModelError

from .bundle import Bundle
from .export import merged_weights, plain_model, refuse_existing, refuse_noop
from .gguf_tokens import write_tokenizer
from .processor import jinja
from .quantize import refuse_quantized

if TYPE_CHECKING:
    from torch import Tensor

TEXT, PROJECTOR = "text.gguf", "mmproj.gguf"
FloatType = Literal["f16", "f32"]
_LANGUAGE, _TOWER = "language_model.", "vision_tower.vision_model."
_CONNECTOR = "multi_modal_projector."
Weights = Iterator[tuple[str, "Tensor"]]


def export_gguf(bundle: Bundle, target: str | Path, *, dtype: FloatType = "f16") -> Path:
    """Write both files, an adapter merged.

    Matrices are stored in ``dtype``, vectors and positions in float32.

    Args:
        bundle: a Llama language model with a CLIP tower and the two-layer projector.
        target: folder to write; must not exist or be empty, and appears only when complete.
        dtype: type of matrices.

    Returns:
        ``target``.

    Raises:
        ModelError: ``gguf_unsupported``, ``target_exists``, ``noop_adapter`` or ``quantized_base``.
        AssetError: ``no_disk_space``; nothing is left behind.
    """
    target = Path(target)
    refuse_existing(target)
    model = plain_model(bundle.model)
    _check(bundle, model)
    refuse_quantized(model)
    refuse_noop(model)
    size = 2 if dtype == "f16" else 4
    needed = sum(parameter.numel() for parameter in model.parameters()) * size
    with atomic_folder(target, int(needed * 1.02)) as scratch:
        _write_text(bundle, model, scratch / TEXT, dtype)
        _write_projector(bundle, model, scratch / PROJECTOR, dtype)
        bundle.manifest().write(scratch, tokens_per_image=bundle.tokens_per_image)
    return target


def _check(bundle: Bundle, model: Any) -> None:
    config = model.config
    known = (
        config.text_config.model_type == "llama"
        and config.vision_config.model_type == "clip_vision_model"
        and bundle.pixel_shuffle == 1
        and isinstance(config.vision_feature_layer, int)
        and config.vision_feature_select_strategy == "default"
    )
    if not known:
        raise ModelError(
            "GGUF export knows the paper's architecture only: Llama, CLIP and a two-layer projector. "
            "Export as --format hf.",
            "يعرف تصدير GGUF بنية الورقة فقط: Llama وCLIP ومسقط من طبقتين. صدر النموذج بالخيار --format hf.",
            code="gguf_unsupported",
        )


def _write_text(bundle: Bundle, model: Any, file: Path, dtype: FloatType) -> None:
    from gguf import MODEL_ARCH, GGUFWriter, get_tensor_name_map

    config = model.config.text_config
    writer = GGUFWriter(file, "llama")
    rope = config.rope_parameters
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    writer.add_name(bundle.name or "bimedix2")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(rope["rope_theta"])
    writer.add_rope_dimension_count(width)
    writer.add_key_length(width)
    writer.add_value_length(width)
    writer.add_vocab_size(config.vocab_size)
    writer.add_file_type(1 if dtype == "f16" else 0)
    tokenizer = bundle.tokenizer
    image = tokenizer.convert_ids_to_tokens(bundle.image_token_id)
    write_tokenizer(writer, tokenizer, config.vocab_size, jinja(bundle.template, tokenizer.bos_token or "", image))
    names = get_tensor_name_map(MODEL_ARCH.LLAMA, config.num_hidden_layers)
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}

    def tensors() -> Iterator[tuple[str, NDArray[Any]]]:
        if rope.get("rope_type") == "llama3":
            yield "rope_freqs.weight", llama3_factors(rope, width)
        for key, tensor in merged_weights(model, "classic"):
            if not key.startswith(_LANGUAGE):
                continue
            stem, _, leaf = key.removeprefix(_LANGUAGE).rpartition(".")
            values = _numbers(tensor)
            part = stem.rpartition(".")[2]
            if part in heads:
                values = rope_order(values, heads[part])
            name = names.get_name(stem)
            assert name is not None, stem
            yield f"{name}.{leaf}", values

    _stream(writer, tensors, dtype)


def _write_projector(bundle: Bundle, model: Any, file: Path, dtype: FloatType) -> None:
    from gguf import MODEL_ARCH, GGUFWriter, get_tensor_name_map

    config = model.config.vision_config
    # Layers behind the one whose output is used are left out, and with them the last norm.
    layer = model.config.vision_feature_layer
    depth = config.num_hidden_layers + 1 + layer if layer < 0 else layer
    writer = GGUFWriter(file, "clip")
    writer.add_name(bundle.name or "bimedix2")
    writer.add_file_type(1 if dtype == "f16" else 0)
    writer.add_clip_has_vision_encoder(True)
    writer.add_clip_projector_type("mlp")
    writer.add_vision_image_size(config.image_size)
    writer.add_vision_patch_size(config.patch_size)
    writer.add_vision_embedding_length(config.hidden_size)
    writer.add_vision_feed_forward_length(config.intermediate_size)
    writer.add_vision_projection_dim(model.config.text_config.hidden_size)
    writer.add_vision_block_count(depth)
    writer.add_vision_head_count(config.num_attention_heads)
    writer.add_vision_attention_layernorm_eps(config.layer_norm_eps)
    # False is quick_gelu, which is CLIP's.
    writer.add_vision_use_gelu(config.hidden_act == "gelu")
    writer.add_vision_image_mean([float(value) for value in bundle.image_policy.mean])
    writer.add_vision_image_std([float(value) for value in bundle.image_policy.std])
    names = get_tensor_name_map(MODEL_ARCH.MMPROJ, config.num_hidden_layers)

    def tensors() -> Iterator[tuple[str, NDArray[Any]]]:
        for key, tensor in merged_weights(model, "classic"):
            name = _projector_name(key, depth, names.get_name)
            if name is not None:
                yield name, _numbers(tensor)

    _stream(writer, tensors, dtype)


def _projector_name(key: str, depth: int, known: Callable[[str], str | None]) -> str | None:
    """Name in ``mmproj.gguf``, or ``None`` for what does not go there."""
    if key.startswith(_CONNECTOR):
        return key.replace(f"{_CONNECTOR}linear_1", "mm.0").replace(f"{_CONNECTOR}linear_2", "mm.2")
    if not key.startswith(_TOWER) or "post_layernorm" in key:
        return None
    parts = key.removeprefix(_TOWER).split(".")
    if parts[:2] == ["encoder", "layers"] and int(parts[2]) >= depth:
        return None
    if key.endswith("class_embedding"):
        return known(key)
    stem, _, leaf = key.rpartition(".")
    return f"{known(stem)}.{leaf}"


def _numbers(tensor: Tensor) -> NDArray[np.float32]:
    return tensor.float().contiguous().numpy()


def rope_order(values: NDArray[np.float32], heads: int) -> NDArray[np.float32]:
    """Rows of a query or key matrix from halves (transformers) to neighbouring pairs (llama.cpp), head by head."""
    split = values.reshape(heads, 2, values.shape[0] // heads // 2, *values.shape[1:])
    return np.ascontiguousarray(split.swapaxes(1, 2).reshape(values.shape))


def llama3_factors(rope: dict[str, Any], width: int) -> NDArray[np.float32]:
    """What llama.cpp divides each frequency by (Llama 3.1's scaling, as in transformers' ``modeling_rope_utils``)."""
    low, high = rope.get("low_freq_factor", 1.0), rope.get("high_freq_factor", 4.0)
    factor, old = rope.get("factor", 8.0), rope.get("original_max_position_embeddings", 8192)
    frequencies = 1.0 / rope["rope_theta"] ** (np.arange(0, width, 2, dtype=np.float64) / width)
    waves = 2 * math.pi / frequencies
    smooth = (old / waves - low) / (high - low)
    between = 1.0 / ((1.0 - smooth) / factor + smooth)
    return np.where(waves < old / high, 1.0, np.where(waves > old / low, factor, between)).astype(np.float32)


def _stream(writer: Any, tensors: Callable[[], Iterator[tuple[str, NDArray[Any]]]], dtype: FloatType) -> None:
    """Write names and sizes first, then one tensor at a time, so that one tensor is in memory."""
    for name, values in tensors():
        kind = _kind(name, values, dtype)
        writer.add_tensor_info(name, values.shape, np.dtype(kind), values.size * np.dtype(kind).itemsize)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for name, values in tensors():
        with np.errstate(over="ignore"):
            stored = values.astype(_kind(name, values, dtype))
        if not np.isfinite(stored).all():
            writer.close()
            raise ModelError(
                f"{name} has values that 16-bit floats cannot hold. Export with --dtype f32.",
                f"في {name} قيم لا تسعها أعداد 16 بت. صدر النموذج بالخيار --dtype f32.",
                code="gguf_overflow",
            )
        writer.write_tensor_data(stored)
    writer.close()


def _kind(name: str, values: NDArray[Any], dtype: FloatType) -> str:
    wide = values.ndim < 2 or "position_embd" in name or dtype == "f32"
    return "float32" if wide else "float16"
