"""Our page beside Gradio's chat and Open WebUI: what a first visit loads, Arabic with measurements in it, axe.

Each side gives the same echo answer to the same message (the 44 Arabic lines of ``tests/serve/page_strings.json``, a
paragraph each) in the same Chromium with a fresh profile. ``--gradio`` names a Python that has Gradio, ``--open-webui``
that program; a side not named is not measured. Axe comes from ``--axe`` or from the package ``axe-core-python``.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import tempfile
from datetime import UTC, datetime
from importlib import resources
from importlib.metadata import version
from pathlib import Path
from typing import Any

from serve_pages_browser import ROOT, chromium
from serve_pages_sides import gradio, open_webui, ours


def markdown(result: dict[str, Any]) -> str:
    """The result as a page."""
    about = result["versions"]
    lines = [
        "# The page beside others", "",
        f"{result['date']}, {about['chromium']}, axe-core {about['axe']}, Python {about['python']}, bimedix2 "
        f"{about['bimedix2']}" + (f", Gradio {about['gradio']}" if about["gradio"] else "")
        + (f", Open WebUI {about['open_webui']}" if about["open_webui"] else "") + ".", "",
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


def version_of(program: str) -> str:
    """Of the package that a program of a virtual environment belongs to."""
    python = Path(program).with_name("python")
    code = "from importlib.metadata import version; print(version('open-webui'))"
    return subprocess.check_output([str(python), "-c", code], text=True).strip()


def main() -> None:
    """Measure and write both files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gradio", help="a Python that has Gradio")
    parser.add_argument("--open-webui", help="the program open-webui")
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
    if given.open_webui:
        with tempfile.TemporaryDirectory() as folder:
            sides["Open WebUI"] = open_webui(given.open_webui, program, axe, folder)
    command = "python benchmarks/serve_pages.py" + (" --gradio PYTHON" if given.gradio else "")
    command += " --open-webui PROGRAM" if given.open_webui else ""
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
            "open_webui": given.open_webui and version_of(given.open_webui),
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
