"""Whether the settings of a recipe are in range and go together."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

from bimedix2.records.schema import Language, Modality, Task
from bimedix2.settings_file import fault, near

from .recipe import Recipe, StageRecipe

TRACKERS = ("tensorboard", "trackio", "wandb")


@dataclass(frozen=True)
class _Interval:
    """Numbers from ``low`` to ``high``; an open end is left out."""

    low: float
    high: float = math.inf
    low_open: bool = False
    high_open: bool = False

    def __contains__(self, number: float) -> bool:
        above = number > self.low if self.low_open else number >= self.low
        below = number < self.high if self.high_open or math.isinf(self.high) else number <= self.high
        return above and below

    def __str__(self) -> str:
        left, right = "(" if self.low_open else "[", ")" if self.high_open or math.isinf(self.high) else "]"
        return f"{left}{self.low:g}, {self.high:g}{right}".replace("inf", "∞")


_COUNT, _ONE_OR_MORE, _POSITIVE = _Interval(0), _Interval(1), _Interval(0, low_open=True)
_SHARE, _BELOW_ONE = _Interval(0, 1, low_open=True), _Interval(0, 1, high_open=True)
_RUN = {
    "seed": _COUNT,
    "pack_tokens": _ONE_OR_MORE,
    "images_per_pack": _COUNT,
    "max_grad_norm": _POSITIVE,
    "holdout": _Interval(0, 0.5),
    "eval_steps": _COUNT,
    "timeout_minutes": _POSITIVE,
    "workers": _COUNT,
    "checkpoint_steps": _ONE_OR_MORE,
    "keep_checkpoints": _ONE_OR_MORE,
}
_LORA = {"r": _ONE_OR_MORE, "alpha": _ONE_OR_MORE, "dropout": _BELOW_ONE}
_STAGE = {
    "epochs": _ONE_OR_MORE,
    "lr": _POSITIVE,
    "unfreeze_blocks": _COUNT,
    "warmup": _BELOW_ONE,
    "final_lr": _Interval(0, 1),
    "packs_per_step": _COUNT,
    "samples_per_step": _COUNT,
    "weight_decay": _COUNT,
    "pack_tokens": _COUNT,
}


def check_recipe(recipe: Recipe, source: str) -> None:
    """Raise ``ConfigError`` unless every number is in range and no two settings contradict each other.

    Args:
        recipe: of the right types.
        source: what an error calls the recipe: its file and the overrides.
    """
    _check_ranges(recipe, _RUN, source, "")
    _check_ranges(recipe.lora, _LORA, source, "lora.")
    for name, values in (("stages", recipe.stages), ("records", recipe.records)):
        if not values:
            raise fault(source, name, "is empty; name at least one", "فارغ؛ اذكر واحدا على الأقل")
    for index, tracker in enumerate(recipe.trackers):
        if tracker not in TRACKERS:
            hint, hint_ar = near(tracker, TRACKERS)
            key = f"trackers[{index}]"
            raise fault(source, key, f"unknown tracker {tracker!r}{hint}", f"متتبع غير معروف {tracker!r}{hint_ar}")
    names = [stage.name for stage in recipe.stages]
    for index, stage in enumerate(recipe.stages):
        key = f"stages[{index}]"
        if not stage.name or stage.name in names[:index]:
            english = f"{stage.name!r} must be a name that no other stage has"
            raise fault(source, f"{key}.name", english, f"يجب أن يكون {stage.name!r} اسما لا تحمله مرحلة أخرى")
        _check_stage(stage, source, key)
        _check_number(stage.pack_tokens, _Interval(0, recipe.pack_tokens), source, f"{key}.pack_tokens")


def _check_ranges(settings: Any, ranges: Mapping[str, _Interval], source: str, prefix: str) -> None:
    for name, interval in ranges.items():
        _check_number(getattr(settings, name), interval, source, prefix + name)


def _check_number(value: float, interval: _Interval, source: str, key: str) -> None:
    if value not in interval:
        raise fault(source, key, f"{value} is outside {interval}", f"القيمة {value} خارج المجال {interval}")


def _check_stage(stage: StageRecipe, source: str, key: str) -> None:
    _check_ranges(stage, _STAGE, source, f"{key}.")
    if stage.train == "projector+lora":
        _check_number(stage.projector_lr, _POSITIVE, source, f"{key}.projector_lr")
    if stage.unfreeze_blocks:
        _check_number(stage.encoder_lr, _POSITIVE, source, f"{key}.encoder_lr")
    if (stage.packs_per_step > 0) == (stage.samples_per_step > 0):
        raise fault(
            source,
            key,
            f"packs_per_step is {stage.packs_per_step} and samples_per_step is {stage.samples_per_step}; "
            "set one of them and leave the other at 0",
            f"قيمة packs_per_step هي {stage.packs_per_step} وقيمة samples_per_step هي {stage.samples_per_step}؛ "
            "اضبط إحداهما واجعل الأخرى 0",
        )
    if stage.objective == "words":
        _check_words(stage, source, key)
    for source_name, weight in stage.weights.items():
        _check_number(weight, _COUNT, source, f"{key}.weights.{source_name}")
    _check_shares(stage.shares, source, f"{key}.shares")


def _check_words(stage: StageRecipe, source: str, key: str) -> None:
    if stage.train != "projector" or stage.unfreeze_blocks:
        raise fault(
            source,
            key,
            "objective 'words' trains the projector alone; set train: projector and unfreeze_blocks: 0",
            "الهدف words يدرب المسقط وحده؛ اضبط train: projector وunfreeze_blocks: 0",
        )
    if stage.prompt_format != "chat":
        raise fault(
            source,
            f"{key}.prompt_format",
            "objective 'words' reads no prompt; leave prompt_format at chat",
            "الهدف words لا يقرأ أي صيغة؛ اترك prompt_format على chat",
        )
    if stage.samples_per_step or stage.shares:
        raise fault(
            source,
            key,
            "objective 'words' counts images: set packs_per_step, and neither samples_per_step nor shares",
            "الهدف words يعد الصور: اضبط packs_per_step دون samples_per_step ودون shares",
        )


def _check_shares(shares: Mapping[str, float], source: str, key: str) -> None:
    for pattern, share in shares.items():
        _check_number(share, _SHARE, source, f"{key}.{pattern}")
        _check_pattern(pattern, source, key)
    total = sum(shares.values())
    if total > 1 + 1e-9:
        raise fault(source, key, f"add up to {total:g}, which is above 1", f"مجموعها {total:g} وهو أكبر من 1")


def _check_pattern(pattern: str, source: str, key: str) -> None:
    """A pattern of cells has three parts, each with a wildcard or a known word."""
    parts = pattern.split("/")
    if len(parts) != 3:
        raise fault(
            source,
            key,
            f"{pattern!r} is not language/modality/task, such as ar/*/* or */xray/report",
            f"النمط {pattern!r} ليس language/modality/task، مثل ar/*/* أو */xray/report",
        )
    for part, words in zip(parts, (Language, Modality, Task), strict=True):
        if not set(part) & set("*?[") and part not in get_args(words):
            hint, hint_ar = near(part, get_args(words))
            raise fault(source, key, f"{pattern!r} fits no cell{hint}", f"النمط {pattern!r} لا يناسب أي خلية{hint_ar}")
