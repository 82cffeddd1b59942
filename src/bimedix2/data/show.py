"""Print one sample as the model sees it: which tokens are images, which are learnt, what each span says."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any, Literal, Protocol

from bimedix2.errors import ConfigError, ModelError
from bimedix2.records.schema import ImageRef, Record
from bimedix2.text.chat import ChatTemplate, Encoded, Span, encode_conversation, get_template

Language = Literal["en", "ar"]
_LABELS: dict[Language, dict[str, str]] = {
    "en": {
        "sample": "sample",
        "images": "images",
        "tokens": "tokens",
        "image": "image",
        "supervised": "supervised",
        "other": "other",
        "special": "special",
        "header": "header",
        "content": "content",
        "marks": "⟦…⟧ is what the model learns to write; the rest is only read",
        "colours": "what the model learns to write is green; the rest is only read",
        "nothing": "Nothing is supervised: this sample has no answer to learn from.",
        "whole": "tokenised as whole strings",
        "segments": "tokenised by segment",
    },
    "ar": {
        "sample": "العينة",
        "images": "الصور",
        "tokens": "الرموز",
        "image": "صورة",
        "supervised": "مُتعلَّمة",
        "other": "أخرى",
        "special": "خاص",
        "header": "ترويسة",
        "content": "نص",
        "marks": "ما بين ⟦…⟧ هو ما يتعلم النموذج كتابته، والباقي يُقرأ فقط",
        "colours": "ما يتعلم النموذج كتابته بالأخضر، والباقي يُقرأ فقط",
        "nothing": "لا شيء مُتعلَّم: لا تحتوي هذه العينة على إجابة.",
        "whole": "رُمزت السلاسل كاملة",
        "segments": "رُمزت مقطعا مقطعا",
    },
}
_RESET = "\x1b[0m"
_STYLES = {"special": "\x1b[2m", "header": "\x1b[2m", "image": "\x1b[35m", "content": ""}
_LEARNT = "\x1b[1;32m"


def show_sample(
    record: Record,
    encoded: Encoded,
    *,
    color: bool,
    bidi: bool = True,
    language: Language = "en",
) -> str:
    """A sample in readable lines, one span each, safe for a terminal and for right-to-left text.

    Args:
        record: the sample.
        encoded: the tokens of its turns.
        color: colour spans with ANSI codes; without it supervised text stands in ``⟦…⟧``.
        bidi: put text in directional isolates, so that Arabic cannot reorder the columns; switch off for a
            terminal that shows them as boxes.
        language: language of the labels.

    Returns:
        Text without a line break at the end. Control characters in the data are written as escapes.
    """
    labels = _LABELS[language]
    lines = [*_head(record, encoded, labels, bidi=bidi), labels["colours" if color else "marks"], ""]
    for span in _joined(encoded.spans):
        lines += _span_lines(span, record, labels, color=color, bidi=bidi)
    if not encoded.supervised:
        lines += ["", labels["nothing"]]
    return "\n".join(lines)


def _head(record: Record, encoded: Encoded, labels: dict[str, str], *, bidi: bool) -> list[str]:
    images = sum(span.end - span.start for span in encoded.spans if span.kind == "image")
    total, learnt = len(encoded.input_ids), encoded.supervised
    facts = (record.task, record.modality, record.split, record.source, record.licence)
    split = (("image", images), ("supervised", learnt), ("other", total - images - learnt))
    counts = " + ".join(f"{labels[name]} {number}" for name, number in split)
    return [
        f"{labels['sample']} {_isolated(record.id, bidi=bidi)}  "
        + " · ".join(_isolated(fact, bidi=bidi) for fact in facts),
        f"{labels['images']} {len(record.images)}",
        *(f"  [{i}] {_isolated(_describe(image), bidi=bidi)}" for i, image in enumerate(record.images)),
        f"{labels['tokens']} {total} = {counts}  ({labels[encoded.method]})",
        *encoded.notes,
    ]


def _describe(image: ImageRef) -> str:
    parts = [image.path]
    if image.frame is not None:
        parts.append(f"frame {image.frame}")
    if image.window is not None:
        parts.append(f"window {image.window[0]:g}/{image.window[1]:g}")
    return "  ".join(parts)


def _joined(spans: Sequence[Span]) -> list[Span]:
    """Neighbouring spans of one look as one, to spare the reader a line for each header token."""
    joined: list[Span] = []
    for _, group in groupby(spans, key=lambda span: (span.kind, span.supervised, span.turn, span.image)):
        items = list(group)
        if items[0].kind == "image":  # two blocks of one image stay two
            joined += items
            continue
        joined.append(replace(items[0], end=items[-1].end, text="".join(item.text for item in items)))
    return joined


def _span_lines(span: Span, record: Record, labels: dict[str, str], *, color: bool, bidi: bool) -> list[str]:
    text = span.text
    if span.image is not None:
        known = span.image < len(record.images)
        text = f"[{span.image}] {_describe(record.images[span.image]) if known else '?'}"
    label = _isolated(labels[span.kind].ljust(8), bidi=bidi)
    prefix = f"{span.start:>5}-{span.end:<5} {label} "
    parts = [part for part in text.replace("\n", "⏎\n").split("\n") if part] or [""]
    shown = [_painted(_isolated(part, bidi=bidi), span, color=color) for part in parts]
    indent = " " * 21
    return [prefix + shown[0], *(indent + part for part in shown[1:])]


def _painted(text: str, span: Span, *, color: bool) -> str:
    if color:
        style = _LEARNT if span.supervised else _STYLES[span.kind]
        return f"{style}{text}{_RESET}" if style else text
    return f"⟦{text}⟧" if span.supervised else text


def _isolated(text: str, *, bidi: bool) -> str:
    """One line with its control characters spelt out, in an isolate of its own direction."""
    text = "".join(_visible(char) for char in text)
    if not bidi:
        return text
    from bimedix2.text.bidi import LRI, PDI, RLI, direction_of, isolate_ltr

    return (RLI if direction_of(text) == "rtl" else LRI) + isolate_ltr(text) + PDI


def _visible(char: str) -> str:
    """Escapes for what a terminal would obey and for invisible marks that would mislead a reader."""
    if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp"):
        return f"\\u{ord(char):04x}" if ord(char) < 0x10000 else f"\\U{ord(char):08x}"
    return char


class ChatSetup(Protocol):
    """What encoding needs to know of a model; a loaded ``Bundle`` is one."""

    @property
    def tokenizer(self) -> Any:
        """Tokenizer."""

    @property
    def template(self) -> ChatTemplate:
        """Chat template."""

    @property
    def image_token_id(self) -> int:
        """Id that stands for one image feature."""

    @property
    def tokens_per_image(self) -> int:
        """Features per image, P."""


@dataclass(frozen=True)
class TextSetup:
    """The text side of a checkpoint, read without its weights."""

    tokenizer: Any
    template: ChatTemplate
    image_token_id: int
    tokens_per_image: int


def read_text_setup(folder: Path, *, template: str | None = None) -> TextSetup:
    """Tokenizer, template and image tokens of a checkpoint folder; neither weights nor torch are loaded.

    Args:
        folder: holds ``tokenizer.json``, ``config.json`` and ``bimedix2.json``.
        template: take this template instead of the checkpoint's, such as ``plain``.

    Raises:
        ModelError: a file is missing or does not hold what it should.
    """
    from tokenizers import Tokenizer

    missing = [n for n in ("tokenizer.json", "config.json", "bimedix2.json") if not (folder / n).is_file()]
    if missing:
        raise ModelError(
            f"{folder} has no {', '.join(missing)}. Give the folder of a converted model.",
            f"لا يوجد {', '.join(missing)} في {folder}. أعط مجلد نموذج محول.",
        )
    own = json.loads((folder / "bimedix2.json").read_text(encoding="utf-8"))
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    try:
        side = int(own["image_policy"]["size"]) // int(config["vision_config"]["patch_size"])
        tokens = (side // int(own.get("pixel_shuffle") or 1)) ** 2
        name, token_id = template or own["chat_template"], int(own["image_token_id"])
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"{folder}: bimedix2.json or config.json lacks or garbles {error}. Convert the model again.",
            f"{folder}: الحقل {error} ناقص أو خاطئ في bimedix2.json أو config.json. أعد تحويل النموذج.",
        ) from error
    return TextSetup(Tokenizer.from_file(str(folder / "tokenizer.json")), get_template(name), token_id, tokens)


def pick_sample(records: Iterable[Record], sample: str) -> Record:
    """The record with the id ``sample``, or else the one at that 0-based position.

    Raises:
        ConfigError: there is none.
    """
    place = int(sample) if sample.isdecimal() else None
    at_place: Record | None = None
    count = 0
    for record in records:
        if record.id == sample:
            return record
        if count == place:
            at_place = record
        count += 1
    if at_place is None:
        raise ConfigError(
            f"No sample {sample!r}: give the id of a record or a position from 0 to {count - 1}.",
            f"لا توجد عينة {sample!r}: أعط معرف سجل أو موضعا من 0 إلى {count - 1}.",
        )
    return at_place


def show_command(
    records: Iterable[Record],
    sample: str,
    setup: ChatSetup,
    *,
    color: bool,
    bidi: bool = True,
    language: Language = "en",
) -> str:
    """What ``bimedix2 data show --sample`` prints.

    Args:
        records: the data file's records.
        sample: id or 0-based position.
        setup: a loaded model, or :func:`read_text_setup` of its folder.
        color, bidi, language: as in :func:`show_sample`.

    Raises:
        ConfigError: no such sample.
        ChatError: its conversation cannot be encoded.
    """
    record = pick_sample(records, sample)
    encoded = encode_conversation(
        record.turns,
        setup.tokenizer,
        setup.template,
        image_token_id=setup.image_token_id,
        tokens_per_image=setup.tokens_per_image,
        image_count=len(record.images),
    )
    return show_sample(record, encoded, color=color, bidi=bidi, language=language)
