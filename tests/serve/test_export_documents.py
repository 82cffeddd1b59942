"""Exports: the order of what is seen is the order that is meant, in every format; nothing in them is active."""

from __future__ import annotations

import io
import re
import zipfile

import numpy as np
import pytest
from fpdf.bidi import BidiParagraph
from PIL import Image

from bimedix2.notice import NOTICE_AR, NOTICE_EN
from bimedix2.serve.export.document import Block, Document, block, blocks_of, clean
from bimedix2.serve.export.layout import break_lines, characters, pieces, visual
from bimedix2.serve.export.markdown import write_markdown
from bimedix2.serve.export.pdf import write_pdf
from bimedix2.serve.export.word import write_docx
from bimedix2.serve.export.wording import DRAFT
from bimedix2.text.bidi import LRI, PDI

# A right-to-left line and, worked out by hand, its Latin runs as they must be seen, from right to left.
LINES = {
    "حجم الورم 12 × 8 mm في الفص": ["12 × 8 mm"],
    "قيس بتاريخ 2023-05-01 ثم 2024-01-31": ["2023-05-01", "2024-01-31"],
    "المدى 5–10 والضغط 120/80 mmHg": ["5–10", "120/80 mmHg"],
    "تصنيف BI-RADS 4 مع إشارة T2/FLAIR": ["BI-RADS 4", "T2/FLAIR"],
    "CT للصدر": ["CT"],
    "الجرعة 5 mg/kg كل 8 ساعات": ["5 mg/kg", "8"],
    "عقدة (3 mm) في الفص": ["3 mm"],
    "النسبة 50% من 37.5 °C": ["50%", "37.5 °C"],
    "الفقرات L4–L5 و C5/C6": ["L4–L5", "C5/C6"],
}


def shown(line: str, width: float = 1e9) -> list[str]:
    """Rows of a line as they are seen, from left to right; right-to-left pieces turned round."""
    item = block(line, default="rtl")
    rows = break_lines(characters(item.runs, item.direction), width, lambda found: sum(len(p.text) for p in found))
    texts = [[p.text[::-1] if p.level % 2 else p.text for p in visual(row)] for row in rows]
    return ["".join(row).replace("\u00a0", " ") for row in texts]


@pytest.mark.parametrize("line", LINES)
def test_measurements_keep_their_order(line):
    (row,) = shown(line)
    places = [row.index(run) for run in LINES[line]]
    assert places == sorted(places, reverse=True)
    assert row[::-1][0] == line[0] or line.startswith("CT")


@pytest.mark.parametrize("line", [*LINES, "The word الرئة (lung) is 12 × 8 mm.", "plain English", "نص عربي فقط."])
def test_whole_lines_agree_with_a_reference(line):
    # fpdf2's own reordering of a whole paragraph, isolates included; ours breaks lines first.
    from fpdf.enums import TextDirection

    item = block(line, default="rtl")
    marked = "".join(f"{LRI}{run.text}{PDI}" if run.isolated else run.text for run in item.runs)
    reference = BidiParagraph(text=marked, base_direction=TextDirection[item.direction.upper()])
    expected = "".join(c for c in reference.get_reordered_string() if c not in (LRI, PDI))
    flip = str.maketrans("()[]", ")(][")
    (row,) = shown(line)
    assert row == expected or row.translate(flip) == expected.translate(flip)


def test_lines_break_in_reading_order():
    line = "حجم الورم 12 × 8 mm في الفص الأيمن وقد قيس بتاريخ 2023-05-01"
    rows = shown(line, 22)
    assert len(rows) > 2 and all(len(row) <= 22 for row in rows)
    assert rows[0].endswith("مجح") or "مجح" in rows[0]
    assert any("12 × 8 mm" in row for row in rows)  # a measurement is not broken
    assert "2023-05-01" in rows[-1]


def test_a_word_wider_than_the_line_is_broken():
    rows = shown("x" * 50, 20)
    assert [len(row) for row in rows] == [20, 20, 10]


