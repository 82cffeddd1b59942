"""Files of a run: samples, replies and scores as JSON lines, and ``results.json``.

Replies are appended batch by batch under a key that covers everything they depend on, so a run that was killed
goes on where it stopped, and nothing is asked twice.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from bimedix2.cache import write_whole
from bimedix2.errors import ConfigError, RecordError
from bimedix2.records.schema import Language

from .schema import Reply, Sample, Scored

Row = TypeVar("Row", bound=msgspec.Struct)
RESULTS = "results.json"


class StoredReply(Reply, frozen=True, kw_only=True, omit_defaults=True):
    """A reply in a file, with the key of what it is a reply to."""

    key: str


class TaskFolder:
    """Files of one task in one language.

    ``samples.jsonl``, ``replies[-control].jsonl`` (by key, appended), ``answers[-control].jsonl`` (by sample) and
    ``scored[-control]-mode.jsonl``.

    Args:
        run: folder of the run.
        task: name of the task.
        language: of prompts and references.
    """

    def __init__(self, run: Path, task: str, language: Language) -> None:
        self.path = run / task / language

    def replies_path(self, condition: str) -> Path:
        """Where the replies under a condition are."""
        return self.path / ("replies.jsonl" if condition == "model" else f"replies-{condition}.jsonl")

    def replies(self, condition: str) -> dict[str, StoredReply]:
        """Stored replies by key; of several with one key the last. A line cut off by a kill is removed."""
        return {row.key: row for row in read_lines(self.replies_path(condition), StoredReply, repair=True)}

    def add_replies(self, condition: str, replies: Iterable[StoredReply]) -> None:
        """Append replies and have them on disk before returning."""
        path = self.replies_path(condition)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            file.write(b"".join(msgspec.json.encode(reply) + b"\n" for reply in replies))
            file.flush()
            os.fsync(file.fileno())

    def write_samples(self, samples: Sequence[Sample]) -> None:
        """The samples of the run, prompts included."""
        write_lines(self.path / "samples.jsonl", samples)

    def write_answers(self, condition: str, replies: Sequence[Reply]) -> None:
        """The reply to every sample that has one, under the sample's id: what was scored."""
        write_lines(self._answers_path(condition), replies)

    def answers(self, condition: str) -> dict[str, Reply]:
        """Replies by sample id."""
        return {reply.id: reply for reply in read_lines(self._answers_path(condition), Reply)}

    def _answers_path(self, condition: str) -> Path:
        return self.path / ("answers.jsonl" if condition == "model" else f"answers-{condition}.jsonl")

    def write_scored(self, condition: str, mode: str, scored: Sequence[Scored]) -> None:
        """Scores of every sample under one condition and mode."""
        write_lines(self.scored_path(condition, mode), scored)

    def scored_path(self, condition: str, mode: str) -> Path:
        """Where the scores under a condition and mode are."""
        middle = "" if condition == "model" else f"-{condition}"
        return self.path / f"scored{middle}-{mode}.jsonl"


def reply_key(sample: Sample, root: Path, fingerprint: str, request: str, limit: int) -> str:
    """Digest of all that a reply depends on: engine, prompt, image contents, options and length limit."""
    digest = hashlib.blake2b(digest_size=16)
    parts = [fingerprint, request, str(limit), sample.language, sample.prompt, *sample.options, *sample.letters]
    for part in parts:
        digest.update(part.encode("utf-8", "surrogatepass") + b"\0")
    for image in sample.images:
        path = root / image
        # A missing file gets its own key: the error is remembered as the error of a missing file.
        digest.update(hashlib.blake2b(path.read_bytes()).digest() if path.is_file() else b"missing\0" + image.encode())
    return digest.hexdigest()


def read_lines(path: Path, kind: type[Row], *, repair: bool = False) -> list[Row]:
    """Rows of a JSON-lines file; none if it is not there.

    Args:
        path: the file.
        kind: struct of a row; unknown fields are ignored.
        repair: drop a last line without an end, as a kill leaves it, from the file too.

    Raises:
        RecordError: a line is not such a row; names file and row.
    """
    if not path.is_file():
        return []
    whole, _, partial = path.read_bytes().rpartition(b"\n")
    if partial and repair:
        path.write_bytes(whole + b"\n" if whole else b"")
    elif partial:
        whole = whole + b"\n" + partial if whole else partial
    decoder = msgspec.json.Decoder(kind)
    rows: list[Row] = []
    for number, line in enumerate(whole.splitlines(), 1):
        try:
            rows.append(decoder.decode(line))
        except msgspec.DecodeError as error:
            raise RecordError(path, number, "row", str(error), "الصف غير صالح") from error
    return rows


def write_lines(path: Path, rows: Iterable[msgspec.Struct]) -> None:
    """Write a JSON-lines file in one step, so that a reader never sees half of it."""
    write_whole(path, b"".join(msgspec.json.encode(row) + b"\n" for row in rows))


def write_json(path: Path, content: Any) -> None:
    """Write readable JSON in one step."""
    write_whole(path, msgspec.json.format(msgspec.json.encode(content), indent=1) + b"\n")


class _MetricShape(msgspec.Struct):
    """What every reader of results relies on, so that a damaged file is told and not met halfway."""

    value: float | None
    low: float | None
    high: float | None
    n: int


class _RowShape(msgspec.Struct):
    task: str
    language: Language
    split: str
    mode: str
    family: str
    condition: str
    headline: str
    n: int
    errors: int
    unparsed: int
    refused: int
    metrics: dict[str, _MetricShape]
    by_group: dict[str, dict[str, Any]]


class _ResultsShape(msgspec.Struct):
    model: str
    created: str
    signature: str
    partial: bool
    rows: list[_RowShape]
    comparisons: list[dict[str, Any]]


def read_results(run: Path) -> dict[str, Any]:
    """``results.json`` of a run.

    Raises:
        ConfigError: the folder holds none, or it is damaged; names the field.
    """
    path = run / RESULTS if run.is_dir() else run
    try:
        content = path.read_bytes()
        msgspec.json.decode(content, type=_ResultsShape)
        found: dict[str, Any] = msgspec.json.decode(content)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path} cannot be read as results ({error}). Give the folder that `bimedix2 evaluate --out` wrote; "
            "the same command writes the file anew from the replies stored there.",
            f"تعذرت قراءة {path} كنتائج ({error}). أعط المجلد الذي كتبه الأمر bimedix2 evaluate --out؛ "
            "والأمر نفسه يعيد كتابة الملف من الإجابات المحفوظة.",
        ) from error
    return found
