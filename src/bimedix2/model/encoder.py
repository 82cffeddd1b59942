"""The vision encoder in training: which of its blocks are used, which train, and features at their cost only."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, cast

from bimedix2.errors import ConfigError, ModelError

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

# Towers by the model type of their configuration; only SigLIP has no class token.
CLASS_TOKEN = {"clip_vision_model": True, "dinov2": True, "siglip_vision_model": False}
# Attribute of a tower: indices of the blocks that were trained once, whether or not they train now.
_TRAINED = "_bimedix2_trained_blocks"


def vision_tower(model: nn.Module) -> Any:
    """The vision tower of a LLaVA model, also inside a ``PeftModel``.

    Raises:
        ModelError: ``unsupported_model`` if there is none, or not of a class of :data:`CLASS_TOKEN`.
    """
    found = [module for name, module in model.named_modules() if name.rpartition(".")[2] == "vision_tower"]
    kind = str(getattr(getattr(found[0], "config", None), "model_type", "none")) if len(found) == 1 else "none"
    if kind not in CLASS_TOKEN:
        raise ModelError(
            f"The vision encoder of this model is of type {kind}. Supported are {', '.join(CLASS_TOKEN)}; "
            "use a model with one of these.",
            f"نوع مرمز الصور في هذا النموذج هو {kind}. المدعوم: {'، '.join(CLASS_TOKEN)}؛ استخدم نموذجا بأحدها.",
            code="unsupported_model",
        )
    return found[0]


def encoder_blocks(model: nn.Module) -> nn.ModuleList:
    """The transformer blocks of the vision tower, used or not, in order."""
    encoder = vision_tower(model).encoder
    return cast("nn.ModuleList", encoder.layer if hasattr(encoder, "layer") else encoder.layers)


def used_blocks(model: nn.Module) -> int:
    """How many blocks the features depend on: 23 of CLIP ViT-L's 24 at ``vision_feature_layer`` -2.

    Raises:
        ModelError: ``bad_feature_layer`` if the configuration names a layer that is not there.
    """
    return max(_states(model))


def llava_config(model: Any) -> Any:
    """The LLaVA configuration, also of the model inside a ``PeftModel``."""
    return model.get_base_model().config if hasattr(model, "get_base_model") else model.config


def _states(model: nn.Module) -> list[int]:
    """Numbers of the hidden states that make up the features; number n is the output of n blocks."""
    wanted = llava_config(model).vision_feature_layer
    layers = [wanted] if isinstance(wanted, int) else list(wanted)
    count = len(encoder_blocks(model)) + 1
    if not layers or not all(-count <= layer < count for layer in layers):
        raise ModelError(
            f"vision_feature_layer is {wanted}, but the vision encoder has {count - 1} blocks. Correct it in the "
            "model's config.json.",
            f"قيمة vision_feature_layer هي {wanted} وفي مرمز الصور {count - 1} كتلة فقط. صححها في config.json.",
            code="bad_feature_layer",
        )
    return [layer % count for layer in layers]


def unfreeze_blocks(model: nn.Module, count: int) -> list[nn.Parameter]:
    """Make the last ``count`` used blocks of the vision tower trainable, and nothing else in the tower.

    Their parameters become float32, in place; the rest of the tower keeps its type (:func:`encode_images`
    knows how to run the mixture). What was ever unfrozen is stored by
    :func:`bimedix2.model.adapters.save_adapter`.

    Args:
        model: LLaVA, with or without LoRA.
        count: 0 freezes the whole tower.

    Returns:
        The parameters that train, in the order of the tower.

    Raises:
        ConfigError: the tower does not use as many blocks.
    """
    used = used_blocks(model)
    if not 0 <= count <= used:
        raise ConfigError(
            f"unfreeze_blocks is {count}; the vision encoder uses {used} blocks. Choose 0 to {used}.",
            f"قيمة unfreeze_blocks هي {count} ومرمز الصور يستخدم {used} كتلة. اختر من 0 إلى {used}.",
        )
    vision_tower(model).requires_grad_(requires_grad=False)
    indices = range(used - count, used)
    blocks = encoder_blocks(model)
    chosen = [blocks[index].float().requires_grad_(requires_grad=True) for index in indices]
    mark_trained(model, indices)
    return [parameter for block in chosen for parameter in block.parameters()]


def mark_trained(model: nn.Module, indices: Sequence[int]) -> None:
    """Remember that blocks differ from the published encoder's, so that they are stored with the adapter."""
    tower = vision_tower(model)
    setattr(tower, _TRAINED, frozenset(getattr(tower, _TRAINED, ())) | set(indices))


