"""The card as Markdown and as a page: one source, two forms, each language in its own direction."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

from bimedix2.text import isolate_ltr, ltr_runs, strip_bidi_controls

from .blocks import Block, Items, Picture, Section, Table, Text

_SPECIAL = re.compile(r"([\\`*_|<>]|\](?=[(\[:]))")
_STYLE = """
body{margin:0 auto;max-width:60rem;padding:1rem 1.25rem 4rem;color:#222;background:#fff;
font:16px/1.6 "Noto Sans","Noto Naskh Arabic","Segoe UI",Tahoma,Arial,sans-serif}
nav a{margin-inline-end:1rem}h1{font-size:1.7rem}h2{font-size:1.2rem;margin-top:2.2rem;border-bottom:1px solid #ddd}
.wide{overflow-x:auto}table{border-collapse:collapse;margin:.6rem 0;font-size:.92rem}
th,td{border:1px solid #ddd;padding:.25rem .6rem;text-align:start;vertical-align:top}
td{overflow-wrap:anywhere}th{background:#f4f6f8}td.n{text-align:end;white-space:nowrap;font-variant-numeric:tabular-nums}img{max-width:100%;height:auto}
section+section{border-top:3px solid #0072b2;margin-top:4rem}strong{color:#a03000}
"""
_DIRECTION = {"en": "ltr", "ar": "rtl"}


def markdown(parts: Sequence[tuple[str, Sequence[Section]]]) -> str:
    """Markdown with both languages; Arabic stands in a right-to-left block.

    Args:
        parts: (language, sections).
    """
    return "\n".join(_markdown_of(language, found) for language, found in parts)


def _markdown_of(language: str, found: Sequence[Section]) -> str:
    lines: list[str] = []
    for number, section in enumerate(found):
        lines += [f"{'#' if not number else '##'} {_inline(section.title, language)}", ""]
        for block in section.blocks:
            lines += [*_markdown_block(block, language), ""]
    if language == "ar":
        lines = ['<div dir="rtl" lang="ar">', "", *lines, "</div>", ""]
    return "\n".join(lines)


def _markdown_block(block: Block, language: str) -> list[str]:
    if isinstance(block, Text):
        text = _inline(block.text, language)
        return [f"**{text}**" if block.strong else text]
    if isinstance(block, Items):
        return [f"- {_inline(item, language)}" for item in block.items]
    if isinstance(block, Picture):
        return [f"![{_inline(block.alt, language)}]({block.path.name})"]
    signs = ["---:" if block.is_number(column) else "---" for column in range(len(block.head))]
    rows = [block.head, *block.rows]
    lines = ["| " + " | ".join(_inline(cell, language) for cell in row) + " |" for row in rows]
    return [lines[0], "|" + "|".join(signs) + "|", *lines[1:]]


def _inline(text: str, language: str) -> str:
    """Text without Markdown's own signs; Latin words keep their place in Arabic lines."""
    plain = " ".join(strip_bidi_controls(text).split())
    shown = isolate_ltr(plain, "rtl") if language == "ar" else plain
    return _SPECIAL.sub(r"\\\1", shown)


def page(title: str, parts: Sequence[tuple[str, Sequence[Section]]]) -> str:
    """The card as one HTML file; pictures lie beside it."""
    links = "".join(
        f'<a href="#{language}" lang="{language}">{"العربية" if language == "ar" else "English"}</a>'
        for language, _ in parts
    )
    body = "".join(_page_of(language, found) for language, found in parts)
    return (
        f'<!doctype html>\n<html lang="{parts[0][0]}">\n<head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>\n"
        f"<body><nav>{links}</nav>\n{body}</body></html>\n"
    )


def _page_of(language: str, found: Sequence[Section]) -> str:
    lines = [f'<section id="{language}" lang="{language}" dir="{_DIRECTION[language]}">']
    for number, section in enumerate(found):
        level = 1 if not number else 2
        lines.append(f"<h{level}>{_text(section.title)}</h{level}>")
        lines += [_page_block(block) for block in section.blocks]
    return "\n".join([*lines, "</section>\n"])


def _page_block(block: Block) -> str:
    if isinstance(block, Text):
        text = _text(block.text)
        return f"<p><strong>{text}</strong></p>" if block.strong else f"<p>{text}</p>"
    if isinstance(block, Items):
        return "<ul>" + "".join(f"<li>{_text(item)}</li>" for item in block.items) + "</ul>"
    if isinstance(block, Picture):
        return f'<p><img src="{escape(block.path.name)}" alt="{escape(block.alt)}"></p>'
    head = "".join(f'<th scope="col">{_text(cell)}</th>' for cell in block.head)
    rows = "".join(f"<tr>{_cells(block, row)}</tr>" for row in block.rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def _cells(table: Table, row: Sequence[str]) -> str:
    return "".join(
        f"<td{' class=n' if table.is_number(column) else ''}>{_text(cell)}</td>" for column, cell in enumerate(row)
    )


_ARABIC = re.compile(r"[\u0600-\u06ff]")


def _text(text: str) -> str:
    """Escaped; in a line with Arabic each run of Latin letters and digits is isolated from its neighbours."""
    plain = strip_bidi_controls(text)
    if not _ARABIC.search(plain):
        return f"<bdi>{escape(plain)}</bdi>"
    parts, at = [], 0
    for start, end in ltr_runs(plain, "rtl"):
        parts += [escape(plain[at:start]), f'<bdi dir="ltr">{escape(plain[start:end])}</bdi>']
        at = end
    return "".join([*parts, escape(plain[at:])])
