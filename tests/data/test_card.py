"""The data card: counts, terms, directions, and nothing that the inputs do not say."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import build_files as bf
import pytest
from source_files import run_command

from bimedix2.data.card import CardSettings, write_card
from bimedix2.data.card.blocks import Section, Table, Text
from bimedix2.data.card.facts import gather
from bimedix2.data.card.licences import terms_of
from bimedix2.data.card.names import VALUES
from bimedix2.data.card.render import markdown, page
from bimedix2.data.card.words import TEXTS
from bimedix2.errors import ConfigError
from bimedix2.records import Step, write_jsonl

LRI, PDI = "\u2066", "\u2069"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("card")
    bf.built(bf.write_set(folder), folder / "out")
    return folder / "out"


def plain(folder: Path) -> Path:
    """Four pairs that no build made."""
    path = folder / "mix.jsonl"
    write_jsonl(path, [record for number in range(1, 5) for record in bf.pair(number)])
    return path


def halves(card: Path) -> tuple[str, str]:
    english, arabic = card.read_text(encoding="utf-8").split('<div dir="rtl" lang="ar">')
    return english, arabic.replace(LRI, "").replace(PDI, "")


class Page(HTMLParser):
    """Texts below each ``dir``; unbalanced tags are an error."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[tuple[str, str]] = []
        self.texts: dict[str, list[str]] = {"ltr": [], "rtl": []}
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "img"):
            inner = dict(attrs).get("dir") if tag == "section" else None
            self.open.append((tag, inner or (self.open[-1][1] if self.open else "")))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1][1]:
            self.texts[self.open[-1][1]].append(data)


def test_counts_by_hand(tmp_path: Path) -> None:
    assert write_card(plain(tmp_path), tmp_path / "card.md", CardSettings(plots=False)) == 8
    english, arabic = halves(tmp_path / "card.md")
    for line in (
        "| records | 8 |",
        "| English | 4 |",
        "| Arabic | 4 |",
        "| pairs in both languages | 4 |",
        "| different images | 4 |",
        "| xray | vqa | 4 | 4 | 8 |",
    ):
        assert line in english
    for line in ("| السجلات | 8 |", "| العربية | 4 |", "| أشعة سينية | سؤال عن الصورة | 4 | 4 | 8 |"):
        assert line in arabic


def test_a_plain_file_has_a_card_that_says_what_is_missing(tmp_path: Path) -> None:
    write_card(plain(tmp_path), tmp_path / "card.md", CardSettings(plots=False))
    english, arabic = halves(tmp_path / "card.md")
    assert "No build made this file" in english
    assert english.count("No report of this step was found: nothing is known.") == 5  # check, review, phi, dedup, tests
    assert arabic.count("لم يوجد تقرير لهذه الخطوة") == 5
    missing = next(line for line in english.splitlines() if "no report of it was found:" in line)
    assert all(name in missing for name in ("ingest", "review by people", "comparison with test sets", "mixing"))
    assert "No person has read" not in english  # nobody said so


def test_a_step_that_only_the_records_tell_of_is_said_so(tmp_path: Path) -> None:
    import msgspec

    step = Step(name="decontaminate", tool="bimedix2", version="0.9", note="compared with mmlu")
    records = [msgspec.structs.replace(record, provenance=(step,)) for record in bf.pair(1)]
    write_jsonl(tmp_path / "mix.jsonl", records)
    write_card(tmp_path / "mix.jsonl", tmp_path / "card.md", CardSettings(plots=False))
    english, _ = halves(tmp_path / "card.md")
    assert "The records say that this step was taken (2 of them); its report was not found." in english
    assert "| decontaminate | bimedix2 | 0.9 | 2 |" in english
    assert "comparison with test sets" not in next(line for line in english.splitlines() if "no report of it" in line)


def test_a_built_set_tells_of_its_steps(built: Path) -> None:
    english, arabic = halves(built / "11-card/card.md")
    assert "# Data card: small set" in english
    assert "# بطاقة البيانات: مجموعة صغيرة" in arabic
    assert "12 translations were compared with their originals by rules and lists; 1 (8.3%) failed" in english
    assert "| numbers | 1 |" in english
    assert "| الأعداد | 1 |" in arabic
    assert (
        "At least one source forbids commercial use, so the set as a whole is for non-commercial use: own." in english
    )
    assert "لغير الأغراض التجارية: own" in arabic
    assert "| review by people |" not in english
    assert "review by people" in next(line for line in english.splitlines() if "no report of it was found" in line)
    assert "1 records failed a translation check and are in the set." in english
    facts = gather(built)
    assert f"| records.jsonl | {facts.sha256} |" in english
    assert facts.stats.records == 40


