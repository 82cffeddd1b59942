"""The report as Markdown, for a repository or a mail; the page has the charts and the samples."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from bimedix2.notice import notice
from bimedix2.records.schema import Language
from bimedix2.text import strip_bidi_controls

from . import content
from .remarks import remarks
from .strings import TEXTS
from .tables import paper_tables

_SPECIAL = re.compile(r"([\\`*_|]|\](?=[(\[:]))")
Words = Mapping[str, str]


def markdown(
    results: Sequence[Mapping[str, Any]],
    overlap: Sequence[Mapping[str, str]],
    language: Language,
    left_out: Sequence[Mapping[str, Any]],
) -> str:
    """Tables of the first run, with the other runs beside it where published figures stand.

    Args:
        results: of the runs.
        overlap: lines about training data.
        language: of the text; Arabic stands in a right-to-left block.
        left_out: what of the data could not be used.
    """
    words = {key: english if language == "en" else arabic for key, (english, arabic) in TEXTS.items()}
    run = results[0]
    lines = [f"# {words['title']}: {inline(run['model'])}", "", f"> {notice(language)}", ""]
    lines += [f"{words['created']} {run['created']} · {words['signature']} `{run['signature']}`", ""]
    if run["partial"]:
        lines += [f"**{words['partial']}**", ""]
    lines += _overview(run, words, language)
    lines += _language_gap(run, words, language)
    lines += _heading(words, "published", "published_note")
    for table in paper_tables(results):
        if table["own"]:
            lines += _published(table, words, language)
    lines += _comparisons(run, words, language)
    items = [f"- {inline(item['task'])} ({item['language']}): {inline(item['reason'][language])}" for item in left_out]
    if items:
        lines += [*_heading(words, "skipped"), *items, ""]
    made = remarks(run)
    if made:
        lines += [*_heading(words, "remarks"), *(f"- {inline(line[language])}" for line in made), ""]
    if overlap:
        lines += [*_heading(words, "overlap"), *(f"- {inline(line[language])}" for line in overlap), ""]
    if language == "ar":
        lines = ['<div dir="rtl" lang="ar">', "", *lines, "</div>", ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def inline(text: str) -> str:
    """Text that stays on its line and in its cell, whatever is in it; no Markdown, no HTML, no hidden directions."""
    return _SPECIAL.sub(r"\\\1", escape(" ".join(strip_bidi_controls(text).split()), quote=False))


def _heading(words: Words, title: str, note: str = "") -> list[str]:
    return [f"## {words[title]}", "", *([words[note], ""] if note else [])]


def _language_name(words: Words, language: str) -> str:
    return words["arabic" if language == "ar" else "english"]


def _overview(run: Mapping[str, Any], words: Words, language: Language) -> list[str]:
    conditions, overview = content.overview(run)
    counts = ("n", "unparsed", "refused", "errors")
    heads = [words[key] for key in ("task", "lang", "split", "mode", "figure", *conditions, *counts)]
    rows = [
        [
            row["title"][language],
            _language_name(words, row["language"]),
            *(row[key] for key in ("split", "mode")),
            row["metric"][language],
            *(row["cells"][condition] for condition in conditions),
            *(row[key] for key in counts),
        ]
        for row in overview
    ]
    return [*_heading(words, "overview", "overview_note"), *_table(heads, rows), ""]


def _language_gap(run: Mapping[str, Any], words: Words, language: Language) -> list[str]:
    keys = ("task", "mode", "figure", "english", "arabic", "difference")
    rows = [
        [
            row["title"][language],
            row["mode"],
            row["metric"][language],
            *(row[k] for k in ("en", "ar", "cell", "p", "n")),
        ]
        for row in content.language_gap(run)
    ]
    if not rows:
        return []
    table = _table([*(words[key] for key in keys), "p", words["n"]], rows)
    return [*_heading(words, "language_gap", "language_gap_note"), *table, ""]


def _published(table: Mapping[str, Any], words: Words, language: Language) -> list[str]:
    mode = f" ({table['mode']})" if table["mode"] else ""
    lines = [f"### {inline(table['title'][language] + mode)}", ""]
    if table["note"]:
        lines += [inline(table["note"][language]), ""]
    if table["remarks"]:
        lines += [f"{words['not_the_published_setting']}: {inline('; '.join(table['remarks']))}", ""]
    first = words["metric" if table["metrics_in_rows"] else "model"]
    heads = [first, *(head["name"][language] for head in table["heads"])]
    rows = [[f"{row.get('part', '')} {row['name'][language]}".strip(), *row["cells"]] for row in table["rows"]]
    own = [place for place, row in enumerate(table["rows"]) if row["own"]]
    source = table["source"]
    return [*lines, *_table(heads, rows, bold=own), "", f"{words['source']}: {source.title}, <{source.url}>", ""]


def _comparisons(run: Mapping[str, Any], words: Words, language: Language) -> list[str]:
    keys = ("task", "lang", "mode", "figure", "first", "second", "difference")
    rows = [
        [
            row["title"][language],
            _language_name(words, row["language"]),
            row["mode"],
            *(row[key][language] for key in ("metric", "a", "b")),
            *(row[key] for key in ("cell", "p", "n")),
        ]
        for row in content.control_comparisons(run)
    ]
    if not rows:
        return []
    table = _table([*(words[key] for key in keys), "p", words["n"]], rows)
    return [*_heading(words, "comparisons", "comparisons_note"), *table, ""]


def _table(heads: Sequence[str], rows: Sequence[Sequence[Any]], bold: Sequence[int] = ()) -> list[str]:
    """Lines of a table; the first cells of the rows in ``bold`` stand out."""
    lines = [_line(heads), "|" + "---|" * len(heads)]
    for place, row in enumerate(rows):
        first, *others = (inline(str(cell)) for cell in row)
        lines.append("| " + " | ".join([f"**{first}**" if place in bold else first, *others]) + " |")
    return lines


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(inline(cell) for cell in cells) + " |"
