"""The model as a recipe starts from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .recipe import Recipe

if TYPE_CHECKING:
    import torch

    from bimedix2.model import Bundle


def load_start(recipe: Recipe) -> Bundle:
    """The model as the recipe starts from it, without the adapter that it may ship.

    Raises:
        ConfigError: ``quantize`` asks for what cannot be had here.
    """
    from bimedix2.model import load_bundle
    from bimedix2.model.load import pick_device
    from bimedix2.model.quantize import quantize_layers, require_nf4

    device, quantize = pick_device("auto"), recipe.quantize == "nf4"
    if quantize:
        require_nf4(recipe.engine, device)
    # What is sharded or quantised need not fit the GPU whole: it goes there layer by layer.
    on_cpu = quantize or recipe.engine == "fsdp2"
    bundle = load_bundle(recipe.model, adapter="none", device="cpu" if on_cpu else "auto", dtype=_dtype(recipe, device))
    if recipe.vision_encoder:
        from bimedix2.model.encoder_choice import choose_encoder

        bundle = choose_encoder(bundle, recipe.vision_encoder, seed=recipe.seed)
    if quantize:
        quantize_layers(bundle.model, device)
    return bundle


def _dtype(recipe: Recipe, device: torch.device) -> str:
    """``auto`` is about the device that computes, not the one that loads."""
    from bimedix2.model.load import pick_dtype

    return str(pick_dtype(recipe.dtype, device)).removeprefix("torch.")
