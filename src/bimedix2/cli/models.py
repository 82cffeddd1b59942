"""``bimedix2 convert``, ``merge`` and ``export``: model folders in and out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import _options as o

Target = Annotated[Path, typer.Argument(help="Folder to write; it must not exist yet.")]
KeyStyle = Annotated[str, typer.Option(help="classic (what vLLM and older libraries read) or current.")]


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

    _refuse_existing(target)
    convert_llava(source, target, vision_tower=vision_tower)
    typer.echo(str(target))


def merge(
    model: Annotated[str, typer.Argument(help="nano, a folder or a hub id.")],
    target: Target,
    adapter: o.Adapter = None,
    key_style: KeyStyle = "classic",
) -> None:
    """Add an adapter to the weights for good and write the result as a folder.

    دمج المهايئ في الأوزان وكتابة الناتج في مجلد.
    """
    _write(model, target, adapter, key_style)


def export(
    model: Annotated[str, typer.Argument(help="nano, a folder or a hub id.")],
    target: Target,
    key_style: KeyStyle = "classic",
) -> None:
    """Write a model as a Hugging Face folder with the key names that other engines read.

    تصدير نموذج إلى مجلد Hugging Face بأسماء المفاتيح التي تقرؤها المحركات الأخرى.
    """
    _write(model, target, None, key_style)


def _write(model: str, target: Path, adapter: Path | None, key_style: str) -> None:
    from bimedix2.errors import ConfigError
    from bimedix2.model import export_hf, load_bundle
    from bimedix2.model import merge as merge_adapter

    if key_style not in ("classic", "current"):
        raise ConfigError(
            f"--key-style {key_style!r} is neither classic nor current.",
            f"قيمة --key-style وهي {key_style!r} ليست classic ولا current.",
        )
    _refuse_existing(target)
    bundle = load_bundle(model, adapter=adapter, device="cpu")
    # An exported folder has no place for an adapter: what is loaded on the model is merged into it.
    if hasattr(bundle.model, "peft_config"):
        bundle.model = merge_adapter(bundle.model)
    export_hf(bundle, target, key_style=key_style)
    typer.echo(str(target))


def _refuse_existing(target: Path) -> None:
    from bimedix2.errors import ConfigError

    if target.exists():
        raise ConfigError(
            f"{target} exists already. Choose another folder or remove it first.",
            f"{target} موجود من قبل. اختر مجلدا آخر أو احذفه أولا.",
        )
