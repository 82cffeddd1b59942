"""What an adapter folder says of the vision encoder: trained blocks, and which encoder they belong to."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .adapter_files import bad_adapter, check_finite
from .bundle import read_json
from .encoder import encoder_blocks, llava_config, mark_trained, trained_blocks, vision_tower
from .tensors import load_tensors

if TYPE_CHECKING:
    from torch import Tensor, nn

ENCODER_NAME = "encoder.safetensors"
ORIGIN_NAME = "encoder.json"


@dataclass(frozen=True)
class Origin:
    """A vision encoder that was chosen in place of the model's own.

    Attributes:
        source: absolute folder or hub id.
        sha256: hex digest of its weights.
        revision: branch, tag or commit of a hub id; empty for the default branch.
    """

    source: str
    sha256: str
    revision: str = ""


def origin_of(model: nn.Module) -> Origin | None:
    """The encoder that was chosen for a model; ``None`` where it has its own."""
    stored = getattr(llava_config(model), "vision_encoder", None)
    return Origin(**stored) if stored else None


def set_origin(config: Any, origin: Origin) -> None:
    """Note in a LLaVA configuration, and so in an export's ``config.json``, which encoder was chosen."""
    config.vision_encoder = asdict(origin)


def read_origin(path: Path) -> Origin | None:
    """The encoder that an adapter folder was trained with; ``None`` for the model's own.

    Raises:
        ModelError: ``bad_adapter`` or ``bad_json`` if the file is damaged.
    """
    if not (path / ORIGIN_NAME).is_file():
        return None
    stored = read_json(path / ORIGIN_NAME)
    values = {name: stored.get(name, "") for name in ("source", "sha256", "revision")}
    if not all(isinstance(value, str) for value in values.values()) or not values["source"] or not values["sha256"]:
        raise bad_adapter(path, f"{ORIGIN_NAME} names no encoder.", f"لا يحدد {ORIGIN_NAME} مرمز صور.")
    return Origin(**values)


def write_origin(model: nn.Module, folder: Path) -> None:
    """Write ``encoder.json`` beside an adapter if the model's encoder was chosen."""
    origin = origin_of(model)
    if origin is not None:
        (folder / ORIGIN_NAME).write_text(json.dumps(asdict(origin), indent=2), encoding="utf-8")


def check_origin(model: nn.Module, path: Path) -> None:
    """Refuse a projector that was trained on the features of another encoder.

    Raises:
        ModelError: ``wrong_encoder``.
    """
    trained, present = read_origin(path), origin_of(model)
    if (trained and trained.sha256) != (present and present.sha256):
        names = [origin.source if origin else "own" for origin in (trained, present)]
        raise bad_adapter(
            path,
            f"it was trained with the vision encoder {names[0]}, and this model has {names[1]}. Load it with "
            "load_bundle, which puts the encoder in, or call choose_encoder first.",
            f"دُرب مع مرمز الصور {names[0]} ولهذا النموذج {names[1]}. حمله بالدالة load_bundle التي تضع المرمز، "
            "أو استدع choose_encoder أولا.",
            "wrong_encoder",
        )


def _block_prefix(model: nn.Module) -> str:
    """Name of the list of blocks in the tower, with a dot at its end."""
    blocks = encoder_blocks(model)
    return next(f"{name}." for name, module in vision_tower(model).named_modules() if module is blocks)


def _block_state(model: nn.Module, indices: list[int]) -> dict[str, Tensor]:
    prefix, blocks = _block_prefix(model), encoder_blocks(model)
    return {
        f"{prefix}{index}.{name}": tensor for index in indices for name, tensor in blocks[index].state_dict().items()
    }


def encoder_state(model: nn.Module) -> dict[str, Tensor]:
    """Weights of the blocks that were trained, named as in the tower; empty if none were."""
    return _block_state(model, trained_blocks(model))


def read_encoder(model: nn.Module, path: Path) -> dict[str, Tensor]:
    """Weights of ``encoder.safetensors``, known to be whole blocks that fit the model; it is not touched.

    Raises:
        ModelError: ``wrong_keys``, ``wrong_shapes``, ``bad_adapter`` or ``bad_safetensors``.
    """
    stored = {key.split("vision_tower.")[-1]: value for key, value in load_tensors(path / ENCODER_NAME).items()}
    wanted = {name: tuple(value.shape) for name, value in _block_state(model, _indices(model, stored)).items()}
    found = {name: tuple(value.shape) for name, value in stored.items()}
    differing = sorted(set(wanted) ^ set(found))
    if differing or not found:
        raise bad_adapter(
            path,
            f"{ENCODER_NAME} does not hold whole blocks of this model's encoder: {differing[:5]}.",
            f"لا يحتوي {ENCODER_NAME} على كتل كاملة من مرمز الصور في هذا النموذج: {differing[:5]}.",
            "wrong_keys",
        )
    unfit = sorted(name for name in found if found[name] != wanted[name])
    if unfit:
        raise bad_adapter(
            path,
            f"{ENCODER_NAME} does not fit: {unfit[0]} is {found[unfit[0]]}, and the model's is {wanted[unfit[0]]}.",
            f"أبعاد {ENCODER_NAME} لا تناسب النموذج: {unfit[0]} {found[unfit[0]]} بدلا من {wanted[unfit[0]]}.",
            "wrong_shapes",
        )
    check_finite(path, stored)
    return stored


def _indices(model: nn.Module, names: dict[str, Any]) -> list[int]:
    """Blocks of the model that the names belong to."""
    prefix, count = _block_prefix(model), len(encoder_blocks(model))
    numbers = {name.removeprefix(prefix).partition(".")[0] for name in names if name.startswith(prefix)}
    return [index for index in range(count) if str(index) in numbers]


def load_encoder(model: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Put weights from :func:`read_encoder` into the tower, in the type of its own, and mark the blocks."""
    own = vision_tower(model).state_dict()
    for name, tensor in tensors.items():
        own[name].copy_(tensor)
    mark_trained(model, _indices(model, tensors))
