"""``bimedix2 convert``, ``compose``, ``merge`` and ``export``: model folders in and out."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from . import _options as o

Target = Annotated[Path, typer.Argument(help="Folder to write; it must not exist yet.")]


class KeyStyle(StrEnum):
    """Names of the weights: what vLLM and older libraries read, or what transformers 5 writes."""

    classic = "classic"
    current = "current"


class FileFormat(StrEnum):
    """What to write: a Hugging Face folder, or two files for llama.cpp."""

    hf = "hf"
    gguf = "gguf"


class GgufType(StrEnum):
    """Type of the matrices in GGUF files."""

    f16 = "f16"
    f32 = "f32"


Keys = Annotated[KeyStyle, typer.Option(help="classic: as vLLM reads them; current: as transformers 5 writes them.")]


def convert(
    source: Annotated[Path, typer.Argument(help="Original LLaVA-style folder.")],
    target: Target,
    vision_tower: Annotated[
        Path | None, typer.Option(help="CLIP folder, where the source does not hold the vision weights.")
    ] = None,
) -> None:
    """Convert an original LLaVA-style folder to a Hugging Face folder.

    تحويل مجلد بصيغة LLaVA الأصلية إلى مجلد Hugging Face.
    """
    from bimedix2.model import convert_llava

    from ._terminal import quiet_libraries

    _refuse_existing(target)
    quiet_libraries()
    convert_llava(source, target, vision_tower=vision_tower)
    typer.echo(str(target))


def compose(
    language: Annotated[str, typer.Argument(help="Llama 3 or Phi-3 instruction model: folder or hub id.")],
    encoder: Annotated[str, typer.Argument(help="CLIP model: folder or hub id.")],
    target: Target,
    seed: Annotated[int, typer.Option(help="Of the projector's first weights.")] = 0,
) -> None:
    """Join a language model and a vision encoder by a new projector: where training starts.

    وصل نموذج لغوي بمرمز صور عبر مسقط جديد: نقطة بداية التدريب.
    """
    from bimedix2.model.compose import compose_llava

    from ._terminal import quiet_libraries

    _refuse_existing(target)
    quiet_libraries()
    compose_llava(language, encoder, target, seed=seed)
    typer.echo(str(target))


def merge(
    model: Annotated[str, typer.Argument(help="nano, a folder or a hub id.")],
    target: Target,
    adapter: o.Adapter = None,
    key_style: Keys = KeyStyle.classic,
) -> None:
    """Add an adapter to the weights for good and write the result as a folder.

    دمج المهايئ في الأوزان وكتابة الناتج في مجلد.
    """
    _write(model, target, adapter, key_style)


def export(
    model: Annotated[str, typer.Argument(help="nano, a folder or a hub id.")],
    target: Target,
    adapter: o.Adapter = None,
    key_style: Keys = KeyStyle.classic,
    file_format: Annotated[
        FileFormat, typer.Option("--format", help="hf: a Hugging Face folder; gguf: text.gguf and mmproj.gguf.")
    ] = FileFormat.hf,
    dtype: Annotated[GgufType, typer.Option(help="Of the matrices in GGUF files.")] = GgufType.f16,
) -> None:
    """Write a model for other engines: a Hugging Face folder (vLLM and others) or GGUF (llama.cpp).

    تصدير نموذج إلى محركات أخرى: مجلد Hugging Face (مثل vLLM) أو ملفات GGUF (مثل llama.cpp).
    """
    if file_format is FileFormat.hf:
        _write(model, target, adapter, key_style)
        return
    from bimedix2.model import load_bundle
    from bimedix2.model.gguf import export_gguf

    from ._terminal import quiet_libraries

    _refuse_existing(target)
    quiet_libraries()
    export_gguf(load_bundle(model, adapter=adapter, device="cpu"), target, dtype=dtype.value)
    typer.echo(str(target))


def _write(model: str, target: Path, adapter: Path | None, key_style: KeyStyle) -> None:
    from bimedix2.model import export_hf, load_bundle

    from ._terminal import quiet_libraries

    _refuse_existing(target)
    quiet_libraries()
    export_hf(load_bundle(model, adapter=adapter, device="cpu"), target, key_style=key_style.value)
    typer.echo(str(target))


def _refuse_existing(target: Path) -> None:
    from bimedix2.errors import ConfigError

    if target.exists():
        raise ConfigError(
            f"{target} exists already. Choose another folder or remove it first.",
            f"{target} موجود من قبل. اختر مجلدا آخر أو احذفه أولا.",
        )
