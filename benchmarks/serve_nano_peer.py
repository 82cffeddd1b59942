"""``transformers serve`` with nano, whose projector transformers does not know by itself.

    python benchmarks/serve_nano_peer.py FOLDER PORT

Nano's class is registered for LLaVA, and the image processor counts one token for each folded block of patches.
Everything else is transformers' own command as it is.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def export(folder: Path) -> None:
    """Nano with its adapter merged, as a folder that transformers reads with an image processor."""
    import bimedix2.model.processor as processor
    from bimedix2.model import load_bundle, merge
    from bimedix2.model.export import export_hf

    bundle = load_bundle("nano")
    merge(bundle.model)
    export_hf(bundle, folder, key_style="current")
    manifest, config = bundle.manifest(), bundle.model.config
    settings: dict[str, Any] = processor._processor_settings(
        config, str(bundle.tokenizer.convert_ids_to_tokens(bundle.image_token_id))
    )
    settings["patch_size"] *= manifest.pixel_shuffle
    (folder / "processor_config.json").write_text(json.dumps(settings), encoding="utf-8")
    (folder / "preprocessor_config.json").write_text(json.dumps(processor._image_settings(manifest)), encoding="utf-8")


def main() -> None:
    """Serve on 127.0.0.1."""
    folder, port = sys.argv[1:]
    from transformers import AutoModelForMultimodalLM, LlavaConfig

    from bimedix2.model.projector import PixelShuffleLlava

    # The server tells text models from others by the class's name.
    PixelShuffleLlava.__name__ = "LlavaForConditionalGeneration"
    AutoModelForMultimodalLM.register(LlavaConfig, PixelShuffleLlava, exist_ok=True)
    from transformers.cli.transformers import main as command

    sys.argv = ["transformers", "serve", folder, "--host", "127.0.0.1", "--port", port, "--device", "cpu"]
    command()


if __name__ == "__main__":
    main()
