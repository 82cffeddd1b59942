"""Prompts for OpenVINO GenAI, which takes a string and tokenises it itself."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bimedix2.errors import ModelError
from bimedix2.inference.config import GenerationConfig
from bimedix2.records.schema import Turn
from bimedix2.serve.errors import ServeError
from bimedix2.text.chat import Fitted, fit_to_length, get_template, stop_token_ids

if TYPE_CHECKING:
    from bimedix2.serve.engines.batching.row import Writer
    from bimedix2.serve.engines.protocol import Job

_LONGEST_CONTEXT, _LEAST_PROMPT = 8192, 64
_FILES = ("openvino_language_model.xml", "bimedix2.json", "preprocessor_config.json", "tokenizer.json", "config.json")
_EXPORT = "optimum-cli export openvino --task image-text-to-text --weight-format int4 --model FOLDER TARGET"


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt as the pipeline takes it.

    Attributes:
        text: with the image token once for each image.
        images: (1, S, S, 3) uint8, fitted by the model's own policy.
        tokens: length, image tokens included.
        notices: turns left out, in (English, Arabic).
    """

    text: str
    images: list[Any]
    tokens: int
    notices: tuple[tuple[str, str], ...]


class OpenVinoPrompts:
    """Tokenizer, template and image policy of an exported folder.

    Raises:
        ModelError: files are missing, or the model's prompts cannot be made from a string.
    """

    def __init__(self, folder: Path) -> None:
        from tokenizers import Tokenizer

        from bimedix2.model.bundle import Manifest

        absent = [name for name in _FILES if not (folder / name).is_file()]
        manifest = None if absent else Manifest.read(folder)
        if manifest is None:
            raise _not_exported(folder, ", ".join(absent))
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._template, self._policy = get_template(manifest.chat_template), manifest.image_policy
        self._image_token = manifest.image_token_id
        # The pipeline puts a line break after each image itself.
        if manifest.pixel_shuffle != 1 or self._template.image_suffix != "\n":
            raise _unsupported(folder)
        self.tokens_per_image = int(config["image_seq_length"])
        text_config = config.get("text_config", {})
        self.context = min(int(text_config.get("max_position_embeddings", _LONGEST_CONTEXT)), _LONGEST_CONTEXT)
        self.ends = stop_token_ids(self._tokenizer, self._template)
        self._skip_bos = False
        # The tokenizer keeps settings that encoding switches, and tokens are counted in another thread.
        self._encoding = threading.Lock()

    def count(self, turns: Sequence[Turn]) -> int:
        """Tokens of a whole conversation, nothing left out."""
        return len(self._fit(turns, sys.maxsize).encoded.input_ids)

    def build(self, job: Job) -> Prompt:
        """The prompt of a job, whole old turns left out where it is too long.

        Raises:
            ChatError: the last question alone is too long.
            ServeError: ``unencodable_text`` where somebody typed a control token: in a string it would be one.
        """
        room = max(self.context - job.config.max_new_tokens, min(_LEAST_PROMPT, self.context - 1))
        fitted = self._fit(job.turns, room)
        text = self._text(fitted)
        notices = ((fitted.report("en"), fitted.report("ar")),) if fitted.dropped else ()
        images = [self._policy.to_uint8(job.images[index].pixels)[None] for index in fitted.encoded.images]
        return Prompt(text, images, len(fitted.encoded.input_ids), notices)

    def writer(self, job: Job, prompt: int) -> Writer:
        """Text out of the tokens of a job's answer."""
        from bimedix2.serve.engines.batching.row import Writer

        limit = min(job.config.max_new_tokens, self.context - prompt)
        return Writer(self._tokenizer, job.config, self.ends, limit)

    def check(self, measure: Callable[[str, list[Any], Any], int]) -> None:
        """Make sure that the pipeline reads the same number of tokens, with one BOS.

        Args:
            measure: tokens that the pipeline makes of a string and images.

        Raises:
            ModelError: it does not.
        """
        import numpy as np

        image = np.zeros((1, self._policy.size, self._policy.size, 3), np.uint8)
        fitted = self._fit([Turn(role="user", text="Chest صدر", images=(0,), language="en")], sys.maxsize)
        for self._skip_bos in (False, True):
            read = measure(self._text(fitted), [image], GenerationConfig(max_new_tokens=1))
            if read == len(fitted.encoded.input_ids):
                return
        raise ModelError(
            "OpenVINO tokenises this model's prompts differently. Serve it with --engine transformers instead.",
            "يجزئ OpenVINO نصوص هذا النموذج على نحو مختلف. قدمه بالخيار --engine transformers.",
            code="unsupported_model",
        )

    def _fit(self, turns: Sequence[Turn], room: int) -> Fitted:
        with self._encoding:
            return fit_to_length(
                turns,
                self._tokenizer,
                self._template,
                image_token_id=self._image_token,
                tokens_per_image=self.tokens_per_image,
                max_length=room,
                add_generation_prompt=True,
            )

    def _text(self, fitted: Fitted) -> str:
        encoded, image = fitted.encoded, str(self._tokenizer.id_to_token(self._image_token))
        texts = [image if span.kind == "image" else span.text for span in encoded.spans]
        expected: list[int] = []
        for span in encoded.spans:
            expected += [self._image_token] if span.kind == "image" else encoded.input_ids[span.start : span.end]
        with self._encoding:
            found = self._tokenizer.encode("".join(texts), add_special_tokens=False).ids
        if found != expected:
            raise _control_token()
        for number, span in enumerate(encoded.spans[:-1]):
            if span.kind == "image":
                texts[number + 1] = texts[number + 1].removeprefix("\n")
        return "".join(texts[1:] if self._skip_bos else texts)


