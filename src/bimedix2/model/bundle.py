"""A model with everything that its answers depend on, and the small file that stores the latter."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bimedix2.errors import ModelError

if TYPE_CHECKING:
    from bimedix2.images import ImagePolicy
    from bimedix2.text.chat import ChatTemplate

MANIFEST_NAME = "bimedix2.json"
MANIFEST_FORMAT = 1


@dataclass(frozen=True)
class Manifest:
    """Contents of ``bimedix2.json``: what a checkpoint's answers depend on beside its weights.

    Attributes:
        chat_template: ``"llama3"``, ``"phi3"`` or ``"gemma"``.
        image_policy: how pictures become pixels; must be the one used in training.
        image_token_id: token that stands for one image embedding.
        pixel_shuffle: side of the blocks of patches folded into one token; 1 folds nothing.
        name: model name for people.
        licences: terms of the parts.
    """

    chat_template: str
    image_policy: ImagePolicy
    image_token_id: int
    pixel_shuffle: int = 1
    name: str = ""
    licences: tuple[str, ...] = ()

    def write(self, folder: Path, *, tokens_per_image: int) -> None:
        """Store as ``bimedix2.json`` in ``folder``."""
        content: dict[str, Any] = {
            "format": MANIFEST_FORMAT,
            "name": self.name,
            "chat_template": self.chat_template,
            "image_policy": self.image_policy.to_dict(),
            "image_token_id": self.image_token_id,
            "tokens_per_image": tokens_per_image,
            "licences": list(self.licences),
        }
        if self.pixel_shuffle > 1:
            content["pixel_shuffle"] = self.pixel_shuffle
        text = json.dumps(content, indent=2, ensure_ascii=False)
        (folder / MANIFEST_NAME).write_text(text, encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Manifest | None:
        """Read the folder's ``bimedix2.json``; ``None`` if it has none.

        Raises:
            ModelError: ``bad_manifest`` if it is damaged or of a newer format.
        """
        file = folder / MANIFEST_NAME
        if not file.is_file():
            return None
        from bimedix2.images import ImagePolicy

        content = read_json(file)
        try:
            if content["format"] != MANIFEST_FORMAT:
                raise ValueError(f"format {content['format']} is not {MANIFEST_FORMAT}; update bimedix2")
            return cls(
                chat_template=str(content["chat_template"]),
                image_policy=ImagePolicy.from_dict(content["image_policy"]),
                image_token_id=int(content["image_token_id"]),
                pixel_shuffle=int(content.get("pixel_shuffle", 1)),
                name=str(content.get("name", "")),
                licences=tuple(str(licence) for licence in content.get("licences", ())),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(
                f"{file} is not usable ({error}). Restore it from the model's source or export the model again.",
                f"تعذر استخدام {file} ({error}). استعده من مصدر النموذج أو صدر النموذج من جديد.",
                code="bad_manifest",
            ) from error


@dataclass
class Bundle:
    """A loaded model and all that is needed to talk to it.

    Attributes:
        model: ``LlavaForConditionalGeneration`` or a subclass, in evaluation mode.
        tokenizer: its tokenizer.
        template: chat template it was trained with.
        image_policy: picture preprocessing it was trained with.
        image_token_id: token id that is replaced by image embeddings.
        tokens_per_image: P, how many of them one image takes.
        name: for people.
        licences: terms of the parts.
    """

    model: Any
    tokenizer: Any
    template: ChatTemplate
    image_policy: ImagePolicy
    image_token_id: int
    tokens_per_image: int
    name: str
    licences: tuple[str, ...] = ()

    @property
    def pixel_shuffle(self) -> int:
        """Side of the patch blocks that the projector folds; 1 for the paper's architecture."""
        return int(getattr(self.model.config, "pixel_shuffle", 1))

    @property
    def device(self) -> Any:
        """The ``torch.device`` that holds the parameters."""
        return next(self.model.parameters()).device

    @property
    def dtype(self) -> Any:
        """The ``torch.dtype`` of the token embeddings."""
        return self.model.get_input_embeddings().weight.dtype

    def manifest(self) -> Manifest:
        """What ``bimedix2.json`` of this model says."""
        return Manifest(
            chat_template=self.template.name,
            image_policy=self.image_policy,
            image_token_id=self.image_token_id,
            pixel_shuffle=self.pixel_shuffle,
            name=self.name,
            licences=self.licences,
        )


def read_json(file: Path) -> dict[str, Any]:
    """A JSON object from a file; ``bad_json`` if it is not one."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(
            f"{file} cannot be read as JSON ({error}). Download the folder again.",
            f"تعذرت قراءة {file} بصيغة JSON ({error}). نزل المجلد من جديد.",
            code="bad_json",
        ) from error
    if not isinstance(content, dict):
        raise ModelError(
            f"{file} does not hold a JSON object. Download the folder again.",
            f"لا يحتوي {file} على كائن JSON. نزل المجلد من جديد.",
            code="bad_json",
        )
    return content
