"""Give a model another vision encoder: CLIP, SigLIP (also SigLIP 2 of one resolution) or DINOv2."""

from __future__ import annotations

import copy
import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bimedix2.cache import sha256_file
from bimedix2.errors import ModelError

from .bundle import Bundle, read_json
from .derive import encoder_policy, unsupported_encoder
from .encoder import CLASS_TOKEN
from .encoder_files import Origin, origin_of, read_origin, set_origin
from .export import plain_model
from .hub import fetch, is_hub_id
from .tensors import folder_tensors, weight_files

if TYPE_CHECKING:
    from bimedix2.images import ImagePolicy

# Configurations of whole models whose vision half is an encoder.
_WHOLE = {"clip": "clip_vision_model", "siglip": "siglip_vision_model"}
_CLASSES = {"clip_vision_model": "CLIPVisionModel", "siglip_vision_model": "SiglipVisionModel", "dinov2": "Dinov2Model"}
# Weights of a whole model that are no part of its encoder.
_OTHERS = ("text_model.", "text_projection", "visual_projection", "logit_", "classifier")
# The published recipe takes the last but one state (LLaVA-1.5, arXiv 2310.03744).
_LAYER = -2
PROJECTOR_SEED = 20241210


@dataclass(frozen=True)
class _Choice:
    """Everything that changes in a model, known to fit before anything does."""

    tower: Any
    config: Any
    policy: ImagePolicy
    tokens: int


def choose_encoder(
    bundle: Bundle, source: str | Path, *, revision: str | None = None, seed: int = PROJECTOR_SEED
) -> Bundle:
    """Replace the vision encoder and start a new projector of the right width.

    ``bundle.model`` is changed in place, after everything was checked. Pictures are scaled and normalised as the
    encoder's ``preprocessor_config.json`` says, and made square as before. A DINOv2 tower, which takes any
    size, gets the next one that the projector can fold. Negative feature layers stay; others become -2.

    Args:
        bundle: the model; do this before adding adapters or preparing data.
        source: folder or hub id of an encoder, or of a whole CLIP or SigLIP model.
        revision: branch, tag or commit of a hub id.
        seed: of the new projector.

    Returns:
        A bundle with the same model, the new image policy and the new number of tokens per image.

    Raises:
        ModelError: ``model_not_found``, ``unsupported_encoder``, ``wrong_image_size``, ``wrong_keys``,
            ``pickle_refused``, ``no_weights``, ``bad_safetensors`` or those of a hub.
    """
    return _put_in(bundle, *_locate(str(source), revision), seed)


def _put_in(bundle: Bundle, folder: Path, origin: Origin, seed: int) -> Bundle:
    choice, name = _choose(bundle, folder), Path(origin.source).name
    model = plain_model(bundle.model)
    for field in ("vision_config", "vision_feature_layer", "vision_feature_select_strategy", "image_seq_length"):
        setattr(model.config, field, getattr(choice.config, field))
    set_origin(model.config, origin)
    model.model.vision_tower = choice.tower
    model.model.multi_modal_projector = _projector(bundle, seed)
    return replace(
        bundle,
        image_policy=choice.policy,
        tokens_per_image=choice.tokens,
        name=f"{bundle.name} + {name}",
        licences=(*bundle.licences, f"Vision encoder {name}: terms of its source"),
    )


def with_encoder_of(bundle: Bundle, adapter: Path) -> Bundle:
    """The bundle with the encoder that an adapter folder was trained with, which is most often its own.

    Raises:
        ModelError: ``wrong_encoder`` if what is at the adapter's source now is another encoder, and those of
            :func:`choose_encoder`.
    """
    wanted, present = read_origin(adapter), origin_of(bundle.model)
    if wanted is None or (present and present.sha256 == wanted.sha256):
        return bundle
    folder, found = _locate(wanted.source, wanted.revision or None)
    if found.sha256 != wanted.sha256:
        raise ModelError(
            f"{wanted.source} no longer holds the vision encoder that {adapter} was trained with. Restore it, or "
            f"name its place in {adapter / 'encoder.json'}.",
            f"لم يعد {wanted.source} يحتوي على مرمز الصور الذي دُرب معه {adapter}. استعده أو حدد مكانه في "
            f"{adapter / 'encoder.json'}.",
            code="wrong_encoder",
        )
    return _put_in(bundle, folder, found, PROJECTOR_SEED)


def _locate(source: str, revision: str | None) -> tuple[Path, Origin]:
    path = Path(source).expanduser()
    if path.is_dir():
        return path, Origin(str(path.resolve()), _digest(path))
    if path.exists() or not is_hub_id(source):
        raise ModelError(
            f"Vision encoder {source} is neither a folder nor a hub id. Give an existing folder or owner/model.",
            f"مرمز الصور {source} ليس مجلدا ولا معرفا في المنصة. أعط مجلدا موجودا أو owner/model.",
            code="model_not_found",
        )
    folder = fetch(source, revision=revision)
    return folder, Origin(source, _digest(folder), revision or "")


