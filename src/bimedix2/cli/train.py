"""``bimedix2 train``: run a recipe, or go on where it stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def train(
    recipe: Annotated[Path, typer.Argument(help="Recipe (YAML).")],
    data: Annotated[Path, typer.Option(help="Folder that image paths start from.")] = Path(),
    out: Annotated[Path, typer.Option(help="Folder of the run; an interrupted run in it is taken up again.")] = Path(
        "runs/latest"
    ),
    print_config: Annotated[bool, typer.Option("--print-config", help="Print the complete settings and exit.")] = False,
) -> None:
    """Train projector and adapter as a recipe says.

    Ctrl-C or SIGTERM writes a checkpoint and ends with status 0; the same command resumes exactly there.

    تدريب المسقط والمهايئ حسب الوصفة. يكتب Ctrl-C نقطة حفظ، والأمر نفسه يستأنف منها.
    """
    if print_config:
        _print_config(recipe)
        return
    from bimedix2.train.run import stop_on_signals, train_recipe

    from ._terminal import quiet_libraries, say, tell

    quiet_libraries()
    with stop_on_signals() as stop:
        finished = train_recipe(recipe, data, out, say, stop)
    if not finished:
        tell(
            f"Stopped with a checkpoint in {out}/checkpoints. Run the same command to go on.",
            f"توقف التدريب مع نقطة حفظ في {out}/checkpoints. شغل الأمر نفسه للمتابعة.",
        )
    else:
        typer.echo(str(out / "final"))


def _print_config(recipe: Path) -> None:
    from dataclasses import asdict

    import yaml

    from bimedix2.train.recipe import load_recipe

    settings = load_recipe(recipe)
    typer.echo(f"# fingerprint {settings.fingerprint()}")
    plain = _plain(asdict(settings))
    typer.echo(yaml.safe_dump(plain, sort_keys=False, allow_unicode=True).rstrip())


def _plain(value: object) -> object:
    """Tuples as lists, for YAML has no tuples."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
