"""LoRA adapters on the language model, with the projector and trained encoder blocks stored beside them.

The published recipe trains LoRA on every linear layer of the language model except the head, and the whole
projector; the vision tower stays frozen (arXiv 2412.07769 and LLaVA++'s training code). An adapter folder is
an ordinary PEFT folder plus ``projector.safetensors``, and ``encoder.safetensors`` where blocks of the tower
were trained too (:func:`bimedix2.model.encoder.unfreeze_blocks`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bimedix2.cache import atomic_folder
from bimedix2.errors import ModelError

from .adapter_files import (
    CONFIG_NAME,
    WEIGHTS_NAME,
    bad_adapter,
    check_factors,
    check_finite,
    read_factors,
    stored_config,
)
from .encoder_files import ENCODER_NAME, check_origin, encoder_state, load_encoder, read_encoder, write_origin
from .quantize import refuse_quantized
from .tensors import load_tensors, save_tensors

if TYPE_CHECKING:
    from peft import LoraConfig
    from torch import Tensor, nn

PROJECTOR_NAME = "projector.safetensors"
# Every linear layer inside the decoder layers of Llama, Phi-3 and Gemma ends in `_proj`; the head and the
# tower lie elsewhere (the tower's path has no `language_model`).
TARGETS = r"(?:.*\.)?language_model\.layers\.\d+\..*_proj"
_PREFIX = "base_model.model."


def lora_config(r: int = 8, alpha: int = 16, dropout: float = 0.05) -> LoraConfig:
    """LoRA on every ``nn.Linear`` of the language model except ``lm_head``; never projector or tower.

    Args:
        r: rank. The published 8B recipe uses r=8, alpha=16: 20,971,520 parameters.
        alpha: scale; an update is multiplied by alpha / r.
        dropout: dropout before the first factor, in training.
    """
    from peft import LoraConfig

    return LoraConfig(r=r, lora_alpha=alpha, lora_dropout=dropout, bias="none", target_modules=TARGETS)


def add_adapter(model: nn.Module, config: LoraConfig) -> nn.Module:
    """Put fresh LoRA layers into ``model`` in place and return it; the rest is frozen, the class stays."""
    from peft import inject_adapter_in_model

    model.requires_grad_(requires_grad=False)
    on_meta = any(parameter.is_meta for parameter in model.parameters())
    inject_adapter_in_model(config, model, low_cpu_mem_usage=on_meta)
    return model


def _projector(model: nn.Module) -> nn.Module:
    found: list[nn.Module] = [
        module for name, module in model.named_modules() if name.endswith("multi_modal_projector")
    ]
    if len(found) != 1:
        raise ModelError(
            "This model has no multi_modal_projector. Load a LLaVA-style model.",
            "لا يحتوي هذا النموذج على multi_modal_projector. حمل نموذجا من نوع LLaVA.",
            code="unsupported_model",
        )
    return found[0]


def _check_projector(model: nn.Module, path: Path) -> dict[str, Tensor]:
    """Tensors of the stored projector, renamed and known to fit."""
    tensors = load_tensors(path / PROJECTOR_NAME)
    stored = {name.split("multi_modal_projector.")[-1]: tensor for name, tensor in tensors.items()}
    wanted = {name: tuple(value.shape) for name, value in _projector(model).state_dict().items()}
    found = {name: tuple(value.shape) for name, value in stored.items()}
    if wanted != found:
        differing = sorted(set(wanted.items()) ^ set(found.items()))
        raise bad_adapter(
            path,
            f"{PROJECTOR_NAME} does not fit the model's projector: {differing[:6]}.",
            f"لا يناسب {PROJECTOR_NAME} مسقط النموذج: {differing[:6]}.",
            code="wrong_shapes",
        )
    check_finite(path, stored)
    return stored


def attach_adapter(model: nn.Module, path: str | Path) -> nn.Module:
    """Load a PEFT LoRA folder and the projector and encoder blocks beside it into ``model``, in place.

    Everything is checked before the model is touched. A folder with only ``projector.safetensors`` (the
    first training stage) is accepted. Projector and encoder blocks take the type that the model's have.

    Raises:
        ModelError: ``no_match``, ``wrong_keys``, ``wrong_shapes``, ``noop_adapter``, ``pickle_refused``,
            ``wrong_encoder``, ``bad_safetensors`` or ``bad_adapter``.
    """
    path = Path(path)
    has_lora, has_projector = (path / CONFIG_NAME).is_file(), (path / PROJECTOR_NAME).is_file()
    if not has_lora and not has_projector:
        raise bad_adapter(path, f"neither {CONFIG_NAME} nor {PROJECTOR_NAME} is there.", "المجلد ليس محولا.")
    if hasattr(model, "peft_config"):
        raise bad_adapter(path, "the model already carries an adapter.", "يحمل النموذج محولا بالفعل.")
    if has_projector:
        check_origin(model, path)
    projector = _check_projector(model, path) if has_projector else {}
    encoder = read_encoder(model, path) if (path / ENCODER_NAME).is_file() else {}
    if has_lora:
        factors = read_factors(path)
        check_factors(model, path, factors)
        _load_factors(model, path, factors)
    if projector:
        _projector(model).load_state_dict(projector)
    if encoder:
        load_encoder(model, encoder)
    return model


def _load_factors(model: nn.Module, path: Path, factors: dict[str, dict[str, Tensor]]) -> None:
    from peft import inject_adapter_in_model, set_peft_model_state_dict

    result: Any
    training = model.training
    inject_adapter_in_model(stored_config(path, factors), model)
    state = {f"{name}.{kind}.weight": tensor for name, pair in factors.items() for kind, tensor in pair.items()}
    result = set_peft_model_state_dict(model, state)
    missing = [key for key in result.missing_keys if ".lora_" in key]
    if missing or result.unexpected_keys:
        raise bad_adapter(
            path,
            f"missing {missing[:3]}, unexpected {result.unexpected_keys[:3]}.",
            f"أوزان مفقودة {missing[:3]} وأخرى غير متوقعة {result.unexpected_keys[:3]}.",
            "wrong_keys",
        )
    model.train(training)


def save_adapter(
    model: nn.Module, path: str | Path, *, dtype: str | None = None, whole: Mapping[str, Tensor] | None = None
) -> Path:
    """Store LoRA weights (if any), projector and trained encoder blocks (if any) as a PEFT folder.

    The folder appears whole or not at all. Blocks count as trained once they were unfrozen.

    Args:
        model: a model after :func:`add_adapter` or :func:`attach_adapter`, or a ``PeftModel`` around one.
        path: folder to write.
        dtype: name of a torch type to store in, such as ``"bfloat16"``; ``None`` keeps the present one.
        whole: values by parameter name for the parameters that are sharded over processes in ``model``.
    """
    import torch

    path = Path(path)
    cast = getattr(torch, dtype) if dtype else None

    def ready(tensor: Tensor) -> Tensor:
        return tensor.detach().to("cpu", cast or tensor.dtype).contiguous()

    with atomic_folder(path) as scratch:
        state = {**model.state_dict(), **(whole or {})}
        projector = {name: ready(state[full]) for name, full in _projector_names(model).items()}
        save_tensors(projector, scratch / PROJECTOR_NAME)
        write_origin(model, scratch)
        if encoder := {name: ready(tensor) for name, tensor in encoder_state(model).items()}:
            save_tensors(encoder, scratch / ENCODER_NAME)
        if hasattr(model, "peft_config"):
            save_tensors({k: ready(v) for k, v in _lora_state(model, state).items()}, scratch / WEIGHTS_NAME)
            (scratch / CONFIG_NAME).write_text(_config_text(model), encoding="utf-8")
    return path


def _projector_names(model: nn.Module) -> dict[str, str]:
    """Names of the projector's tensors in the projector and in the model."""
    projector = _projector(model)
    prefix = next(name for name, module in model.named_modules() if module is projector)
    return {name: f"{prefix}.{name}" for name in projector.state_dict()}


