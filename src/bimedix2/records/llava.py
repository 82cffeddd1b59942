"""LLaVA's conversation format, as a JSON array or as JSON lines (both are in use for the same files)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import msgspec

from bimedix2.errors import RecordError

from ._json_array import json_head, json_rows
from ._rows import OnError, RowChecker, checked_for_writing, replacing, require_file
from .schema import ImageRef, Modality, Record, Role, Split, Step, Task, Turn

IMAGE_TAG = "<image>"
_KEYS = ("conversations", "conversatons")  # LLaVA-Med's published files have the second spelling
_QUOTED_KEYS = tuple(f'"{key}"'.encode() for key in _KEYS)
_NAMES = {"user": "human", "assistant": "gpt", "system": "system"}
_ROLES: dict[str, Role] = {
    "human": "user",
    "gpt": "assistant",
    "system": "system",
    "user": "user",
    "assistant": "assistant",
}


@dataclass(frozen=True)
class LlavaDefaults:
    """What the format does not say and the caller must: where the rows come from and what they are for.

    Attributes:
        source, licence, task, modality, split: as in ``Record``, for every row.
        number_ids: make each id from the source and the row's number and keep the file's own in ``source_id``;
            for files such as LLaVA's mixes, whose ids repeat.
    """

    source: str
    licence: str
    task: Task = "vqa"
    modality: Modality = "other"
    split: Split = "train"
    number_ids: bool = False


def read_llava(
    path: str | Path, defaults: LlavaDefaults, *, on_error: OnError | None = None, unique_ids: bool = True
) -> Iterator[Record]:
    """Read LLaVA rows; each ``<image>`` takes the next image, and the language is told by the script.

    Args:
        path: JSON array or JSON lines, told apart by the first character.
        defaults: source, licence and the like.
        on_error, unique_ids: as for ``read_jsonl``.

    Raises:
        RecordError: as for ``read_jsonl``; also where ``<image>`` and images do not agree in number.
    """
    path = Path(path)
    require_file(path)
    checker = RowChecker(path, on_error, field_in_llava, unique_ids=unique_ids)
    for row, raw in json_rows(path):
        record = checker.check(row, lambda raw=raw, row=row: _decoded(path, row, raw, defaults))  # type: ignore[misc]
        if record is not None:
            yield record


def looks_like_llava(path: Path) -> bool:
    """Whether the file's beginning is a JSON array or a line that has ``conversations``."""
    head = json_head(path)
    return head.startswith(b"[") or (bool(head) and any(key in head.splitlines()[0] for key in _QUOTED_KEYS))


def field_in_llava(field: str) -> str:
    """The LLaVA name of a record's field: ``turns[1].text`` is ``conversations[1].value``."""
    field = re.sub(r"^images\b.*", "image", field)
    field = field.replace("turns", "conversations", 1)
    return re.sub(r"\.(text|role|images)$", lambda match: ".from" if match[1] == "role" else ".value", field)


def _decoded(path: Path, row: int, raw: bytes, defaults: LlavaDefaults) -> Record:
    return llava_record(path, row, msgspec.json.decode(raw, type=dict[str, Any]), defaults)


def llava_record(path: Path, row: int, values: dict[str, Any], defaults: LlavaDefaults) -> Record:
    """One decoded row as a record, not checked by ``find_fault`` yet.

    Raises:
        RecordError: as for ``read_llava``.
    """
    given = values.get("image")
    paths = [given] if isinstance(given, str) else given or []
    if not isinstance(paths, list) or not all(isinstance(item, str) for item in paths):
        raise RecordError(path, row, "image", "is neither a path nor a list of paths", "ليست مسارا")
    turns, used = _turns(path, row, next((values[key] for key in _KEYS if key in values), None))
    first = next((index for index, turn in enumerate(turns) if turn.role == "user"), None)
    if used == 0 and paths and first is not None:
        # Rows without a placeholder mean the image to come first.
        turns[first] = msgspec.structs.replace(turns[first], images=tuple(range(len(paths))))
        used = len(paths)
    if used != len(paths):
        problem = f"{used} {IMAGE_TAG} placeholders for {len(paths)} images"
        raise RecordError(path, row, "conversations", problem, f"{used} علامات صورة لعدد {len(paths)} من الصور")
    numbered = f"{defaults.source}-{row}"
    given_id = values.get("id")
    source_id = numbered if given_id in (None, "") else str(given_id)
    return Record(
        id=numbered if defaults.number_ids else source_id,
        source_id=source_id,
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
        text = _without_tags(message["value"], used) if shown else message["value"]
        turns.append(Turn(role=role, text=text, language=language_of(text), images=tuple(range(used, used + shown))))
        used += shown
    return turns, used


def _without_tags(value: str, used: int) -> str:
    """The text of a turn without its placeholders, or with the images' numbers where they are words of it.

    ``"<image>\\nWhat is it?"`` becomes ``"What is it?"``, and ``"Compare <image> with <image>."`` becomes
    ``"Compare image 1 with image 2."``.

    Args:
        value: as in the file.
        used: images that earlier turns took.
    """
    from bimedix2.text import language_of

    pieces = value.split(IMAGE_TAG)
    if sum(bool(piece.strip()) for piece in pieces) <= 1:
        return "".join(pieces).strip()
    word = "الصورة" if language_of("".join(pieces)) == "ar" else "image"
    names = (f"{word} {number}" for number in range(used + 1, used + len(pieces)))
    return "".join(piece + name for piece, name in zip_longest(pieces, names, fillvalue="")).strip()


def write_llava(path: str | Path, records: Iterable[Record]) -> int:
    """Write records as LLaVA JSON lines and return their number.

    What the format has no place for (task, licence, languages, provenance, windows …) is lost.

    Raises:
        RecordError: a record breaks a rule, or would come to mean something else: one frame of a file, or a user's
            text that holds ``<image>``.
    """
    path, count = Path(path), 0
    with replacing(path) as file:
        for count, record in enumerate(records, start=1):
            file.write(msgspec.json.encode(_to_llava(path, count, checked_for_writing(path, count, record))) + b"\n")
    return count


def _to_llava(path: Path, row: int, record: Record) -> dict[str, Any]:
    for index, image in enumerate(record.images):
        if image.frame:
            problem = "names a frame, which the LLaVA format cannot; store that frame as a file of its own"
            raise RecordError(path, row, f"images[{index}].frame", problem, "لا إطارات في صيغة LLaVA؛ احفظه ملفا")
    for index, turn in enumerate(record.turns):
        if turn.role == "user" and IMAGE_TAG in turn.text:
            problem = f"holds {IMAGE_TAG}, which would be read as an image; remove it"
            raise RecordError(path, row, f"turns[{index}].text", problem, f"فيه {IMAGE_TAG} وسيقرأ صورة؛ احذفه")
    paths = [image.path for image in record.images]
    shown = [index for turn in record.turns for index in turn.images]
    values: dict[str, Any] = {"id": record.id}
    if paths:
        # Placeholders take the images in the order of the list, so the list follows the turns.
        values["image"] = paths[0] if len(paths) == 1 else [paths[index] for index in shown]
    values["conversations"] = [
        {"from": _NAMES[turn.role], "value": f"{IMAGE_TAG}\n" * len(turn.images) + turn.text} for turn in record.turns
    ]
    return values
