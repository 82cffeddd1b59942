"""Go through the review page of a workspace as a reviewer would, for the flow only: nobody reads anything.

    python tools/review_script.py WORKSPACE --data DATA [--pictures OUT/pictures] [--count 60]

Starts ``bimedix2 data review serve`` and asks for items, pictures and verdicts over HTTP, as two reviewers, until COUNT
translations have a final verdict. A translation on which the checks found something is rejected for the matching
reason, any other is accepted; no text is edited. Such verdicts say nothing about the translations: a recipe must say
``review: {reviewers: scripted}``, and then they remove and change nothing.
"""

from __future__ import annotations

import argparse
import http.client
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

REVIEWERS = ("script-one", "script-two")
REASONS = {
    "numbers": "number", "units": "number", "negation": "negation", "polarity": "negation", "laterality": "side",
    "drugs": "term", "abbreviations": "term", "options": "options", "cut": "omission", "length": "omission",
    "repetition": "addition", "script": "language", "structure": "style",
}  # fmt: skip
COMMAND = [sys.executable, "-m", "bimedix2.cli", "data", "review"]


class Page:
    """One reviewer's side of the page.

    Args:
        link: as ``serve`` prints it; its token becomes a cookie.
    """

    def __init__(self, link: str) -> None:
        url = urlsplit(link)
        self._address = url.netloc
        self._cookie = ""
        headers = self._send("GET", f"{url.path}?{url.query}")[0]
        self._cookie = str(headers["Set-Cookie"]).partition(";")[0]

    def get(self, path: str) -> bytes:
        """What the page answers."""
        return self._send("GET", path)[1]

    def item(self) -> dict[str, Any] | None:
        """The next item, or none."""
        found: dict[str, Any] | None = json.loads(self.get("/api/next"))["item"]
        return found

    def say(self, **verdict: Any) -> None:
        """Send a verdict."""
        self._send("POST", "/api/verdict", json.dumps(verdict))

    def _send(self, method: str, path: str, body: str | None = None) -> tuple[Any, bytes]:
        connection = http.client.HTTPConnection(self._address, timeout=30)
        try:
            connection.request(method, path, body, {"Cookie": self._cookie, "Content-Type": "application/json"})
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        if answer.status not in (200, 303):
            raise SystemExit(f"{method} {path}: {answer.status} {content[:300].decode(errors='replace')}")
        return answer.headers, content


@contextmanager
def served(workspace: Path, data: Path, pictures: Path | None) -> Iterator[dict[str, Page]]:
    """The pages of the reviewers while the server runs."""
    names = [word for name in REVIEWERS for word in ("--reviewer", name)]
    command = [*COMMAND, "serve", str(workspace), "--data", str(data), *names]
    command += ["--pictures", str(pictures)] if pictures else []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            assert server.stdout is not None
            lines = [server.stdout.readline().split() for _ in REVIEWERS]
            if not all(len(line) == 2 for line in lines):
                raise SystemExit(f"{workspace} cannot be served; try: {' '.join(command)}")
            yield {name: Page(link) for name, link in lines}
        finally:
            server.terminate()
            server.wait(30)


def decided(workspace: Path) -> int:
    """Translations with a final verdict."""
    report = subprocess.run([*COMMAND, "report", str(workspace), "--json"], capture_output=True, check=True)
    states = json.loads(report.stdout)["states"]
    return sum(states[name] for name in ("accept", "edit", "reject"))


def judge(page: Page, item: dict[str, Any], name: str) -> str:
    """Look at the item's pictures, then say what the checks say; returns the action."""
    number = item["number"]
    for index in range(item["images"]):
        page.get(f"/image?item={number}&image={index}")
    failed = item["failed"]
    key = f"{name}-{number}"
    if not failed:
        page.say(item=number, action="accept", key=key)
        return "accept"
    reason = REASONS.get(failed[0], "other")
    page.say(item=number, action="reject", reason=reason, note=f"script: {failed[0]}", key=key)
    return "reject"


def main() -> None:
    """Judge until enough is decided, and print what was said."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--count", type=int, default=60)
    args = parser.parse_args()
    said: dict[str, int] = {}
    with served(args.workspace, args.data, args.pictures) as pages:
        pages[REVIEWERS[0]].get("/")
        while decided(args.workspace) < args.count:
            before = sum(said.values())
            for name, page in pages.items():
                for _ in range(10):
                    item = page.item()
                    if item is not None:
                        action = judge(page, item, name)
                        said[action] = said.get(action, 0) + 1
            if sum(said.values()) == before:
                break  # nothing is left to read
    print(json.dumps({"decided": decided(args.workspace), "said": said}))


if __name__ == "__main__":
    main()
