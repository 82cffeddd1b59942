"""Options that several commands share, and how their text becomes values."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bimedix2.errors import BiMediX2Error, ConfigError

if TYPE_CHECKING:
    from bimedix2.inference.config import GenerationConfig


class AnswerLang(StrEnum):
    """Language of the answer; ``auto`` is the question's."""

    auto = "auto"
    en = "en"
    ar = "ar"


class MessageLang(StrEnum):
    """Language of a report."""

    en = "en"
    ar = "ar"


Model = Annotated[str, typer.Option("--model", "-m", help="nano, a model folder or a hub id.")]
Adapter = Annotated[Path | None, typer.Option(help="Folder of a PEFT adapter to put on the model.")]
Images = Annotated[
    list[str] | None, typer.Option("--image", "-i", help="PNG, JPEG, WebP or DICOM file; may be repeated.")
]
Lang = Annotated[AnswerLang, typer.Option(help="Language of the answer; auto is the question's.")]
MaxTokens = Annotated[int, typer.Option(help="Longest answer in tokens.")]
Temperature = Annotated[float, typer.Option(help="0 takes the likeliest token; higher values sample.")]
TopP = Annotated[float, typer.Option(help="Sample from the smallest set of tokens with this probability.")]
RepetitionPenalty = Annotated[float, typer.Option(help="> 1 makes repetitions less likely.")]
Stop = Annotated[list[str] | None, typer.Option(help="End the answer before this text; may be repeated.")]
Seed = Annotated[int, typer.Option(help="Seed of sampling.")]


def _add_task_files(files: list[Path] | None) -> list[Path] | None:
    """Tasks must be known before their names are looked up, so the option does its work while it is parsed."""
    if files:
        from bimedix2.evaluate.registry import add_task_file

        for file in files:
            add_task_file(file)
    return files


TaskFile = Annotated[
    list[Path] | None,
    typer.Option(help="Python file that adds tasks; its code is run. May be repeated.", callback=_add_task_files),
]


def window_option(text: str | None) -> tuple[float, float] | None:
    """``"40,400"`` as (centre, width).

    Raises:
        ConfigError: not two numbers, or a width that is not positive.
    """
    if text is None:
        return None
    try:
        centre, width = (float(part) for part in text.split(","))
    except ValueError:
        centre, width = 0.0, 0.0
    if width <= 0:
        raise ConfigError(
            f"--window {text!r} is not CENTRE,WIDTH with a positive width, such as 40,400.",
            f"القيمة {text!r} للخيار --window ليست مركزا وعرضا موجبا مثل 40,400.",
        )
    return centre, width


def generation(
    max_tokens: int,
    temperature: float,
    top_p: float,
    repetition_penalty: float,
    stop: list[str] | None,
    seed: int,
) -> GenerationConfig:
    """Generation settings from the command's options."""
    from bimedix2.inference.config import GenerationConfig

    return GenerationConfig(
        max_new_tokens=max_tokens,
        temperature=temperature,
        top_p=top_p,
        repetition_penalty=repetition_penalty,
        stop=tuple(stop or ()),
        seed=seed,
    )


def read_text(path: Path) -> str:
    """A UTF-8 text file, such as a report.

    Raises:
        BiMediX2Error: it is missing, a folder, or not UTF-8 text.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise BiMediX2Error(
            f"{path} cannot be read as text ({reason}). Give a UTF-8 text file; pictures go to --image.",
            f"تعذرت قراءة {path} كنص. أعط ملفا نصيا بترميز UTF-8؛ أما الصور فبالخيار --image.",
            code="bad_text_file",
        ) from error
