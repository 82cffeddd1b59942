"""LLaVA LoRA checkpoints that were never merged: adapter and projector here, base model elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bimedix2.errors import ModelError

from .bundle import read_json
from .hub import fetch, is_hub_id
from .tensors import TensorInfo, load_tensors, read_header

if TYPE_CHECKING:
    from torch import Tensor

_PREFIX = "base_model.model."
_OTHERS = "non_lora_trainables"


@dataclass(frozen=True)
class Updates:
    """What an unmerged checkpoint changes in its base; empty for a merged one.

    Attributes:
        base: folder or hub id of the base language model; ``None`` if the source is complete.
        scale: alpha / r of the LoRA update.
        factors: ``{original weight name: (A (r, in), B (out, r))}``.
        replacements: fully trained weights, by original name.
    """

    base: str | None = None
    scale: float = 0.0
    factors: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict)
    replacements: dict[str, TensorInfo] = field(default_factory=dict)

    def merged(self, key: str, weight: Tensor) -> Tensor:
        """``weight`` (out, in) plus scale * B A if this weight has an update; computed in fp32."""
        original = key.removeprefix(_PREFIX)
        if original not in self.factors:
            return weight
        first, second = self.factors[original]
        return (weight.float() + self.scale * second.float() @ first.float()).to(weight.dtype)


def read_updates(source: Path) -> Updates:
    """Read the adapter of an unmerged checkpoint; an empty result for a merged one.

    Raises:
        ModelError: ``pickle_refused`` if part of it is a pickle, ``bad_adapter`` if it cannot be merged.
    """
    if not (source / "adapter_config.json").is_file():
        return Updates()
    adapter, others = source / "adapter_model.safetensors", source / f"{_OTHERS}.safetensors"
    if not adapter.is_file() or not others.is_file():
        raise ModelError(
            f"{source} is a LoRA checkpoint that was not merged, and {_OTHERS} or the adapter is a pickle "
            "(.bin), which is never opened. Merge it with the training code's merge script, or save both "
            f"files with safetensors.torch.save_file as {others.name} and {adapter.name}.",
            f"المجلد {source} محول LoRA لم يدمج، وبعض ملفاته pickle (.bin) ولا تفتح أبدا. ادمجه بسكربت "
            f"الدمج، أو احفظ الملفين بصيغة safetensors باسم {others.name} و{adapter.name}.",
            code="pickle_refused",
        )
    config = read_json(source / "adapter_config.json")
    replacements = {key.removeprefix(_PREFIX): info for key, info in read_header(others).items()}
    return Updates(_base(source, config), _scale(source, config), _factors(source, adapter), replacements)


def _base(source: Path, config: dict[str, object]) -> str:
    base = config.get("base_model_name_or_path")
    if not isinstance(base, str) or not base:
        raise _bad(source, "adapter_config.json names no base model", "لا يذكر adapter_config.json نموذجا أساسا")
    return base


def _bad(source: Path, english: str, arabic: str) -> ModelError:
    return ModelError(
        f"{source}: {english}. Merge the adapter with the code that trained it and convert the result.",
        f"{source}: {arabic}. ادمج المحول بالشفرة التي دربته ثم حول الناتج.",
        code="bad_adapter",
    )


def _scale(source: Path, config: dict[str, object]) -> float:
    special = [name for name in ("use_dora", "use_rslora", "rank_pattern", "alpha_pattern") if config.get(name)]
    rank, alpha = config.get("r"), config.get("lora_alpha")
    if special or not isinstance(rank, int) or not isinstance(alpha, int | float):
        raise _bad(source, f"its LoRA settings are not plain ({special})", "إعدادات LoRA فيه ليست بسيطة")
    return alpha / rank


def _factors(source: Path, adapter: Path) -> dict[str, tuple[Tensor, Tensor]]:
    tensors = {key.removeprefix(_PREFIX): tensor for key, tensor in load_tensors(adapter).items()}
    firsts = {key for key in tensors if key.endswith(".lora_A.weight")}
    pairs = {key: key.replace(".lora_A.", ".lora_B.") for key in firsts}
    if not firsts or set(tensors) != firsts | set(pairs.values()):
        raise _bad(source, "its adapter does not consist of LoRA pairs", "لا يتكون المحول من أزواج LoRA")
    return {
        key.removesuffix(".lora_A.weight") + ".weight": (tensors[key], tensors[other]) for key, other in pairs.items()
    }


def language_source(source: Path, updates: Updates) -> Path:
    """Folder whose shards hold the language model: the source itself, or an unmerged adapter's base."""
    if updates.base is None:
        return source
    for folder in (Path(updates.base).expanduser(), source / updates.base):
        if folder.is_dir():
            return folder
    if is_hub_id(updates.base):
        return fetch(updates.base)
    raise _bad(source, f"its base model {updates.base!r} cannot be found", "لا يمكن العثور على نموذجه الأساس")
