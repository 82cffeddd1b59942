"""Markdown as plain text that reads right in any editor."""

from __future__ import annotations

import base64
import re
import unicodedata

from bimedix2.serve.export.document import Block, Document, Run
from bimedix2.text.bidi import LRI, PDI

_LRM, _RLM = "\u200e", "\u200f"
# What could start a link, a picture, HTML, code or emphasis: a model's words must not.
_ACTIVE = re.compile(r"([\\`*\[\]<>|])")
_STARTS = re.compile(r"^(\s*)(#{1,6}\s|[-+]\s|[0-9]+[.)]\s|=+$|-+$)")


def write_markdown(document: Document) -> bytes:
    """UTF-8 Markdown.

    Measurements and Latin phrases in right-to-left blocks stand in U+2066 … U+2069. A block whose first letter runs
    against it begins with a mark, because viewers go by the first letter.
    """
    blocks = [_block(block) for block in document.blocks]
    return ("\n\n".join(blocks) + "\n").encode()


def _block(block: Block) -> str:
    text = "".join(_run(run, block.direction == "rtl") for run in block.runs)
    if block.kind == "picture":
        data = base64.b64encode(block.picture).decode()
        return f"![{text}](data:image/png;base64,{data})\n\n{_marked(text, block)}"
    if block.kind in ("title", "heading"):
        return f"{'#' if block.kind == 'title' else '##'} {_marked(text, block)}"
    if block.kind == "bullet":
        return f"{'-' if block.mark == '•' else block.mark} {_marked(text, block)}"
    if block.kind in ("quote", "notice"):
        return f"> {_marked(text, block)}"
    return _STARTS.sub(r"\1\\\2", _marked(text, block))


def _run(run: Run, isolate: bool) -> str:
    inner = "".join(_span(span.text, span.bold) for span in run.spans)
    return f"{LRI}{inner}{PDI}" if run.isolated and isolate else inner


def _span(text: str, bold: bool) -> str:
    escaped = _ACTIVE.sub(r"\\\1", text)
    if not bold or not escaped.strip():
        return escaped
    core = escaped.strip()
    before, after = escaped[: escaped.index(core)], escaped[escaped.index(core) + len(core) :]
    return f"{before}**{core}**{after}"


def _marked(text: str, block: Block) -> str:
    first = _first_direction(text)
    if first is None and block.direction == "ltr":
        return text
    return text if first == block.direction else (_RLM if block.direction == "rtl" else _LRM) + text


def _first_direction(text: str) -> str | None:
    """Direction of the first strong letter outside isolates, as rules P2 and P3 of UAX #9 find it."""
    depth = 0
    for character in text:
        kind = unicodedata.bidirectional(character)
        if kind in ("LRI", "RLI", "FSI"):
            depth += 1
        elif kind == "PDI":
            depth = max(0, depth - 1)
        elif depth == 0 and kind in ("L", "R", "AL"):
            return "ltr" if kind == "L" else "rtl"
    return None
