"""The flat ``config.json`` of an original LLaVA checkpoint, read strictly."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bimedix2.errors import ModelError

from .bundle import read_json
from .hub import fetch, is_hub_id
from .sizes import CLIP_L_336

if TYPE_CHECKING:
    from transformers import LlavaConfig

    from bimedix2.images import ImagePolicy

# Shapes of the usual tower are known, so a checkpoint that includes its weights needs no download.
KNOWN_TOWERS = {"openai/clip-vit-large-patch14-336": CLIP_L_336}
_LANGUAGE_FIELDS = {"rope_theta", "rope_scaling", "partial_rotary_factor", "original_max_position_embeddings"}


def _unsupported(source: Path, field: str, value: Any, known: str) -> ModelError:
    return ModelError(
        f"{source}/config.json: {field} is {value!r}; only {known} can be converted. Choose another checkpoint.",
        f"{source}/config.json: قيمة {field} هي {value!r} والمدعوم {known} فقط. اختر نموذجا آخر.",
        code="unsupported_model",
    )


@dataclass(frozen=True)
class OriginalConfig:
    """What the converter needs from an original configuration.

    Attributes:
        source: the checkpoint folder.
        fields: its ``config.json``.
        tower: CLIP folder, hub id or name of the vision tower.
        vision: fields of the tower's ``CLIPVisionConfig``.
    """

    source: Path
    fields: dict[str, Any]
    tower: str
    vision: dict[str, Any]

    def llava_config(self, image_token_id: int) -> LlavaConfig:
        """The Hugging Face configuration; the token table grows if the image token lies beyond it."""
        from transformers import CLIPVisionConfig, LlavaConfig

        vision = CLIPVisionConfig(**self.vision)
        text = self._text_config()
        if image_token_id >= text.vocab_size:
            text.vocab_size = (image_token_id // 64 + 1) * 64
        strategy: Any = "full" if self.fields.get("mm_vision_select_feature") == "cls_patch" else "default"
        tokens = (int(self.vision["image_size"]) // int(self.vision["patch_size"])) ** 2 + (strategy == "full")
        return LlavaConfig(
            vision_config=vision,
            text_config=text,
            image_token_index=image_token_id,
            image_seq_length=tokens,
            vision_feature_layer=int(self.fields.get("mm_vision_select_layer", -2)),
            vision_feature_select_strategy=strategy,
            projector_hidden_act="gelu",
            tie_word_embeddings=bool(self.fields.get("tie_word_embeddings", False)),
            dtype=self.fields.get("torch_dtype", self.fields.get("dtype")),
        )

    def _text_config(self) -> Any:
        from transformers import LlamaConfig, Phi3Config

        cls = Phi3Config if "phi" in str(self.fields["model_type"]) else LlamaConfig
        known = set(cls().to_dict()) | _LANGUAGE_FIELDS
        # Bookkeeping of the outer model does not belong to the language model.
        outer = {"model_type", "architectures", "auto_map", "transformers_version", "dtype"}
        return cls(**{name: value for name, value in self.fields.items() if name in known - outer})

    def image_policy(self) -> ImagePolicy:
        """``image_aspect_ratio: pad`` pads to a square; anything else goes through CLIP's own crop."""
        from bimedix2.images import ImagePolicy

        fit: Any = "pad" if self.fields.get("image_aspect_ratio") == "pad" else "crop"
        return ImagePolicy.clip(int(self.vision["image_size"]), fit)

    def tower_folder(self) -> Path:
        """Folder with the tower's safetensors, downloaded if it is named by a hub id."""
        return _tower_folder(self.source, self.tower)


def _tower_folder(source: Path, tower: str) -> Path:
    for folder in (Path(tower).expanduser(), source / tower):
        if folder.is_dir():
            return folder
    if is_hub_id(tower):
        return fetch(tower)
    raise ModelError(
        f"{source} needs the vision tower {tower!r}, which is neither a folder nor a hub id. Pass the "
        "folder of openai/clip-vit-large-patch14-336 (safetensors) as vision_tower.",
        f"يحتاج {source} إلى مرمز الصور {tower!r} وهو ليس مجلدا ولا معرفا. مرر مجلد "
        "openai/clip-vit-large-patch14-336 بصيغة safetensors في vision_tower.",
        code="no_vision_tower",
    )


def _vision_fields(source: Path, tower: str) -> dict[str, Any]:
    if tower in KNOWN_TOWERS and not Path(tower).is_dir():
        return dict(KNOWN_TOWERS[tower])
    stored = read_json(_tower_folder(source, tower) / "config.json")
    # A full CLIP folder nests the tower's fields; one saved as CLIPVisionModel does not.
    fields = stored.get("vision_config", stored)
    if fields.get("model_type", "clip_vision_model") != "clip_vision_model":
        raise _unsupported(source, "the vision tower's model_type", fields["model_type"], "clip_vision_model")
    return dict(fields)


def read_original(source: Path, vision_tower: str | Path | None = None) -> OriginalConfig:
    """Read and check an original configuration.

    Raises:
        ModelError: ``unsupported_model`` for a structure that Hugging Face's LLaVA class cannot express.
    """
    fields = read_json(source / "config.json")
    if fields.get("mm_projector_type", "linear") != "mlp2x_gelu":
        raise _unsupported(source, "mm_projector_type", fields.get("mm_projector_type"), "mlp2x_gelu")
    if fields.get("mm_use_im_start_end"):
        raise _unsupported(source, "mm_use_im_start_end", True, "false")
    if "anyres" in str(fields.get("image_aspect_ratio")):
        raise _unsupported(source, "image_aspect_ratio", fields["image_aspect_ratio"], "pad or square")
    if fields.get("mm_vision_select_feature", "patch") not in ("patch", "cls_patch"):
        raise _unsupported(source, "mm_vision_select_feature", fields["mm_vision_select_feature"], "patch or cls_patch")
    tower = str(vision_tower or fields.get("mm_vision_tower") or fields.get("vision_tower") or "")
    vision = _vision_fields(source, tower)
    if fields.get("mm_hidden_size", vision["hidden_size"]) != vision["hidden_size"]:
        raise _unsupported(source, "mm_hidden_size", fields["mm_hidden_size"], str(vision["hidden_size"]))
    return OriginalConfig(source, fields, tower, vision)
