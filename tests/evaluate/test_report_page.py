"""report.html: what it says against results.json, what it loads (nothing), and hostile content."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from report_html import Page
from report_run import (
    ANSWERS,
    BROKEN,
    HOSTILE_MODEL,
    HOSTILE_PROMPT,
    LONG_REPLY,
    MISSING,
    make_run,
    result_row,
)
from report_run import results as handmade

from bimedix2.evaluate.report.content import overview
from bimedix2.evaluate.report.page import write_report
from bimedix2.evaluate.report.samples import block, visible
from bimedix2.evaluate.report.strings import TEXTS
from bimedix2.notice import NOTICE_AR, NOTICE_EN

URL_ATTRIBUTES = {"src", "href", "srcset", "action", "data", "poster", "background", "xlink:href", "formaction"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("page")
    make_run(root, root / "run")
    write_report([root / "run"], root)
    return root / "run"


@pytest.fixture(scope="module")
def results(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    return content


@pytest.fixture(scope="module")
def source(folder: Path) -> str:
    return (folder / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(source: str) -> Page:
    return Page(source)


@pytest.fixture(scope="module")
def data(page: Page) -> dict[str, Any]:
    (island, _) = page.text["script"]
    content: dict[str, Any] = json.loads(island)
    return content


def sample(data: dict[str, Any], task: str, language: str, name: str) -> dict[str, Any]:
    (found,) = [s for s in data["samples"] if (s["task"], s["language"], s["id"]) == (task, language, name)]
    return dict(found)


def reply(found: dict[str, Any], condition: str = "model") -> dict[str, Any]:
    return next(dict(item) for item in found["replies"] if item["condition"] == condition)


# --- figures ---------------------------------------------------------------------------------------------------------


def test_the_overview_says_what_the_results_say(page: Page, results: dict[str, Any]) -> None:
    heads, *lines = page.table("Task", "Language", "Split")
    rows = [row for row in results["rows"] if row["condition"] == "model"]
    assert len(lines) == len(rows)
    for line, row in zip(lines, rows, strict=True):
        metric = row["metrics"][row["headline"]]
        shown = f"{metric['value']:.3f} [{metric['low']:.3f}, {metric['high']:.3f}]"
        assert line[heads.index("Model")].replace("\N{NO-BREAK SPACE}", " ") == shown
        assert line[heads.index("Errors")] == str(row["errors"])
    # Known by construction: the missing image is one error in each language.
    assert [line[heads.index("Errors")] for line in lines if line[0] == "ROCOv2 modality"] == ["1", "1"]


def test_every_metric_of_every_row_is_on_the_page(page: Page, results: dict[str, Any]) -> None:
    tables = [table for table in page.tables if table[0][:2] == ["Metric", "Model"]]
    rows = [row for row in results["rows"] if row["condition"] == "model"]
    assert len(tables) == len(rows)
    for table, row in zip(tables, rows, strict=True):
        known = [metric for metric in row["metrics"].values() if metric["value"] is not None]
        shown = [line[1].split(" ")[0] for line in table[1:]]
        assert [f"{metric['value']:.3f}" for metric in known] == [text for text in shown if text != "–"]


def test_a_mode_without_the_headline_shows_its_first_figure() -> None:
    found = handmade(
        result_row("vqa_rad", "corrected", {"mean": 0.5, "f1": 0.4}, headline="mean", family="vqa"),
        result_row("vqa_rad", "other", {"mean": None, "f1": 0.25}, headline="mean", family="vqa"),
    )
    for row in found["rows"]:
        row |= {"unparsed": 0, "refused": 0, "errors": 0}
    _, (usual, other) = overview(found)
    assert (usual["metric"]["en"], usual["cells"]["model"]) == ("Mean", "0.500")
    assert (other["metric"]["en"], other["cells"]["model"]) == ("F1", "0.250")


def test_controls_and_languages_are_compared_in_tables_of_their_own(page: Page, results: dict[str, Any]) -> None:
    gap = page.table("Task", "Mode", "Figure", "English", "Arabic")
    assert [line[0] for line in gap[1:]] == ["VQA-RAD", "ROCOv2 modality"]
    headlines = {row["task"]: row["headline"] for row in results["rows"]}
    found = [row for row in results["comparisons"] if row["metric"] == headlines[row["task"]]]
    controls = page.table("Task", "Language", "Mode", "Figure", "First", "Second")
    assert len(controls) - 1 == sum(row["kind"] == "control" for row in found)


def test_table_5_stands_as_in_the_paper_with_our_column(page: Page, results: dict[str, Any]) -> None:
    heads, *lines = next(table for table in page.tables if table[0][1:3] == ["RadFM", "LLaVA-Med"])
    assert len(lines) == 19
    assert lines[0][:3] == ["VQA-RAD", "BLEU-1", "0.475"]
    assert lines[6][0] == "SLAKE"
    # The heading over two columns counts once in the heading row.
    own = next(place for place, head in enumerate(heads) if "this run" in head)
    (row,) = (
        r
        for r in results["rows"]
        if (r["task"], r["language"], r["mode"], r["condition"]) == ("vqa_rad", "en", "multimedeval", "model")
    )
    assert lines[0][own + 1] == f"{row['metrics']['bleu1']['value']:.3f}"
    assert lines[1][own] == f"{row['metrics']['closed_accuracy']['value']:.3f}"


def test_charts_exist_in_both_languages(page: Page) -> None:
    pictures = [values for tag, values in page.elements if tag == "svg"]
    assert len(pictures) % 2 == 0
    labels = [values["aria-label"] for values in pictures]
    assert any("Without image" in label for label in labels)
    assert any("بلا صورة" in label for label in labels)
    titles = " ".join(page.text["span"])
    for wanted in ("BiMed-MBench, English (relative score)", "BiMed-MBench بالعربية (الدرجة النسبية)"):
        assert wanted in titles


# --- samples ---------------------------------------------------------------------------------------------------------


def test_every_sample_has_prompt_reference_replies_and_scores(data: dict[str, Any], folder: Path) -> None:
    assert len(data["samples"]) == 2 * 8 + 2 * 6 + 6
    found = sample(data, "vqa_rad", "ar", "v3")
    assert found["prompt"] == {"text": "أي عضو 3؟", "dir": "rtl"}
    assert found["reference"]["text"] == ANSWERS["ar"][1]
    assert {item["condition"] for item in found["replies"]} == {"model", "blind", "shuffled", "majority", "lookup"}
    assert reply(found)["score"] == ["open_accuracy", 1.0]
    assert reply(found, "blind")["text"]["text"] == "لا"
    assert reply(found, "blind")["score"] == ["open_accuracy", 0.0]
    rows = (folder / "vqa_rad" / "ar" / "scored-corrected.jsonl").read_text(encoding="utf-8").splitlines()
    (scored,) = [row for row in map(json.loads, rows) if row["id"] == "v3"]
    assert reply(found)["scores"]["corrected"] == {k: v for k, v in scored["values"].items() if v is not None}


def test_flags_follow_the_scores(data: dict[str, Any]) -> None:
    flags = ("correct", "wrong", "unparsed", "refused", "error")

    def of(task: str, language: str, name: str) -> set[str]:
        found = sample(data, task, language, name)
        return {flag for flag in flags if found[flag]}

    assert of("vqa_rad", "en", "v0") == {"wrong"}
    assert of("vqa_rad", "en", "v2") == {"correct"}
    assert of("vqa_rad", "ar", "v2") == {"wrong"}
    for language in ("en", "ar"):
        assert "refused" in of("vqa_rad", language, "v1")
        assert of("rocov2_modality", language, "r3") == {"wrong", "unparsed", "error"}
        assert of("rocov2_modality", language, "r4") == {"wrong", "unparsed"}
    assert of("mmlu_anatomy", "en", "0") == {"correct"}
    assert of("mmlu_anatomy", "en", "5") == {"wrong"}


def test_option_scores_show_a_line_for_each_option(data: dict[str, Any]) -> None:
    assert reply(sample(data, "mmlu_anatomy", "en", "0"))["text"]["text"] == "A: -1.000\nB: -0.500"
    assert reply(sample(data, "mmlu_anatomy", "en", "0"), "majority")["text"]["text"] == "B"


def test_thumbnails_are_small_copies_of_the_images(data: dict[str, Any]) -> None:
    assert set(data["images"]) == {"0.png", "1.png", "2.png"}
    kind, _, encoded = data["images"]["0.png"].partition(",")
    assert kind == "data:image/jpeg;base64"
    assert Image.open(io.BytesIO(base64.b64decode(encoded))).size == (60, 40)
    assert set(data["image_errors"]) == {MISSING, BROKEN}


def test_the_shuffled_reply_names_the_image_it_was_asked_with(data: dict[str, Any]) -> None:
    found = sample(data, "vqa_rad", "en", "v0")
    (other,) = reply(found, "shuffled")["images"]
    assert [other] != found["images"]
    assert other in data["images"]
    assert reply(found)["images"] == []


def test_limits_hold_and_are_said(folder: Path, tmp_path: Path) -> None:
    path, _ = write_report([folder], folder.parent, samples=2, images=1)
    try:
        text = path.read_text(encoding="utf-8")
        content = json.loads(Page(text).text["script"][0])
        assert len(content["samples"]) == 2 * 2 + 2 * 2 + 2
        assert len(content["images"]) == 1
        assert TEXTS["only_some"][0] in unescape(text)
    finally:
        write_report([folder], folder.parent)


# --- safe and offline ------------------------------------------------------------------------------------------------


def test_nothing_is_loaded_from_anywhere(page: Page, source: str) -> None:
    for tag, values in page.elements:
        for name in URL_ATTRIBUTES & set(values):
            assert values[name].startswith(("#", "data:")), (tag, name, values[name])
    (style,) = page.text["style"]
    assert "url(" not in style
    assert "@import" not in style
    policy = next(v["content"] for t, v in page.elements if v.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")
    assert "http" not in policy
    script = page.text["script"][1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert not re.search(r"\b(fetch|XMLHttpRequest|WebSocket|import|innerHTML|insertAdjacentHTML|eval)\b", script)
    assert source.startswith("<!doctype html>")


def test_hostile_content_stays_text(page: Page, data: dict[str, Any], source: str) -> None:
    assert [tag for tag, _ in page.elements].count("script") == 2
    assert "img" not in {tag for tag, _ in page.elements}
    assert not [name for _, values in page.elements for name in values if name.startswith("on")]
    assert "\u202e" not in source
    shown = sample(data, "rocov2_modality", "en", "r5")["prompt"]["text"]
    assert shown == HOSTILE_PROMPT.replace("\u202e", "⟨U+202E⟩")
    assert HOSTILE_MODEL not in source
    assert any("<b>m|odel</b>" in text for text in page.text["bdi"])


def test_very_long_replies_are_cut_and_counted(data: dict[str, Any]) -> None:
    found = reply(sample(data, "rocov2_modality", "en", "r4"))["text"]
    assert len(found["text"]) == 8000
    assert found["more"] == len(LONG_REPLY) - 8000


def test_hidden_directions_and_control_characters_are_made_visible() -> None:
    assert visible("a\u202eb\x00\x1b\n\tc") == "a⟨U+202E⟩b␀␛\n\tc"
    assert visible("\u200eحجم\u200f") == "حجم"
    # In a right-to-left block a measurement is isolated, so that it reads 12 × 8 mm.
    measured = block("حجم الورم 12 × 8 mm")
    assert measured == {"text": "حجم الورم \u206612 × 8 mm\u2069", "dir": "rtl"}
    assert block("Tumour 12 × 8 mm") == {"text": "Tumour 12 × 8 mm", "dir": "ltr"}


# --- both languages --------------------------------------------------------------------------------------------------


def test_the_page_opens_in_either_language(folder: Path) -> None:
    for language, direction in (("ar", "rtl"), ("en", "ltr")):
        path, _ = write_report([folder], folder.parent, language=language)  # type: ignore[arg-type]
        tag, values = next(item for item in Page(path.read_text(encoding="utf-8")).elements if item[0] == "html")
        assert (tag, values["lang"], values["dir"]) == ("html", language, direction)


def test_every_text_stands_there_in_both_languages(page: Page) -> None:
    spans = [values for tag, values in page.elements if tag == "span" and values.get("class") in ("en", "ar")]
    assert [s["class"] for s in spans].count("en") == [s["class"] for s in spans].count("ar") > 100
    assert NOTICE_EN in page.text["span"]
    assert NOTICE_AR in page.text["span"]
    assert TEXTS["language_switch"] == ("العربية", "English")  # the button names the other language
    for key, (english, arabic) in TEXTS.items():
        if key != "language_switch":
            assert re.search("[A-Za-z]", english), key
            assert re.search("[\u0600-\u06ff]", arabic), key


def test_controls_have_names_and_tables_have_headings(page: Page) -> None:
    for tag, values in page.elements:
        if tag in ("select", "input"):
            assert values["data-en-label"]
            assert re.search("[\u0600-\u06ff]", values["data-ar-label"])
        if tag == "th":
            assert values["scope"] in ("col", "row", "rowgroup")
    shown = {v["value"] for t, v in page.elements if t == "option" and v.get("data-en")}
    assert {"", "en", "ar", "correct", "wrong", "unparsed", "refused", "error", "vqa_rad"} <= shown
