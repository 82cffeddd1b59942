"""Load a model by name: nano, a local folder (HF or original LLaVA) or a hub id."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from bimedix2.errors import ModelError

from .adapters import attach_adapter
from .bundle import Bundle, Manifest, read_json
from .derive import derive_manifest
from .encoder import CLASS_TOKEN
from .hub import fetch, is_hub_id
from .keys import is_computed
from .tensors import folder_tensors

if TYPE_CHECKING:
    import torch

NO_ADAPTER = "none"
ORIGINAL_TYPES = ("llava_llama", "llava_phi", "llava_phi3")


def load_bundle(
    name_or_path: str | Path,
    *,
    adapter: str | Path | None = None,
    device: str = "auto",
    dtype: str = "auto",
    revision: str | None = None,
) -> Bundle:
    """Load a model with its tokenizer, chat template and image policy.

    No code from a checkpoint is ever run and no pickle is opened.

    Args:
        name_or_path: ``"nano"``; ``"nano-base"`` for its untrained start; a folder with a Hugging Face
            ``LlavaForConditionalGeneration`` or an original LLaVA checkpoint (converted once into the cache);
            or a hub id such as ``MBZUAI/BiMediX2-8B-hf``.
        adapter: PEFT folder or hub id to put on top, with the vision encoder that it was trained with.
            ``None`` takes the one that ships with the model, if any; ``"none"`` takes none at all.
        device: ``"auto"`` (CUDA if there is one, else CPU) or a torch device name.
        dtype: ``"auto"`` (bfloat16 where the hardware computes in it, else float32) or a torch type's name.
        revision: branch, tag or commit of a hub model.

    Raises:
        ModelError: the model or the adapter cannot be used; ``code`` and text say why.
        AssetError: nano's parts cannot be had, or the disk is full.
    """
    folder, shipped = _find(str(name_or_path), revision)
    config = _read_config(folder)
    if is_original(config):
        from .convert import cached_conversion

        folder = cached_conversion(folder, name=str(name_or_path))
        config = read_json(folder / "config.json")
    _check_type(folder, config)
    manifest = Manifest.read(folder) or derive_manifest(folder, config, str(name_or_path))
    place = pick_device(device)
    bundle = _assemble(folder, manifest, place, pick_dtype(dtype, place))
    bundle.name = bundle.name or folder.name
    wanted = shipped if adapter is None else adapter
    if wanted is not None and str(wanted) != NO_ADAPTER:
        from .encoder_choice import with_encoder_of

        trained = _find(str(wanted), None)[0]
        bundle = with_encoder_of(bundle, trained)
        attach_adapter(bundle.model, trained)
    bundle.model.eval()
    return bundle


def _find(name: str, revision: str | None) -> tuple[Path, Path | None]:
    """Folder of a model or adapter, and the adapter that ships with it."""
    if name in ("nano", "nano-base"):
        from .nano import nano_adapter, nano_folder

        return nano_folder(), nano_adapter() if name == "nano" else None
    path = Path(name).expanduser()
    if path.is_dir():
        return path, None
    if not path.exists() and is_hub_id(name):
        return fetch(name, revision=revision), None
    raise ModelError(
        f"{name} is neither a model folder nor a hub id. Give nano, an existing folder, or owner/model.",
        f"{name} ليس مجلد نموذج ولا معرفا في المنصة. استخدم nano أو مجلدا موجودا أو owner/model.",
        code="model_not_found",
    )


def _read_config(folder: Path) -> dict[str, Any]:
    if not (folder / "config.json").is_file():
        raise ModelError(
            f"{folder} is not a model folder: it has no config.json. Give the folder that holds "
            "config.json and the .safetensors files.",
            f"المجلد {folder} ليس مجلد نموذج: لا يحتوي على config.json. مرر المجلد الذي فيه "
            "config.json وملفات .safetensors.",
            code="not_a_model",
        )
    return read_json(folder / "config.json")


def is_original(config: dict[str, Any]) -> bool:
    """Whether ``config.json`` is that of an original LLaVA checkpoint."""
    kind = config.get("model_type")
    return kind in ORIGINAL_TYPES or (kind == "llava" and "mm_vision_tower" in config)


def _check_type(folder: Path, config: dict[str, Any]) -> None:
    kind = config.get("model_type")
    if kind == "llava" and "text_config" in config:
        return
    if kind == "phi3_v":
        raise ModelError(
            f"{folder} is a Phi-3-vision model (the 4B). Its code lives inside the checkpoint, transformers "
            "has no class for it, and code from a checkpoint is never run here. Use the bilingual "
            "MBZUAI/BiMediX2-8B-Bi, MBZUAI/BiMediX2-8B-hf, or nano, which runs on any computer.",
            f"النموذج {folder} من نوع Phi-3-vision (حجم 4B)، وشفرته داخل الملفات نفسها ولا يوجد له صنف "
            "في transformers، ولا تشغل هنا أي شفرة من ملفات النموذج. استخدم MBZUAI/BiMediX2-8B-Bi ثنائي "
            "اللغة أو MBZUAI/BiMediX2-8B-hf أو nano الذي يعمل على أي حاسوب.",
            code="remote_code_refused",
        )
    raise ModelError(
        f"{folder} holds a model of type {kind!r}. Supported: llava (Hugging Face) and original LLaVA "
        f"({', '.join(ORIGINAL_TYPES)}). Choose another model.",
        f"نوع النموذج في {folder} هو {kind!r}. المدعوم: llava وما يماثل LLaVA الأصلي "
        f"({'، '.join(ORIGINAL_TYPES)}). اختر نموذجا آخر.",
        code="unsupported_model",
    )


def pick_device(name: str) -> torch.device:
    """The device called ``name``; ``"auto"`` prefers CUDA."""
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.device(name)
    except RuntimeError as error:
        raise ModelError(
            f"There is no device {name!r}. Use auto, cpu or cuda.",
            f"لا يوجد جهاز باسم {name!r}. استخدم auto أو cpu أو cuda.",
            code="bad_device",
        ) from error


def pick_dtype(name: str, device: torch.device) -> torch.dtype:
    """The torch type called ``name``; ``"auto"`` is bfloat16 where the hardware has it, else float32."""
    import torch

    if name != "auto":
        found = getattr(torch, {"bf16": "bfloat16", "fp16": "float16", "fp32": "float32"}.get(name, name), None)
        if isinstance(found, torch.dtype) and found.is_floating_point:
            return found
        raise ModelError(
            f"There is no number type {name!r}. Use auto, bfloat16, float16 or float32.",
            f"لا يوجد نوع أعداد باسم {name!r}. استخدم auto أو bfloat16 أو float16 أو float32.",
            code="bad_dtype",
        )
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    abilities = torch.cpu.get_capabilities() if device.type == "cpu" else {}
    fast = abilities.get("avx512_bf16") or abilities.get("amx_bf16")
    return torch.bfloat16 if fast else torch.float32


def _assemble(folder: Path, manifest: Manifest, device: torch.device, dtype: torch.dtype) -> Bundle:
    from bimedix2.text.chat import get_template

    template = get_template(manifest.chat_template)
    folder_tensors(folder)
    model = load_weights(folder, manifest.pixel_shuffle, device, dtype)
    return Bundle(
        model=model,
        tokenizer=load_tokenizer(folder),
        template=template,
        image_policy=manifest.image_policy,
        image_token_id=manifest.image_token_id,
        tokens_per_image=tokens_per_image(model.config, manifest.image_policy.size, manifest.pixel_shuffle),
        name=manifest.name,
        licences=manifest.licences,
    )


def tokens_per_image(config: Any, size: int, pixel_shuffle: int = 1) -> int:
    """P = (size / patch / r)^2, plus one where the class token is kept. 336, 14 and r=1 give 576.

    Raises:
        ModelError: ``wrong_image_size`` if the tower cannot take images of this size.
    """
    patch, trained = config.vision_config.patch_size, config.vision_config.image_size
    kind = config.vision_config.model_type
    fixed = kind in ("clip_vision_model", "siglip_vision_model")
    if size % (patch * pixel_shuffle) or (fixed and size != trained):
        raise ModelError(
            f"Images of {size} pixels do not fit the vision tower ({trained} pixels, patches of {patch}, "
            f"folded by {pixel_shuffle}). Correct the size in the checkpoint's image policy.",
            f"الصور بمقاس {size} لا تناسب مرمز الصور (المقاس {trained} والرقعة {patch}). صحح المقاس في سياسة الصور.",
            code="wrong_image_size",
        )
    extra = 1 if config.vision_feature_select_strategy == "full" and CLASS_TOKEN.get(kind, True) else 0
    return int((size // patch // pixel_shuffle) ** 2 + extra)


def load_tokenizer(folder: Path) -> Any:
    """The folder's fast tokenizer; ``bad_tokenizer`` if it cannot be read."""
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"The tokenizer in {folder} cannot be loaded ({error}). Copy tokenizer.json and "
            "tokenizer_config.json from the model's source.",
            f"تعذر تحميل المقطع من {folder} ({error}). انسخ tokenizer.json وtokenizer_config.json من المصدر.",
            code="bad_tokenizer",
        ) from error


