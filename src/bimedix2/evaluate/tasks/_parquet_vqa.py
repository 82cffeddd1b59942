"""Questions about images from Parquet files of the Hub: columns image (struct of bytes and path), question, answer."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bimedix2.cache import cache_root, write_whole
from bimedix2.errors import RecordError
from bimedix2.evaluate.schema import Sample
from bimedix2.records.schema import Language

from ._files import each_shard, field, translated


def read_parquet_vqa(
    task: str,
    files: Sequence[Path],
    split: str,
    language: Language,
    arabic: Mapping[str, dict[str, str]] | None,
) -> Iterator[Sample | RecordError]:
    """Samples with ids ``<split>-<row over all files>``; answers that are exactly yes or no are closed.

    Args:
        task: name of the task; also of the folder in the cache that images are copied to.
        files: of one split, in order.
        split: as in the ids.
        language: of prompt and reference.
        arabic: tables ``questions`` and ``answers``, English to Arabic, for Arabic.
    """

    def make(path: Path, number: int, place: int, row: dict[str, Any]) -> Sample:
        question, answer = field(path, number, row, "question"), field(path, number, row, "answer")
        closed = answer.lower() in ("yes", "no")
        if arabic is not None:
            question = translated(path, number, arabic["questions"], question, "question")
            answer = translated(path, number, arabic["answers"], answer, "answer")
        image = cached_image(task, path, number, row)
        return Sample(
            id=f"{split}-{place}",
            task=task,
            language=language,
            prompt=question,
            question=question,
            reference=answer,
            images=(str(image),),
            cluster=image.name,
            group={"answer_type": "closed" if closed else "open"},
        )

    yield from each_shard(files, make)


def cached_image(folder: str, path: Path, number: int, row: Mapping[str, Any]) -> Path:
    """Absolute path of a copy of the row's image in the cache, named by its hash, so made once.

    Raises:
        RecordError: the row holds no image bytes.
    """
    content = (row.get("image") or {}).get("bytes")
    if not content:
        raise RecordError(path, number, "image", "holds no bytes", "لا يحتوي على بيانات صورة")
    copy = cache_root() / folder / hashlib.sha256(content).hexdigest()[:32]
    if not copy.exists():
        write_whole(copy, content)
    return copy
