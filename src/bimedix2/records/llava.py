"""LLaVA's conversation format, as a JSON array or as JSON lines (both are in use for the same files)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from bimedix2.errors import RecordError

from ._rows import OnError, RowChecker, replacing, require_file
from .schema import ImageRef, Modality, Record, Role, Split, Step, Task, Turn

IMAGE_TAG = "<image>"
_ROLES: dict[str, Role] = {
    "human": "user",
    "gpt": "assistant",
    "system": "system",
    "user": "user",
    "assistant": "assistant",
}


@dataclass(frozen=True)
class LlavaDefaults:
    """What the format does not say and the caller must: where the rows come from and what they are for."""

    source: str
    licence: str
    task: Task = "vqa"
    modality: Modality = "other"
    split: Split = "train"


def read_llava(path: str | Path, defaults: LlavaDefaults, *, on_error: OnError | None = None) -> Iterator[Record]:
    """Read LLaVA rows; each ``<image>`` takes the next image, and the language is told by the script.

    Args:
        path: JSON array or JSON lines, told apart by the first character.
        defaults: source, licence and the like.
        on_error: as for ``read_jsonl``.

    Raises:
        RecordError: as for ``read_jsonl``; also where ``<image>`` and images do not agree in number.
    """
    path = Path(path)
    require_file(path)
    checker = RowChecker(path, on_error)
    for row, raw in _raw_rows(path):
        record = checker.check(row, lambda raw=raw, row=row: _to_record(path, row, raw, defaults))  # type: ignore[misc]
        if record is not None:
            yield record


def looks_like_llava(path: Path) -> bool:
    """Whether the file's beginning is a JSON array or a line that has ``conversations``."""
    with path.open("rb") as file:
        head = file.read(1 << 16).removeprefix(b"\xef\xbb\xbf").lstrip()
    return head.startswith(b"[") or b'"conversations"' in head.splitlines()[0] if head else False


def _raw_rows(path: Path) -> Iterator[tuple[int, bytes]]:
    with path.open("rb") as file:
        head = file.read(64).removeprefix(b"\xef\xbb\xbf").lstrip()
    if head.startswith(b"["):
        try:
            items = msgspec.json.decode(path.read_bytes().removeprefix(b"\xef\xbb\xbf"), type=list[msgspec.Raw])
        except msgspec.DecodeError as error:
            raise RecordError(path, 0, "file", f"is not a JSON array ({error})", "ليس مصفوفة JSON") from error
        yield from enumerate(map(bytes, items), start=1)
        return
    with path.open("rb") as file:
        for row, line in enumerate(file, start=1):
            text = line.removeprefix(b"\xef\xbb\xbf") if row == 1 else line
            if text.strip():
                yield row, text


def _to_record(path: Path, row: int, raw: bytes, defaults: LlavaDefaults) -> Record:
    values = msgspec.json.decode(raw, type=dict[str, Any])
    given = values.get("image")
    paths = [given] if isinstance(given, str) else given or []
    if not isinstance(paths, list) or not all(isinstance(item, str) for item in paths):
        raise RecordError(path, row, "image", "is neither a path nor a list of paths", "ليست مسارا")
    turns, used = _turns(path, row, values.get("conversations"))
    if used == 0 and paths and turns:
        # Rows without a placeholder mean the image to come first.
        turns[0] = msgspec.structs.replace(turns[0], images=tuple(range(len(paths))))
        used = len(paths)
    if used != len(paths):
        problem = f"{used} {IMAGE_TAG} placeholders for {len(paths)} images"
        raise RecordError(path, row, "conversations", problem, f"{used} علامات صورة لعدد {len(paths)} من الصور")
    identity = str(values.get("id", "")) or f"{defaults.source}-{row}"
    return Record(
        id=identity,
        source_id=identity,
        turns=tuple(turns),
        images=tuple(ImageRef(path=item) for item in paths),
        task=defaults.task,
        modality=defaults.modality,
        source=defaults.source,
        licence=defaults.licence,
        split=defaults.split,
        provenance=(Step(name="ingest", tool="bimedix2", note="LLaVA format"),),
    )


def _turns(path: Path, row: int, conversations: Any) -> tuple[list[Turn], int]:
    from bimedix2.text import language_of

    if not isinstance(conversations, list):
        raise RecordError(path, row, "conversations", "is missing or not a list", "مفقود أو ليس قائمة")
    turns: list[Turn] = []
    used = 0
    for index, message in enumerate(conversations):
        where = f"conversations[{index}]"
        if not isinstance(message, dict) or not isinstance(message.get("value"), str):
            raise RecordError(path, row, f"{where}.value", "is missing or not text", "مفقود أو ليس نصا")
        if message.get("from") not in _ROLES:
            known = ", ".join(_ROLES)
            raise RecordError(
                path, row, f"{where}.from", f"is {message.get('from')!r}; known: {known}", "دور غير معروف"
            )
        role = _ROLES[message["from"]]
        shown = message["value"].count(IMAGE_TAG) if role == "user" else 0
        text = message["value"].replace(IMAGE_TAG, "").strip() if shown else message["value"]
        turns.append(Turn(role=role, text=text, language=language_of(text), images=tuple(range(used, used + shown))))
        used += shown
    return turns, used


def write_llava(path: str | Path, records: Iterable[Record]) -> int:
    """Write records as LLaVA JSON lines; what the format has no place for is lost. Returns their number."""
    names = {"user": "human", "assistant": "gpt", "system": "system"}
    count = 0
    with replacing(Path(path)) as file:
        for record in records:
            count += 1
            row: dict[str, Any] = {"id": record.id}
            if record.images:
                paths = [image.path for image in record.images]
                row["image"] = paths[0] if len(paths) == 1 else paths
            row["conversations"] = [
                {"from": names[turn.role], "value": f"{IMAGE_TAG}\n" * len(turn.images) + turn.text}
                for turn in record.turns
            ]
            file.write(msgspec.json.encode(row) + b"\n")
    return count
