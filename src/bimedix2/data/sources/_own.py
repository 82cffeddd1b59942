"""What a user says of a file of their own: where it is and what its rows are for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from bimedix2.errors import ConfigError
from bimedix2.records import schema

from ._reading import Option, Reading, SourceInfo, missing

OPTIONS = (
    Option(name="file", default="", meaning="file below --root; * stands for several", meaning_ar="الملف تحت --root"),
    Option(name="name", default="", meaning="name of the set; else the file's", meaning_ar="اسم المجموعة"),
    Option(name="licence", default="unknown", meaning="SPDX name", meaning_ar="الترخيص باسم SPDX"),
    Option(name="task", default="qa", meaning=", ".join(get_args(schema.Task)), meaning_ar="المهمة"),
    Option(name="modality", default="text", meaning=", ".join(get_args(schema.Modality)), meaning_ar="نوع الصورة"),
    Option(name="part", default="train", meaning="split of its rows: train, dev or test", meaning_ar="قسم الصفوف"),
    Option(
        name="images",
        default="",
        meaning="folder of its images below --root; else the file's own",
        meaning_ar="مجلد الصور تحت --root وإلا فمجلد الملف",
    ),
)


def own_files(reading: Reading, info: SourceInfo) -> Iterator[Path]:
    """The files named by the option ``file``, if their split is wanted.

    Raises:
        ConfigError: an option has no meaning.
        RecordError: no such file.
    """
    options = reading.options
    kinds = {"task": schema.Task, "modality": schema.Modality, "part": schema.Split}
    for name, kind in kinds.items():
        if options[name] not in get_args(kind):
            known = ", ".join(get_args(kind))
            raise ConfigError(
                f"--set {name}={options[name]}: is none of {known}.",
                f"الخيار --set {name}={options[name]}: ليس من {known}.",
            )
    pattern = options["file"]
    if not pattern:
        raise ConfigError(
            f"{info.name} needs --set file=NAME, a file below --root.",
            f"يحتاج {info.name} إلى --set file=NAME وهو ملف تحت --root.",
        )
    if options["part"] not in reading.splits:
        return
    below = Path(pattern)
    paths = [below] if below.is_absolute() else sorted(reading.root.glob(pattern))
    if not paths or not paths[0].is_file():
        raise missing(reading.root / pattern, info, reading)
    yield from paths


def set_name(reading: Reading, path: Path) -> str:
    """Name of the set that a file belongs to."""
    return reading.options["name"] or path.stem


def image_path(reading: Reading, path: Path, image: str) -> str:
    """An image's path from the data root, as a record needs it."""
    folder = reading.options["images"] or reading.relative(path.parent)
    return image if folder in ("", ".") else f"{folder.rstrip('/')}/{image}"
