"""``bimedix2 score`` and ``compare``: figures from stored predictions, without any model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bimedix2.errors import ConfigError, RecordError

from . import _judge as j
from . import _options as o

if TYPE_CHECKING:
    from bimedix2.evaluate.schema import Scored


@j.takes_judge
def score(
    task: Annotated[str, typer.Argument(help="A task, or a family such as vqa, choice or report.")],
    predictions: Annotated[
        Path, typer.Option(help="JSON lines: id, prediction, reference; optional question, language, options.")
    ],
    file_format: Annotated[
        str,
        typer.Option("--format", help="auto, jsonl, or a harness: lm-eval, lmms-eval, medevalkit, multimedeval."),
    ] = "auto",
    skip_bad: Annotated[bool, typer.Option(help="Leave out rows that cannot be read, and count them.")] = False,
    save: Annotated[Path | None, typer.Option(help="Also write the rows as JSON lines there.")] = None,
    mode: Annotated[str, typer.Option(help="Scoring mode; the family's default if not given.")] = "",
    seed: Annotated[int, typer.Option(help="Seed of the intervals.")] = 0,
    per_sample: Annotated[Path | None, typer.Option(help="Also write the score of every row there.")] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    task_file: o.TaskFile = None,
    judge: j.JudgeOptions = j.NO_JUDGE,
) -> None:
    """Score stored predictions of any system.

    تقييم إجابات محفوظة من أي نظام.
    """
    from bimedix2.evaluate.importing import check_option_texts, find_importer, import_predictions, save_predictions
    from bimedix2.evaluate.registry import check_mode, find_family
    from bimedix2.evaluate.scoring import as_json, default_modes, empty_value, judge_part, score_replies, unavailable
    from bimedix2.evaluate.statistics import summarize
    from bimedix2.evaluate.store import write_lines

    family = find_family(task)
    chosen = check_mode(family, mode) if mode else default_modes(family)[0]
    importer = find_importer(predictions, file_format)
    bad: list[RecordError] = []
    try:
        samples, replies = import_predictions(predictions, importer, bad if skip_bad else None)
    except RecordError as error:
        raise _with_remedy(error, skip_bad) from error
    check_option_texts(family, chosen, samples, predictions)
    _say_left_out(bad, len(samples))
    if save is not None:
        save_predictions(save, samples, replies)
    judged = j.judge_predictions(family, samples, replies, chosen, judge, predictions)
    scored = score_replies(family, samples, judged.replies, chosen)
    if per_sample is not None:
        write_lines(per_sample, scored)
    empty = empty_value(family, chosen)
    report: dict[str, Any] = {
        "family": family.name,
        "mode": chosen,
        "format": importer.name,
        "bad_rows": {"n": len(bad), "first": [str(error) for error in bad[:5]]},
        "languages": {},
    }
    for language in dict.fromkeys(sample.language for sample in samples):
        own = [row for row in scored if row.language == language]
        summary = as_json(summarize(own, family.composites, empty=empty, seed=seed))
        report["languages"][language] = {**_counts(own), "metrics": summary}
    whole = summarize(scored, family.composites, empty=empty, seed=seed)
    report |= {"n": len(scored), "metrics": as_json(whole), "unavailable": unavailable(family, judged.replies, chosen)}
    report |= judge_part(family, samples, judged.replies, scored, chosen, judged.about)
    if json_output:
        typer.echo(json.dumps(report, indent=2, ensure_ascii=False))
    else:
        _print(report)
    j.end(judged, report)


def _counts(rows: Sequence[Scored]) -> dict[str, int]:
    unparsed, refused = sum(not row.parsed for row in rows), sum(row.refused for row in rows)
    return {"n": len(rows), "unparsed": unparsed, "refused": refused}


def _print(report: dict[str, Any]) -> None:
    from rich.console import Console

    from ._tables import metrics_table

    columns = {f"{language} (n = {part['n']})": part["metrics"] for language, part in report["languages"].items()}
    Console().print(metrics_table(f"{report['family']}, mode {report['mode']}", columns))


def _with_remedy(error: RecordError, skip_bad: bool) -> RecordError:
    """A bad row's error, with what can be done about it."""
    if skip_bad or not error.row:
        return error
    remedy = "Mend the row, or score the others with --skip-bad."
    remedy_ar = "أصلح الصف، أو قيم بقية الصفوف بالخيار --skip-bad."
    problem, problem_ar = f"{error.problem}. {remedy}", f"{error.problem_ar}. {remedy_ar}"
    return RecordError(error.path, error.row, error.field, problem, problem_ar)


def _say_left_out(bad: list[RecordError], kept: int) -> None:
    """What of the file was not scored, on stderr: a figure must not hide it."""
    from ._terminal import tell

    if bad:
        tell(
            f"{len(bad)} rows left out, {kept} scored; the first: {bad[0].message}",
            f"تُرك من الصفوف {len(bad)} وقُيم {kept}؛ أولها: {bad[0].message_ar}",
        )


def compare(
    a: Annotated[Path, typer.Argument(help="Folder of the first run.")],
    b: Annotated[Path, typer.Argument(help="Folder of the second run, of the same tasks.")],
    all_metrics: Annotated[bool, typer.Option("--all", help="Every metric, not only each task's headline.")] = False,
    seed: Annotated[int, typer.Option(help="Seed of intervals and permutations.")] = 0,
    json_output: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    task_file: o.TaskFile = None,
) -> None:
    """Paired differences between two runs, B minus A, with intervals and significance.

    الفروق بين تشغيلين على العينات نفسها مع دلالتها الإحصائية.
    """
    from bimedix2.evaluate.registry import find_family
    from bimedix2.evaluate.scoring import comparison_rows
    from bimedix2.evaluate.statistics import compare as paired
    from bimedix2.evaluate.statistics import holm

    rows: list[dict[str, Any]] = []
    first, second = _scored_files(a), _scored_files(b)
    for key in sorted(first.keys() & second.keys()):
        task, language, mode = key
        (path_a, name), (path_b, _) = first[key], second[key]
        family = find_family(name)
        try:
            found = paired(_read(path_a), _read(path_b), family.composites, seed=seed)
        except ValueError:
            continue
        wanted = found if all_metrics else {name: found[name] for name in (family.headline,) if name in found}
        rows += comparison_rows(wanted, {"task": task, "language": language, "mode": mode})
    if not rows:
        raise ConfigError(
            f"{a} and {b} share no samples; both must be folders that `bimedix2 evaluate --out` wrote.",
            f"لا توجد عينات مشتركة بين {a} و{b}؛ يجب أن يكون كلاهما مجلدا كتبه bimedix2 evaluate --out.",
        )
    for row, adjusted in zip(rows, holm([row["p"] for row in rows]), strict=True):
        row["p_holm"] = adjusted
    if json_output:
        typer.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    from rich.console import Console

    from ._tables import comparison_table

    Console().print(comparison_table(rows))


def _scored_files(run: Path) -> dict[tuple[str, str, str], tuple[Path, str]]:
    """(task, language, mode) -> file of the model's own scores, and the family's name."""
    from bimedix2.evaluate.store import TaskFolder, read_results

    found: dict[tuple[str, str, str], tuple[Path, str]] = {}
    for row in read_results(run)["rows"]:
        if row["condition"] == "model":
            folder = TaskFolder(run, row["task"], row["language"])
            path = folder.scored_path("model", row["mode"])
            found[row["task"], row["language"], row["mode"]] = (path, row["family"])
    return found


def _read(path: Path) -> Any:
    from bimedix2.evaluate.schema import Scored
    from bimedix2.evaluate.store import read_lines

    return read_lines(path, Scored)
