"""LLaVA-Med (Li et al. 2023, CC BY-NC 4.0): the alignment set of 500K captions and the 60K-IM dialogues."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from bimedix2.errors import RecordError
from bimedix2.records import LlavaDefaults, field_in_llava, llava_record
from bimedix2.records.schema import Modality, Record, Step, Task

from ._common import INGEST
from ._disk import DiskTable
from ._files import Values, json_objects, text
from ._reading import Reading, Source, SourceInfo, each, files_of

URLS = "llava_med/llava_med_image_urls.jsonl"
_NOTES = (
    "Image files are PAIR.jpg in llava_med/images/, as LLaVA-Med's own downloader writes them. Where the list of "
    "image addresses is there, each record's provenance names the PMC archive and the file in it. The words of the "
    "set are CC BY-NC 4.0; each figure keeps its article's licence."
)
_NOTES_AR = (
    "ملفات الصور PAIR.jpg في llava_med/images كما يكتبها برنامج تنزيل LLaVA-Med. إن وجدت قائمة عناوين الصور ذكر مصدر "
    "كل صورة في سجلها. نصوص المجموعة CC BY-NC 4.0 ولكل شكل ترخيص مقالته."
)


def _info(name: str, file: str, task: Task) -> SourceInfo:
    return SourceInfo(
        name=name,
        licence="CC-BY-NC-4.0",
        languages=("en",),
        tasks=(task,),
        splits=("train",),
        files=(f"llava_med/{file}", f"{URLS} (optional)", "llava_med/images/"),
        notes=_NOTES,
        notes_ar=_NOTES_AR,
    )


ALIGNMENT = _info("llava_med_alignment", "alignment/llava_med_alignment_500k.json", "caption")
INSTRUCT = _info("llava_med_instruct", "instruct/llava_med_instruct_60k_inline_mention.json", "dialogue")
# The set marks five domains; a figure of several or none is "other".
DOMAINS: dict[str, Modality] = {
    "chest_xray": "xray",
    "mri": "mri",
    "ct_scan": "ct",
    "histology": "microscopy",
    "gross": "photograph",
}


def read(info: SourceInfo, reading: Reading) -> Iterator[Record]:
    """One record a conversation, with the image of its pair."""
    files = files_of(reading, info, {"train": (info.files[0], f"llava_med/{Path(info.files[0]).name}")})
    with DiskTable() as urls:
        if files and (reading.root / URLS).exists():
            _load_urls(reading, reading.root / URLS, urls)
        for _, path in files:
            make = partial(_make, info, urls, path)
            yield from each(reading, path, json_objects(reading, path), make, field_in_llava)


def _load_urls(reading: Reading, path: Path, urls: DiskTable) -> None:
    reading.files.append(path)
    for number, row in json_objects(reading, path):
        try:
            place = f"{text(path, number, row, 'pmc_tar_url')} {text(path, number, row, 'image_file_path')}"
            urls.put(text(path, number, row, "pair_id"), place)
        except RecordError as error:
            reading.refuse(error)


def _make(info: SourceInfo, urls: DiskTable, path: Path, number: int, row: Values) -> list[Record]:
    name = text(path, number, row, "id")
    if not isinstance(row.get("image"), str):
        row = {**row, "image": f"{name}.jpg"}  # the dialogues name the pair alone
    defaults = LlavaDefaults(info.name, info.licence, info.tasks[0], _modality(row.get("domain")))
    record = llava_record(path, number, row, defaults)
    place = urls.get(name)
    found = (Step(name="image", tool="PubMed Central", note=place),) if place else ()
    return [
        msgspec.structs.replace(
            record,
            id=f"{info.name}:{name}",
            source_id=name,
            images=tuple(
                msgspec.structs.replace(image, path=f"llava_med/images/{image.path}") for image in record.images
            ),
            provenance=(INGEST, *found),
        )
    ]


def _modality(domain: Any) -> Modality:
    marked = [name for name, value in domain.items() if value is True] if isinstance(domain, dict) else []
    return DOMAINS.get(marked[0], "other") if len(marked) == 1 else "other"


SOURCES = (Source(ALIGNMENT, partial(read, ALIGNMENT)), Source(INSTRUCT, partial(read, INSTRUCT)))
