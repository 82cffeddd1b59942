"""Work out the manifest of a Hugging Face folder that has no ``bimedix2.json``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from bimedix2.errors import ModelError

from .bundle import MANIFEST_NAME, Manifest, read_json

if TYPE_CHECKING:
    from bimedix2.images import ImagePolicy
    from bimedix2.images.policy import Fit, Triple

TEMPLATES = {"llama": "llama3", "phi3": "phi3", "gemma3_text": "gemma"}
# Pillow's number for bicubic, the only resampling that the image policy does.
BICUBIC = 3
# Lanczos, bilinear and bicubic: near enough for an encoder whose projector starts anew.
SMOOTH = (1, 2, BICUBIC)
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
    mean, std = _statistics(folder, settings)
    return ImagePolicy(size=size, fit="pad" if padded else "crop", mean=mean, std=std)


def encoder_policy(folder: Path, fit: Fit) -> ImagePolicy:
    """The image policy for a vision encoder that a model is given.

    Size, mean and deviation come from the encoder's ``preprocessor_config.json``. How a picture becomes square
    does not: SigLIP's squeezes it and CLIP's and DINOv2's cut its edges, neither of which suits a radiograph.

    Args:
        folder: folder of the encoder.
        fit: how a picture becomes square.

    Raises:
        ModelError: ``unsupported_encoder`` if the file is missing or says something else than one square size.
    """
    from bimedix2.images import ImagePolicy

    try:
        settings = _processor_settings(folder)
        mean, std = _statistics(folder, settings)
    except ModelError as error:
        raise unsupported_encoder(
            folder,
            "its preprocessor_config.json is missing or names no size, image_mean and image_std.",
            "الملف preprocessor_config.json مفقود أو لا يحدد المقاس وimage_mean وimage_std.",
        ) from error
    crops = settings.get("do_center_crop", "crop_size" in settings) and settings.get("crop_size")
    size = _side(settings["crop_size"] if crops else settings.get("size"))
    if size is None or settings.get("resample", BICUBIC) not in SMOOTH:
        raise unsupported_encoder(
            folder,
            f"its pictures have the size {settings.get('size')}, cropped to {settings.get('crop_size')}, with "
            f"resampling {settings.get('resample')}; one square size and smooth resampling are supported.",
            "طريقة تحضير الصور غير مدعومة؛ المدعوم مقاس مربع واحد وتغيير مقاس سلس.",
        )
    return ImagePolicy(size=size, fit=fit, mean=mean, std=std)


def unsupported_encoder(folder: Path | str, english: str, arabic: str) -> ModelError:
    """An ``unsupported_encoder`` error that ends in what to do."""
    return ModelError(
        f"Vision encoder {folder}: {english} Use a whole folder or hub id of a CLIP, SigLIP or DINOv2 model, "
        "with config.json, preprocessor_config.json and .safetensors.",
        f"مرمز الصور {folder}: {arabic} استخدم مجلدا كاملا أو معرفا لنموذج CLIP أو SigLIP أو DINOv2 فيه "
        "config.json وpreprocessor_config.json وملفات .safetensors.",
        code="unsupported_encoder",
    )


def _statistics(folder: Path, settings: dict[str, Any]) -> tuple[Triple, Triple]:
    """Mean and deviation of each channel."""
    try:
        mean, std = ([float(value) for value in settings[name]] for name in ("image_mean", "image_std"))
        return (mean[0], mean[1], mean[2]), (std[0], std[1], std[2])
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise unsupported(
            folder, "image_mean or image_std is missing.", "القيم image_mean أو image_std مفقودة."
        ) from error
