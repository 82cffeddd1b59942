"""PDF with shaped Arabic, its own fonts and the order of display that the text means. Needs ``bimedix2[serve]``."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from bimedix2.notice import notice
from bimedix2.serve.export.document import Block, Document, Run, Span, block
from bimedix2.serve.export.layout import Character, Piece, break_lines, characters, visual
from bimedix2.serve.export.wording import DRAFT

if TYPE_CHECKING:
    from fpdf import FPDF

FONTS = Path(__file__).parent / "fonts"
_FILES = {
    "arabic": "IBMPlexSansArabic-Regular.ttf",
    "arabic-bold": "IBMPlexSansArabic-SemiBold.ttf",
    "latin": "IBMPlexSans-Regular.ttf",
}
# Signs that none of the fonts has.
_REPLACED = str.maketrans({"⁺": "+", "⁻": "-", "☐": "□", "\u200b": "", "\ufeff": ""})
_SIZES = {"title": 17.0, "heading": 13.0, "notice": 9.0, "picture": 9.0}
_SIZE, _LEADING = 11.0, 1.7
_MARGIN, _INDENT = 18.0, 7.0  # mm
_PICTURE_HEIGHT = 110.0
_PT = 25.4 / 72
_ASCENT = 0.8  # how far below its top ``cell`` sets the baseline, in sizes


def write_pdf(document: Document) -> bytes:
    """A4, every page with the research-use notice and the draft mark at its foot."""
    return _Writer(document).write()


class _Writer:
    def __init__(self, document: Document) -> None:
        self.document = document
        self.pdf = _empty(document)
        self.y = _MARGIN
        self.widths: dict[tuple[str, str, int], float] = {}
        self.foot = [block(f"{DRAFT[name]}. {notice(name)}", "notice") for name in ("en", "ar")]
        self.bottom = self.pdf.h - _MARGIN - 24.0

    def write(self) -> bytes:
        self._page()
        for item in self.document.blocks:
            if item.picture:
                self._picture(item)
            self._block(item)
        return bytes(self.pdf.output())

    def _page(self) -> None:
        self.pdf.add_page()
        y = self.bottom + 4.0
        self.pdf.set_draw_color(160)
        self.pdf.line(_MARGIN, y - 2.0, self.pdf.w - _MARGIN, y - 2.0)
        for item in self.foot:
            for line in self._lines(item, 7.5, 0.0):
                y += 7.5 * _PT * 1.5
                self._draw(line, item, 7.5, y, 0.0)
        self.y = _MARGIN

    def _block(self, item: Block) -> None:
        size = _SIZES.get(item.kind, _SIZE)
        indent = _INDENT if item.kind in ("bullet", "quote") else 0.0
        step = size * _PT * _LEADING
        for number, line in enumerate(self._lines(item, size, indent)):
            if self.y + step > self.bottom:
                self._page()
            self.y += step
            self._draw(line, item, size, self.y, indent)
            if number == 0 and item.mark:
                self._mark(item, size)
        self.y += size * _PT * 0.5

    def _lines(self, item: Block, size: float, indent: float) -> list[list[Character]]:
        bold = item.kind in ("title", "heading")
        text = [
            Character(letter.text.translate(_REPLACED), letter.level, letter.bold or bold)
            for letter in characters(item.runs, item.direction)
        ]
        width = self.pdf.w - 2 * _MARGIN - indent
        return break_lines(text, width, lambda found: sum(self._width(piece, size) for piece in found))

    def _draw(self, line: Sequence[Character], item: Block, size: float, y: float, indent: float) -> None:
        """One line on the baseline ``y`` (mm)."""
        found = visual(line)
        x = _MARGIN + indent
        if item.direction == "rtl":
            x = self.pdf.w - _MARGIN - indent - sum(self._width(piece, size) for piece in found)
        for piece in found:
            x = self._put(piece, size, x, y)

    def _mark(self, item: Block, size: float) -> None:
        found = visual(characters((Run((Span(item.mark),)),), item.direction))
        width = sum(self._width(piece, size) for piece in found)
        x = self.pdf.w - _MARGIN - width - 1.0 if item.direction == "rtl" else _MARGIN + 1.0
        for piece in found:
            x = self._put(piece, size, x, self.y)

    def _width(self, piece: Piece, size: float) -> float:
        return sum(self._shape(text, font, size, piece.level) for font, text in by_font(piece))

    def _shape(self, text: str, font: str, size: float, level: int) -> float:
        """Width (mm); sets the font and direction that the text is drawn with."""
        self.pdf.set_font(font, size=size)
        self.pdf.set_text_shaping(True, direction="rtl" if level % 2 else "ltr")
        key = (text, font, level % 2)
        if key not in self.widths:
            self.widths[key] = float(self.pdf.get_string_width(text)) / size
        return self.widths[key] * size

    def _put(self, piece: Piece, size: float, x: float, y: float) -> float:
        parts = by_font(piece)
        for font, text in reversed(parts) if piece.level % 2 else parts:
            width = self._shape(text, font, size, piece.level)
            height = size * _PT
            self.pdf.set_xy(x, y - _ASCENT * height)
            self.pdf.cell(width, height, text)  # shapes; ``text()`` would not
            x += width
        return x

    def _picture(self, item: Block) -> None:
        from PIL import Image

        with Image.open(io.BytesIO(item.picture), formats=("PNG",)) as picture:
            width, height = picture.size
        most = self.pdf.w - 2 * _MARGIN
        scale = min(most / width, _PICTURE_HEIGHT / height)
        self.y += 2.0
        if self.y + height * scale + 12.0 > self.bottom:
            self._page()
        x = self.pdf.w - _MARGIN - width * scale if item.direction == "rtl" else _MARGIN
        alternative = item.text
        self.pdf.image(io.BytesIO(item.picture), x, self.y, width * scale, height * scale, alt_text=alternative)
        self.y += height * scale


def _empty(document: Document) -> FPDF:
    from fpdf import FPDF

    pdf = FPDF(format="A4", unit="mm")
    pdf.set_auto_page_break(False)
    pdf.c_margin = 0.0
    for name, file in _FILES.items():
        pdf.add_font(name, fname=FONTS / file)
    pdf.set_title(document.title)
    pdf.set_lang(document.language)
    pdf.set_creator("BiMediX2")
    pdf.set_subject(DRAFT["en"])
    return pdf


def by_font(piece: Piece) -> list[tuple[str, str]]:
    """Stretches of a piece with the font that has their signs; marks stay with the letter before them."""
    main = "arabic-bold" if piece.bold else "arabic"
    grouped = groupby(piece.text, key=lambda letter: main if ord(letter) in _letters(main) else "latin")
    return [(font, "".join(group)) for font, group in grouped]


@lru_cache(maxsize=8)
def _letters(font: str) -> frozenset[int]:
    """Code points that a font has; the others are looked for in the Latin one."""
    from fontTools.ttLib import TTFont  # type: ignore[import-untyped]

    return frozenset(TTFont(FONTS / _FILES[font]).getBestCmap())
