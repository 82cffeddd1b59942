"""The page in a real browser. Skips without one."""

from __future__ import annotations

import json
import os
import unicodedata
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import page_browser as pb
import pytest
from api_server import Running, running

from bimedix2.serve.engines.echo import EchoEngine
from bimedix2.text.bidi import block_direction, direction_of, ltr_runs

HERE = Path(__file__).parent
STRINGS: list[str] = json.loads((HERE / "page_strings.json").read_text(encoding="utf-8"))
XSS = [
    "<script>window.hit=1</script>", "<img src=x onerror='window.hit=1'>", "[x](javascript:window.hit=1)",
    "![x](http://127.0.0.1:9/?q=1)", "<iframe src='http://127.0.0.1:9/'></iframe>", "<svg onload=window.hit=1>",
    "`<b onmouseover=window.hit=1>`", "| <script>window.hit=1</script> | b |\n|---|---|\n| <a href=//x> | c |",
    "**<style>*{display:none}</style>**", "# <base href=http://127.0.0.1:9/>", "\u202egnp.exe\u202c http://127.0.0.1:9/",
]  # fmt: skip


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    program = pb.browser_program()
    with pb.chromium.Browser(program, tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("page"), EchoEngine()) as found:
        yield found


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[Running]:
    with running(tmp_path, EchoEngine(delay=0.1)) as found:
        yield found


def test_the_rules_of_direction_are_those_of_the_package(browser: Any, server: Running) -> None:
    pb.enter(browser, server)
    lines = [*STRINGS, "Chest CT صدر", "12 × 8", "(a (b) c", "Fig. 2 الشكل", "CT. MRI أشعة", "نعم a_b و 3 (x [y] z) t",
             "𐎠 α β قيمة", "É 5 µg لكل 1 dL", "السعر $5 و€7", "٣٫٥ mm ثم 3,5 mm", "> 5 و ≤ 10 %",
             "x" * 40 + " ن"]  # fmt: skip
    runs = pb.module(
        browser, "bidi.js",
        f"{json.dumps(lines)}.map((s) => m.ltrRuns(s, 'rtl').map(([a, b]) => s.slice(a, b)))",
    )  # fmt: skip
    assert runs == [[line[a:b] for a, b in ltr_runs(line, "rtl")] for line in lines]
    letters = [chr(n) for n in range(0x20, 0x10000) if unicodedata.category(chr(n)) in ("Lu", "Ll", "Lt", "Lm", "Lo")]
    found = pb.module(browser, "bidi.js", f"{json.dumps(letters)}.map((s) => m.directionOf(s, 'none'))")
    different = [hex(ord(c)) for c, d in zip(letters, found, strict=True) if d != direction_of(c, "none")]  # type: ignore[arg-type]
    assert different == []
    for base in ("rtl", "ltr"):
        blocks = [
            *lines,
            "ورم Grade II (BI-RADS 4)",
            "Grade II ورم دبقي",
            "**ورم** Grade II",
            "12 mm",
            "«CT scan» صورة",
        ]
        found = pb.module(browser, "bidi.js", f"{json.dumps(blocks)}.map((s) => m.blockDirection(s, '{base}'))")
        assert found == [block_direction(line, base) for line in blocks]


def test_measurements_read_from_left_to_right_in_arabic(browser: Any, server: Running) -> None:
    pb.enter(browser, server, "ar")
    pb.size(browser, 1280)
    for text in STRINGS:
        runs = ltr_runs(text, "rtl")
        assert runs, text
        places = pb.module(
            browser, "markdown.js",
            f"(() => {{ const b = m.element({{ kind: 'text', text: {json.dumps(text)} }}, 'rtl');"
            "document.getElementById('log').replaceChildren(b); const out = [];"
            "const w = document.createTreeWalker(b, NodeFilter.SHOW_TEXT); let n;"
            "while ((n = w.nextNode())) for (let i = 0; i < n.length; i++) { const r = document.createRange();"
            "r.setStart(n, i); r.setEnd(n, i + 1); const q = r.getClientRects()[0];"
            "out.push(q ? q.x : null); } return { dir: b.dir, out }; })()",
        )  # fmt: skip
        if direction_of(text) == "rtl":
            assert places["dir"] == "rtl", text
        assert len(places["out"]) == len(text)
        for start, end in runs:
            shown = [x for i in range(start, end) if text[i].strip() and (x := places["out"][i]) is not None]
            assert shown == sorted(shown), text
        if places["dir"] == "rtl" and len(runs) > 1:  # the runs themselves follow each other from right to left
            firsts = [places["out"][start] for start, _ in runs]
            assert firsts == sorted(firsts, reverse=True), text


