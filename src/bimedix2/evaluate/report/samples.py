"""What the sample browser shows: prompt, images, reference, every raw reply and its scores."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bimedix2.errors import ImageError
from bimedix2.evaluate.controls import MODEL
from bimedix2.evaluate.schema import Reply, Sample, Scored
from bimedix2.evaluate.store import TaskFolder, read_lines
from bimedix2.text import direction_of, isolate_ltr

_THUMBNAIL, _QUALITY = 320, 80


class Thumbnails:
    """Small JPEG copies of images, each once, up to a number; decoded in the limited child process.

    Args:
        root: folder that image paths start from; without one there are no images.
        limit: most images on the page.
    """

    def __init__(self, root: Path | None, limit: int) -> None:
        self.root, self.limit = root, limit
        self.images: dict[str, str] = {}
        self.errors: dict[str, str] = {}

    def want(self, path: str) -> None:
        """Ask for an image; nothing is decoded yet."""
        if self.root is not None and len(self.images) < self.limit:
            self.images.setdefault(path, "")

    def decode(self) -> None:
        """Decode all images that were asked for."""
        from PIL import Image

        from bimedix2.images import load_images

        if self.root is None or not self.images:
            return
        paths = list(self.images)
        for path, found in zip(paths, load_images(paths, root=self.root, on_error="return"), strict=True):
            if isinstance(found, ImageError):
                self.errors[path] = found.code
                del self.images[path]
                continue
            image = Image.fromarray(found.pixels)
            image.thumbnail((_THUMBNAIL, _THUMBNAIL))
            buffer = io.BytesIO()
            image.convert("RGB").save(buffer, "JPEG", quality=_QUALITY)
            self.images[path] = "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def browser_rows(run: Path, results: Mapping[str, Any], thumbnails: Thumbnails, limit: int) -> list[dict[str, Any]]:
    """Samples of every task and language with all that was replied to them.

    Args:
        run: folder of the run.
        results: its results.
        thumbnails: receives the images that are needed.
        limit: most samples of a task and language.
    """
    rows: list[dict[str, Any]] = []
    for task, language in dict.fromkeys((row["task"], row["language"]) for row in results["rows"]):
        parts = [row for row in results["rows"] if (row["task"], row["language"]) == (task, language)]
        folder = TaskFolder(run, task, language)
        samples = read_lines(folder.path / "samples.jsonl", Sample)[:limit]
        replies = {row["condition"]: folder.answers(row["condition"]) for row in parts}
        scored = {
            (row["condition"], row["mode"]): {
                item.id: item for item in read_lines(folder.scored_path(row["condition"], row["mode"]), Scored)
            }
            for row in parts
        }
        rows += [_row(sample, replies, scored, parts[0]["headline"]) for sample in samples]
        for sample in samples:
            for image in sample.images:
                thumbnails.want(image)
    return rows


def _row(
    sample: Sample,
    replies: Mapping[str, Mapping[str, Reply]],
    scored: Mapping[tuple[str, str], Mapping[str, Scored]],
    headline: str,
) -> dict[str, Any]:
    own = [item for (condition, _), items in scored.items() if condition == MODEL and (item := items.get(sample.id))]
    return {
        "id": sample.id,
        "task": sample.task,
        "language": sample.language,
        "images": list(sample.images),
        "prompt": block(sample.prompt),
        "reference": block(sample.reference),
        "group": sample.group,
        "replies": [
            {
                "condition": condition,
                "text": block(_shown(found[sample.id], sample)),
                "error": found[sample.id].error,
                "scores": {
                    mode: {k: v for k, v in items[sample.id].values.items() if v is not None}
                    for (other, mode), items in scored.items()
                    if other == condition and sample.id in items
                },
            }
            for condition, found in replies.items()
            if sample.id in found
        ],
        "wrong": _wrong(own),
        "unparsed": any(not item.parsed for item in own),
        "refused": any(item.refused for item in own),
        "error": any(found[sample.id].error for found in replies.values() if sample.id in found),
    }


def _shown(reply: Reply, sample: Sample) -> str:
    if not reply.option_logprobs:
        return reply.text
    letters = sample.letters or sample.options
    return "\n".join(f"{letter}: {value:.3f}" for letter, value in zip(letters, reply.option_logprobs, strict=False))


def _wrong(own: Iterable[Scored]) -> bool:
    """Whether the first mode gives less than full marks for what decides right or wrong."""
    first = next(iter(own), None)
    if first is None:
        return False
    deciding = ("accuracy", "closed_accuracy", "open_accuracy")
    values = [first.values[name] for name in deciding if first.values.get(name) is not None]
    return bool(values) and min(value for value in values if value is not None) < 1


def block(text: str) -> dict[str, str]:
    """A text with its direction; in right-to-left text, measurements and dates keep their own order."""
    direction = direction_of(text)
    return {"text": isolate_ltr(text) if direction == "rtl" else text, "dir": direction}
