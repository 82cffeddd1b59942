"""What the sample browser shows: prompt, images, reference, every raw reply and its scores."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bimedix2.errors import ImageError, RecordError
from bimedix2.evaluate.controls import MODEL, SHUFFLED, under
from bimedix2.evaluate.schema import Reply, Sample, Scored, Verdict
from bimedix2.evaluate.store import TaskFolder, read_lines
from bimedix2.text import direction_of, isolate_ltr

from .content import shown_reason

_THUMBNAIL, _QUALITY, _LONGEST = 320, 80, 8000
_DECIDING = ("accuracy", "closed_accuracy", "open_accuracy")
# Line breaks and tabs stay; other control characters get their pictures (U+2400 …).
_PICTURES = {code: 0x2400 + code for code in range(32) if chr(code) not in "\n\t"}
_MARKS = re.compile("[\u061c\u200e\u200f]")
_REORDERING = re.compile("[\u202a-\u202e\u2066-\u2069]")


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
        """Decode all images that were asked for; ``errors`` says what is wrong with those that cannot be."""
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


def browser_rows(
    run: Path, results: Mapping[str, Any], thumbnails: Thumbnails, limit: int
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Samples of every task and language with all that was replied to them.

    Args:
        run: folder of the run.
        results: its results.
        thumbnails: receives the images that are needed.
        limit: most samples of a task and language.

    Returns:
        The samples, and for each task whose files are damaged what is wrong with them.
    """
    shown: list[dict[str, Any]] = []
    damaged: list[dict[str, Any]] = []
    for task, language in dict.fromkeys((row["task"], row["language"]) for row in results["rows"]):
        parts = [row for row in results["rows"] if (row["task"], row["language"]) == (task, language)]
        try:
            shown += _task_rows(TaskFolder(run, task, language), parts, thumbnails, limit)
        except RecordError as error:
            reason = shown_reason(error.message, error.message_ar)
            damaged.append({"task": task, "language": language, "reason": reason})
    return shown, damaged


def _task_rows(
    folder: TaskFolder, parts: Sequence[Mapping[str, Any]], thumbnails: Thumbnails, limit: int
) -> list[dict[str, Any]]:
    samples = read_lines(folder.path / "samples.jsonl", Sample)
    replies = {row["condition"]: folder.answers(row["condition"]) for row in parts}
    scored = {
        (row["condition"], row["mode"]): {
            item.id: item for item in read_lines(folder.scored_path(row["condition"], row["mode"]), Scored)
        }
        for row in parts
    }
    other = {sample.id: list(sample.images) for sample in under(SHUFFLED, samples)} if SHUFFLED in replies else {}
    for sample in samples[:limit]:
        for image in sample.images:
            thumbnails.want(image)
    return [_row(sample, replies, scored, parts[0], other.get(sample.id, [])) for sample in samples[:limit]]


def _row(
    sample: Sample,
    replies: Mapping[str, Mapping[str, Reply]],
    scored: Mapping[tuple[str, str], Mapping[str, Scored]],
    part: Mapping[str, Any],
    other_images: list[str],
) -> dict[str, Any]:
    first = scored.get((MODEL, part["mode"]), {}).get(sample.id)
    own = [items[sample.id] for (condition, _), items in scored.items() if condition == MODEL and sample.id in items]
    return {
        "id": visible(sample.id),
        "task": sample.task,
        "language": sample.language,
        "family": part["family"],
        "images": list(sample.images),
        "prompt": block(sample.prompt),
        "reference": block(sample.reference),
        "group": {visible(name): visible(value) for name, value in sample.group.items() if value},
        "replies": [
            _reply(sample, condition, found[sample.id], scored, part, other_images if condition == SHUFFLED else [])
            for condition, found in replies.items()
            if sample.id in found
        ],
        **_right_or_wrong(first),
        "unparsed": any(not item.parsed for item in own),
        "refused": any(item.refused for item in own),
        "error": any(found[sample.id].error for found in replies.values() if sample.id in found),
    }


def _reply(
    sample: Sample,
    condition: str,
    reply: Reply,
    scored: Mapping[tuple[str, str], Mapping[str, Scored]],
    part: Mapping[str, Any],
    images: list[str],
) -> dict[str, Any]:
    scores = {
        mode: {name: value for name, value in items[sample.id].values.items() if value is not None}
        for (other, mode), items in scored.items()
        if other == condition and sample.id in items
    }
    return {
        "condition": condition,
        "text": block(_shown(reply, sample)),
        "error": visible(reply.error),
        "images": images,
        "verdicts": [{"question": verdict.question, "text": block(_said(verdict))} for verdict in reply.verdicts],
        "scores": scores,
        "score": _main_score(scores.get(part["mode"], {}), part["headline"]),
    }


def _said(verdict: Verdict) -> str:
    """A judge's words, or the scores or label that were given instead."""
    return verdict.text or verdict.label or " ".join(f"{score:g}" for score in verdict.scores or ())


def _main_score(values: Mapping[str, float], headline: str) -> list[Any]:
    """[metric, value] that stands for a reply: what decides right or wrong, else the headline, else the first."""
    for name in (*_DECIDING, headline, *values):
        if name in values:
            return [name, values[name]]
    return []


def _right_or_wrong(first: Scored | None) -> dict[str, bool]:
    """Whether the first mode gives full marks for what decides right or wrong; neither where nothing does."""
    found = [first.values.get(name) for name in _DECIDING] if first is not None else []
    deciding = [value for value in found if value is not None]
    return {"correct": bool(deciding) and min(deciding) >= 1, "wrong": bool(deciding) and min(deciding) < 1}


def _shown(reply: Reply, sample: Sample) -> str:
    """The reply's text, or the options' log-probabilities; an answer without a model has both and says the former."""
    if reply.text or not reply.option_logprobs:
        return reply.text
    letters = sample.letters or sample.options
    return "\n".join(f"{letter}: {value:.3f}" for letter, value in zip(letters, reply.option_logprobs, strict=False))


def block(text: str) -> dict[str, Any]:
    """A text with its direction; in right-to-left text, measurements and dates keep their own order.

    ``more`` counts the characters of a very long text that are left out; the run's folder has them.
    """
    shown = visible(text[:_LONGEST])
    direction = direction_of(shown)
    found: dict[str, Any] = {"text": isolate_ltr(shown, "rtl") if direction == "rtl" else shown, "dir": direction}
    return found | ({"more": len(text) - _LONGEST} if len(text) > _LONGEST else {})


def visible(text: str) -> str:
    """Text in which nothing hidden can change the order or look of the rest.

    Directional marks go; embeddings, overrides and isolates and control characters show as what they are.

    >>> visible("a\\u202eb\\x1b")
    'a⟨U+202E⟩b␛'
    """
    shown = _REORDERING.sub(lambda match: f"⟨U+{ord(match[0]):04X}⟩", _MARKS.sub("", text))
    return shown.translate(_PICTURES)
