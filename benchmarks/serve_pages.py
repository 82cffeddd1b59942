"""Our page beside Gradio's chat: what a first visit loads, Arabic with measurements in it, and accessibility.

Each side gives the same echo answer to the same message (the 44 Arabic lines of ``tests/serve/page_strings.json``, a
paragraph each) in the same Chromium with a fresh profile. ``--gradio`` names a Python that has Gradio; without it only
our page is measured. Axe comes from ``--axe`` or from the package ``axe-core-python``.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import resources
from importlib.metadata import version
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
GRADIO = """
import sys
import gradio as gr
rtl = sys.argv[2] == "rtl"
gr.ChatInterface(lambda message, history: "سألت: " + message, chatbot=gr.Chatbot(rtl=rtl)).launch(
    server_name="127.0.0.1", server_port=int(sys.argv[1]), quiet=True)
"""
OURS = [str(Path(sys.executable).with_name("bimedix2")), "serve", "--engine", "echo", "--port"]
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


def ours(program: str, axe: str, folder: str) -> dict[str, Any]:
    """All figures of our page."""
    port = free_port()
    with (
        served([*OURS, str(port), "--data", f"{folder}/data"], port, folder) as url,
        chromium.Browser(program, Path(folder) / "profile") as browser,
    ):
        size(browser)
        result: dict[str, Any] = visit(browser, url, "document.getElementById('gate')?.open === true")
        browser.run("document.getElementById('gate-yes').click()")
        wait(browser, "document.body.dataset.ready === 'yes'")
        browser.run("document.getElementById('language').click()")
        result["axe"] = violations(browser, axe)
        browser.run("document.getElementById('question').focus()")
        send(browser)
        wait(browser, "document.getElementById('send').dataset.t === 'send' && !!document.querySelector('.answer')")
        return {**result, "order": order(browser, ".answer"), "axe_chat": violations(browser, axe)}


def gradio(python: str, rtl: bool, program: str, axe: str, folder: str) -> dict[str, Any]:
    """All figures of Gradio's chat."""
    port = free_port()
    script = Path(folder) / "app.py"
    script.write_text(GRADIO, encoding="utf-8")
    command = [python, str(script), str(port), "rtl" if rtl else "ltr"]
    with (
        served(command, port, folder, GRADIO_ANALYTICS_ENABLED="False") as url,
        chromium.Browser(program, Path(folder) / "profile") as browser,
    ):
        size(browser)
        result: dict[str, Any] = visit(browser, url, "!!document.querySelector('textarea')")
        result["axe"] = violations(browser, axe)
        browser.run("document.querySelector('textarea').focus()")
        send(browser)
        last = json.dumps(LINES[-1])
        wait(browser, f"[...document.querySelectorAll('.bot p')].some((p) => p.textContent.trim() === {last})")
        time.sleep(2)
        return {**result, "order": order(browser, ".bot"), "axe_chat": violations(browser, axe)}


def size(browser: chromium.Browser) -> None:
    """The same window for all."""
    browser.call("Emulation.setDeviceMetricsOverride", width=1280, height=900, deviceScaleFactor=1, mobile=False)


def send(browser: chromium.Browser) -> None:
    """Type the message into the focused field and send it."""
    browser.call("Input.insertText", text=MESSAGE)
    time.sleep(0.5)
    for kind, more in (("keyDown", {"text": "\r"}), ("keyUp", {})):
        browser.call("Input.dispatchKeyEvent", type=kind, key="Enter", code="Enter", windowsVirtualKeyCode=13, **more)


def markdown(result: dict[str, Any]) -> str:
    """The result as a page."""
    about = result["versions"]
    lines = [
        "# The page beside others", "",
        f"{result['date']}, {about['chromium']}, axe-core {about['axe']}, Python {about['python']}, bimedix2 "
        f"{about['bimedix2']}" + (f", Gradio {about['gradio']}" if about["gradio"] else "") + ".", "",
        f"    {result['command']}", "",
        "| | first load, kB | requests | external | lines with measurements in order | words in order | "
        "Arabic starts at the right | axe, first page | axe, with an answer |", "|---|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for name, side in result["sides"].items():
        order_ = side["order"]
        shares = [f"{order_[key]}/{order_['lines']}" for key in ("runs", "tokens", "starts")]
        faults = [", ".join(f"{v[0]} ({v[1]}) ×{v[2]}" for v in side[key]["violations"]) or "none"
                  for key in ("axe", "axe_chat")]  # fmt: skip
        cells = [f"{side['bytes'] / 1000:.0f}", side["requests"], len(side["external_requests"]), *shares, *faults]
        lines.append(f"| {name} | " + " | ".join(map(str, cells)) + " |")
    lines += ["", *(f"- {note}" for note in result["notes"]), ""]
    return "\n".join(lines)


def main() -> None:
    """Measure and write both files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gradio", help="a Python that has Gradio")
    parser.add_argument("--axe", type=Path, help="axe.min.js")
    parser.add_argument("--note", action="append", default=[], help="a line for the result")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/serve_pages")
    given = parser.parse_args()
    program = chromium.find()
    if program is None:
        raise SystemExit("no Chromium")
    source = given.axe or Path(str(resources.files("axe_core_python"))) / "axe.min.js"
    axe = source.read_text(encoding="utf-8")
    sides: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        sides["ours"] = ours(program, axe, folder)
    for name, rtl in (("Gradio ChatInterface", False), ("Gradio, rtl=True", True)) if given.gradio else ():
        with tempfile.TemporaryDirectory() as folder:
            sides[name] = gradio(given.gradio, rtl, program, axe, folder)
    command = "python benchmarks/serve_pages.py" + (" --gradio PYTHON" if given.gradio else "")
    result = {
        "date": datetime.now(UTC).date().isoformat(),
        "command": command + (" --axe axe.min.js" if given.axe else ""),
        "versions": {
            "python": platform.python_version(),
            "bimedix2": version("bimedix2"), "axe": sides["ours"]["axe"]["version"],
            "chromium": subprocess.check_output([program, "--version"], text=True, stderr=subprocess.DEVNULL).strip(),
            "gradio": given.gradio and subprocess.check_output(
                [given.gradio, "-c", "from importlib.metadata import version; print(version('gradio'))"], text=True
            ).strip(),
        },
        "sides": sides,
        "notes": [
            "First load: bytes over the wire, headers included, until nothing was loaded for 3 s, in a fresh profile.",
            "Measurements: each run that the package's rule finds; words: each word without Arabic letters, a rule "
            "that knows nothing of ours. A line that is not shown as a paragraph counts as wrong.",
            *given.note,
        ],
    }  # fmt: skip
    given.out.with_suffix(".json").write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    given.out.with_suffix(".md").write_text(markdown(result), encoding="utf-8")


if __name__ == "__main__":
    main()
