"""The report as Markdown, for a repository or a mail; the page has the samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bimedix2.notice import notice
from bimedix2.records.schema import Language

from . import content
from .strings import TEXTS


def markdown(results: Sequence[Mapping[str, Any]], overlap: Sequence[Mapping[str, str]], language: Language) -> str:
    """Tables of the first run, with the other runs beside it where published figures stand."""
    words = {key: english if language == "en" else arabic for key, (english, arabic) in TEXTS.items()}
    run = results[0]
    lines = [f"# {words['title']}: {run['model']}", "", f"> {notice(language)}", ""]
    lines += [f"{words['created']} {run['created']} · {words['signature']} `{run['signature']}`", ""]
    if run["partial"]:
        lines += [f"**{words['partial']}**", ""]
    conditions, overview = content.overview(run)
    heads = [words[key] for key in ("task", "lang", "split", "mode", "figure")]
    heads += [words[condition] for condition in conditions] + [words[k] for k in ("n", "unparsed", "refused", "errors")]
    lines += [f"## {words['overview']}", "", words["overview_note"], ""]
    lines += _table(heads, [_overview_cells(row, conditions, language) for row in overview])
    lines += ["", f"## {words['published']}", "", words["published_note"], ""]
    for table in content.paper_tables(results):
        if table["own"]:
            lines += _published(table, words, language)
    lines += ["", f"## {words['comparisons']}", "", words["comparisons_note"], ""]
    lines += _comparisons(run, words, language)
    lines += _left_out(run, words, language)
    if overlap:
        lines += ["", f"## {words['overlap']}", "", *(f"- {line[language]}" for line in overlap)]
    return "\n".join(lines) + "\n"


def _overview_cells(row: Mapping[str, Any], conditions: Sequence[str], language: Language) -> list[Any]:
    counts = [row[key] for key in ("n", "unparsed", "refused", "errors")]
    first = [row["title"][language], row["language"], row["split"], row["mode"], row["metric"][language]]
    return [*first, *(row["cells"][condition] for condition in conditions), *counts]


def _published(table: Mapping[str, Any], words: Mapping[str, str], language: Language) -> list[str]:
    average = [words["average"]] if table["has_average"] else []
    heads = [words["model"], *(column[language] for column in table["columns"]), *average]
    rows = [
        [
            f"**{row['model']} ({words['this_run']})**" if row["own"] else row["model"],
            *row["cells"],
            *([row["average"]] if average else []),
        ]
        for row in table["rows"]
    ]
    source = table["source"]
    note = [table["note"][language], ""] if table["note"] else []
    title = f"### {table['title'][language]}" + (f" (`{table['mode']}`)" if table["mode"] else "")
    return [title, "", *note, *_table(heads, rows), "", f"{words['source']}: {source.title}, <{source.url}>", ""]


def _comparisons(run: Mapping[str, Any], words: Mapping[str, str], language: Language) -> list[str]:
    heads = [words[key] for key in ("task", "lang", "mode", "figure", "first", "second", "difference")]
    rows = [
        [
            row["title"][language],
            row["language"],
            row["mode"],
            row["metric"][language],
            words[row["a"]],
            words[row["b"]],
            row["cell"],
            row["p"],
            row["n"],
        ]
        for row in content.comparisons(run)
    ]
    return _table([*heads, "p", words["n"]], rows)


def _left_out(run: Mapping[str, Any], words: Mapping[str, str], language: Language) -> list[str]:
    items = [f"- {item['task']} ({item['language']}): {item['reason'][language]}" for item in content.left_out(run)]
    return ["", f"## {words['skipped']}", "", *items] if items else []


def _table(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    return lines + ["| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in rows]
