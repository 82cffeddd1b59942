"""``bimedix2 doctor``: what this machine can do, what is missing and how to get it."""

from __future__ import annotations

from typing import Annotated

import typer

from . import _options as o


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    lang: Annotated[o.MessageLang | None, typer.Option(help="Language of the report.")] = None,
    online: Annotated[
        bool,
        typer.Option("--online", help="Also try to reach the model hub; nothing is asked of the network without."),
    ] = False,
) -> None:
    """Check this installation: packages, hardware, nano, and what each job still needs.

    فحص هذا التثبيت: الحزم والعتاد وnano وما ينقص كل مهمة.
    """
    from ._checks import examine
    from ._errors import message_language
    from ._terminal import readable

    report = examine(online=online)
    if as_json:
        import json

        typer.echo(json.dumps(report, indent=2, ensure_ascii=False))
    else:
        from ._doctor_text import as_text

        language = lang.value if lang is not None else message_language() or "en"
        typer.echo("\n".join(readable(line) for line in as_text(report, language).splitlines()))
    if not report["jobs"]["ask"]["ready"]:
        raise typer.Exit(1)
