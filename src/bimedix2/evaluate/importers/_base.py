"""What importers share: rows of JSON files, texts of fields, final answers, options and their labels."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from bimedix2.errors import RecordError
from bimedix2.evaluate.metrics.choice import ARABIC, LATIN
from bimedix2.evaluate.predictions import PredictionRow, Rows, lines_of
from bimedix2.records._json_array import array_elements

Object = dict[str, Any]


@dataclass(frozen=True)
class Head:
    """The beginning of a file, by which its format is told.

    Attributes:
        suffix: of the file's name, in lower case.
        array: whether the file is a JSON array; JSON lines otherwise.
        objects: its first JSON objects.
    """

    suffix: str
    array: bool
    objects: tuple[Object, ...]

    def has(self, *names: str) -> bool:
        """Whether any of the objects has all of these fields."""
        return any(all(name in item for name in names) for item in self.objects)


@dataclass(frozen=True)
class Importer:
    """A format of prediction files.

    Attributes:
        name: as in ``--format``.
        title: the harness, and which of its versions this was checked with.
        recognises: whether a file that begins so is of this format; at most one importer says yes.
        rows: the file's rows in our form; in place of a bad one its error, naming file, row and field.
    """

    name: str
    title: str
    recognises: Callable[[Head], bool]
    rows: Callable[[Path], Rows]


def head_of(path: Path, count: int = 8) -> Head:
    """The first rows that are JSON objects.

    Raises:
        RecordError: the file cannot be read.
    """
    if path.suffix.lower() == ".csv":
        next(lines_of(path), None)
        return Head(".csv", False, ())
    objects = (row for _, row in islice(object_rows(path), count) if isinstance(row, dict))
    return Head(path.suffix.lower(), _is_array(path), tuple(objects))


def _is_array(path: Path) -> bool:
    return next(lines_of(path), (0, b""))[1].lstrip()[:1] == b"["


def object_rows(path: Path) -> Iterator[tuple[int, Object | RecordError]]:
    """(row number from 1, object) of JSON lines or a JSON array, read as they are used.

    Raises:
        RecordError: the file cannot be read.
    """
    for number, raw in array_elements(path) if _is_array(path) else lines_of(path):
        try:
            row = json.loads(raw)
        except (ValueError, RecursionError) as error:
            yield number, RecordError(path, number, "row", f"not JSON ({error})", "ليس بصيغة JSON")
            continue
        if isinstance(row, dict):
            yield number, row
        else:
            yield number, RecordError(path, number, "row", "is not a JSON object", "ليس كائن JSON")


def converted(path: Path, convert: Callable[[Path, int, Object], PredictionRow | None]) -> Rows:
    """Every row through ``convert``, which gives ``None`` for a row to leave out."""
    for number, row in object_rows(path):
        try:
            made = convert(path, number, row) if isinstance(row, dict) else row
        except RecordError as error:
            made = error
        if made is not None:
            yield number, made


def text_field(path: Path, number: int, row: Mapping[str, Any], name: str, *, empty: bool = False) -> str:
    """Text of a field; numbers and truth values are taken as their text, ``null`` as empty.

    Args:
        path, number: for the error.
        row: the object.
        name: of the field.
        empty: whether it may be empty.

    Raises:
        RecordError: it is missing, neither text nor number, empty without leave, or not Unicode text.
    """
    if name not in row:
        raise RecordError(path, number, name, "missing", "مفقود")
    value = "" if row[name] is None else row[name]
    if not isinstance(value, (str, int, float)):
        raise RecordError(path, number, name, "is neither text nor a number", "ليس نصا ولا رقما")
    text = str(value)
    if not text.strip() and not empty:
        raise RecordError(path, number, name, "is empty", "فارغ")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise RecordError(path, number, name, "holds half a character", "يحتوي على نصف حرف") from error
    return text


_BOXED = re.compile(r"\\boxed\{\s*(?:\\text\w*\{([^{}]*)\}|((?:[^{}]|\{[^{}]*\})*))\s*\}")
_TAGGED = re.compile(r"<answer>(.*?)(?:</answer>|\Z)", re.DOTALL)


def final_answer(text: str) -> str:
    r"""A reply without its reasoning: what comes after ``</think>``, and of that what is marked as the answer.

    >>> final_answer("<think>A or B?</think>So <answer>B</answer>")
    'B'
    >>> final_answer(r"Hence \boxed{\text{yes}}")
    'yes'
    """
    rest = text.rpartition("</think>")[2]
    marked = ["".join(pair) for pair in _BOXED.findall(rest)] or _TAGGED.findall(rest)
    return str(marked[-1]).strip() if marked else rest.strip() if rest != text else text


_LABELLED = re.compile(r"^[ \t]*[(\[]?([A-J]|[أبجدهوزحطي]ـ?)[)\].:،]\s*(\S.*?)\s*$", re.MULTILINE)


def options_in(prompt: str) -> dict[str, str]:
    """Label -> text of the lines that a prompt lists as ``A. …``, ``B. …`` (or ``أ. …``), the last such list.

    Empty where there is no list of at least two, in order from the first letter.
    """
    found: dict[str, str] = {}
    for label, text in _LABELLED.findall(prompt):
        scale = ARABIC if label in ARABIC else LATIN
        if label == scale[0]:
            found = {label: text}
        elif scale[0] in found and label in scale[len(found) : len(found) + 1]:
            found[label] = text
    return found if len(found) > 1 else {}


def labelled(texts: Sequence[str], letters: Sequence[str] = LATIN) -> dict[str, str]:
    """Label -> text; texts that repeat their label (``A. lung``) lose it.

    >>> labelled(["A. lung", "B.liver"])
    {'A': 'lung', 'B': 'liver'}
    """
    labels = list(letters[: len(texts)])
    pairs = list(zip(labels, (text.strip() for text in texts), strict=False))
    repeated = [re.match(rf"[(\[]?{re.escape(label)}[)\].:]\s*", text) for label, text in pairs]
    if all(repeated):
        return {label: text[match.end() :] for (label, text), match in zip(pairs, repeated, strict=True) if match}
    return dict(pairs)


_COLUMNS = (("opa", "opb", "opc", "opd"), ("A", "B", "C", "D", "E"), ("A", "B", "C", "D"))


def options_of(doc: Mapping[str, Any]) -> dict[str, str]:
    """Label -> text of a data set's row, in the forms that are in use; empty where there are none.

    A list, ``{label: text}`` or ``{"label": […], "text": […]}`` under ``options`` or ``choices``, or one column each.
    """
    for name in ("options", "choices"):
        value = doc.get(name)
        if isinstance(value, dict) and isinstance(value.get("text"), list):
            labels = value.get("label")
            names = [str(label) for label in labels] if isinstance(labels, list) else LATIN
            return labelled([str(text) for text in value["text"]], names)
        if isinstance(value, dict) and len(value) > 1:
            return {str(label): str(text) for label, text in value.items() if text is not None}
        if isinstance(value, list) and len(value) > 1:
            return labelled([str(text) for text in value])
    for names in _COLUMNS:
        if all(isinstance(doc.get(name), str) for name in names):
            return labelled([doc[name] for name in names])
    return {}


_MARKED = re.compile(r"[(\[]?\s*(\w+ـ?)\s*[)\].:]?")


def label_of(reference: str, options: Mapping[str, str]) -> str | None:
    """The label that a right answer stands for: a label, perhaps in brackets, or an option's whole text."""
    wanted = reference.strip()
    labels = {label.lower(): label for label in options}
    marked = _MARKED.fullmatch(wanted)
    if marked and marked[1].lower() in labels:
        return labels[marked[1].lower()]
    same = [label for label, text in options.items() if text.strip().lower() == wanted.lower()]
    return same[0] if len(same) == 1 else None


def image_of(doc: Mapping[str, Any]) -> str:
    """What names the image in a data set's row; only compared with other rows, never opened."""
    names = ("image_name", "img_name", "image_id", "img_id", "image_path", "image")
    return next((doc[name] for name in names if isinstance(doc.get(name), str) and doc[name]), "")
