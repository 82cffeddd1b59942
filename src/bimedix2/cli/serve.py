"""``bimedix2 serve``: the server and its page."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from bimedix2.serve.settings import ServeSettings


class EngineName(StrEnum):
    """What writes the answers."""

    transformers = "transformers"
    openai = "openai"
    openvino = "openvino"
    echo = "echo"


Engine = Annotated[
    EngineName,
    typer.Option(
        help="transformers: in this process; openvino: an exported model, one answer at a time; openai: a server such "
        "as vLLM; echo: repeats the question."
    ),
]
Model = Annotated[
    str,
    typer.Option(
        "--model", "-m", help="nano, a model folder or a hub id; with openai its name there, or else the first."
    ),
]
Upstream = Annotated[
    str, typer.Option(help="Address of the OpenAI-compatible server, such as http://127.0.0.1:8001/v1.")
]
Adapters = Annotated[Path | None, typer.Option(help="Folder of adapters that requests may name, one folder each.")]
Host = Annotated[str, typer.Option(help="Address to listen on; all but 127.0.0.1 need keys.")]
Port = Annotated[int, typer.Option(help="Port; 0 takes a free one.", min=0, max=65535)]
PublicHosts = Annotated[
    list[str] | None, typer.Option(help="Name under which a proxy reaches the server; may be repeated.")
]
PublicURL = Annotated[str, typer.Option(help="Address that people type, for the sign-in.")]
Data = Annotated[Path, typer.Option(help="Folder of uploads, conversations, keys and the audit log.")]
Retention = Annotated[
    float, typer.Option(help="Uploads and conversations are deleted after so long without use.", min=0.0)
]
Keep = Annotated[bool, typer.Option("--keep/--no-keep", help="Keep conversations until then, or none.")]
OIDC = Annotated[Path | None, typer.Option(help="Settings of a sign-in (YAML).")]
StrictImages = Annotated[bool, typer.Option("--strict-images", help="Refuse pictures that may show a name.")]
Batch = Annotated[int, typer.Option(help="Answers written at a time, with transformers.", min=1, max=256)]
MaxTokens = Annotated[int, typer.Option(help="Longest answer that may be asked for.", min=1, max=32_768)]
Check = Annotated[bool, typer.Option("--check", help="Look whether everything is in place, and end.")]


def serve(
    engine: Engine = EngineName.transformers,
    model: Model = "",
    upstream: Upstream = "",
    adapters: Adapters = None,
    host: Host = "127.0.0.1",
    port: Port = 8000,
    public_host: PublicHosts = None,
    public_url: PublicURL = "",
    data: Data = Path("bimedix2-data"),
    retention_hours: Retention = 720.0,
    keep: Keep = True,
    oidc: OIDC = None,
    strict_images: StrictImages = False,
    batch: Batch = 8,
    max_tokens: MaxTokens = 2048,
    check: Check = False,
) -> None:
    """Answer over HTTP: an OpenAI-compatible interface and a page in English and Arabic. Ctrl-C ends it.

    الإجابة عبر HTTP: واجهة متوافقة مع OpenAI وصفحة بالعربية والإنجليزية. يوقفها Ctrl-C.
    """
    from bimedix2.serve.settings import Limits, ServeSettings

    settings = ServeSettings(
        data=data,
        host=host,
        port=port,
        public_hosts=tuple(public_host or ()),
        public_url=public_url,
        engine=engine.value,
        model=model or ("" if engine is EngineName.openai else "nano"),
        upstream=upstream,
        adapters=adapters,
        limits=Limits(max_tokens=max_tokens),
        retention_hours=retention_hours,
        keep=keep,
        oidc=oidc,
        strict_images=strict_images,
        batch=batch,
    )
    if check:
        _check(settings)
        return
    from bimedix2.serve.run import run

    run(settings)


def _check(settings: ServeSettings) -> None:
    from bimedix2.serve.check import check

    from ._errors import message_language
    from ._terminal import readable

    found = check(settings)
    language = message_language()
    for line in found.lines(("en", "ar") if language is None else (language,)):
        typer.echo(readable(line))
    if not found.good:
        raise typer.Exit(1)
