"""DOCX with true right-to-left paragraphs. Needs ``bimedix2[serve]``."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from bimedix2.notice import notice
from bimedix2.serve.export.document import Block, Document, Span, block
from bimedix2.serve.export.wording import DRAFT
from bimedix2.text.bidi import LRI, PDI

if TYPE_CHECKING:
    from docx.document import Document as WordFile
    from docx.text.paragraph import Paragraph

FONT = "IBM Plex Sans Arabic"
_SIZES = {"title": 17, "heading": 13, "notice": 9, "picture": 9}
_SIZE = 11


def write_docx(document: Document) -> bytes:
    """A Word file; every page carries the research-use notice and the draft mark in its footer.

    ``w:bidi`` sets the side and order of a paragraph, ``w:rtl`` that of a run. An isolated run has no ``w:rtl`` and
    stands in U+2066 … U+2069 as well, since word processors go by the one or by the other.
    """
    import docx
    from docx.shared import Mm

    word = docx.Document()
    properties = word.core_properties
    properties.title, properties.author, properties.language = document.title[:200], "BiMediX2", document.language
    properties.comments = DRAFT["en"]
    section = word.sections[0]
    section.page_width, section.page_height = Mm(210), Mm(297)
    for item in document.blocks:
        if item.picture:
            _picture(word, item)
        _fill(word.add_paragraph(style=_style(item)), item)
    _foot(word)
    stream = io.BytesIO()
    word.save(stream)
    return stream.getvalue()


def _style(item: Block) -> str:
    if item.kind == "bullet" and item.mark == "•":
        return "List Bullet"
    return {"title": "Title", "heading": "Heading 2", "quote": "Quote"}.get(item.kind, "Normal")


def _foot(word: WordFile) -> None:
    footer = word.sections[0].footer
    footer.is_linked_to_previous = False
    for language in ("en", "ar"):
        paragraph = footer.paragraphs[0] if language == "en" else footer.add_paragraph()
        _fill(paragraph, block(f"{DRAFT[language]}. {notice(language)}", "notice"))


def _picture(word: WordFile, item: Block) -> None:
    from docx.shared import Mm
    from PIL import Image

    with Image.open(io.BytesIO(item.picture), formats=("PNG",)) as picture:
        width, height = picture.size
    scale = min(150 / width, 110 / height)
    paragraph = word.add_paragraph()
    shape = paragraph.add_run().add_picture(io.BytesIO(item.picture), Mm(width * scale), Mm(height * scale))
    shape._inline.docPr.set("descr", item.text)
    if item.direction == "rtl":
        _bidi(paragraph)


def _fill(paragraph: Paragraph, item: Block) -> None:
    rtl = item.direction == "rtl"
    if rtl:
        _bidi(paragraph)
    if item.mark and item.mark != "•":
        _add(paragraph, Span(f"{item.mark} "), item, rtl=rtl)
    for run in item.runs:
        isolate = run.isolated and rtl
        for number, span in enumerate(run.spans):
            before = LRI if isolate and number == 0 else ""
            after = PDI if isolate and number == len(run.spans) - 1 else ""
            _add(paragraph, Span(before + span.text + after, span.bold), item, rtl=rtl and not run.isolated)


def _add(paragraph: Paragraph, span: Span, item: Block, *, rtl: bool) -> None:
    from docx.oxml.ns import qn

    run = paragraph.add_run(span.text)
    run.font.name, run.bold = FONT, True if span.bold else None
    properties: Any = run._element.get_or_add_rPr()
    fonts = properties.find(qn("w:rFonts"))
    for name in ("w:cs", "w:eastAsia"):
        fonts.set(qn(name), FONT)
    half_points = str(2 * _SIZES.get(item.kind, _SIZE))
    _append(properties, "w:bCs", {"w:val": "1"}) if span.bold else None
    _append(properties, "w:sz", {"w:val": half_points})
    _append(properties, "w:szCs", {"w:val": half_points})
    if rtl:
        _append(properties, "w:rtl", {})
    _append(properties, "w:lang", {"w:bidi": "ar-SA"} if rtl else {"w:val": "en-GB"})


def _bidi(paragraph: Paragraph) -> None:
    properties: Any = paragraph._element.get_or_add_pPr()
    # The schema wants w:bidi before w:jc; a right-to-left paragraph begins at the right by itself.
    properties.insert_element_before(
        _element("w:bidi", {}), "w:adjustRightInd", "w:snapToGrid", "w:spacing", "w:ind", "w:jc"
    )


def _append(properties: Any, tag: str, values: dict[str, str]) -> None:
    properties.append(_element(tag, values))


def _element(tag: str, values: dict[str, str]) -> Any:
    from docx.oxml import OxmlElement
    from docx.oxml.ns import qn

    element = OxmlElement(tag)
    for name, value in values.items():
        element.set(qn(name), value)
    return element