def trained_blocks(model: nn.Module) -> list[int]:
    """Indices of the blocks that were unfrozen, or loaded from an adapter folder."""
    return sorted({index for module in model.modules() for index in getattr(module, _TRAINED, ())})


def encoder_digest(model: nn.Module) -> str:
    """Hex digest of everything that features of given pixels depend on: part of the name of stored features.

    Covers weights, so a block that was trained, or another encoder of the same name, gives another digest. About a
    second for CLIP ViT-L.
    """
    import hashlib

    import torch

    tower, config = vision_tower(model), llava_config(model)
    digest = hashlib.sha256(
        repr((tower.config.to_dict(), config.vision_feature_layer, config.vision_feature_select_strategy)).encode()
    )
    for name, tensor in sorted(tower.state_dict().items()):
        digest.update(f"{name}{tensor.dtype}".encode())
        digest.update(tensor.cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


def encode_images(model: nn.Module, pixels: Tensor, *, checkpointing: bool = False) -> Tensor:
    """Patch features for the projector, running only the blocks that they depend on.

    Equal to what ``LlavaModel.get_image_features`` hands to the projector. Nothing is kept for the backward
    pass of frozen blocks. Blocks of another type than the tower's (float32 in a bfloat16 tower) run under
    autocast to the tower's type.

    Args:
        model: LLaVA, with or without LoRA.
        pixels: (N, 3, S, S), normalised; N may be 0, for which the tower does not run.
        checkpointing: recompute the unfrozen blocks in the backward pass instead of keeping their activations.

    Returns:
        (N, P, C) in the tower's type; with gradient if a block is unfrozen.
    """
    import torch

    tower, states = vision_tower(model), _states(model)
    dtype = _tower_dtype(tower)
    first = 0 if llava_config(model).vision_feature_select_strategy == "full" else 1
    if len(pixels) == 0:
        return pixels.new_zeros((0, *_feature_shape(model, pixels, first)), dtype=dtype)
    blocks = encoder_blocks(model)[: max(states)]
    trains = [any(parameter.requires_grad for parameter in block.parameters()) for block in blocks]
    frozen = trains.index(True) if any(trains) else len(blocks)
    with torch.no_grad():
        hidden = _embed(tower, pixels.to(dtype))
        kept = {0: hidden}
        for index, block in enumerate(blocks[:frozen]):
            hidden = kept[index + 1] = _run(block, hidden, dtype)
            kept = {number: state for number, state in kept.items() if number in states}
    for index, block in enumerate(blocks[frozen:], start=frozen):
        hidden = kept[index + 1] = _run(block, hidden, dtype, checkpointing=checkpointing)
    features = [kept[number][:, first:].to(dtype) for number in states]
    return features[0] if len(features) == 1 else torch.cat(features, dim=-1)


def _tower_dtype(tower: nn.Module) -> torch.dtype:
    """Type of the embeddings, which never train."""
    embeddings: Any = tower.embeddings
    return next(cast("nn.Module", embeddings).parameters()).dtype


def _feature_shape(model: nn.Module, pixels: Tensor, first: int) -> tuple[int, int]:
    config = vision_tower(model).config
    tokens = (pixels.shape[-2] // config.patch_size) * (pixels.shape[-1] // config.patch_size)
    return tokens + CLASS_TOKEN[config.model_type] - first, config.hidden_size * len(_states(model))


def _embed(tower: Any, pixels: Tensor) -> Tensor:
    """Input (N, tokens, C) of the first block."""
    hidden: Tensor = tower.embeddings(pixels)
    return tower.pre_layrnorm(hidden) if hasattr(tower, "pre_layrnorm") else hidden


def _run(block: Any, hidden: Tensor, dtype: torch.dtype, *, checkpointing: bool = False) -> Tensor:
    """One block, (N, tokens, C) to the same shape; ``None`` is the attention mask, for patches see each other."""
    from torch.utils.checkpoint import checkpoint

    own = next(block.parameters()).dtype
    with _precision(own, dtype, hidden.device.type):
        hidden = hidden if own != dtype else hidden.to(dtype)
        output: Any = checkpoint(block, hidden, None, use_reentrant=False) if checkpointing else block(hidden, None)
    return cast("Tensor", output)


def _precision(own: torch.dtype, dtype: torch.dtype, device: str) -> AbstractContextManager[Any]:
    import torch

    return nullcontext() if own == dtype else torch.autocast(device, dtype=dtype)
