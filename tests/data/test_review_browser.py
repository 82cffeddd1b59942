"""The review page in a real browser: both languages, keyboard, highlights, zoom, phone. Skips without one."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import review_files as rf

from bimedix2.data.review.desk import Said
from bimedix2.data.review.intake import Sources, start
from bimedix2.data.review.server import ReviewServer
from bimedix2.data.review.web import page_file

sys.path.append(str(Path(__file__).resolve().parents[1] / "evaluate"))
import chromium

KEYS = {"Escape": 27, "Enter": 13, "Tab": 9}


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[chromium.Browser]:
    program = chromium.find()
    if program is None:
        pytest.skip(f"no browser: none of {', '.join(chromium.NAMES)} is installed")
    with chromium.Browser(program, tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ReviewServer]:
    images = (rf.picture(tmp_path),)
    checks = tmp_path / "checks.jsonl"
    rows = [{"id": f"set:{n}:ar", "failed": ["numbers", "length"], "findings": [rf.finding()]} for n in range(1, 6)]
    checks.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    start(tmp_path / "ws", Sources([rf.write_pairs(tmp_path, 5, images=images)], (), [checks]), rf.TWO_READERS)
    roles: dict[str, Any] = {"amal": "reviewer", "basim": "reviewer", "dalia": "adjudicator"}
    with ReviewServer(tmp_path / "ws", roles, tmp_path) as running:
        yield running


def wait(browser: chromium.Browser, condition: str) -> None:
    """Until an expression is true; fails after a minute, for other work may hold the machine up."""
    end = time.monotonic() + 60
    while not browser.run(condition):
        assert time.monotonic() < end, condition
        time.sleep(0.02)


def enter(browser: chromium.Browser, server: ReviewServer, name: str, language: str = "en") -> None:
    """Open a reviewer's link in a language, with fresh settings."""
    browser.open(server.links()[name])
    browser.run(f"localStorage.clear(); localStorage.setItem('bimedix2-review-language', '{language}')")
    browser.open(f"http://127.0.0.1:{server.port}/")
    wait(browser, "!!document.querySelector('.texts, .done')")


def press(browser: chromium.Browser, code: str, key: str, **more: Any) -> None:
    """A key by its place on the keyboard and by what it types."""
    number = KEYS.get(key, 0)
    text = {"text": key} if len(key) == 1 else {"text": "\r"} if key == "Enter" else {}
    for kind, extra in (("keyDown", text), ("keyUp", {})):
        browser.call(
            "Input.dispatchKeyEvent", type=kind, code=code, key=key, windowsVirtualKeyCode=number, **extra, **more
        )


def item(browser: chromium.Browser) -> str:
    return str(browser.run("document.querySelector('.facts bdi')?.innerText || 'done'"))


def log(server: ReviewServer) -> list[str]:
    return [entry.action for entry in server.workspace.entries()]


def test_it_opens_without_an_error_asks_nobody_else_and_hides_the_token(
    browser: chromium.Browser, server: ReviewServer
) -> None:
    enter(browser, server, "amal")
    wait(browser, "document.querySelector('img').naturalWidth === 90")
    assert browser.told("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded") == []
    own = f"http://127.0.0.1:{server.port}/"
    asked = {event["request"]["url"] for event in browser.told("Network.requestWillBeSent")}
    assert asked
    assert all(url.startswith(own) for url in asked)
    assert browser.run("location.href") == own
    assert browser.run("document.cookie") == ""
    assert browser.run("fetch('http://127.0.0.1:9/').then(() => 'sent', () => 'refused')") == "refused"
    assert "token" not in browser.run("document.documentElement.innerHTML")