def test_pictures_are_there_in_both_languages_and_named_beside(built: Path) -> None:
    names = set(re.findall(r"\]\((card\.\w+\.\w+\.png)\)", (built / "11-card/card.md").read_text(encoding="utf-8")))
    assert names == {f"card.{kind}.{language}.png" for kind in ("counts", "checks") for language in ("en", "ar")}
    for name in names:
        assert (built / "11-card" / name).read_bytes().startswith(b"\x89PNG")


def test_the_page_puts_each_language_in_its_own_direction(built: Path) -> None:
    found = Page((built / "11-card/card.html").read_text(encoding="utf-8"))
    arabic = re.compile(r"[\u0600-\u06ff]")
    assert not [text for text in found.texts["ltr"] if arabic.search(text)]
    assert sum(bool(arabic.search(text)) for text in found.texts["rtl"]) > 60
    assert "بطاقة البيانات: مجموعة صغيرة" in found.texts["rtl"]


def test_latin_in_arabic_lines_is_isolated_and_markup_of_data_is_only_text() -> None:
    sections = [
        Section("عنوان", [Text("قورنت بـ vqa_rad (dev) مع <b>10 mm</b>"), Table(("ا", "ب"), (("x|y", "1,000"),))])
    ]
    lines = markdown([("ar", sections)])
    assert f"{LRI}vqa\\_rad (dev){PDI}" in lines
    assert f"{LRI}x{PDI}\\|{LRI}y{PDI} | 1,000 |" in lines
    assert "|---|---:|" in lines
    html = page("t", [("ar", sections)])
    assert '<bdi dir="ltr">vqa_rad (dev)</bdi>' in html
    assert "<b>" not in html
    assert "<td class=n><bdi>1,000</bdi></td>" in html


@pytest.mark.parametrize(
    ("licence", "told"),
    [
        ("CC-BY-NC-ND-4.0", (True, True, False, False)),
        ("CC-BY-NC-SA-4.0", (True, False, True, False)),
        ("Open-i non-commercial, no derivatives", (True, True, False, False)),
        ("CC-BY-4.0", (False, False, False, False)),
        ("MIT", (False, False, False, False)),
        ("unknown", (False, False, False, True)),
    ],
)
def test_terms_by_name(licence: str, told: tuple[bool, ...]) -> None:
    assert terms_of(licence) == told


def test_every_text_has_both_languages_with_the_same_places() -> None:
    for english, arabic in TEXTS.values():
        assert sorted(re.findall(r"{(\w+)}", english)) == sorted(re.findall(r"{(\w+)}", arabic))
        assert english.isascii()
    assert all(re.search(r"[\u0600-\u06ff]", word) for word in VALUES.values())


@pytest.mark.parametrize(("lang", "word"), [("en", "holds no records"), ("ar", "لا سجلات")])
def test_an_empty_folder_is_refused(tmp_path: Path, lang: str, word: str) -> None:
    told = run_command("data", "card", str(tmp_path), "--out", str(tmp_path / "card.md"), lang=lang)
    assert told.exit_code == 2
    assert word in told.stderr
    with pytest.raises(ConfigError, match=r"\.md"):
        write_card(plain(tmp_path), tmp_path / "card.txt")


def test_the_command_takes_words_of_the_makers(tmp_path: Path) -> None:
    told = run_command(
        "data", "card", str(plain(tmp_path)), "--out", str(tmp_path / "c.md"), "--name", "Mine", "--name-ar", "لي",
        "--limit", "Small.", "--limit-ar", "صغيرة.", "--no-plots", lang="en",
    )  # fmt: skip
    assert told.exit_code == 0, told.output
    english, arabic = halves(tmp_path / "c.md")
    assert "# Data card: Mine" in english
    assert "- Small." in english
    assert "# بطاقة البيانات: لي" in arabic
    assert "- صغيرة." in arabic