def test_hostile_output_is_inert(browser: Any, server: Running) -> None:
    pb.enter(browser, server)
    for text in XSS:
        pb.ask(browser, text)
    assert browser.run("window.hit === undefined")
    inside = "document.querySelectorAll('.answer .text :is(script, img, a, iframe, svg, style, base)').length"
    assert browser.run(inside) == 0
    assert "\u202e" not in browser.run("document.getElementById('log').textContent")
    asked = {event["request"]["url"] for event in browser.told("Network.requestWillBeSent")}
    assert all(url.startswith((server.url, "blob:", "data:")) for url in asked)
    assert browser.told("Runtime.exceptionThrown") == []


def test_half_formed_arabic_never_shows_half_a_cluster(browser: Any, server: Running) -> None:
    pb.enter(browser, server, "ar")
    text = "## نتائج\n\nفَحْصٌ **مُهِمّ** بقياس 12 × 8 mm 👨‍⚕️"
    shown = pb.module(
        browser, "markdown.js",
        f"(() => {{ const p = document.createElement('div'); const d = new m.Drawing(p, 'rtl'); const out = [];"
        f"const s = {json.dumps(text)}; for (let i = 1; i <= s.length; i++) {{ d.draw(m.settled(s.slice(0, i)));"
        "out.push(p.textContent); } d.draw(s); return [...out, p.textContent, p.children.length]; })()",
    )  # fmt: skip
    *steps, last, blocks = shown
    assert blocks == 2
    assert "مُهِمّ" in last
    assert all("\ufffd" not in step for step in steps)
    assert "فَح" not in steps[text.index("ح")]  # ح may still get its mark, which the next step brings
    head = pb.module(
        browser, "markdown.js",
        "(() => { const p = document.createElement('div'); const d = new m.Drawing(p, 'rtl'); d.draw('أولا\\n\\nث');"
        "const first = p.firstChild; d.draw('أولا\\n\\nثم Latin words only'); return first === p.firstChild; })()",
    )  # fmt: skip
    assert head is True  # a finished block is left as it is


def test_plural_forms_and_digits(browser: Any, server: Running) -> None:
    pb.enter(browser, server, "ar")
    said = pb.module(browser, "words.js", "[0, 1, 2, 3, 11, 100].map((count) => m.t('queue', { count }))")
    words = json.loads((HERE.parents[1] / "src/bimedix2/serve/page/static/strings/ar.json").read_text("utf-8"))["queue"]
    forms = ("zero", "one", "two", "few", "many", "other")
    assert said == [words[f].replace("{count}", str(n)) for f, n in zip(forms, (0, 1, 2, 3, 11, 100), strict=True)]
    assert pb.module(browser, "words.js", "m.asciiDigits('−١٢٫٥ ۴٬۰۰۰')") == "-12.5 4000"
    with pytest.raises(AssertionError):
        pb.module(browser, "words.js", "m.t('no such text')")


def test_the_keyboard_alone_is_enough(browser: Any, slow: Running, tmp_path: Path) -> None:
    pb.size(browser, 1280)
    pb.enter(browser, slow, accept=False)
    focus = "document.activeElement.id"
    assert browser.run(focus) == "gate-yes"
    pb.press(browser, "Enter")
    pb.wait(browser, "document.body.dataset.ready === 'yes' && document.activeElement.id === 'question'")
    browser.call("Input.insertText", text="one two three four five six seven eight nine ten " * 8)
    pb.press(browser, "Enter")
    pb.wait(browser, "document.querySelector('.answer .text')?.textContent.includes('two')")
    pb.press(browser, "Escape")
    pb.wait(browser, "document.getElementById('send').dataset.t === 'send'")
    assert "Stopped" in browser.run("document.querySelector('.answer').innerText")
    pb.press(browser, "l", 1, "KeyL")
    assert browser.run("document.documentElement.lang + document.documentElement.dir") == "arrtl"
    pb.press(browser, "l", 1, "KeyL")
    pb.attach(browser, pb.dicom_file(tmp_path / "ct.dcm"))
    browser.run("document.querySelector('#tray .thumb').focus()")
    pb.press(browser, "Enter")
    pb.wait(browser, "document.getElementById('viewer-now').textContent.includes('40')")
    assert browser.run(focus) == "canvas"
    for key in ("ArrowUp", "ArrowRight"):
        pb.press(browser, key)
    assert browser.run("Number(document.getElementById('center').value) > 40") is True
    assert browser.run("Number(document.getElementById('width').value) > 400") is True


