"""What every side of ``serve_pages.py`` is measured with: a server, a Chromium, the order of the lines, axe."""

from __future__ import annotations

import itertools
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "tests" / "evaluate"))
import chromium  # noqa: E402

from bimedix2.text.bidi import ltr_runs  # noqa: E402

LINES: list[str] = json.loads((ROOT / "tests/serve/page_strings.json").read_text(encoding="utf-8"))
MESSAGE = "\n\n".join(["القياسات", *LINES])
AXE_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
QUIET_SECONDS, LIMIT_SECONDS = 3.0, 90.0
# x of each character of the last paragraph with just this text, in the answer.
PLACES = """(() => { const wanted = %s; const all = [...document.querySelectorAll('p')].filter((p) =>
  p.textContent.trim() === wanted && p.closest('%s')); const p = all.at(-1); if (!p) return null;
  const out = []; const w = document.createTreeWalker(p, NodeFilter.SHOW_TEXT); let n; let text = '';
  while ((n = w.nextNode())) for (let i = 0; i < n.length; i++) { const r = document.createRange(); r.setStart(n, i);
    r.setEnd(n, i + 1); const q = r.getClientRects()[0]; text += n.data[i]; out.push(q ? [q.x, q.y] : null); }
  const skip = text.length - text.trimStart().length; return out.slice(skip, skip + wanted.length); })()"""


@contextmanager
def served(command: list[str], port: int, folder: str, **environment: str) -> Iterator[str]:
    """A server in a process of its own; its address."""
    process = subprocess.Popen(
        command, cwd=folder, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT
    )
    try:
        end = time.monotonic() + LIMIT_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > end:
                    raise SystemExit(f"no server came up: {' '.join(command)[:200]}") from None
                time.sleep(0.2)
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.terminate()
        process.wait(30)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def wait(browser: chromium.Browser, condition: str) -> None:
    """Until an expression is true."""
    end = time.monotonic() + LIMIT_SECONDS
    while not browser.run(condition):
        if time.monotonic() > end:
            raise SystemExit(f"the page never got so far: {condition}")
        time.sleep(0.1)


def visit(browser: chromium.Browser, url: str, ready: str) -> dict[str, Any]:
    """Open a page for the first time and wait until it loads no more."""
    browser.open(url)
    wait(browser, ready)
    seen, since = -1, time.monotonic()
    while time.monotonic() - since < QUIET_SECONDS:
        browser.run("1")
        if len(browser.events) != seen:
            seen, since = len(browser.events), time.monotonic()
        time.sleep(0.2)
    sent = [event["request"]["url"] for event in browser.told("Network.requestWillBeSent")]
    sent = [address for address in sent if not address.startswith(("data:", "blob:", "about:"))]
    sizes = [event["encodedDataLength"] for event in browser.told("Network.loadingFinished")]
    outside = sorted({address for address in sent if not re.match(r"(https?|ws)://127\.0\.0\.1[:/]", address)})
    return {"bytes": int(sum(sizes)), "requests": len(sent), "external_requests": outside}


def order(browser: chromium.Browser, answer: str) -> dict[str, Any]:
    """How many lines are shown right, by three rules; a line that is not found as a paragraph counts as wrong."""
    right = {"runs": 0, "tokens": 0, "starts": 0}
    wrong: list[str] = []
    for line in LINES:
        places = browser.run(PLACES % (json.dumps(line), answer))
        found = judged(line, places) if places else dict.fromkeys(right, False)
        for name in right:
            right[name] += found[name]
        if not all(found.values()):
            wrong.append(line)
    return {**right, "lines": len(LINES), "wrong": wrong}


def judged(line: str, places: list[list[float] | None]) -> dict[str, bool]:
    """``runs``: each measurement as a whole reads from left to right, and several follow each other from the right.

    ``tokens``: each word without Arabic letters (2023-05-01, 120/80) does; a rule that knows nothing of ours.
    ``starts``: the first letter stands to the right of the last one, as the Arabic line needs; where it wraps,
    it does not count.
    """
    runs = ltr_runs(line, "rtl")
    firsts = [places[start] for start, _ in runs]
    # Brackets around a word belong to the Arabic line, and are mirrored in it.
    words = re.finditer(r"[^\s()]+", line)
    latin = [found.span() for found in words if not re.search("[\u0600-\u06ff]", found[0])]
    first, last = places[0], places[len(line) - 1]
    return {
        "runs": all(rising(line, places, span) for span in runs) and falling(firsts),
        "tokens": all(rising(line, places, span) for span in latin),
        "starts": first is not None and last is not None and (first[0] > last[0] or first[1] < last[1]),
    }


def rising(line: str, places: list[list[float] | None], span: tuple[int, int]) -> bool:
    """Whether characters follow each other from left to right, or in a lower line."""
    shown = [place for index in range(*span) if line[index].strip() and (place := places[index]) is not None]
    return all(a[0] < b[0] or b[1] > a[1] + 4 for a, b in itertools.pairwise(shown))


def falling(firsts: list[list[float] | None]) -> bool:
    """Whether places follow each other from right to left, or in a lower line."""
    shown = [place for place in firsts if place is not None]
    return all(a[0] > b[0] or b[1] > a[1] + 4 for a, b in itertools.pairwise(shown))


def violations(browser: chromium.Browser, axe: str) -> dict[str, Any]:
    """What axe finds on the page as it is."""
    browser.call("Runtime.evaluate", expression=axe)
    found = browser.run(
        f"axe.run({{ runOnly: {json.dumps(AXE_TAGS)} }}).then((r) => [axe.version, r.passes.length,"
        "r.violations.map((v) => [v.id, v.impact, v.nodes.length])])"
    )
    return {"version": found[0], "rules_passed": found[1], "violations": found[2]}


def size(browser: chromium.Browser) -> None:
    """The same window for all."""
    browser.call("Emulation.setDeviceMetricsOverride", width=1280, height=900, deviceScaleFactor=1, mobile=False)


def send(browser: chromium.Browser) -> None:
    """Type the message into the focused field and send it."""
    browser.call("Input.insertText", text=MESSAGE)
    time.sleep(0.5)
    for kind, more in (("keyDown", {"text": "\r"}), ("keyUp", {})):
        browser.call("Input.dispatchKeyEvent", type=kind, key="Enter", code="Enter", windowsVirtualKeyCode=13, **more)
