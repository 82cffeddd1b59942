"""One record to one sample: tokens, mask, what it shares with others; or what is wrong with it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bimedix2.records.schema import Record
from bimedix2.records.validate import find_fault
from bimedix2.text.chat import ChatError, ChatTemplate, Encoded, encode_conversation
from bimedix2.text.chat.template import PLAIN as PLAIN_TEMPLATE

from .table import CHAT, PLAIN, stable_hash

if TYPE_CHECKING:
    from bimedix2.model import Bundle

# What can be wrong with a sample, for counting: English and Arabic.
KINDS = {
    "bad_record": ("breaks a rule of the records", "يخالف قواعد السجلات"),
    "bad_text": ("cannot be tokenised", "لا يمكن ترميزه"),
    "duplicate_id": ("id used before", "معرف مكرر"),
    "image_broken": ("image broken", "صورة تالفة"),
    "image_missing": ("image missing", "صورة مفقودة"),
    "no_assistant_turn": ("no assistant turn", "لا يوجد دور للمساعد"),
    "nothing_supervised": ("nothing to predict", "لا شيء للتعلم منه"),
    "too_long": ("longer than a pack", "أطول من الحد"),
    "too_many_images": ("too many images", "صور أكثر من الحد"),
}


@dataclass(frozen=True, slots=True)
class Bad:
    """Why a record is no sample.

    Attributes:
        kind: one of :data:`KINDS`.
        field: path of the field, such as ``images[0].path``.
        reason, reason_ar: in English and Arabic.
    """

    kind: str
    field: str
    reason: str
    reason_ar: str


@dataclass(frozen=True, slots=True)
class Sample:
    """A record ready to be trained on; columns as in :class:`SampleTable`.

    Attributes:
        ids: (length,) int32.
        supervised: (length,) bool.
        images: indices into the image store, in the order in which they are shown.
        form: ``CHAT`` or ``PLAIN``.
    """

    record_id: str
    source: str
    cell: str
    group: int
    pair: int
    ids: NDArray[np.int32]
    supervised: NDArray[np.bool_]
    prefix: int
    prefix_key: int
    images: tuple[int, ...]
    form: int = CHAT

    @property
    def key(self) -> int:
        """Hash of the record's id."""
        return stable_hash(self.record_id)


@dataclass(frozen=True)
class SampleEncoder:
    """Records to samples.

    Attributes:
        bundle: gives tokenizer, template and image token.
        max_tokens: a longer conversation is no sample, for cutting it would supervise half an answer.
        max_images: most images of a conversation; 0 sets no bound.
        plain: whether some stage trains on the plain form too.
    """

    bundle: Bundle
    max_tokens: int
    max_images: int = 0
    plain: bool = False

    def encode(self, record: Record, places: Sequence[int]) -> Sample | Bad:
        """Tokenise.

        Args:
            record: the conversation.
            places: for each of its images, the index in the image store.
        """
        bad = self._check(record)
        if bad is not None:
            return bad
        try:
            encoded = self._tokens(record)
        except ChatError as error:
            return Bad("bad_text", "turns", error.message, error.message_ar)
        return self._check_tokens(encoded) or _sample(record, encoded, places)

    def encode_plain(self, record: Record, places: Sequence[int]) -> Sample | None:
        """The plain form of a record whose chat form is a sample: its images and the answer, without the question.

        LLaVA's form for aligning the projector, ``BOS image... answer newline``, where the answer and the line break
        are predicted (arXiv 2304.08485). It exists where one user turn with images is followed by one answer.
        """
        if not self.plain or not is_caption(record):
            return None
        # Never longer than the chat form, which fits.
        return _sample(record, self._tokens(record, PLAIN_TEMPLATE), places, PLAIN)

    def _check(self, record: Record) -> Bad | None:
        if all(turn.role != "assistant" for turn in record.turns):
            return Bad(
                "no_assistant_turn", "turns", "has no assistant turn, so nothing to learn", "لا يوجد دور للمساعد"
            )
        fault = find_fault(record)
        if fault is not None:
            return Bad("bad_record", fault.field, fault.problem, fault.problem_ar)
        count = len(record.images)
        if 0 < self.max_images < count:
            reason = f"has {count} images, more than {self.max_images}"
            return Bad("too_many_images", "images", reason, f"عدد الصور {count} وهو أكثر من {self.max_images}")
        return None

    def _tokens(self, record: Record, template: ChatTemplate | None = None) -> Encoded:
        return encode_conversation(
            record.turns,
            self.bundle.tokenizer,
            template or self.bundle.template,
            image_token_id=self.bundle.image_token_id,
            tokens_per_image=self.bundle.tokens_per_image,
            image_count=len(record.images),
        )

    def _check_tokens(self, encoded: Encoded) -> Bad | None:
        length = len(encoded.input_ids)
        if length > self.max_tokens:
            reason = f"has {length} tokens, more than {self.max_tokens}; shorten it, or raise pack_tokens"
            reason_ar = f"عدد الرموز {length} وهو أكثر من {self.max_tokens}؛ اختصره أو ارفع pack_tokens"
            return Bad("too_long", "turns", reason, reason_ar)
        # The token that ends an answer is always there; alone it teaches to say nothing.
        if not any(span.supervised and span.kind == "content" and span.end > span.start for span in encoded.spans):
            reason = "no token of its answers can be predicted; the tokenizer may lack their script"
            return Bad("nothing_supervised", "turns", reason, "لا رمز في الإجابات للتعلم منه؛ قد لا يعرف المرمز حروفها")
        return None