def load_weights(folder: Path, pixel_shuffle: int, device: torch.device, dtype: torch.dtype) -> Any:
    """The folder's model on ``device``; every weight must be there, fit, and be known.

    Raises:
        ModelError: ``wrong_keys`` or ``wrong_shapes``, with the names.
    """
    from transformers import LlavaConfig, LlavaForConditionalGeneration

    cls: Any = LlavaForConditionalGeneration
    config = LlavaConfig.from_pretrained(folder, local_files_only=True)
    if pixel_shuffle > 1:
        from .projector import PixelShuffleLlava

        cls, config.pixel_shuffle = PixelShuffleLlava, pixel_shuffle
    try:
        model, report = cls.from_pretrained(
            folder,
            config=config,
            dtype=dtype,
            device_map=None if device.type == "cpu" else {"": str(device)},
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelError(
            f"The model in {folder} cannot be loaded ({error}). Check its config.json or download it again.",
            f"تعذر تحميل النموذج من {folder} ({error}). تحقق من config.json أو نزل النموذج من جديد.",
            code="bad_model",
        ) from error
    _check_report(folder, report)
    return model


def _check_report(folder: Path, report: dict[str, Any]) -> None:
    missing = sorted(report["missing_keys"])
    unexpected = sorted(key for key in report["unexpected_keys"] if not is_computed(key))
    mismatched = sorted(str(entry) for entry in report["mismatched_keys"])
    if mismatched:
        raise ModelError(
            f"Weights in {folder} do not have the shapes that config.json asks for: "
            f"{', '.join(mismatched[:10])}. The folder mixes two models; download it again.",
            f"أبعاد أوزان في {folder} تخالف config.json: {'، '.join(mismatched[:10])}. نزل المجلد من جديد.",
            code="wrong_shapes",
        )
    if missing or unexpected:
        raise ModelError(
            f"Weights in {folder} do not match its config.json. Missing ({len(missing)}): "
            f"{', '.join(missing[:10]) or 'none'}. Unexpected ({len(unexpected)}): "
            f"{', '.join(unexpected[:10]) or 'none'}. The folder is incomplete or of another model.",
            f"أوزان {folder} لا تطابق config.json. المفقود ({len(missing)}): {'، '.join(missing[:10])}. "
            f"غير المتوقع ({len(unexpected)}): {'، '.join(unexpected[:10])}. المجلد ناقص أو لنموذج آخر.",
            code="wrong_keys",
        )
