"""Language-model adapters chosen per row of a batch, with the arithmetic of PEFT.

A row with an adapter gets ``x A^T B^T`` times the scale added to the output of each adapted layer (Hu et al. 2021,
arXiv 2106.09685), rows without one get nothing; so one batch serves them all, and no weight is ever changed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from bimedix2.errors import ModelError
from bimedix2.model.adapter_files import CONFIG_NAME, bad_adapter, check_factors, read_factors, stored_config
from bimedix2.model.adapters import PROJECTOR_NAME
from bimedix2.model.encoder_files import ENCODER_NAME
from bimedix2.model.tensors import load_tensors

if TYPE_CHECKING:
    from torch import nn

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_PLAIN = re.compile(r"[\w.]+")
_PART = "language_model.layers."
_PROJECTOR = "multi_modal_projector."


@dataclass(frozen=True, slots=True)
class Factors:
    """One layer's update: ``scale * second @ first``."""

    first: Tensor
    second: Tensor
    scale: float


class RowAdapters:
    """Adapters by name, applied to the rows of a batch that ask for them.

    Args:
        model: hooks go on the layers that some adapter changes; without adapters it is left alone.
        known: ``{adapter: {module: factors}}``.
    """

    def __init__(self, model: nn.Module, known: dict[str, dict[str, Factors]]) -> None:
        self.names = tuple(sorted(known))
        self._rows: dict[str, list[int]] = {}
        modules = dict(model.named_modules())
        for module in sorted({name for layers in known.values() for name in layers}):
            own = {name: layers[module] for name, layers in known.items() if module in layers}
            modules[module].register_forward_hook(self._hook(own))

    @contextmanager
    def rows(self, adapters: Sequence[str | None]) -> Iterator[None]:
        """Adapters of the rows of the next call of the model."""
        groups: dict[str, list[int]] = {}
        for row, name in enumerate(adapters):
            if name is not None:
                groups.setdefault(name, []).append(row)
        self._rows = groups
        try:
            yield
        finally:
            self._rows = {}

    def _hook(self, own: dict[str, Factors]) -> Any:
        def add(_module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor | None:
            chosen = {name: rows for name, rows in self._rows.items() if name in own}
            if not chosen:
                return None
            given = inputs[0]
            if len(next(iter(chosen.values()))) == len(given):
                return output + _update(given, own[next(iter(chosen))])
            output = output.clone()
            for name, rows in chosen.items():
                output[rows] += _update(given[rows], own[name])
            return output

        return add


def _update(given: Tensor, factors: Factors) -> Tensor:
    linear = torch.nn.functional.linear
    return linear(linear(given, factors.first), factors.second) * factors.scale


def load_adapters(model: nn.Module, folder: Path | None) -> dict[str, dict[str, Factors]]:
    """Every adapter of an allow-listed folder, checked against the model.

    Args:
        model: the base model.
        folder: one folder for each adapter; its name is what requests use. ``None`` has no adapters.

    Raises:
        ModelError: an adapter cannot be used, with what to do about it; ``needs_merge`` where it changes more than
            the language model.
    """
    if folder is None:
        return {}
    if not folder.is_dir():
        raise ModelError(
            f"There is no adapter folder {folder}. Create it or leave the setting out.",
            f"لا يوجد مجلد مكيفات {folder}. أنشئه أو احذف الإعداد.",
            code="no_adapter_folder",
        )
    found = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    return {_check_name(path, folder): read_adapter(model, path) for path in found}


def _check_name(path: Path, folder: Path) -> str:
    inside = path.resolve().parent == folder.resolve()
    if not _NAME.fullmatch(path.name) or not inside:
        raise bad_adapter(
            path,
            "its name must be 1 to 64 of A-Z a-z 0-9 . _ - and it must lie in the folder itself.",
            "يجب أن يتكون اسمه من 1 إلى 64 من الأحرف اللاتينية والأرقام و. _ - وأن يقع في المجلد نفسه.",
            "bad_name",
        )
    return path.name


def read_adapter(model: nn.Module, path: Path) -> dict[str, Factors]:
    """Factors of one PEFT folder by module.

    Raises:
        ModelError: as :func:`load_adapters`.
    """
    _refuse_other_parts(model, path)
    if not (path / CONFIG_NAME).is_file():
        raise bad_adapter(path, f"{CONFIG_NAME} is missing.", f"الملف {CONFIG_NAME} مفقود.")
    pairs = read_factors(path)
    if outside := sorted(name for name in pairs if _PART not in name):
        raise _needs_merge(path, outside[0])
    check_factors(model, path, pairs)
    config = stored_config(path, pairs)
    modules = dict(model.named_modules())
    factors: dict[str, Factors] = {}
    for name, pair in pairs.items():
        weight: Any = modules[name].weight
        rank = pair["lora_A"].shape[0]
        alpha = _alpha(path, config, name)
        scale = alpha / rank**0.5 if config.use_rslora else alpha / rank
        first, second = (pair[kind].to(weight.device, weight.dtype) for kind in ("lora_A", "lora_B"))
        factors[name] = Factors(first, second, scale)
    return factors


def _alpha(path: Path, config: Any, name: str) -> float:
    """The layer's alpha; PEFT takes the first pattern that is the end of the layer's name."""
    for pattern, alpha in (config.alpha_pattern or {}).items():
        if not _PLAIN.fullmatch(pattern) or type(alpha) not in (int, float):
            raise bad_adapter(
                path,
                f"alpha_pattern {pattern!r} is not a plain name and number.",
                f"القيمة {pattern!r} في alpha_pattern ليست اسما ورقما بسيطين.",
            )
        if name == pattern or name.endswith("." + pattern):
            return float(alpha)
    return float(config.lora_alpha)


def _refuse_other_parts(model: nn.Module, path: Path) -> None:
    """An encoder or a projector of its own would be left out silently; one equal to the model's changes nothing."""
    if (path / ENCODER_NAME).exists():
        raise _needs_merge(path, ENCODER_NAME)
    if not (path / PROJECTOR_NAME).exists():
        return
    own = {_in_projector(name): tensor for name, tensor in model.state_dict().items() if _PROJECTOR in name}
    stored = {_in_projector(name): tensor for name, tensor in load_tensors(path / PROJECTOR_NAME).items()}
    same = own.keys() == stored.keys() and all(
        own[name].shape == value.shape and torch.equal(own[name].cpu(), value.to(own[name].dtype))
        for name, value in stored.items()
    )
    if not same:
        raise _needs_merge(path, PROJECTOR_NAME)


def _in_projector(name: str) -> str:
    return name.split(_PROJECTOR)[-1]


def _needs_merge(path: Path, what: str) -> ModelError:
    return ModelError(
        f"Adapter {path} changes more than the language model ({what}), which cannot be chosen per request. Merge it "
        "with `bimedix2 merge` and serve the result as a model.",
        f"يغير المكيف {path} أكثر من النموذج اللغوي ({what})، ولا يمكن اختيار ذلك لكل طلب. ادمجه بالأمر "
        "`bimedix2 merge` وقدم الناتج نموذجا.",
        code="needs_merge",
    )