def test_the_canvas_shows_the_pixels_that_the_model_gets(browser: Any, server: Running, tmp_path: Path) -> None:
    pb.enter(browser, server)
    pb.attach(browser, pb.dicom_file(tmp_path / "ct.dcm"))
    browser.run("document.querySelector('#tray .thumb').click()")
    pb.wait(browser, "document.getElementById('viewer-now').textContent !== ''")
    browser.run(
        "for (const [n, v] of [['center', '٥٠'], ['width', '٢٠٠']]) { const e = document.getElementById(n);"
        "e.value = v; }; document.getElementById('width').dispatchEvent(new Event('change'))"
    )
    shown = browser.run(
        "[...document.getElementById('canvas').getContext('2d').getImageData(0, 5, 64, 1).data]"
        ".filter((_, i) => i % 4 == 0)"
    )
    browser.run("document.getElementById('use').click()")
    pb.wait(browser, "document.querySelector('#tray .view')?.textContent === 'Centre 50, width 200'")
    pb.ask(browser, "What is this?")
    assert browser.run("document.querySelector('.user .view').textContent") == "Centre 50, width 200"
    pb.wait(browser, "document.querySelector('.user img')?.naturalWidth === 64")
    sent = browser.run(
        "(() => { const c = document.createElement('canvas'); c.width = c.height = 64; const x = c.getContext('2d');"
        "x.drawImage(document.querySelector('.user img'), 0, 0);"
        "return [...x.getImageData(0, 5, 64, 1).data].filter((_, i) => i % 4 == 0); })()"
    )
    assert len(set(shown)) > 20
    assert sent == shown


def test_history_edit_and_composer_direction(browser: Any, server: Running) -> None:
    pb.enter(browser, server)
    pb.ask(browser, "ما حجم الورم 12 × 8 mm؟")
    assert browser.run("document.querySelector('.user p').dir") == "rtl"
    pb.wait(browser, "document.querySelectorAll('#conversations li').length > 0")
    browser.run("document.querySelector('.user .actions button').click()")
    pb.wait(browser, "document.getElementById('question').value.startsWith('ما')")
    assert browser.run("document.getElementById('question').dir") == "rtl"
    browser.run("document.querySelector('#conversations .entry').click()")
    pb.wait(browser, "document.querySelectorAll('#log .message').length === 2")
    browser.run("[...document.querySelectorAll('.answer .actions button')].at(-1).click()")
    pb.wait(browser, "document.getElementById('send').dataset.t === 'send'")
    assert browser.run("document.querySelectorAll('#log .message').length") == 2
    assert "Research use only" in browser.run("document.querySelector('.answer .research').textContent")


def axe_source() -> str:
    path = Path(os.environ.get("BIMEDIX2_AXE", "/nonexistent"))
    if path.is_file():
        return path.read_text(encoding="utf-8")
    package = find_spec("axe_core_python")  # of the extra dev; it brings axe 4.4
    if package is None or package.origin is None:
        pytest.skip("no axe-core: set BIMEDIX2_AXE to its axe.min.js or install axe-core-python")
    return Path(package.origin).with_name("axe.min.js").read_text(encoding="utf-8")


@pytest.mark.parametrize("width", [320, 360, 1280])
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("language", ["en", "ar"])
def test_axe_finds_nothing(
    browser: Any, server: Running, tmp_path: Path, language: str, theme: str, width: int
) -> None:
    source = axe_source()
    pb.size(browser, width)
    pb.enter(browser, server, language, theme=theme)
    browser.call("Runtime.evaluate", expression=source)
    run = (
        "axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa', 'best-practice'] }).then((r) =>"
        "(r.passes.length < 5 ? ['nothing ran'] : [])"
        ".concat(r.violations.map((v) => v.id + ': ' +"
        "v.nodes.map((n) => n.target + ' ' + n.failureSummary).join('; '))))"
    )
    pb.ask(browser, "## قياس\n\n**12 × 8 mm**\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n`x`")
    assert browser.run(run) == []
    pb.attach(browser, pb.dicom_file(tmp_path / "ct.dcm"))
    pb.ask(browser, "I want to kill myself")
    pb.attach(browser, pb.dicom_file(tmp_path / "ct.dcm"))
    assert browser.run("document.querySelectorAll('.emergency:not([hidden])').length") == 1
    assert browser.run(run) == []
    assert browser.run("document.documentElement.scrollWidth <= innerWidth") is True
    browser.run("document.querySelector('#tray .thumb').click()")
    pb.wait(browser, "document.getElementById('viewer-now').textContent !== ''")
    assert browser.run(run) == []
    for closed, opened in (("viewer", "settings"), ("settings", "export")):
        browser.run(f"document.getElementById('{closed}').close(); document.getElementById('{opened}-open').click()")
        assert browser.run(run) == []