@pytest.mark.parametrize("language", ["en", "ar"])
def test_both_sides_run_their_own_way_in_both_interfaces(
    browser: chromium.Browser, server: ReviewServer, language: str
) -> None:
    enter(browser, server, "amal", language)
    direction = {"en": "ltr", "ar": "rtl"}[language]
    assert (
        browser.run("[document.documentElement.lang, document.documentElement.dir].join()") == f"{language},{direction}"
    )
    for side, expected in (("en", "ltr"), ("ar", "rtl")):
        found = browser.run(
            f"[...document.querySelectorAll('.turn.{side} .line')].map((p) => getComputedStyle(p).direction).join()"
        )
        assert found == ",".join([expected] * 3)
    isolated = browser.run("[...document.querySelectorAll('.turn.ar bdi')].map((b) => b.dir + b.innerText).join('|')")
    assert "x 8 mm" in isolated
    assert isolated.startswith("ltr")
    # The measurement reads from left to right: its number stands left of its unit.
    at = (
        "(() => { const node = document.querySelector('.turn.ar bdi mark').firstChild; "
        "const r = document.createRange(); "
        "const x = (i) => { r.setStart(node, i); r.setEnd(node, i + 1); return r.getBoundingClientRect().left; }; "
        "return [x(0), x(node.length - 1)]; })()"
    )
    first, last = browser.run(at)
    assert first < last
    titles = {"en": "Translation review", "ar": "مراجعة الترجمة"}
    assert browser.run("document.querySelector('h1').innerText") == titles[language]
    found = browser.run("document.querySelector('.findings').innerText")
    assert ("The number differs." in found, "الرقم مختلف." in found) == (language == "en", language == "ar")
    assert "length" in found
    marks = browser.run("[...document.querySelectorAll('.texts mark')].map((m) => m.innerText.replace(/\\s+/g, ' '))")
    assert len(marks) == 2
    assert all("x 8 mm" in mark and mark.rstrip().endswith("1") for mark in marks)


def test_the_language_can_be_changed_without_losing_the_item(browser: chromium.Browser, server: ReviewServer) -> None:
    enter(browser, server, "amal")
    before = item(browser)
    browser.run("document.getElementById('switch').click()")
    assert browser.run("document.documentElement.dir") == "rtl"
    assert item(browser) == before
    browser.open(f"http://127.0.0.1:{server.port}/")  # the choice is kept
    wait(browser, "!!document.querySelector('.texts')")
    assert browser.run("document.documentElement.lang") == "ar"


def test_the_keyboard_accepts_edits_rejects_and_undoes(browser: chromium.Browser, server: ReviewServer) -> None:
    enter(browser, server, "amal")
    seen = [item(browser)]
    press(browser, "KeyA", "a")
    wait(browser, f"document.querySelector('.facts bdi').innerText !== {json.dumps(seen[-1])}")
    seen.append(item(browser))
    press(browser, "KeyE", "e")
    wait(browser, "document.getElementById('judge').open")
    assert browser.run("document.activeElement.id") == "edit-0"
    assert browser.run("getComputedStyle(document.activeElement).direction") == "rtl"
    browser.run("document.getElementById('edit-0').value = 'نص معدل؟'")
    press(browser, "Enter", "Enter", modifiers=2)
    wait(browser, "!document.getElementById('judge-error').hidden")  # no reason yet: nothing is sent on
    assert "reason" in browser.run("document.getElementById('judge-error').innerText")
    browser.run("document.querySelector('#reasons input[value=style]').click()")
    press(browser, "Enter", "Enter", modifiers=2)
    wait(browser, "!document.getElementById('judge').open")
    wait(browser, f"document.querySelector('.facts bdi').innerText !== {json.dumps(seen[-1])}")
    seen.append(item(browser))
    press(browser, "KeyR", "r")
    wait(browser, "document.getElementById('judge').open")
    press(browser, "Digit3", "3")
    assert browser.run("document.querySelector('#reasons input:checked').value") == "side"
    press(browser, "Enter", "Enter", modifiers=2)
    wait(browser, f"document.querySelector('.facts bdi').innerText !== {json.dumps(seen[-1])}")
    assert log(server) == ["start", "accept", "edit", "reject"]
    edit = server.workspace.entries()[2]
    assert edit.turns is not None
    assert edit.turns[0] == "نص معدل؟"
    assert edit.seconds is not None
    press(browser, "KeyU", "u")
    wait(browser, f"document.querySelector('.facts bdi').innerText === {json.dumps(seen[2])}")
    press(browser, "KeyP", "p")
    wait(browser, f"document.querySelector('.facts bdi').innerText === {json.dumps(seen[1])}")
    assert "You judged this item before" in browser.run("document.getElementById('item').innerText")
    press(browser, "KeyE", "e")  # a second edit starts from the first
    wait(browser, "document.getElementById('judge').open")
    assert browser.run("document.getElementById('edit-0').value") == "نص معدل؟"
    press(browser, "Escape", "Escape")
    wait(browser, "!document.getElementById('judge').open")
    press(browser, "KeyN", "n")
    wait(browser, f"document.querySelector('.facts bdi').innerText === {json.dumps(seen[2])}")
    assert log(server) == ["start", "accept", "edit", "reject", "undo"]


