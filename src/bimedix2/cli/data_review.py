"""``bimedix2 data review``: experts read translations, and what they say flows back into the data."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from bimedix2.data.review.entry import Role
    from bimedix2.data.review.exchange.files import Tool

Workspace = Annotated[Path, typer.Argument(metavar="WORKSPACE", help="Folder of the review.")]


class ExportFormat(StrEnum):
    """What ``review export`` writes."""

    records = "records"
    argilla = "argilla"
    label_studio = "label-studio"


class ImportFormat(StrEnum):
    """What ``review import`` reads."""

    auto = "auto"
    argilla = "argilla"
    label_studio = "label-studio"


def start(
    workspace: Workspace,
    records: Annotated[
        list[Path], typer.Option(help="Originals and translations, .jsonl or .parquet; may be repeated.")
    ],
    plan: Annotated[Path | None, typer.Option(help="Sampling plan (YAML); see docs/review.md.")] = None,
    queue: Annotated[
        list[Path] | None, typer.Option(help="review.jsonl of a translation step; may be repeated.")
    ] = None,
    checks: Annotated[
        list[Path] | None, typer.Option(help="Results of checks with spans, JSON lines; may be repeated.")
    ] = None,
    unpaired: Annotated[bool, typer.Option("--unpaired", help="Also review records that are no translation.")] = False,
) -> None:
    """Make the queue of a review: strata, random samples, double reading.

    إعداد قائمة المراجعة: الطبقات والعينات العشوائية والقراءة المزدوجة.
    """
    from bimedix2.data.review.intake import QUARANTINE, Sources
    from bimedix2.data.review.intake import start as begin
    from bimedix2.data.review.plan import Plan, load_plan

    from ._terminal import tell

    chosen = load_plan(plan) if plan is not None else Plan()
    started = begin(workspace, Sources(records, queue or (), checks or ()), chosen, unpaired=unpaired)
    for name, size in started.strata.items():
        sizes = " ".join(
            f"{kind} {min(p.n1, size)}" + (f"+{p.n2}" if p.n2 else "") for kind, p in chosen.samplings(size).items()
        )
        typer.echo(f"{size:8d}  {name}  ({sizes})")
    typer.echo(f"{started.items:8d}  {workspace}")
    if started.refused:
        tell(
            f"{started.refused} rows were left out; the reasons are in {workspace / QUARANTINE}",
            f"عدد الصفوف المتروكة: {started.refused}؛ الأسباب في {workspace / QUARANTINE}",
        )


def serve(
    workspace: Workspace,
    reviewer: Annotated[
        list[str] | None, typer.Option(help="Pseudonym of a reviewer; may be repeated, each gets a link of its own.")
    ] = None,
    adjudicator: Annotated[
        list[str] | None, typer.Option(help="Pseudonym of a third reader, who decides where others differ.")
    ] = None,
    data: Annotated[Path, typer.Option(help="Folder that image paths start from.")] = Path(),
    pictures: Annotated[
        Path | None, typer.Option(help="Further folder of pictures, such as that of `data build`.")
    ] = None,
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; 0 takes a free one.", min=0, max=65535)] = 0,
) -> None:
    """Show the review page on this machine and print a link for each reviewer. Ctrl-C ends it; nothing is lost.

    From another machine: ssh -L PORT:127.0.0.1:PORT HOST.

    عرض صفحة المراجعة على هذا الجهاز وطباعة رابط لكل مراجع. يوقفها Ctrl-C دون فقد شيء.
    """
    from bimedix2.data.review.server import ReviewServer

    from ._terminal import tell

    names = reviewer or ([] if adjudicator else ["reviewer"])
    roles: dict[str, Role] = {**dict.fromkeys(names, "reviewer"), **dict.fromkeys(adjudicator or (), "adjudicator")}
    server = ReviewServer(workspace, roles, data, port, pictures)
    try:
        for name, link in server.links().items():
            print(f"{name}  {link}", flush=True)
        tell("Ctrl-C ends the server.", "يوقف Ctrl-C الخادم.")
        server.run()
    except KeyboardInterrupt:
        tell("Stopped. All verdicts are saved.", "توقف الخادم. كل الأحكام محفوظة.")
    finally:
        server.close()


def report(
    workspace: Workspace,
    json_output: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Print where a review stands: lots with confidence statements, agreement, reviewers.

    عرض حال المراجعة: المجموعات وعبارات الثقة والاتفاق بين المراجعين.
    """
    from bimedix2.data.review.report import review_report
    from bimedix2.data.review.store import Workspace as Store
    from bimedix2.data.review.summary import summary_lines

    from ._errors import message_language
    from ._terminal import readable

    with Store(workspace) as store:
        found = review_report(store)
    if json_output:
        import json

        typer.echo(json.dumps(found, ensure_ascii=False, indent=2))
        return
    language = message_language()
    for name in ("en", "ar") if language is None else (language,):
        typer.echo("\n".join(readable(line) for line in summary_lines(found, name)))


def export(
    workspace: Workspace,
    out: Annotated[Path, typer.Option(help="Records: .jsonl or .parquet; tasks of other tools: .json.")],
    to: Annotated[ExportFormat, typer.Option("--format", help="Records, or the queue for another tool.")] = (
        ExportFormat.records
    ),
) -> None:
    """Write the reviewed records with provenance, and what was rejected, disputed or not decided beside them.

    كتابة السجلات المراجعة مع مصدرها، وما رفض أو اختلف فيه أو لم يحسم في ملفات بجانبها.
    """
    from bimedix2.data.review.exchange.files import write_tasks
    from bimedix2.data.review.export import export as write
    from bimedix2.data.review.export import side_file
    from bimedix2.data.review.store import Workspace as Store

    with Store(workspace) as store:
        store.require_ready()
        if to is not ExportFormat.records:
            tool: Tool = "argilla" if to is ExportFormat.argilla else "label-studio"
            count, beside = write_tasks(store, out, tool)
            typer.echo(f"{count:8d}  {out}\n          {beside}")
            return
        for name, count in write(store, out).items():
            typer.echo(f"{count:8d}  {out if name == 'records' else side_file(out, name)}")


def import_(
    workspace: Workspace,
    file: Annotated[Path, typer.Argument(help="Export of Argilla 2 or Label Studio, JSON.")],
    source: Annotated[ImportFormat, typer.Option("--format", help="Told by the content if not given.")] = (
        ImportFormat.auto
    ),
) -> None:
    """Take verdicts of Argilla or Label Studio in. The same file twice adds nothing.

    إدخال أحكام من Argilla أو Label Studio. لا يضيف الملف نفسه شيئا في المرة الثانية.
    """
    from bimedix2.data.review.exchange.files import REFUSED, take_answers, tool_of
    from bimedix2.data.review.store import Workspace as Store

    from ._errors import report as show
    from ._terminal import tell

    tool: Tool = tool_of(file) if source is ImportFormat.auto else source.value  # type: ignore[assignment]
    Store(workspace).close()
    with Store(workspace, write=True) as store:
        found = take_answers(store.require_ready(), file, tool)
    typer.echo(f"{found.taken} + {found.known}")
    for error in found.refused:
        show(error)
    tell(
        f"new verdicts: {found.taken}, known before: {found.known}, refused: {len(found.refused)}",
        f"أحكام جديدة: {found.taken}، معروفة من قبل: {found.known}، مرفوضة: {len(found.refused)}",
    )
    if found.refused:
        tell(f"The refused ones are listed in {workspace / REFUSED}", f"المرفوض منها في {workspace / REFUSED}")
        raise typer.Exit(1)