def test_direction_is_that_of_most_letters():
    assert block("CT للصدر بدون تباين").direction == "rtl"
    assert block("The word الرئة means lung").direction == "ltr"
    assert block("12 × 8", default="rtl").direction == "rtl"


def test_blocks():
    found = blocks_of("# عنوان\n\n- بند **مهم** هنا\n2. ثان\n> قول\nنص\r\n**a** b ** c", "rtl")
    assert [item.kind for item in found] == ["heading", "bullet", "bullet", "quote", "paragraph", "paragraph"]
    assert [item.mark for item in found] == ["", "•", "2.", "", "", ""]
    bold = [span.text for run in found[1].runs for span in run.spans if span.bold]
    assert bold == ["مهم"] and found[1].text == "بند مهم هنا"
    assert found[5].text == "a b ** c"


def test_controls_are_dropped():
    assert clean("a\u202eb\u2066c\0d\x1b[31m\te\u2028f") == "abcd[31m ef"


def picture() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(stream, "PNG")
    return stream.getvalue()


def document(*blocks: Block) -> Document:
    return Document(title="مسودة", language="ar", blocks=blocks)


def test_markdown_isolates_in_right_to_left_blocks_only():
    text = write_markdown(document(*(block(line) for line in LINES), block("It is 12 × 8 mm."))).decode()
    assert f"{LRI}12 × 8 mm{PDI} في" in text and "\n\nIt is 12 × 8 mm.\n" in text
    for line in text.split("\n\n"):
        assert line.count(LRI) == line.count(PDI)


def first_strong(line: str) -> str:
    # A viewer's dir="auto": the first strong letter outside isolates.
    from fpdf.bidi import auto_detect_base_direction

    return auto_detect_base_direction(line).name.lower()


def test_markdown_viewers_that_go_by_the_first_letter_get_it_right():
    lines = {"CT للصدر بدون تباين": "rtl", "الرئة is the Arabic word for lung": "ltr", "12 × 8 mm في الفص": "rtl"}
    for line, direction in lines.items():
        assert first_strong(write_markdown(document(block(line))).decode().strip()) == direction


EVIL = [
    "<script>alert(1)</script>",
    "![x](http://evil.example/?q=1)",
    "[x](javascript:alert(1))",
    "`code` *a* | b",
    "<iframe src=x>",
]


@pytest.mark.parametrize("line", EVIL)
def test_markdown_is_inert(line):
    text = write_markdown(document(*blocks_of(line))).decode()
    assert not re.search(r"(?<!\\)[<\[`]", text)
    assert re.sub(r"\\(.)", r"\1", text).strip() == line


def test_markdown_does_not_make_a_list_of_a_paragraph():
    text = write_markdown(document(block("# no heading"), block("- no item"), block("1. none"))).decode()
    assert text == "\\# no heading\n\n\\- no item\n\n\\1. none\n"


W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"


def test_docx_runs_and_paragraphs_have_their_direction():
    import docx

    data = write_docx(
        document(
            block("حجم الورم 12 × 8 mm في الفص"), block("It is 12 × 8 mm."), block("ص 1", "picture", picture=picture())
        )
    )
    word = docx.Document(io.BytesIO(data))
    arabic, english, _, caption = word.paragraphs
    assert arabic.text.replace(LRI, "").replace(PDI, "") == "حجم الورم 12 × 8 mm في الفص"
    assert arabic._element.pPr.find(f"{W}bidi") is not None and english._element.find(f"{W}pPr/{W}bidi") is None
    right = [run._element.rPr.find(f"{W}rtl") is not None for run in arabic.runs]
    assert right == [True, False, True] and arabic.runs[1].text == f"{LRI}12 × 8 mm{PDI}"
    assert len(word.inline_shapes) == 1 and caption.text == "ص 1"
    foot = [paragraph.text.replace(LRI, "").replace(PDI, "") for paragraph in word.sections[0].footer.paragraphs]
    assert foot == [f"{DRAFT['en']}. {NOTICE_EN}", f"{DRAFT['ar']}. {NOTICE_AR}"]


