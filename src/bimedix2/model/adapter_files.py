"""Read a PEFT LoRA folder and check it against a model before the model is touched."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from bimedix2.errors import ModelError

from .bundle import read_json
from .keys import adapter_module
from .tensors import load_tensors, refuse_pickle

if TYPE_CHECKING:
    from peft import LoraConfig
    from torch import Tensor, nn

CONFIG_NAME = "adapter_config.json"
WEIGHTS_NAME = "adapter_model.safetensors"
# Of a stored configuration only these fields are used: others can name code to import or change the base.
_FIELDS = ("r", "lora_alpha", "lora_dropout", "use_rslora", "alpha_pattern")


def bad_adapter(path: Path, english: str, arabic: str, code: str = "bad_adapter") -> ModelError:
    """An error about an adapter folder that ends in what to do."""
    return ModelError(
        f"Adapter {path}: {english} Use an adapter that was trained on this model.",
        f"المحول {path}: {arabic} استخدم محولا دُرب على هذا النموذج.",
        code=code,
    )


def check_finite(path: Path, tensors: dict[str, Tensor]) -> None:
    """Refuse tensors with NaN or infinity."""
    broken = [name for name, tensor in tensors.items() if not tensor.float().isfinite().all()]
    if broken:
        raise bad_adapter(path, f"{broken[0]} holds NaN or infinity.", f"يحتوي {broken[0]} على قيم غير منتهية.")


def read_factors(path: Path) -> dict[str, dict[str, Tensor]]:
    """``{module: {"lora_A": …, "lora_B": …}}`` from an adapter file, under today's module names."""
    if not (path / WEIGHTS_NAME).is_file():
        refuse_pickle(path)
        raise bad_adapter(path, f"{WEIGHTS_NAME} is missing.", f"الملف {WEIGHTS_NAME} مفقود.")
    factors: dict[str, dict[str, Tensor]] = {}
    tensors = load_tensors(path / WEIGHTS_NAME)
    for key, tensor in tensors.items():
        module, found, kind = key.partition(".lora_")
        if not found:
            raise bad_adapter(path, f"{key} is not a LoRA weight.", f"{key} ليس من أوزان LoRA.")
        factors.setdefault(adapter_module(module), {})["lora_" + kind.split(".")[0]] = tensor
    check_finite(path, tensors)
    return factors


def check_factors(model: nn.Module, path: Path, factors: dict[str, dict[str, Tensor]]) -> None:
    """Refuse factors that match nothing, do not fit, or change nothing.

    Raises:
        ModelError: ``no_match``, ``wrong_keys``, ``wrong_shapes`` or ``noop_adapter``.
    """
    modules = dict(model.named_modules())
    unknown = sorted(name for name in factors if name not in modules)
    if len(unknown) == len(factors):
        raise bad_adapter(path, "it matches no module of this model.", "لا يطابق أي وحدة في هذا النموذج.", "no_match")
    if unknown:
        raise bad_adapter(
            path,
            f"{len(unknown)} of its modules are not in this model: {unknown[:5]}.",
            f"عدد {len(unknown)} من وحداته غير موجود في هذا النموذج: {unknown[:5]}.",
            "wrong_keys",
        )
    for name, pair in factors.items():
        _check_pair(path, name, pair, modules[name])
    if all(not pair["lora_B"].any() for pair in factors.values()):
        raise bad_adapter(
            path,
            "all lora_B weights are zero, so it changes nothing.",
            "كل أوزان lora_B أصفار، فهو لا يغير شيئا.",
            "noop_adapter",
        )


def _check_pair(path: Path, name: str, pair: dict[str, Tensor], module: nn.Module) -> None:
    weight = getattr(module, "weight", None)
    first, second = pair.get("lora_A"), pair.get("lora_B")
    fits = (
        first is not None
        and second is not None
        and weight is not None
        and (first.ndim, second.ndim, weight.ndim) == (2, 2, 2)
        and first.shape[1] == weight.shape[1]
        and second.shape[0] == weight.shape[0]
        and first.shape[0] == second.shape[1]
    )
    if not fits:
        shapes = {kind: tuple(tensor.shape) for kind, tensor in pair.items()}
        raise bad_adapter(
            path,
            f"{name}: {shapes} does not fit a weight of {tuple(getattr(weight, 'shape', ()))}.",
            f"{name}: الأبعاد {shapes} لا تناسب وزن النموذج.",
            "wrong_shapes",
        )


def stored_config(path: Path, factors: dict[str, dict[str, Tensor]]) -> LoraConfig:
    """The folder's ``LoraConfig``, reduced to numbers; which modules it is for comes from ``factors``."""
    from peft import LoraConfig

    stored = read_json(path / CONFIG_NAME)
    _check_kind(path, stored)
    ranks = {name: pair["lora_A"].shape[0] for name, pair in factors.items()}
    if not stored.get("rank_pattern") and set(ranks.values()) != {stored["r"]}:
        raise bad_adapter(
            path,
            f"{CONFIG_NAME} says rank {stored['r']} but the weights have {sorted(set(ranks.values()))}.",
            f"الرتبة في {CONFIG_NAME} هي {stored['r']} بينما رتبة الأوزان {sorted(set(ranks.values()))}.",
            "wrong_shapes",
        )
    fields = {name: stored[name] for name in _FIELDS if name in stored}
    # Names and ranks come from the weights, which were checked, and not from stored patterns.
    return LoraConfig(
        **fields,
        rank_pattern={name: rank for name, rank in ranks.items() if rank != stored["r"]},
        target_modules=sorted(factors),
        bias="none",
        inference_mode=True,
    )


def _check_kind(path: Path, stored: dict[str, Any]) -> None:
    extras = [name for name in ("use_dora", "modules_to_save", "trainable_token_indices") if stored.get(name)]
    if stored.get("peft_type") != "LORA" or stored.get("bias", "none") != "none" or extras:
        raise bad_adapter(
            path,
            f"only plain LoRA without biases is supported ({stored.get('peft_type')} {extras}).",
            "المدعوم LoRA البسيط بلا انحياز فقط.",
        )
    numbers = [stored.get("r"), stored.get("lora_alpha"), stored.get("lora_dropout", 0.0)]
    sound = [type(number) in (int, float) and number >= 0 for number in numbers]
    if not all(sound) or not isinstance(stored["r"], int) or stored["r"] < 1:
        raise bad_adapter(
            path,
            f"{CONFIG_NAME} holds no usable r, lora_alpha and lora_dropout ({numbers}).",
            f"القيم r وlora_alpha وlora_dropout في {CONFIG_NAME} غير صالحة ({numbers}).",
        )
