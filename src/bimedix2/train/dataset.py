"""Records to samples: tokenised once, masks from token spans, images by index."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bimedix2.errors import RecordError
from bimedix2.records.schema import Record
from bimedix2.text.chat import encode_conversation

from .packs import Sample

if TYPE_CHECKING:
    from bimedix2.model import Bundle


@dataclass(frozen=True)
class Dataset:
    """Samples and the images they point to.

    Attributes:
        samples: in the order of the records.
        images: absolute path of each image.
        manifest_hash: digest of every record's id and text and of every image's bytes.
    """

    samples: tuple[Sample, ...]
    images: tuple[Path, ...]
    manifest_hash: str


def build_dataset(records: Sequence[Record], root: Path, bundle: Bundle, max_tokens: int) -> Dataset:
    """Tokenise records for a model.

    Args:
        records: conversations with at most one image each.
        root: folder that relative image paths start from.
        bundle: gives tokenizer, template and image token.
        max_tokens: a longer record is an error, for cutting it would supervise half an answer.

    Raises:
        RecordError: an image is missing, a record has several images, or it is too long.
    """
    places: dict[Path, int] = {}
    samples = []
    for row, record in enumerate(records, start=1):
        image = _image_index(record, row, root, places)
        samples.append(_tokenise(record, row, image, bundle, max_tokens))
    return Dataset(tuple(samples), tuple(places), _manifest_hash(records, places))


def _image_index(record: Record, row: int, root: Path, places: dict[Path, int]) -> int | None:
    if not record.images:
        return None
    if len(record.images) > 1:
        raise RecordError("records", row, "images", f"{record.id} has {len(record.images)}; this trainer takes one")
    path = (root / record.images[0].path).resolve()
    if not path.is_file():
        raise RecordError(
            "records",
            row,
            "images[0].path",
            f"{path} does not exist (record {record.id})",
            "الصورة غير موجودة",
        )
    return places.setdefault(path, len(places))


def _tokenise(record: Record, row: int, image: int | None, bundle: Bundle, max_tokens: int) -> Sample:
    encoded = encode_conversation(
        record.turns,
        bundle.tokenizer,
        bundle.template,
        image_token_id=bundle.image_token_id,
        tokens_per_image=bundle.tokens_per_image,
    )
    ids = encoded.input_ids
    if len(ids) > max_tokens:
        raise RecordError("records", row, "turns", f"{record.id} has {len(ids)} tokens, more than {max_tokens}")
    prefix = 0
    if image is not None:
        prefix = len(ids) - ids[::-1].index(bundle.image_token_id)
    language = record.turns[-1].language
    return Sample(
        id=record.id,
        group=f"{record.pair_id or record.id}|{language}",
        source=record.source,
        image=image,
        input_ids=tuple(ids),
        labels=tuple(encoded.labels),
        prefix=prefix,
    )


def _manifest_hash(records: Iterable[Record], images: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for record in sorted(records, key=lambda item: item.id):
        digest.update(repr((record.id, [(turn.role, turn.text) for turn in record.turns])).encode())
    for hexdigest in sorted(hashlib.sha256(path.read_bytes()).hexdigest() for path in images):
        digest.update(hexdigest.encode())
    return digest.hexdigest()