def _digest(folder: Path) -> str:
    """SHA-256 over the digests of the weight files, in order."""
    return hashlib.sha256("".join(map(sha256_file, weight_files(folder))).encode()).hexdigest()


def _choose(bundle: Bundle, folder: Path) -> _Choice:
    from .load import tokens_per_image

    config = copy.deepcopy(plain_model(bundle.model).config)
    config.vision_config = _vision_config(folder)
    kind = config.vision_config.model_type
    policy, fold = encoder_policy(folder, bundle.image_policy.fit), bundle.pixel_shuffle
    if kind == "dinov2":
        step = config.vision_config.patch_size * fold
        policy = replace(policy, size=-(-policy.size // step) * step)
    blocks, layer = config.vision_config.num_hidden_layers, config.vision_feature_layer
    if not isinstance(layer, int) or not -blocks <= layer < 0:
        config.vision_feature_layer = max(_LAYER, -blocks)
    config.vision_feature_select_strategy = "default" if CLASS_TOKEN[kind] else "full"
    try:
        tokens = tokens_per_image(config, policy.size, fold)
    except ModelError as error:
        grid = policy.size / config.vision_config.patch_size
        raise unsupported_encoder(
            folder,
            f"its {grid:g} x {grid:g} patches cannot be folded by {fold}, or its picture size of {policy.size} is "
            f"not that of its weights ({config.vision_config.image_size}).",
            f"عدد رقعه {grid:g} × {grid:g} لا يقبل الطي بمقدار {fold}، أو مقاس صوره {policy.size} يخالف أوزانه.",
        ) from error
    config.image_seq_length = tokens
    tower = _load_tower(bundle, folder, config.vision_config)
    config.vision_config = tower.config
    return _Choice(tower, config, policy, tokens)


def _vision_config(folder: Path) -> Any:
    import transformers

    if not (folder / "config.json").is_file():
        raise unsupported_encoder(folder, "it has no config.json.", "لا يحتوي على config.json.")
    stored = read_json(folder / "config.json")
    kind = stored.get("model_type")
    if kind in _WHOLE:
        inner = stored.get("vision_config")
        kind, stored = _WHOLE[kind], inner if isinstance(inner, dict) else {}
    if kind not in CLASS_TOKEN:
        raise unsupported_encoder(folder, f"its type is {kind}.", f"نوعه {kind}.")
    cls: Any = getattr(transformers, _CLASSES[kind]).config_class
    try:
        return cls.from_dict({name: value for name, value in stored.items() if name != "model_type"})
    except (TypeError, ValueError) as error:
        raise unsupported_encoder(
            folder, f"its config.json is wrong ({error}).", f"ملف config.json خاطئ ({error})."
        ) from error


def _load_tower(bundle: Bundle, folder: Path, config: Any) -> Any:
    import transformers

    folder_tensors(folder)  # every file is whole
    model = plain_model(bundle.model)
    weight = next(model.model.multi_modal_projector.parameters())
    cls: Any = getattr(transformers, _CLASSES[config.model_type])
    try:
        tower, report = cls.from_pretrained(
            folder,
            config=config,
            dtype=weight.dtype,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise unsupported_encoder(folder, f"it cannot be loaded ({error}).", f"تعذر تحميله ({error}).") from error
    faults = sorted(report["missing_keys"]) + [str(entry) for entry in report["mismatched_keys"]]
    faults += sorted(key for key in report["unexpected_keys"] if not key.startswith(_OTHERS))
    if faults:
        raise unsupported_encoder(
            folder,
            f"{len(faults)} of its weights do not match its config.json: {', '.join(faults[:5])}.",
            f"عدد {len(faults)} من أوزانه لا يطابق config.json: {'، '.join(faults[:5])}.",
        )
    return tower.to(weight.device).eval().requires_grad_(requires_grad=False)


def _projector(bundle: Bundle, seed: int) -> Any:
    """A new projector for the model's present configuration, on its device and in its type."""
    import torch
    from transformers.models.llava.modeling_llava import LlavaMultiModalProjector

    from .projector import PixelShuffleProjector, init_projector

    model = plain_model(bundle.model)
    old = next(model.model.multi_modal_projector.parameters())
    vision, text = model.config.vision_config, model.config.text_config
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if bundle.pixel_shuffle == 1:
            projector: Any = LlavaMultiModalProjector(model.config)
        else:
            projector = PixelShuffleProjector(vision.hidden_size, text.hidden_size, bundle.pixel_shuffle)
            init_projector(projector, _embedding_spread(model), seed)
    return projector.to(old.device, old.dtype).eval()


def _embedding_spread(model: Any) -> float:
    """Standard deviation of input embeddings over up to 4000 common tokens, as nano's projector starts with."""
    import torch

    table = model.get_input_embeddings()
    end = min(len(table.weight), 5000)
    with torch.no_grad():
        rows = table(torch.arange(max(0, end - 4000), end, device=table.weight.device))
    return float(rows.float().std())
