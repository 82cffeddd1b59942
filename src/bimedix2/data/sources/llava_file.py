"""A file of one's own in LLaVA's format: a JSON array or JSON lines of conversations."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import cast

import msgspec

from bimedix2.records import LlavaDefaults, field_in_llava, llava_record
from bimedix2.records.schema import Modality, Record, Split, Task

from ._common import INGEST
from ._files import Values, json_objects
from ._own import OPTIONS, image_path, own_files, set_name
from ._reading import Option, Reading, Source, SourceInfo, each

INFO = SourceInfo(
    name="llava",
    licence="as --set licence= says",
    languages=("en", "ar"),
    tasks=("vqa", "caption", "dialogue", "qa", "report", "mcq", "summarization", "classification"),
    splits=("train", "dev", "test"),
    files=("the file of --set file=",),
    notes="Rows of id, image and conversations with from and value. Task, modality and licence are the same for all "
    "rows. number_ids=yes numbers rows whose ids repeat, as LLaVA's mixes have them.",
    notes_ar="صفوف فيها id و image و conversations. المهمة والنوع والترخيص واحدة لكل الصفوف. يرقم number_ids=yes "
    "الصفوف المكررة المعرفات.",
    options=(
        *OPTIONS,
        Option(name="number_ids", default="no", meaning="yes: ids by row number", meaning_ar="yes: ترقيم الصفوف"),
    ),
)


def read(reading: Reading) -> Iterator[Record]:
    """One record a conversation."""
    for path in own_files(reading, INFO):
        yield from each(reading, path, json_objects(reading, path), partial(_make, reading, path), field_in_llava)


def _make(reading: Reading, path: Path, number: int, row: Values) -> list[Record]:
    options, name = reading.options, set_name(reading, path)
    defaults = LlavaDefaults(
        source=name,
        licence=options["licence"],
        task=cast("Task", options["task"]),
        modality=cast("Modality", options["modality"]),
        split=cast("Split", options["part"]),
        number_ids=reading.flag("number_ids"),
    )
    record = llava_record(path, number, row, defaults)
    images = tuple(
        msgspec.structs.replace(image, path=image_path(reading, path, image.path)) for image in record.images
    )
    return [msgspec.structs.replace(record, id=f"{name}:{record.id}", images=images, provenance=(INGEST,))]


SOURCES = (Source(INFO, read),)