def refuse_adapters(folder: Path | None) -> None:
    """OpenVINO GenAI applies adapters to these models wrongly, without a word.

    Raises:
        ModelError: ``needs_merge`` where a folder of adapters is set.
    """
    if folder is not None:
        raise ModelError(
            "The engine openvino cannot use adapters. Merge the adapter with `bimedix2 merge`, export the result, and "
            "leave --adapters out.",
            "لا يستطيع المحرك openvino استخدام المكيفات. ادمج المكيف بالأمر `bimedix2 merge` وصدر الناتج واحذف "
            "الخيار --adapters.",
            code="needs_merge",
        )


def missing_package() -> ModelError:
    """The extra is not installed."""
    return ModelError(
        'The engine openvino needs a package: pip install "bimedix2[openvino]".',
        'يحتاج المحرك openvino إلى حزمة: pip install "bimedix2[openvino]".',
        code="package_needed",
    )


def _not_exported(folder: Path, absent: str) -> ModelError:
    return ModelError(
        f"{folder} is no model exported for OpenVINO (missing: {absent}). Export one with `{_EXPORT}` and copy "
        "bimedix2.json and preprocessor_config.json from FOLDER to TARGET.",
        f"المجلد {folder} ليس نموذجا مصدرا إلى OpenVINO (ينقص: {absent}). صدره بالأمر `{_EXPORT}` وانسخ "
        "bimedix2.json وpreprocessor_config.json من FOLDER إلى TARGET.",
        code="not_exported",
    )


def _unsupported(folder: Path) -> ModelError:
    return ModelError(
        f"OpenVINO cannot serve the model in {folder}: it folds image tokens or has another prompt form. Use --engine "
        "transformers.",
        f"لا يستطيع OpenVINO تقديم النموذج في {folder}: فهو يطوي رموز الصور أو له صيغة أخرى. استخدم --engine "
        "transformers.",
        code="unsupported_model",
    )


def _control_token() -> ServeError:
    return ServeError(
        "The text holds one of the model's control tokens, such as <|eot_id|>. Write it differently.",
        "يحتوي النص على رمز تحكم للنموذج مثل <|eot_id|>. اكتبه بطريقة أخرى.",
        code="unencodable_text",
        param="messages",
    )