def test_keys_work_on_an_arabic_layout_and_can_be_switched_off(browser: chromium.Browser, server: ReviewServer) -> None:
    enter(browser, server, "basim", "ar")
    before = item(browser)
    browser.run("document.getElementById('shortcuts').click()")
    press(browser, "KeyA", "ش")
    press(browser, "KeyE", "ث")
    assert browser.run("document.getElementById('judge').open") is False
    browser.run("document.getElementById('shortcuts').click()")
    press(browser, "KeyA", "ش")
    wait(browser, f"document.querySelector('.facts bdi').innerText !== {json.dumps(before)}")
    assert log(server) == ["start", "accept"]
    assert "حكمت على عنصر واحد" in browser.run("document.getElementById('counts').innerText")
    assert "بقيت لك 4 عناصر" in browser.run("document.getElementById('counts').innerText")


def test_a_lost_server_loses_no_verdict(browser: chromium.Browser, server: ReviewServer) -> None:
    """The first answer is lost on its way: the verdict is on the disk, and sending it again does not double it."""
    enter(browser, server, "amal")
    before = item(browser)
    browser.run(
        "(() => { const real = window.fetch; let first = true; window.fetch = async (path, options) => { "
        "const reply = await real(path, options); "
        "if (first && path === '/api/verdict') { first = false; throw new TypeError('lost'); } return reply; }; })()"
    )
    press(browser, "KeyA", "a")
    wait(browser, "!document.getElementById('message').hidden")
    assert "try again" in browser.run("document.getElementById('message').innerText")
    assert item(browser) == before
    press(browser, "KeyA", "a")
    wait(browser, f"document.querySelector('.facts bdi').innerText !== {json.dumps(before)}")
    assert log(server) == ["start", "accept"]


def test_the_picture_zooms_and_moves_by_keyboard(browser: chromium.Browser, server: ReviewServer) -> None:
    enter(browser, server, "amal")
    wait(browser, "document.querySelector('img').naturalWidth === 90")
    browser.run("document.querySelector('.frame').focus()")
    press(browser, "Equal", "+")
    press(browser, "Equal", "+")
    press(browser, "ArrowLeft", "ArrowLeft")
    moved = browser.run("document.querySelector('.frame img').style.transform")
    assert moved == "translate(40px, 0px) scale(1.96)"
    press(browser, "Digit0", "0")
    assert browser.run("document.querySelector('.frame img').style.transform") == "translate(0px, 0px) scale(1)"
    assert log(server) == ["start"]


def test_the_third_reader_sees_both_verdicts_without_names(browser: chromium.Browser, server: ReviewServer) -> None:
    desk = server.site.desk
    number = desk.next_item("amal")
    assert number is not None
    desk.submit("amal", Said(item=number, action="accept", key="1"))
    desk.submit("basim", Said(item=number, action="reject", reason="side", note="<b>يمين</b>", key="2"), origin="test")
    enter(browser, server, "dalia")
    said = browser.run("document.querySelector('.verdicts').innerText")
    assert "Reader 1: accepted" in said
    assert "rejected · Side or position · <b>يمين</b>" in said
    assert "amal" not in said
    press(browser, "KeyA", "a")
    wait(browser, "!!document.querySelector('.done')")
    assert "Nothing is left" in browser.run("document.getElementById('item').innerText")


