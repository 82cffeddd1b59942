"""One typed record for a conversation, its images and where it came from.

Every room of the package exchanges this record and nothing else.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

Language = Literal["en", "ar"]
Role = Literal["system", "user", "assistant"]
Task = Literal["caption", "vqa", "mcq", "summarization", "report", "dialogue", "classification", "qa"]
Modality = Literal["xray", "ct", "mri", "ultrasound", "angiography", "pet", "microscopy", "photograph", "text", "other"]
Split = Literal["train", "dev", "test"]


class ImageRef(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """An image by reference; pixels never travel inside a record.

    Attributes:
        path: path relative to the data root given when the record is read, or absolute.
        sha256: hex digest of the file's bytes, if known.
        frame: 0-based frame of a multi-frame file.
        window: DICOM window as (centre, width) in modality units; ``None`` takes the file's own.
    """

    path: str
    sha256: str | None = None
    frame: int | None = None
    window: tuple[float, float] | None = None


class Turn(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One message.

    Attributes:
        role: who speaks.
        text: plain text without any image placeholder or special token.
        language: language of ``text``.
        images: indices into ``Record.images``, shown before ``text``.
    """

    role: Role
    text: str
    language: Language
    images: tuple[int, ...] = ()


class Step(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One thing that was done to make the record (ingest, translation, rewrite, review …)."""

    name: str
    tool: str
    version: str = ""
    date: str = ""
    note: str = ""


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A conversation with its images and provenance.

    Attributes:
        id: unique in its data set.
        turns: at least one user turn followed by an assistant turn; an optional system turn comes first.
        images: images that the turns refer to.
        task, modality, split: what the record is for.
        source, source_id, licence: where it came from and under which terms (SPDX name where one exists).
        parent: id of the record this one was made from (a translation names its original).
        pair_id: shared by the translations of one sample, so that splits and reports keep them together.
        provenance: steps in the order in which they were taken.
    """

    id: str
    turns: tuple[Turn, ...]
    images: tuple[ImageRef, ...] = ()
    task: Task
    modality: Modality
    source: str
    source_id: str = ""
    licence: str
    parent: str | None = None
    pair_id: str | None = None
    split: Split = "train"
    provenance: tuple[Step, ...] = ()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled as msgspec writes it: a default value that came by plain pickle would be another object, and such a
        record would be written with other bytes."""
        return _unpickled, (msgspec.msgpack.encode(self),)


def _unpickled(content: bytes) -> Record:
    return msgspec.msgpack.decode(content, type=Record)