def _lora_state(model: Any, state: dict[str, Tensor]) -> dict[str, Tensor]:
    from peft import get_peft_model_state_dict

    found = get_peft_model_state_dict(model, state_dict=state, save_embedding_layers=False)
    return {_PREFIX + key.removeprefix(_PREFIX): tensor for key, tensor in found.items()}


def _config_text(model: Any) -> str:
    config = model.peft_config["default"].to_dict()
    for name, value in config.items():
        config[name] = sorted(value) if isinstance(value, set) else value
    config["inference_mode"] = True
    return json.dumps(config, indent=2, sort_keys=True, default=str)


def merge(model: nn.Module) -> nn.Module:
    """Fold LoRA updates into the weights and return the plain model (the wrapped one for a ``PeftModel``).

    The update of a layer is (alpha / r) B A, Hu et al. 2021, arXiv 2106.09685.

    Raises:
        ModelError: ``quantized_base`` if the weights are in 4 bits.
    """
    from peft import PeftModel
    from peft.tuners.tuners_utils import BaseTunerLayer

    refuse_quantized(model)
    plain: Any = model.get_base_model() if isinstance(model, PeftModel) else model
    layers = [(name, module) for name, module in plain.named_modules() if isinstance(module, BaseTunerLayer)]
    for name, layer in layers:
        layer.merge(safe_merge=True)
        parent, _, leaf = name.rpartition(".")
        setattr(plain.get_submodule(parent), leaf, layer.get_base_layer())
    if hasattr(plain, "peft_config"):
        del plain.peft_config
        plain._hf_peft_config_loaded = False
    return plain  # type: ignore[no-any-return]
