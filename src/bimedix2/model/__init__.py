"""Models: load, convert, adapt and export. See ``docs/models.md``.

Names are loaded when first used, so importing this package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .adapters import add_adapter, attach_adapter, lora_config, merge, save_adapter
    from .bundle import Bundle, Manifest
    from .convert import convert_llava
    from .encoder import encode_images, unfreeze_blocks
    from .encoder_choice import choose_encoder
    from .export import export_hf
    from .load import load_bundle
    from .sizes import config_8b, config_70b, tiny_config

__all__ = [
    "Bundle",
    "Manifest",
    "add_adapter",
    "attach_adapter",
    "choose_encoder",
    "config_8b",
    "config_70b",
    "convert_llava",
    "encode_images",
    "export_hf",
    "load_bundle",
    "lora_config",
    "merge",
    "save_adapter",
    "tiny_config",
    "unfreeze_blocks",
]

_HOMES = {
    "Bundle": "bundle",
    "Manifest": "bundle",
    "add_adapter": "adapters",
    "attach_adapter": "adapters",
    "choose_encoder": "encoder_choice",
    "config_70b": "sizes",
    "config_8b": "sizes",
    "convert_llava": "convert",
    "encode_images": "encoder",
    "export_hf": "export",
    "load_bundle": "load",
    "lora_config": "adapters",
    "merge": "adapters",
    "save_adapter": "adapters",
    "tiny_config": "sizes",
    "unfreeze_blocks": "encoder",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