def test_every_control_has_a_name_and_texts_have_contrast(browser: chromium.Browser, server: ReviewServer) -> None:
    for language in ("en", "ar"):
        enter(browser, server, "amal", language)
        tree = browser.call("Accessibility.getFullAXTree")["nodes"]
        wanted = {"button", "textbox", "radio", "checkbox", "image", "progressbar", "progressIndicator"}
        nodes = [node for node in tree if node.get("role", {}).get("value") in wanted and not node.get("ignored")]
        assert len(nodes) > 10
        assert [node for node in nodes if not node.get("name", {}).get("value", "").strip()] == []
        assert browser.run("document.querySelectorAll('[data-w]:empty').length") == 0
    contrast = """
      (() => {
        const numbers = (colour) => colour.match(/[\\d.]+/g).slice(0, 3).map(Number);
        const light = (colour) => numbers(colour).map((v) => v / 255)
          .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
          .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
        const ground = (node) => {
          for (let n = node; n; n = n.parentElement) {
            const colour = getComputedStyle(n).backgroundColor;
            if (colour !== 'rgba(0, 0, 0, 0)') return colour;
          }
          return 'rgb(255, 255, 255)';
        };
        return [...document.querySelectorAll('h1, h2, h3, p, button:enabled, mark, sup, b, code')]
          .filter((node) => node.offsetParent && node.innerText.trim()).map((node) => {
            const [one, other] = [light(getComputedStyle(node).color), light(ground(node))].sort((a, b) => b - a);
            return [(one + 0.05) / (other + 0.05), node.tagName];
          });
      })()
    """
    for scheme in ("light", "dark"):
        browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        ratios = browser.run(contrast)
        assert len(ratios) > 15
        assert [ratio for ratio in ratios if ratio[0] < 4.5] == []
    browser.call("Emulation.setEmulatedMedia", features=[])


def test_nothing_hangs_over_the_edge_of_a_phone(browser: chromium.Browser, server: ReviewServer) -> None:
    browser.call("Emulation.setDeviceMetricsOverride", width=360, height=740, deviceScaleFactor=1, mobile=True)
    try:
        for language in ("en", "ar"):
            enter(browser, server, "amal", language)
            assert browser.run("document.documentElement.scrollWidth") <= 360
            press(browser, "KeyE", "e")
            wait(browser, "document.getElementById('judge').open")
            box = browser.run(
                "(() => { const box = document.getElementById('judge'); const r = box.getBoundingClientRect(); "
                "return [r.left, r.right, box.scrollWidth]; })()"
            )
            assert box[0] >= 0
            assert box[1] <= 360
            assert box[2] <= 360
            press(browser, "Escape", "Escape")
            small = browser.run(
                "[...document.querySelectorAll('#actions button')]"
                ".filter((b) => b.offsetHeight < 44 || b.offsetWidth < 44).length"
            )
            assert small == 0
    finally:
        browser.call("Emulation.clearDeviceMetricsOverride")


def test_the_six_plural_forms_are_those_of_cldr(browser: chromium.Browser, server: ReviewServer) -> None:
    enter(browser, server, "amal", "ar")
    forms = browser.run(
        "import('/page/words.js').then(async (words) => { "
        "const all = await (await fetch('/api/words')).json(); words.setWords(all.words); "
        "return [0, 1, 2, 3, 10, 11, 99, 100, 102, 103, 1000].map((n) => words.counted('left', n)); })"
    )
    assert forms == [
        "لم يبق لك أي عنصر", "بقي لك عنصر واحد", "بقي لك عنصران", "بقيت لك 3 عناصر", "بقيت لك 10 عناصر",
        "بقي لك 11 عنصرا", "بقي لك 99 عنصرا", "بقي لك 100 عنصر", "بقي لك 102 عنصر", "بقيت لك 103 عناصر",
        "بقي لك 1000 عنصر",
    ]  # fmt: skip


def test_both_languages_have_the_same_words() -> None:
    words = json.loads(page_file("words.json"))
    assert words["en"].keys() == words["ar"].keys()
    assert len(words["en"]["help_lines"]) == len(words["ar"]["help_lines"])
    for key in ("left", "done"):
        assert set(words["ar"][key]) == {"zero", "one", "two", "few", "many", "other"}
    assert all(value != words["ar"][key] for key, value in words["en"].items())
