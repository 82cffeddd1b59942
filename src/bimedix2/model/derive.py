"""Work out the manifest of a Hugging Face folder that has no ``bimedix2.json``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from bimedix2.errors import ModelError

from .bundle import MANIFEST_NAME, Manifest, read_json

if TYPE_CHECKING:
    from bimedix2.images import ImagePolicy

TEMPLATES = {"llama": "llama3", "phi3": "phi3", "gemma3_text": "gemma"}
# Pillow's number for bicubic, the only resampling that the image policy does.
BICUBIC = 3
# The HF port of the 8B carries CLIP's stock preprocessing file, but the published second stage
# (scripts/stage2_train.sh, `--image_aspect_ratio pad`) trained on padded pictures.
TRAINED_WITH_PAD = frozenset({"MBZUAI/BiMediX2-8B-hf"})
LICENCES = {
    "MBZUAI/BiMediX2": (
        "BiMediX2 weights: CC-BY-NC-SA-4.0",
        "Llama 3.1 Community License (built with Llama)",
        "CLIP ViT-L/14-336: MIT",
    ),
}


def derive_manifest(folder: Path, config: dict[str, Any], name: str) -> Manifest:
    """The manifest that follows from ``config.json`` and the processor files.

    Args:
        folder: model folder.
        config: its ``config.json``.
        name: folder name or hub id.

    Raises:
        ModelError: ``unsupported_model`` if the chat template or the preprocessing cannot be told.
    """
    return Manifest(
        chat_template=template_name(str(config.get("text_config", {}).get("model_type", "llama")), folder),
        image_policy=_image_policy(folder, config, name),
        image_token_id=_image_token_id(folder, config),
        name=name,
        licences=licences_of(name),
    )


def licences_of(name: str) -> tuple[str, ...]:
    """Known terms of a published model, by the start of its hub id."""
    return next((terms for prefix, terms in LICENCES.items() if name.startswith(prefix)), ())


def unsupported(folder: Path, english: str, arabic: str) -> ModelError:
    """An ``unsupported_model`` error that points to ``bimedix2.json`` as the way out."""
    return ModelError(
        f"{folder}: {english} Add a {MANIFEST_NAME} that states it (see docs/models.md), or use another model.",
        f"{folder}: {arabic} أضف ملف {MANIFEST_NAME} يبين ذلك (انظر docs/models.md) أو استخدم نموذجا آخر.",
        code="unsupported_model",
    )


def template_name(text_model_type: str, folder: Path) -> str:
    """Name of the chat template for a language model type, checked against the folder's tokenizer."""
    name = TEMPLATES.get(text_model_type)
    if name is None:
        raise unsupported(
            folder,
            f"no chat template is known for a {text_model_type} language model.",
            f"لا يعرف قالب محادثة لنموذج لغوي من نوع {text_model_type}.",
        )
    from bimedix2.text.chat import get_template

    # `llama` alone may also be a Llama 2 (Vicuna) model: the token that closes turns tells.
    mark = get_template(name).close
    tokenizer = folder / "tokenizer.json"
    if not tokenizer.is_file():
        raise unsupported(folder, "tokenizer.json is missing.", "الملف tokenizer.json مفقود.")
    if f'"{mark}"' not in tokenizer.read_text(encoding="utf-8"):
        raise unsupported(
            folder,
            f"its tokenizer lacks {mark}, so the {name} chat template does not fit.",
            f"لا يحتوي مقطعه على {mark}، فلا يناسبه قالب المحادثة {name}.",
        )
    return name


def _image_token_id(folder: Path, config: dict[str, Any]) -> int:
    value = config.get("image_token_index", config.get("image_token_id"))
    if not isinstance(value, int):
        raise unsupported(folder, "config.json names no image token.", "لا يحدد config.json رمز الصورة.")
    return value


def _processor_settings(folder: Path) -> dict[str, Any]:
    """Image settings; transformers 5 nests them in ``processor_config.json``."""
    own = folder / "preprocessor_config.json"
    if own.is_file():
        return read_json(own)
    joint = folder / "processor_config.json"
    nested = read_json(joint).get("image_processor") if joint.is_file() else None
    if not isinstance(nested, dict):
        raise unsupported(
            folder,
            "preprocessor_config.json is missing, so it is unknown how pictures were prepared.",
            "الملف preprocessor_config.json مفقود، فلا تعرف طريقة تحضير الصور.",
        )
    return nested


def _side(value: Any) -> int | None:
    """336 from ``336``, ``{"shortest_edge": 336}`` or ``{"height": 336, "width": 336}``."""
    if isinstance(value, int):
        return value
    if not isinstance(value, dict):
        return None
    if "shortest_edge" in value:
        return int(value["shortest_edge"])
    sides = {value.get("height"), value.get("width")}
    side = sides.pop()
    return int(side) if side and not sides else None


def _image_policy(folder: Path, config: dict[str, Any], name: str) -> ImagePolicy:
    from bimedix2.images import ImagePolicy

    settings = _processor_settings(folder)
    # `image_aspect_ratio` is original LLaVA's name for what LlavaImageProcessor calls `do_pad`.
    aspect = config.get("image_aspect_ratio", settings.get("image_aspect_ratio"))
    padded = aspect == "pad" or bool(settings.get("do_pad")) or name in TRAINED_WITH_PAD
    size = _side(settings.get("size"))
    cropped = _side(settings.get("crop_size")) if settings.get("do_center_crop", True) else None
    if size is None or (cropped != size and not (padded and cropped is None)):
        raise unsupported(
            folder,
            f"pictures are resized to {settings.get('size')} and cropped to {settings.get('crop_size')}; "
            "only one size, padded or cropped to a square, is supported.",
            "أبعاد تحضير الصور غير مدعومة؛ المدعوم مقاس واحد مع إكمال أو قص إلى مربع.",
        )
    if settings.get("resample", BICUBIC) != BICUBIC:
        raise unsupported(folder, "pictures are not resized bicubically.", "تغيير مقاس الصور ليس تكعيبيا.")
    try:
        red, green, blue = (float(value) for value in settings["image_mean"])
        deviations = [float(value) for value in settings["image_std"]]
    except (KeyError, TypeError, ValueError) as error:
        raise unsupported(
            folder, "image_mean or image_std is missing.", "القيم image_mean أو image_std مفقودة."
        ) from error
    return ImagePolicy(
        size=size,
        fit="pad" if padded else "crop",
        mean=(red, green, blue),
        std=(deviations[0], deviations[1], deviations[2]),
    )