def test_docx_is_ordered_as_its_schema_wants():
    # CT_PPr: bidi before jc; CT_RPr: rFonts, b, bCs, sz, szCs, rtl, lang.
    with zipfile.ZipFile(io.BytesIO(write_docx(document(*blocks_of("بند **مهم** هنا 3 mm"))))) as archive:
        xml = archive.read("word/document.xml").decode()
    order = ["rFonts", "b", "bCs", "sz", "szCs", "rtl", "lang"]
    for properties in re.findall(r"<w:rPr>(.*?)</w:rPr>", xml):
        names = re.findall(r"<w:(\w+)", properties)
        assert names == sorted(names, key=order.index)


def rendered(data: bytes) -> list[np.ndarray]:
    pdfium = pytest.importorskip("pypdfium2", reason="pages are rasterised with pypdfium2")
    return [np.asarray(page.render(scale=1).to_pil().convert("L")) for page in pdfium.PdfDocument(data)]


def glyphs(data: bytes) -> list[tuple[str, float, float]]:
    """(character, x, baseline) of a page, from a reader that is not the writer."""
    layout = pytest.importorskip("pdfminer.layout", reason="glyph positions are read with pdfminer.six")
    from pdfminer.high_level import extract_pages

    found = []

    def walk(item, page):
        if isinstance(item, layout.LTChar):
            found.append((item.get_text(), item.x0, round(item.matrix[5]) - 1000 * page))
        elif hasattr(item, "__iter__"):
            for inner in item:
                walk(inner, page)

    for number, page in enumerate(extract_pages(io.BytesIO(data), laparams=None)):
        walk(page, number)
    return found


def latin_rows(data: bytes) -> list[str]:
    """What is not Arabic of each row, by position from left to right."""
    rows: dict[int, list[tuple[float, str]]] = {}
    for character, x, y in glyphs(data):
        rows.setdefault(y, []).append((x, character))
    return [
        "".join(text for _, text in sorted(row)).replace("\u00a0", " ") for _, row in sorted(rows.items(), reverse=True)
    ]


@pytest.mark.parametrize("line", LINES)
def test_pdf_glyphs_stand_in_order(line):
    rows = latin_rows(write_pdf(document(block(line, default="rtl"))))
    places = [rows[0].index(run) for run in LINES[line]]
    assert places == sorted(places, reverse=True), rows[0]


def test_pdf_says_notice_and_draft_on_every_page():
    data = write_pdf(document(*(block(f"Line {number}") for number in range(90))))
    pages = len(rendered(data))
    assert pages > 2
    words = " ".join(latin_rows(data))
    assert words.count(NOTICE_EN[:30]) == pages and words.count("DRAFT") == pages


def test_pdf_embeds_its_fonts_and_draws_every_sign():
    data = write_pdf(document(block("β-blocker 5 μg ≥ 3⁻ و ٣ عقد")))
    assert b"/FontFile2" in data and data.count(b"/Type /Font\n") + data.count(b"/Type0") >= 1
    assert "β-blocker 5 μg" in latin_rows(data)[0]


def test_pdf_starts_right_to_left_blocks_at_the_right():
    arabic, english = (rendered(write_pdf(document(block(text))))[0] for text in ("نص قصير", "short"))
    top = slice(0, 120)
    assert np.flatnonzero((arabic[top] < 128).any(0)).min() > arabic.shape[1] / 2
    assert np.flatnonzero((english[top] < 128).any(0)).max() < english.shape[1] / 2


def test_pdf_letters_join():
    # Shaped, "سسس" is one connected stroke; three separate letters would leave gaps of white columns.
    image = rendered(write_pdf(document(block("سسسسس", "title"))))[0][:120]
    columns = np.flatnonzero((image < 128).any(0))
    assert (np.diff(columns) == 1).all()


def test_pdf_shows_the_picture_and_its_caption():
    data = write_pdf(document(block("Picture 1 · window: centre 40, width 400", "picture", picture=picture())))
    assert b"/Subtype /Image" in data and "window: centre 40, width 400" in latin_rows(data)[0]


def test_pieces_leave_spaces_at_the_end_of_a_line_out():
    item = block("نص  ")
    assert pieces(characters(item.runs, "rtl"))[-1].text == "نص"
