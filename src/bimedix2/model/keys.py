"""Names of weights: original LLaVA, classic HF (what vLLM reads) and transformers' module names.

======================  =============================  ==============================
original LLaVA          classic HF                     module in transformers 5
======================  =============================  ==============================
model.layers.0          language_model.model.layers.0  model.language_model.layers.0
lm_head                 language_model.lm_head         lm_head
model.mm_projector.0    multi_modal_projector.         model.multi_modal_projector.
                        linear_1                       linear_1
model.vision_tower.     vision_tower.vision_model      model.vision_tower
vision_tower.
vision_model
======================  =============================  ==============================
"""

from __future__ import annotations

from typing import Literal

KeyStyle = Literal["classic", "current"]

_PROJECTOR = {"0": "linear_1", "2": "linear_2"}
_TOWER_PARTS = ("embeddings.", "encoder.", "pre_layrnorm.", "post_layernorm.")
# Buffers that older releases stored and today's classes compute.
_COMPUTED = ("rotary_emb.inv_freq", "embeddings.position_ids")


def is_computed(key: str) -> bool:
    """Whether a stored tensor is a buffer that the model computes itself and a loader may ignore."""
    return key.endswith(_COMPUTED)


def module_to_file(key: str, style: KeyStyle, *, clip_tower: bool) -> str:
    """Name in a checkpoint file of a parameter of ``LlavaForConditionalGeneration``.

    Args:
        key: name in ``model.state_dict()``.
        style: ``"classic"`` is what vLLM and older transformers read (a CLIP or SigLIP tower keeps its
            ``vision_model.`` level); ``"current"`` is what transformers 5 writes.
        clip_tower: whether the vision tower is CLIP or SigLIP; other towers have no ``vision_model.`` level.
    """
    if key.startswith("lm_head."):
        return f"language_model.{key}"
    part, _, rest = key.removeprefix("model.").partition(".")
    if part == "language_model":
        return f"language_model.model.{rest}"
    if part == "vision_tower" and clip_tower and style == "classic":
        return f"vision_tower.vision_model.{rest}"
    return f"{part}.{rest}"


def original_to_classic(key: str) -> str | None:
    """Classic HF name of a weight in an original LLaVA checkpoint; ``None`` if it is not one we know.

    Worked example: ``model.mm_projector.2.bias`` gives ``multi_modal_projector.linear_2.bias``.
    """
    if key.startswith("lm_head."):
        return f"language_model.{key}"
    if key.startswith("model.vision_tower."):
        return tower_to_classic(key.removeprefix("model.vision_tower.").removeprefix("vision_tower."))
    if key.startswith("model.mm_projector."):
        index, _, leaf = key.removeprefix("model.mm_projector.").partition(".")
        return f"multi_modal_projector.{_PROJECTOR[index]}.{leaf}" if index in _PROJECTOR else None
    if key.startswith(("model.layers.", "model.embed_tokens.", "model.norm.")):
        return f"language_model.{key}"
    return None


def tower_to_classic(key: str) -> str | None:
    """Classic name of a weight in a CLIP checkpoint, or ``None`` for its text half and projections."""
    bare = key.removeprefix("vision_model.")
    return f"vision_tower.vision_model.{bare}" if bare.startswith(_TOWER_PARTS) else None


def adapter_module(module: str) -> str:
    """Today's name of a module that an adapter file names in any of the three layouts.

    ``base_model.model.model.layers.0.…`` comes from original LLaVA, ``language_model.model.layers.0.…``
    from transformers before 4.52.
    """
    bare = module.removeprefix("base_model.model.")
    for old in ("language_model.model.layers.", "model.layers."):
        if bare.startswith(old):
            return f"model.language_model.layers.{bare.removeprefix(old)}"
    return bare
