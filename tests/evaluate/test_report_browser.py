"""The page in a real browser: filters, search, paging, languages, and that nothing leaves it. Skips without one."""

from __future__ import annotations

import json
from collections.abc import Iterator

import chromium
import pytest
from report_run import make_run

from bimedix2.evaluate.report.page import write_report
from bimedix2.text import normalize_for_search

ALL = 2 * 8 + 2 * 6 + 6


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    root = tmp_path_factory.mktemp("browser")
    make_run(root, root / "run")
    path, _ = write_report([root / "run"], root)
    return path.as_uri()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[chromium.Browser]:
    program = chromium.find()
    if program is None:
        pytest.skip(f"no browser: none of {', '.join(chromium.NAMES)} is installed")
    with chromium.Browser(program, tmp_path_factory.mktemp("profile")) as opened:
        yield opened


def count(browser: chromium.Browser) -> int:
    return int(browser.run("document.getElementById('count').innerText").split()[0])


def choose(browser: chromium.Browser, **filters: str) -> int:
    """Set filters by the last part of their id, wait where the page does, and count what is left."""
    for name, value in filters.items():
        browser.run(
            f"(() => {{ const box = document.getElementById('f-{name}'); box.value = {json.dumps(value)}; "
            "box.dispatchEvent(new Event('input')); })()"
        )
    if "text" in filters:
        browser.run("new Promise((done) => setTimeout(done, 200))")
    return count(browser)


def articles(browser: chromium.Browser) -> int:
    return int(browser.run("document.querySelectorAll('article').length"))


def test_it_opens_without_an_error_and_asks_nobody(browser: chromium.Browser, page: str) -> None:
    browser.open(page)
    assert count(browser) == ALL
    assert articles(browser) == 20
    assert browser.told("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded") == []
    asked = {event["request"]["url"] for event in browser.told("Network.requestWillBeSent")}
    assert {url for url in asked if not url.startswith("data:")} == {page}
    assert browser.run("window.pwned") is None


def test_the_policy_forbids_scripts_and_requests(browser: chromium.Browser, page: str) -> None:
    browser.open(page)
    browser.run(
        "document.body.append(Object.assign(document.createElement('script'), { textContent: 'window.pwned = 1' }))"
    )
    assert browser.run("window.pwned") is None
    assert browser.run("fetch('http://127.0.0.1:9/').then(() => 'sent', () => 'refused')") == "refused"
    blocked = (
        "new Promise((d) => { const i = new Image(); i.onerror = () => d('blocked'); i.src = 'http://127.0.0.1:9/x'; })"
    )
    assert browser.run(blocked) == "blocked"


def test_filters_can_be_combined(browser: chromium.Browser, page: str) -> None:
    browser.open(page)
    assert choose(browser, task="vqa_rad") == 16
    assert choose(browser, lang="en") == 8
    assert choose(browser, show="correct") + choose(browser, show="wrong") == 8
    assert choose(browser, show="refused") == 1
    assert choose(browser, show="error") == 0
    assert articles(browser) == 0
    assert "No sample fits" in browser.run("document.getElementById('list').innerText")
    assert choose(browser, task="rocov2_modality", lang="") == 2
    assert choose(browser, task="", lang="", show="") == ALL


def test_search_reads_both_languages(browser: chromium.Browser, page: str) -> None:
    browser.open(page)
    assert choose(browser, text="LEFT  lung") == choose(browser, text="left lung") > 0
    # Other spellings of أي عضو and اليسرى, with marks, without hamza and with Arabic digits.
    assert choose(browser, text="اي عضو ٣") == choose(browser, text="أيّ عضو 3") == 1
    assert choose(browser, text="اليسري") > 0
    assert choose(browser, text="zzz") == 0
    for written in ("الرِّئةُ اليُسرى", "هل يوجد كَسر ٢؟", "تصوير مقطعي محوسب (CT)", "Left LUNG"):
        found = choose(browser, text=written)
        assert found > 0, written
        assert choose(browser, text=normalize_for_search(written)) == found


def test_pages_turn_and_end(browser: chromium.Browser, page: str) -> None:
    browser.open(page)
    first = browser.run("document.querySelector('article h3').innerText")
    assert browser.run("document.getElementById('previous').disabled") is True
    browser.run("document.getElementById('next').click()")
    assert articles(browser) == ALL - 20
    assert browser.run("document.getElementById('next').disabled") is True
    browser.run("document.getElementById('previous-below').click()")
    assert browser.run("document.querySelector('article h3').innerText") == first
    browser.run("document.getElementById('next').click()")
    choose(browser, task="vqa_rad")  # a filter goes back to the first page
    assert "page 1 of 1" in browser.run("document.getElementById('count').innerText")


def test_the_language_follows_the_button_and_the_address(browser: chromium.Browser, page: str) -> None:
    browser.open(page + "#ar")
    assert browser.run("[document.documentElement.lang, document.documentElement.dir].join()") == "ar,rtl"
    assert browser.run("document.querySelector('h1').innerText").startswith("تقرير التقييم")
    assert browser.run("document.getElementById('f-show').selectedOptions[0].textContent") == "الكل"
    assert browser.run("document.getElementById('f-text').getAttribute('aria-label')").startswith("ابحث")
    assert "عينة" in browser.run("document.getElementById('count').innerText")
    assert browser.run("getComputedStyle(document.querySelector('td.num')).direction") == "ltr"
    browser.run("document.getElementById('switch').click()")
    assert browser.run("[document.documentElement.lang, document.documentElement.dir].join()") == "en,ltr"
    assert browser.run("location.hash") == "#en"
    assert browser.run("document.querySelector('h1').innerText").startswith("Evaluation report")


def test_replies_of_each_language_run_their_own_way_in_both_pages(browser: chromium.Browser, page: str) -> None:
    for hash_ in ("#en", "#ar"):
        browser.open(page + hash_)
        choose(browser, task="vqa_rad", lang="ar")
        assert browser.run("getComputedStyle(document.querySelector('article .text')).direction") == "rtl"
        choose(browser, lang="en")
        assert browser.run("getComputedStyle(document.querySelector('article .text')).direction") == "ltr"


def test_images_missing_ones_and_long_replies_show_as_what_they_are(browser: chromium.Browser, page: str) -> None:
    browser.open(page)
    choose(browser, task="rocov2_modality", lang="en")
    assert browser.run("document.querySelector('article img').naturalWidth") == 60
    missing = browser.run("[...document.querySelectorAll('article > div > .missing')].map((p) => p.innerText)")
    assert len(missing) == 2
    assert all("Image cannot be shown" in text for text in missing)
    assert browser.run("document.querySelector('.text.long').clientHeight") < 300
    assert "12000 more characters" in browser.run("document.getElementById('list').innerText")
    prompt = browser.run(
        "[...document.querySelectorAll('article .text')].find((p) => p.innerText.includes('pwned')).innerText"
    )
    assert prompt.startswith("</script><script>window.pwned = 1</script><img src=x")
    assert browser.run("window.pwned") is None


def test_nothing_hangs_over_the_edge_of_a_phone(browser: chromium.Browser, page: str) -> None:
    browser.call("Emulation.setDeviceMetricsOverride", width=360, height=740, deviceScaleFactor=1, mobile=True)
    try:
        for hash_ in ("#en", "#ar"):
            browser.open(page + hash_)
            browser.run("document.querySelectorAll('details').forEach((box) => { box.open = true; })")
            assert browser.run("document.documentElement.scrollWidth") <= 360
    finally:
        browser.call("Emulation.clearDeviceMetricsOverride")
