"""Recipes: one YAML file per training run, read into frozen dataclasses; an unknown key is an error."""

from __future__ import annotations

import difflib
import hashlib
import json
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import yaml

from bimedix2.errors import ConfigError


@dataclass(frozen=True)
class LoraRecipe:
    """Low-rank adapters on every linear layer of the language model.

    Attributes:
        r: rank.
        alpha: the update is scaled by alpha / r.
        dropout: on the adapter's input.
    """

    r: int = 8
    alpha: int = 16
    dropout: float = 0.05


@dataclass(frozen=True)
class StageRecipe:
    """One stage.

    Attributes:
        name: used in logs and checkpoint names.
        train: ``projector`` alone, or ``projector+lora``.
        objective: ``next_token``, or ``words``: image embeddings predict the words of the answers about the
            image (:mod:`bimedix2.train.words`; only with ``train: projector``).
        epochs: passes over the stage's mix.
        lr: peak rate of the adapters (of the projector where nothing else trains).
        projector_lr: peak rate of the projector when adapters train too.
        warmup: share of the steps with a linear rise; a cosine falls to ``final_lr`` x peak afterwards.
        packs_per_step: packs (for ``words``: images) whose gradients are added before an optimiser step.
        weights: expected passes over a source per epoch (1 where a source is not named; 0 leaves it out).
        weight_decay: decoupled, as in AdamW.
    """

    name: str
    train: Literal["projector", "projector+lora"] = "projector+lora"
    objective: Literal["next_token", "words"] = "next_token"
    epochs: int = 1
    lr: float = 2e-4
    projector_lr: float = 2e-5
    warmup: float = 0.03
    final_lr: float = 0.0
    packs_per_step: int = 1
    weights: dict[str, float] = field(default_factory=dict)
    weight_decay: float = 0.0


@dataclass(frozen=True)
class Recipe:
    """A whole run.

    Attributes:
        model: what ``bimedix2.model.load_bundle`` accepts.
        records: JSON-lines or Parquet files of records, relative to the recipe's folder or absolute.
        stages: run in order; each starts from the one before.
        seed: fixes data order, augmentation and initial adapter weights.
        pack_tokens: longest pack; one image and the conversations about it share a pack.
        max_grad_norm: gradient clipping.
        augment: small shifts, scalings, rotations and contrast changes; never a flip (left is not right).
        checkpoint_steps: optimiser steps between checkpoints.
    """

    model: str
    records: tuple[str, ...]
    stages: tuple[StageRecipe, ...]
    lora: LoraRecipe = LoraRecipe()
    seed: int = 0
    pack_tokens: int = 1024
    max_grad_norm: float = 1.0
    augment: bool = True
    checkpoint_steps: int = 50

    def fingerprint(self) -> str:
        """Hex digest of every setting, stored in checkpoints so that a resume cannot mix recipes."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]


def load_recipe(path: Path) -> Recipe:
    """Read a recipe file.

    Raises:
        ConfigError: unreadable YAML, an unknown key (with the nearest known one) or a value of the wrong type.
    """
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: cannot be read as YAML: {error}", f"{path}: تعذرت قراءته كملف YAML") from error
    recipe: Recipe = _build(Recipe, raw, str(path))
    if not recipe.stages:
        raise ConfigError(f"{path}: stages is empty; name at least one", f"{path}: الحقل stages فارغ")
    for index, stage in enumerate(recipe.stages):
        if stage.objective == "words" and stage.train != "projector":
            where = f"{path}.stages[{index}]"
            raise ConfigError(
                f"{where}: objective 'words' trains the projector alone; set train: projector",
                f"{where}: الهدف words يدرب المسقط وحده؛ اضبط train: projector",
            )
    return recipe


def _build(kind: Any, raw: Any, where: str) -> Any:
    """Turn plain YAML data into ``kind``, naming the place of any fault."""
    if is_dataclass(kind):
        return _build_dataclass(kind, raw, where)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is tuple and isinstance(raw, list):
        return tuple(_build(arguments[0], item, f"{where}[{index}]") for index, item in enumerate(raw))
    if origin is dict and isinstance(raw, dict):
        return {str(key): _build(arguments[1], value, f"{where}.{key}") for key, value in raw.items()}
    if origin is Literal and raw in arguments:
        return raw
    if kind is float and isinstance(raw, (int, float, str)) and not isinstance(raw, bool):
        try:
            return float(raw)  # YAML 1.1 reads 1e-4 as a string
        except ValueError:
            pass
    if kind in (int, str, bool) and type(raw) is kind:
        return raw
    expected = " or ".join(map(repr, arguments)) if origin is Literal else getattr(kind, "__name__", str(kind))
    raise ConfigError(f"{where}: {raw!r} is not {expected}", f"{where}: القيمة {raw!r} ليست من النوع {expected}")


def _build_dataclass(kind: Any, raw: Any, where: str) -> Any:
    if not isinstance(raw, dict):
        raise ConfigError(f"{where}: expected a mapping, found {type(raw).__name__}", f"{where}: يتوقع mapping")
    hints = get_type_hints(kind)
    known = [item.name for item in fields(kind)]
    for key in raw:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; known keys: {', '.join(known)}"
            raise ConfigError(f"{where}: unknown key {key!r}{hint}", f"{where}: مفتاح غير معروف {key!r}{hint}")
    try:
        return kind(**{key: _build(hints[key], value, f"{where}.{key}") for key, value in raw.items()})
    except TypeError as error:
        raise ConfigError(f"{where}: {error}", f"{where}: حقل مطلوب مفقود") from error
