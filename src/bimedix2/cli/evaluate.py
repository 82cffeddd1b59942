"""``bimedix2 evaluate``: figures on held-out questions."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import typer

from . import _options as o


class Split(StrEnum):
    """Development split of VQA-RAD: by question or by image."""

    dev_question = "dev_question"
    dev_image = "dev_image"


class Languages(StrEnum):
    """Languages to ask in."""

    en = "en"
    ar = "ar"
    both = "both"


_LANGUAGES: dict[Languages, tuple[Literal["en", "ar"], ...]] = {
    Languages.en: ("en",),
    Languages.ar: ("ar",),
    Languages.both: ("en", "ar"),
}


def vqa_rad(
    data: Annotated[Path, typer.Option(help="Folder that holds vqa_rad/ and vqa_rad_ar/.")],
    model: o.Model = "nano",
    adapter: o.Adapter = None,
    split: Annotated[Split, typer.Option(help="Which held-out questions.")] = Split.dev_question,
    lang: Annotated[Languages, typer.Option(help="Languages to ask in.")] = Languages.both,
    shuffle_images: Annotated[
        bool, typer.Option("--shuffle-images", help="Control: give each question another question's image.")
    ] = False,
    limit: Annotated[int | None, typer.Option(help="Only the first N questions.", min=1)] = None,
    batch: Annotated[int, typer.Option(help="Questions per batch.", min=1)] = 8,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for predictions and metrics; predictions in it are not made again."),
    ] = None,
) -> None:
    """Ask the held-out questions of VQA-RAD and print the metrics.

    طرح أسئلة VQA-RAD المحجوبة وطباعة المقاييس.
    """
    import json

    from bimedix2.evaluate.run_vqa_rad import RunOptions, run_vqa_rad

    from ._terminal import say
    from .ask import load_assistant

    options = RunOptions(
        model=identity(model, adapter),
        split=split.value,
        languages=_LANGUAGES[lang],
        shuffle_images=shuffle_images,
        limit=limit,
        batch=batch,
    )
    report = run_vqa_rad(lambda: load_assistant(model, adapter), data, options, out, say)
    typer.echo(json.dumps(report, indent=2, ensure_ascii=False))


def rocov2(
    data: Annotated[Path, typer.Option(help="Folder that holds rocov2/.")],
    model: o.Model = "nano",
    adapter: o.Adapter = None,
    limit: Annotated[int | None, typer.Option(help="Only the first N figures.", min=1)] = None,
    batch: Annotated[int, typer.Option(help="Questions per batch.", min=1)] = 16,
) -> None:
    """Modality and body-region accuracy on ROCOv2 test figures, beside the majority class.

    دقة تحديد طريقة التصوير ومنطقة الجسم في أشكال ROCOv2 بجانب الفئة الأكثر شيوعا.
    """
    import json
    from dataclasses import asdict

    from bimedix2.evaluate.rocov2 import evaluate_rocov2

    from .ask import load_assistant

    rows = evaluate_rocov2(load_assistant(model, adapter), data, limit=limit, batch=batch)
    typer.echo(json.dumps([asdict(row) for row in rows], indent=2, ensure_ascii=False))


def identity(model: str, adapter: Path | None) -> str:
    """Name of a model with a short digest of what can change under that name.

    Trained parts are small and hashed whole; of a model folder, its files' names, sizes and times are taken.
    """
    import hashlib

    from bimedix2.model.nano import nano_adapter

    digest = hashlib.sha256()
    trained = [adapter, nano_adapter() if model == "nano" else None]
    for file in (file for folder in trained if folder for file in sorted(folder.glob("*.safetensors"))):
        digest.update(file.name.encode() + file.read_bytes())
    if Path(model).is_dir():
        for file in sorted(Path(model).iterdir()):
            state = file.stat()
            digest.update(f"{file.name}|{state.st_size}|{state.st_mtime_ns}".encode())
    return f"{model}{f' + {adapter}' if adapter else ''} #{digest.hexdigest()[:12]}"
