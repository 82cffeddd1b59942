"""Records for tests of the language-model steps."""

from __future__ import annotations

from typing import Any

from bimedix2.records import ImageRef, Record, Step, Turn
from bimedix2.records.schema import Language


def turns(*texts: str, language: Language = "en", images: int = 0) -> tuple[Turn, ...]:
    """User and assistant in turn; the first shows the images."""
    return tuple(
        Turn(
            role="assistant" if number % 2 else "user",
            text=text,
            language=language,
            images=() if number else tuple(range(images)),
        )
        for number, text in enumerate(texts)
    )


def record(name: str, *texts: str, language: Language = "en", images: int = 0, **fields: Any) -> Record:
    given: dict[str, Any] = {
        "task": "vqa", "modality": "xray", "source": "test", "licence": "CC0-1.0",
        "provenance": (Step(name="ingest", tool="bimedix2", version="1"),),
    } | fields  # fmt: skip
    return Record(
        id=name,
        turns=turns(*texts, language=language, images=images),
        images=tuple(ImageRef(path=f"{name}-{number}.png") for number in range(images)),
        **given,
    )


def findings(count: int) -> list[Record]:
    """``count`` records whose texts all differ."""
    return [
        record(f"r{number}", f"Where is finding number {number} seen?", f"In lobe {number} of the left lung.", images=1)
        for number in range(count)
    ]
