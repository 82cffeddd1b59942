"""``bimedix2 data phi``: screen records, text and DICOM files for what identifies a person."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ._runner import RunnerKind, RunnerOption, WorkersOption

if TYPE_CHECKING:
    from bimedix2.data.runner import Runner


def phi(
    file: Annotated[Path, typer.Argument(help="Records (.jsonl, .parquet), a text file (.txt), or a DICOM file.")],
    redact: Annotated[bool, typer.Option("--redact", help="Write a copy without what was found to --out.")] = False,
    out: Annotated[Path | None, typer.Option(help="The copy of --redact.")] = None,
    images: Annotated[
        Path | None, typer.Option(help="Also look at the records' images; folder that their paths start from.")
    ] = None,
    secret: Annotated[
        str, typer.Option(envvar="BIMEDIX2_PHI_SECRET", help="DICOM: the same secret gives the same new UIDs.")
    ] = "",
    json_output: Annotated[bool, typer.Option("--json", help="A JSON line a finding, then one with counts.")] = False,
    runner: RunnerOption = RunnerKind.local,
    workers: WorkersOption = 0,
) -> None:
    """Find names, dates, ages over 89, telephone, record and identity numbers, addresses, in English and Arabic.

    Shows where and of what shape, never the value. Exit status 1 if there are findings and no --redact. A screen, not
    a guarantee. DICOM: attributes outside an allow-list are named; --redact writes the others with new UIDs.

    كشف الأسماء والتواريخ والأرقام والعناوين التي تعرّف بالمريض بالعربية والإنجليزية دون إظهار قيمها. فرز لا ضمان.
    """
    from bimedix2.data.privacy.records import is_dicom
    from bimedix2.errors import ConfigError, RecordError

    if redact != (out is not None):
        raise ConfigError("--redact and --out go together.", "الخياران --redact و--out متلازمان.")
    if not file.is_file():
        raise RecordError(file, 0, "file", "does not exist; check the path", "غير موجود؛ تحقق من المسار")
    if is_dicom(file):
        counts = _dicom(file, out, secret, json_output)
    elif file.suffix in (".jsonl", ".parquet", ".json"):
        from bimedix2.data.runner import open_runner

        with open_runner(runner.value, workers) as found:
            counts = _records(file, out, images, found, json_output)
    else:
        counts = _text(file, out, json_output)
    _summary(counts, json_output)
    if counts["findings"] and not redact:
        raise typer.Exit(1)


def _show(row: Any, as_json: bool) -> None:
    import msgspec

    if as_json:
        typer.echo(msgspec.json.encode(row).decode())
        return
    where = f"{row.start}-{row.end}" if row.end else ", ".join(row.notes)
    typer.echo(f"{row.file}:{row.row}  {row.id}  {row.field}  {where}  {row.kind}  {row.shape}")


def _summary(counts: dict[str, Any], as_json: bool) -> None:
    import json

    from ._terminal import tell

    if as_json:
        typer.echo(json.dumps(counts, ensure_ascii=False))
        return
    for kind, count in counts["findings"].items():
        typer.echo(f"{count:8d}  {kind}")
    if not counts["findings"]:
        tell("Nothing found. This is a screen, not a guarantee.", "لم يعثر على شيء. هذا فرز وليس ضمانا.")


def _records(file: Path, out: Path | None, images: Path | None, runner: Runner, as_json: bool) -> dict[str, Any]:
    from bimedix2.data.privacy.records import redact_records, scan_records

    counts = scan_records(file, lambda row: _show(row, as_json), images, runner)
    if out is not None:
        counts["written"] = redact_records(file, out, runner)
    return counts


def _text(file: Path, out: Path | None, as_json: bool) -> dict[str, Any]:
    from collections import Counter

    from bimedix2.cache import write_whole
    from bimedix2.data.privacy.records import text_rows
    from bimedix2.data.privacy.text import redact

    from ._options import read_text

    lines = read_text(file).splitlines(keepends=True)
    found: Counter[str] = Counter()
    for number, line in enumerate(lines, start=1):
        for row in text_rows(str(file), number, "", "text", line):
            found[row.kind] += 1
            _show(row, as_json)
    if out is not None:
        write_whole(out, "".join(map(redact, lines)).encode())
    return {"lines": len(lines), "findings": dict(sorted(found.items()))}


def _dicom(file: Path, out: Path | None, secret: str, as_json: bool) -> dict[str, Any]:
    from bimedix2.data.privacy.burned_in import picture_notes
    from bimedix2.data.privacy.dicom import export_dicom, scan_dicom

    from ._terminal import tell

    found = scan_dicom(file) if out is None else export_dicom(file, out, secret)
    notes = picture_notes(file)
    findings = {"attributes": len(found.dropped)} if found.dropped else {}
    if notes:
        findings["burned_in"] = 1
        tell(
            f"The pixels may show who it is ({', '.join(notes)}); attributes do not change that: look at the picture.",
            f"قد تظهر في الصورة نفسها هوية المريض ({'، '.join(notes)})؛ حذف الحقول لا يغير ذلك: افحص الصورة.",
        )
    if not as_json:
        for name in found.dropped:
            typer.echo(f"{file}  {name}")
    return {
        "kept": list(found.kept), "dropped": list(found.dropped), "burned_in": list(notes), "findings": findings,
    }  # fmt: skip
