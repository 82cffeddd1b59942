"""Targets as users write them: a YAML file, or ``PATTERN=AMOUNT`` on the command line."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from bimedix2.errors import ConfigError

_KEYS = ("targets", "unit", "total", "seed", "upsample_limit", "pairs_together")


def read_targets(path: Path) -> dict[str, Any]:
    """What a file of targets says, by the names of ``MixSettings``; ``targets`` may stand alone at the top.

    Raises:
        ConfigError: not YAML, an unknown key, or a value of the wrong type.
    """
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(
            f"{path}: cannot be read as YAML: {error}", f"{path}: تعذرت قراءته كملف YAML: {error}"
        ) from error
    if not isinstance(raw, dict) or not raw:
        raise _fault(path, "has no targets; write lines such as  ar/*/*: 0.5", "لا أهداف فيه؛ اكتب مثل  ar/*/*: 0.5")
    if "targets" not in raw and not set(raw) & set(_KEYS):
        raw = {"targets": raw}
    unknown = sorted(str(key) for key in set(raw) - set(_KEYS))
    if unknown:
        known = ", ".join(_KEYS)
        raise _fault(
            path, f"does not know {unknown[0]!r}; known: {known}", f"مفتاح غير معروف {unknown[0]!r}؛ المعروف: {known}"
        )
    targets = raw.get("targets") or {}
    if not isinstance(targets, dict):
        raise _fault(path, "targets: must be lines PATTERN: AMOUNT", "targets: يجب أن يكون أسطرا من النمط والمقدار")
    _check_types(path, raw)
    return raw | {"targets": {str(pattern): _number(str(pattern), amount) for pattern, amount in targets.items()}}


def parse_targets(texts: Iterable[str]) -> dict[str, float]:
    """``["ar/*/*=0.5"]`` to ``{"ar/*/*": 0.5}``.

    Raises:
        ConfigError: not of this form, or given twice.
    """
    found: dict[str, float] = {}
    for text in texts:
        pattern, equals, amount = text.rpartition("=")
        if not equals or not pattern.strip():
            raise ConfigError(
                f"--target {text!r} is not PATTERN=AMOUNT, such as 'ar/*/*=0.5'.",
                f"‏--target {text!r} ليس بالصيغة PATTERN=AMOUNT مثل 'ar/*/*=0.5'.",
            )
        if pattern.strip() in found:
            raise ConfigError(f"--target {pattern} is given twice.", f"‏--target {pattern} مكرر.")
        found[pattern.strip()] = _number(pattern, amount)
    return found


def are_shares(targets: Mapping[str, float]) -> bool:
    """Whether targets are shares of the mix; else they are amounts.

    Raises:
        ConfigError: a pattern is no pattern, a number is negative, both kinds are mixed, or shares sum to over 1.
    """
    for pattern, amount in targets.items():
        if pattern.count("/") > 2 or not pattern:
            raise ConfigError(
                f"Target {pattern!r} must be language/modality/task, such as ar/*/* or */xray/report.",
                f"يجب أن يكون الهدف {pattern!r} لغة/نوعا/مهمة، مثل ar/*/* أو */xray/report.",
            )
        if not math.isfinite(amount) or amount < 0:
            raise ConfigError(
                f"Target {pattern}: {amount:g} is not a number from 0 up.",
                f"الهدف {pattern}: {amount:g} ليس عددا من 0 فأكثر.",
            )
    kinds = {amount > 1 for amount in targets.values() if amount}
    if len(kinds) > 1:
        raise ConfigError(
            "Targets are either all shares of at most 1 or all amounts greater than 1; these are mixed.",
            "الأهداف إما حصص لا تزيد على 1 أو مقادير أكبر من 1؛ وهذه مختلطة.",
        )
    shares = kinds != {True}
    if shares and sum(targets.values()) > 1 + 1e-9:
        raise ConfigError(
            f"The shares sum to {sum(targets.values()):g}, more than 1. Lower one of them.",
            f"مجموع الحصص {sum(targets.values()):g} وهو أكبر من 1. اخفض إحداها.",
        )
    return shares


def _number(pattern: str, amount: object) -> float:
    try:
        if isinstance(amount, bool):
            raise ValueError
        return float(amount)  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"Target {pattern}: {amount!r} is not a number.", f"الهدف {pattern}: القيمة {amount!r} ليست عددا."
        ) from error


def _check_types(path: Path, raw: Mapping[str, Any]) -> None:
    if raw.get("unit", "samples") not in ("samples", "tokens"):
        raise _fault(
            path,
            f"unit: {raw['unit']!r} is neither samples nor tokens",
            f"unit: {raw['unit']!r} ليست samples ولا tokens",
        )
    for name in ("total", "seed", "upsample_limit"):
        value = raw.get(name, 1)
        if isinstance(value, bool) or not isinstance(value, int):
            raise _fault(path, f"{name}: {value!r} is not a whole number", f"{name}: القيمة {value!r} ليست عددا صحيحا")
    if not isinstance(raw.get("pairs_together", False), bool):
        raise _fault(path, "pairs_together: is neither true nor false", "pairs_together: ليست true ولا false")


def _fault(path: Path, english: str, arabic: str) -> ConfigError:
    return ConfigError(f"{path}: {english}", f"{path}: {arabic}")