def is_caption(record: Record) -> bool:
    """Whether nothing but the question is lost in the plain form: one user turn with images, then one answer."""
    turns = [turn for turn in record.turns if turn.role != "system"]
    return [turn.role for turn in turns] == ["user", "assistant"] and bool(turns[0].images)


def _sample(record: Record, encoded: Encoded, places: Sequence[int], form: int = CHAT) -> Sample:
    ids = np.array(encoded.input_ids, dtype=np.int32)
    supervised = np.zeros(len(ids), dtype=np.bool_)
    for span in encoded.spans:
        if span.supervised:
            supervised[span.start : span.end] = True
    images = tuple(int(places[image]) for image in encoded.images)
    prefix = _shared_prefix(encoded)
    fact = record.pair_id or record.id
    answered = next(turn for turn in reversed(record.turns) if turn.role == "assistant")
    return Sample(
        record_id=record.id,
        source=record.source,
        cell=f"{answered.language}/{record.modality}/{record.task}",
        group=stable_hash(fact, record.turns[-1].language),
        pair=stable_hash(fact),
        ids=ids,
        supervised=supervised,
        prefix=prefix,
        prefix_key=_prefix_key(images, ids[:prefix]) if prefix else 0,
        images=images,
        form=form,
    )


def _shared_prefix(encoded: Encoded) -> int:
    """Tokens up to the last image's last one; 0 without images, and where an answer stands before the last image or
    right behind it: what is predicted, and the position that predicts it, belong to one conversation alone."""
    last = max((index for index, span in enumerate(encoded.spans) if span.kind == "image"), default=None)
    if last is None or any(span.supervised for span in encoded.spans[: last + 2]):
        return 0
    return encoded.spans[last].end


def _prefix_key(images: Sequence[int], ids: NDArray[np.int32]) -> int:
    return stable_hash(",".join(map(str, images)), hashlib.sha256(ids.astype("<i4").tobytes()).hexdigest())


def settings(encoder: SampleEncoder) -> dict[str, Any]:
    """All that tokens depend on beside the records, for the key of a store."""
    from dataclasses import asdict

    bundle = encoder.bundle
    backend = getattr(bundle.tokenizer, "backend_tokenizer", bundle.tokenizer)
    template = {key: sorted(value) if isinstance(value, frozenset) else value
                for key, value in asdict(bundle.template).items()}  # fmt: skip
    return {
        "tokenizer": hashlib.sha256(backend.to_str().encode()).hexdigest(),
        "template": template,
        "image_token_id": bundle.image_token_id,
        "tokens_per_image": bundle.tokens_per_image,
        "max_tokens": encoder.max_tokens,
        "max_images": encoder.max_images,
        "plain": encoder.plain,
    }
