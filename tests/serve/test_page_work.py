"""What people do on the page: pictures, copying, exports, digits, stopping, history, deleting."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import page_browser as pb
import pytest
from api_server import Running, png, running
from PIL import Image

from bimedix2.serve.engines.echo import EchoEngine
from bimedix2.text.bidi import isolate_ltr


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    program = pb.browser_program()
    with pb.chromium.Browser(program, tmp_path_factory.mktemp("profile")) as opened:
        pb.size(opened, 1280)
        yield opened


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("work"), EchoEngine()) as found:
        yield found


def open_viewer(browser: Any) -> None:
    browser.run("document.querySelector('#tray .thumb').click()")
    pb.wait(browser, "document.getElementById('viewer-now').textContent !== ''")


def row(browser: Any, line: int = 5) -> list[int]:
    """Grey values of a line of the canvas."""
    return list(
        browser.run(
            f"[...document.getElementById('canvas').getContext('2d').getImageData(0, {line}, 64, 1).data]"
            ".filter((_, i) => i % 4 == 0)"
        )
    )


def test_a_drag_changes_the_window(browser: Any, server: Running, tmp_path: Path) -> None:
    pb.enter(browser, server)
    pb.attach(browser, pb.dicom_file(tmp_path / "ct.dcm"))
    open_viewer(browser)
    box = browser.run("(({ x, y, width, height }) => [x + width / 2, y + height / 2])("
                      "document.getElementById('canvas').getBoundingClientRect())")  # fmt: skip
    before = row(browser)
    pb.drag(browser, box, (40, -20))  # to the right: wider; up: a higher centre
    centre, width = (float(browser.run(f"document.getElementById('{name}').value")) for name in ("center", "width"))
    step = (304 - -200) / 200  # the file's values end at -200 and 304
    assert centre == pytest.approx(40 + 20 * step, rel=1e-4)
    assert width == pytest.approx(400 + 40 * step, rel=1e-4)
    assert row(browser) != before
    pb.drag(browser, box, (0, 0))
    assert float(browser.run("document.getElementById('width').value")) == width


def test_frames_of_a_file(browser: Any, server: Running, tmp_path: Path) -> None:
    pb.enter(browser, server, "ar")
    pb.attach(browser, pb.dicom_file(tmp_path / "cine.dcm", frames=3))
    open_viewer(browser)
    assert "الإطار 1 من 3" in browser.run("document.getElementById('viewer-now').textContent")
    browser.run("(() => { const f = document.getElementById('frame'); for (const v of [1, 2, 1, 2]) {"
                "f.value = v; f.dispatchEvent(new Event('input')); } })()")  # fmt: skip
    pb.wait(browser, "document.getElementById('viewer-now').textContent.includes('الإطار 3 من 3')")
    last = row(browser)
    browser.run("document.getElementById('use').click()")
    pb.wait(browser, "document.querySelector('#tray .view')?.textContent.includes('الإطار 3')")
    pb.ask(browser, "صف الإطار")
    assert "frame=2" in browser.run("import(document.querySelector('script[type=module]').src.replace('app', 'chat'))"
                                    ".then((m) => m.talk.messages[0].content[1].image_url.url)")  # fmt: skip
    pb.wait(browser, "document.querySelector('.user img')?.naturalWidth === 64")
    assert last == list(np.asarray(Image.open(io.BytesIO(sent_picture(browser, server))).convert("L"))[5])


def sent_picture(browser: Any, server: Running) -> bytes:
    url = browser.run("import(document.querySelector('script[type=module]').src.replace('app', 'chat'))"
                      ".then((m) => m.talk.messages[0].content[1].image_url.url)")  # fmt: skip
    name, _, query = url.removeprefix("upload:").partition("?")
    return server.client.get(f"/v1/uploads/{name}/image?{query}").content


def test_a_picture_of_sixteen_bits_has_windows(browser: Any, server: Running, tmp_path: Path) -> None:
    ramp = np.tile(np.linspace(1000, 5000, 64).astype(np.uint16), (64, 1))
    Image.fromarray(ramp).save(tmp_path / "deep.png")
    pb.enter(browser, server)
    pb.attach(browser, tmp_path / "deep.png")
    open_viewer(browser)
    assert browser.run("document.getElementById('levels').hidden") is False
    whole = row(browser)
    assert whole[0] < 30 and whole[-1] > 225  # the automatic window shows nearly all
    browser.run("(() => { for (const [n, v] of [['center', '2000'], ['width', '500']])"
                "document.getElementById(n).value = v;"
                "document.getElementById('width').dispatchEvent(new Event('change'));"
                "document.getElementById('use').click(); })()")  # fmt: skip
    pb.wait(browser, "document.querySelector('#tray .view')?.textContent === 'Centre 2000, width 500'")
    pb.ask(browser, "What is this?")
    shown = np.asarray(Image.open(io.BytesIO(sent_picture(browser, server))).convert("L"))[5]
    wanted = np.clip((ramp[5].astype(float) - 1999.5) / 499 + 0.5, 0, 1) * 255  # DICOM PS3.3 C.11.2.1.2.1
    assert np.abs(shown - wanted).max() <= 0.5


def test_modality_and_presets_are_words_of_the_language(browser: Any, server: Running, tmp_path: Path) -> None:
    for language, word, preset in (("en", "CT · 64 × 64", "Window 1 of the file"),
                                   ("ar", "تصوير مقطعي محوسب · 64 × 64", "نافذة الملف 1")):  # fmt: skip
        pb.enter(browser, server, language)
        pb.attach(browser, pb.dicom_file(tmp_path / "ct.dcm"))
        assert browser.run("document.querySelector('#tray .hint').textContent") == word
        open_viewer(browser)
        assert browser.run("document.getElementById('preset').selectedOptions[0].textContent") == preset


def test_a_copy_is_what_a_reader_sees(browser: Any, server: Running) -> None:
    pb.enter(browser, server, "ar")
    browser.run("window.copied = null; Object.defineProperty(navigator, 'clipboard', { configurable: true, "
                "value: { writeText: async (text) => { window.copied = text; } } })")  # fmt: skip
    pb.ask(browser, "قياس\n\n## النتائج\n\nحجم **العقدة** 12 × 8 mm\n\n- أولا `x`\n- BP 120/80\n\n1. واحد\n\n"
                    "| الطول | القيمة |\n|---|---|\n| **أ** | 5 |")  # fmt: skip
    browser.run("document.querySelector('.answer .actions button').click()")
    pb.wait(browser, "window.copied !== null")
    wanted = ("سألت: قياس\n\nالنتائج\n\nحجم العقدة 12 × 8 mm\n\n• أولا x\n• BP 120/80\n\n1. واحد\n\n"
              "الطول\tالقيمة\nأ\t5")  # fmt: skip
    copied = browser.run("window.copied")
    assert copied.replace("\u2066", "").replace("\u2069", "") == wanted
    line = "حجم العقدة 12 × 8 mm"
    assert isolate_ltr(line, "rtl") in copied  # other programs keep the measurement in order too
    assert "\u2066" in isolate_ltr(line, "rtl")


def test_a_block_of_an_arabic_answer_that_begins_in_arabic_stays_arabic(browser: Any, server: Running) -> None:
    pb.enter(browser, server, "ar")
    for text, fallback, wanted in (
        ("نتيجة PSA 4.5 ng/mL", "rtl", "rtl"),  # more Latin letters than Arabic ones
        ("نتيجة PSA 4.5 ng/mL", "ltr", "ltr"),
        ("PSA was 4.5, سليم", "rtl", "ltr"),
        ("CT للصدر مع التباين", "rtl", "rtl"),
        ("12 × 8", "rtl", "rtl"),
    ):
        made = f"m.element({{ kind: 'text', text: {json.dumps(text)} }}, '{fallback}').dir"
        assert pb.module(browser, "markdown.js", made) == wanted, (text, fallback)


def test_questions_and_titles_have_no_marks(browser: Any, server: Running) -> None:
    pb.enter(browser, server)
    pb.ask(browser, "## Findings\n\nA **bold** lump.\n\n- one")
    assert browser.run("document.querySelector('.user .text').innerText").split() == [
        "Findings", "A", "bold", "lump.", "one",
    ]  # fmt: skip
    pb.wait(browser, "document.querySelector('#conversations .entry')?.textContent.startsWith('Findings')")
    assert browser.run("document.querySelector('#conversations .entry').textContent") == "Findings A bold lump. • one"
    for width in (360, 1280):
        pb.size(browser, width)
        assert browser.run("(({ scrollWidth, clientWidth }) => scrollWidth <= clientWidth)"
                           "(document.getElementById('history'))")  # fmt: skip


def test_dates_of_the_arabic_page_keep_their_order(browser: Any, server: Running) -> None:
    pb.enter(browser, server, "ar")
    said = pb.module(browser, "words.js", "m.when(Date.UTC(2026, 10, 5, 12) / 1000)")
    assert said.startswith("5 نوفمبر 2026")
    said = pb.module(browser, "words.js", "(m.choose('ar', true), m.when(Date.UTC(2026, 10, 5, 12) / 1000))")
    assert said.startswith("٥ نوفمبر ٢٠٢٦")


def test_arabic_digits_are_a_setting(browser: Any, server: Running) -> None:
    pb.enter(browser, server, "ar")
    pb.ask(browser, "عدد الآفات 12 وحجمها 8 mm")
    text = "document.querySelector('.answer .text').textContent"
    assert browser.run(text).endswith("عدد الآفات 12 وحجمها 8 mm")
    browser.run("document.getElementById('settings-open').click(); document.getElementById('set-digits').click()")
    assert browser.run(text).endswith("عدد الآفات ١٢ وحجمها 8 mm")  # a measurement stays as it was written
    browser.run("document.getElementById('settings').close()")
    browser.open(f"{server.url}/")
    pb.wait(browser, "document.body.dataset.ready === 'yes'")
    assert browser.run("document.getElementById('set-digits').checked || JSON.parse("
                       "localStorage.getItem('bimedix2-settings')).digits") is True  # fmt: skip


@pytest.mark.parametrize(("form", "name"), [("markdown", "md"), ("docx", "docx"), ("pdf", "pdf"), ("fhir", "json")])
def test_an_export_arrives(browser: Any, server: Running, tmp_path: Path, form: str, name: str) -> None:
    pb.enter(browser, server, "ar")
    pb.ask(browser, "ما حجم العقدة؟")
    browser.call("Page.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    browser.run(
        f"document.getElementById('export-open').click(); document.querySelector('[data-format={form}]').click()"
    )
    pb.wait(browser, "!document.getElementById('export').open")
    file = tmp_path / f"bimedix2-conversation.{name}"
    assert server.until(lambda: file.is_file() and not list(tmp_path.glob("*.crdownload")))
    data = file.read_bytes()
    if form == "docx":
        data = zipfile.ZipFile(io.BytesIO(data)).read("word/document.xml")
    if form == "pdf":
        assert data.startswith(b"%PDF-")
    elif form == "fhir":
        assert json.loads(data)["resourceType"] in ("DiagnosticReport", "Bundle")
    else:
        assert "ما حجم العقدة" in data.decode()


def test_stop_ends_the_work_of_the_engine(browser: Any, tmp_path: Path) -> None:
    engine = EchoEngine(delay=0.2)
    with running(tmp_path, engine) as server:
        pb.enter(browser, server)
        pb.ask(browser, "one two three " * 100, finish=False)
        pb.wait(browser, "document.querySelector('.answer .text').textContent.includes('two')")
        assert engine.state().running == 1
        browser.run("document.getElementById('send').click()")
        assert server.until(lambda: engine.state().running == 0)
        pb.wait(browser, "document.querySelector('.answer').innerText.includes('Stopped')")


def test_history_after_a_reload_shows_pictures(browser: Any, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png())
    with running(tmp_path / "s", EchoEngine()) as server:
        pb.enter(browser, server)
        pb.attach(browser, tmp_path / "a.png", pb.dicom_file(tmp_path / "ct.dcm"))
        pb.ask(browser, "Compare")
        pb.wait(browser, "document.querySelectorAll('#conversations .entry').length === 1")
        browser.open(f"{server.url}/")
        pb.wait(browser, "document.querySelectorAll('#conversations .entry').length === 1")
        browser.run("document.querySelector('#conversations .entry').click()")
        pb.wait(browser, "[...document.querySelectorAll('.user img')].filter((i) => i.naturalWidth).length === 2")
        names = browser.run("[...document.querySelectorAll('.user figcaption bdi')].map((e) => e.textContent)")
        assert names == ["a.png", "ct.dcm"]
        assert browser.run("document.querySelectorAll('.user .view')[1].textContent") == "Centre 40, width 400"


def test_all_data_is_deleted_after_a_second_press(browser: Any, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png())
    with running(tmp_path / "s", EchoEngine()) as server:
        pb.enter(browser, server, "ar")
        pb.attach(browser, tmp_path / "a.png")
        pb.ask(browser, "ما هذا؟")
        pb.wait(browser, "document.querySelectorAll('#conversations .entry').length === 1")
        [kept] = server.client.get("/v1/conversations").json()["data"]
        content = server.client.get(f"/v1/conversations/{kept['id']}").json()["messages"][0]["content"]
        upload = content[1]["image_url"]["url"].removeprefix("upload:").partition("?")[0]
        browser.run("document.getElementById('settings-open').click(); document.getElementById('forget').click()")
        assert "حذف كل شيء" in browser.run("document.getElementById('forget').textContent")
        assert server.client.get(f"/v1/uploads/{upload}").status_code == 200
        browser.run("document.getElementById('forget').click()")
        pb.wait(browser, "!document.getElementById('settings').open")
        pb.wait(browser, "document.querySelectorAll('#conversations .entry, .message').length === 0")
        assert server.client.get("/v1/conversations").json()["data"] == []
        assert server.client.get(f"/v1/uploads/{upload}").status_code == 404
