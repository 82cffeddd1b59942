"""report.md: read back by a Markdown parser and compared with results.json."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import markdown as parser
import pytest
from report_run import HOSTILE_MODEL, make_run

from bimedix2.evaluate.report.markdown import inline, markdown
from bimedix2.evaluate.report.page import write_report
from bimedix2.notice import notice
from bimedix2.records.schema import Language

Grid = list[list[str]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("markdown")
    make_run(root, root / "run")
    return root / "run"


@pytest.fixture(scope="module")
def results(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    return content


def report(folder: Path, language: Language) -> str:
    _, path = write_report([folder], None, language=language)
    return path.read_text(encoding="utf-8")


class Tables(HTMLParser):
    """Heading -> the table below it, and every tag that came up."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tables: dict[str, Grid] = {}
        self.tags: set[str] = set()
        self._heading, self._text = "", ""
        # The right-to-left block is HTML, so what is in it is parsed on its own here.
        body = re.sub(r"</?div[^>]*>", "", text)
        self.feed(parser.markdown(body, extensions=["tables"]))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag in ("h1", "h2", "h3", "td", "th"):
            self._text = ""
        if tag == "table":
            self.tables[self._heading] = []
        if tag == "tr":
            self.tables[self._heading].append([])

    def handle_data(self, data: str) -> None:
        self._text += data

    def handle_endtag(self, tag: str) -> None:
        if tag in ("h1", "h2", "h3"):
            self._heading = self._text
        if tag in ("td", "th"):
            self.tables[self._heading][-1].append(self._text)


def shown(metric: dict[str, float]) -> str:
    return f"{metric['value']:.3f} [{metric['low']:.3f}, {metric['high']:.3f}]"


def plain(cell: str) -> str:
    return cell.replace("\N{NO-BREAK SPACE}", " ")


@pytest.mark.parametrize(("language", "heading"), [("en", "Every task"), ("ar", "كل المهام")])
def test_the_overview_says_what_the_results_say(
    folder: Path, results: dict[str, Any], language: Language, heading: str
) -> None:
    heads, *lines = Tables(report(folder, language)).tables[heading]
    model = heads.index("Model" if language == "en" else "النموذج")
    blind = heads.index("Without image" if language == "en" else "بلا صورة")
    rows = {(r["task"], r["language"], r["mode"], r["condition"]): r for r in results["rows"]}
    keys = list(dict.fromkeys(key[:3] for key in rows))
    assert len(lines) == len(keys) == 2 * 2 + 2 + 2
    for key, line in zip(keys, lines, strict=True):
        own = rows[*key, "model"]
        assert plain(line[model]) == shown(own["metrics"][own["headline"]])
        other = rows.get((*key, "blind"))
        assert plain(line[blind]) == (shown(other["metrics"][other["headline"]]) if other else "–")
        assert line[-4:] == [str(own[name]) for name in ("n", "unparsed", "refused", "errors")]


def test_the_language_gap_is_the_paired_difference(folder: Path, results: dict[str, Any]) -> None:
    _, *lines = Tables(report(folder, "en")).tables["English and Arabic"]
    headlines = {"vqa_rad": "mean", "rocov2_modality": "accuracy"}
    found = [row for row in results["comparisons"] if row["kind"] == "language"]
    wanted = [row for row in found if row["metric"] == headlines[row["task"]]]
    # `multimedeval` reads no Arabic "yes": the mean has no closed part there, so there is nothing to compare.
    assert len(lines) == len(wanted) == 2
    for line, row in zip(lines, wanted, strict=True):
        assert line[1] == row["mode"]
        assert line[3:5] == [f"{row['a_value']:.3f}", f"{row['b_value']:.3f}"]
        assert plain(line[5]).split(" ")[0] == f"{row['b_value'] - row['a_value']:+.3f}"


def test_published_tables_keep_the_layout_of_the_paper(folder: Path, results: dict[str, Any]) -> None:
    tables = Tables(report(folder, "en")).tables
    heads, *lines = next(table for name, table in tables.items() if name.startswith("Medical VQA"))
    assert heads[:3] == ["Metric", "RadFM", "LLaVA-Med"]
    assert [line[0] for line in lines[:2]] == ["VQA-RAD BLEU-1", "VQA-RAD closed accuracy"]
    (own,) = (
        row
        for row in results["rows"]
        if (row["task"], row["language"], row["mode"], row["condition"]) == ("vqa_rad", "en", "multimedeval", "model")
    )
    place = next(place for place, head in enumerate(heads) if "this run" in head)
    assert lines[0][place] == f"{own['metrics']['bleu1']['value']:.3f}"
    assert lines[6][place] == ""  # SLAKE was not asked
    assert lines[-1][0] == "Average"
    assert lines[-1][place] == ""
    heads, *lines = next(table for name, table in tables.items() if name.startswith("Clinical LLM"))
    assert heads[-1] == "Average"
    by_model = {line[0]: line for line in lines}
    assert by_model["BiMediX2 8B"][heads.index("Anatomy")] == "65.9"
    # Two of six are right; the most frequent answer is right every time, for the questions all have the answer B.
    ours = next(line for name, line in by_model.items() if "this run" in name)
    assert ours[heads.index("Anatomy")] == "33.3"
    assert by_model["Most frequent answer"][heads.index("Anatomy")] == "100.0"


def test_every_table_has_as_many_cells_in_each_line(folder: Path) -> None:
    for language in ("en", "ar"):
        for name, table in Tables(report(folder, language)).tables.items():
            assert len({len(line) for line in table}) == 1, name


def test_arabic_stands_in_a_right_to_left_block(folder: Path) -> None:
    text = report(folder, "ar")
    assert text.startswith('<div dir="rtl" lang="ar">\n\n# تقرير التقييم')
    assert text.endswith("\n</div>\n")
    assert notice("ar") in text
    english = report(folder, "en")
    assert "<div" not in english
    assert notice("en") in english


def test_hostile_names_bring_in_neither_markup_nor_directions(folder: Path) -> None:
    text = report(folder, "en")
    found = Tables(text)
    assert found.tags <= {
        *("h1", "h2", "h3", "p", "blockquote", "code", "strong", "a", "ul", "li"),
        *("table", "thead", "tbody", "tr", "th", "td"),
    }
    assert "\u202e" not in text
    assert "<b>m|odel</b> ⟨U+202E⟩`x` (this run)" in {line[0] for table in found.tables.values() for line in table}
    assert HOSTILE_MODEL not in text


def test_inline_text_stays_in_its_cell() -> None:
    assert inline("a|b\n<i>*x*</i>") == "a\\|b &lt;i&gt;\\*x\\*&lt;/i&gt;"
    assert inline("\u202eab\u200f") == "ab"
    assert inline("0.5 [0.4, 0.6]") == "0.5 [0.4, 0.6]"
    assert "<a" not in parser.markdown(inline("[x](http://a.example) [x][y] [y]: http://a.example"))


def test_what_was_left_out_is_named_in_the_language_of_the_report(results: dict[str, Any]) -> None:
    reason = {"en": "data/x.json, row 0: not found", "ar": "الملف data/x.json غير موجود"}
    left_out = [{"task": "slake", "language": "ar", "reason": reason}]
    for language, wanted in (("en", "not found"), ("ar", "غير موجود")):
        text = markdown([results], [{"en": "3 images shared", "ar": "3 صور مشتركة"}], language, left_out)  # type: ignore[arg-type]
        (line,) = [line for line in text.splitlines() if line.startswith("- slake")]
        assert wanted in line
        assert ("3 images shared" if language == "en" else "3 صور مشتركة") in text
