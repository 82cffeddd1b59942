"""``report.html`` and ``report.md`` of a run. The page needs no network and no server."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec

from bimedix2.evaluate.store import read_results
from bimedix2.notice import NOTICE_AR, NOTICE_EN
from bimedix2.records.schema import Language

from . import content
from .markdown import markdown
from .samples import Thumbnails, browser_rows
from .strings import TEXTS

PAGE, TEXT, OVERLAP = "report.html", "report.md", "overlap.json"
_BROWSER_TEXTS = (
    *("prompt", "reference", "reply", "model", "blind", "shuffled", "lookup", "majority"),
    *("wrong", "unparsed", "refused", "errors", "no_reply", "found"),
)


def write_report(
    runs: Sequence[Path],
    data: Path | None,
    *,
    language: Language = "en",
    samples: int = 500,
    images: int = 400,
) -> tuple[Path, Path]:
    """Write the page and the Markdown file into the first run's folder.

    Args:
        runs: folders of runs; the first is the one reported, the others get a row in the published tables.
        data: folder of the data sets, for thumbnails; without it the page has no images.
        language: the page opens in; a button switches.
        samples: most samples of a task and language in the browser.
        images: most thumbnails.

    Returns:
        Paths of the page and of the Markdown file.

    Raises:
        ConfigError: a folder holds no results.
    """
    results = [read_results(run) for run in runs]
    overlap = _overlap(runs[0])
    page = runs[0] / PAGE
    _write(page, _html(runs[0], results, data, overlap, language, samples, images))
    _write(runs[0] / TEXT, markdown(results, overlap, language))
    return page, runs[0] / TEXT


def _overlap(run: Path) -> list[dict[str, str]]:
    path = run / OVERLAP
    if not path.is_file():
        return []
    lines: list[dict[str, str]] = msgspec.json.decode(path.read_bytes())["summary"]
    return lines


def _html(
    run: Path,
    results: Sequence[Mapping[str, Any]],
    data: Path | None,
    overlap: list[dict[str, str]],
    language: Language,
    samples: int,
    images: int,
) -> str:
    import jinja2

    script = _asset("browser.js")
    thumbnails = Thumbnails(data, images)
    rows = browser_rows(run, results[0], thumbnails, samples)
    thumbnails.decode()
    conditions, overview = content.overview(results[0])
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, keep_trailing_newline=True
    )
    return environment.from_string(_asset("template.html")).render(
        texts=TEXTS,
        language=language,
        results=results[0],
        notice={"en": NOTICE_EN, "ar": NOTICE_AR},
        style=_asset("style.css"),
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii"),
        conditions=conditions,
        overview=overview,
        radars=content.radar_charts(results),
        bars=content.bar_charts(results[0]),
        tables=content.paper_tables(results),
        details=content.details(results[0]),
        comparisons=content.comparisons(results[0]),
        left_out=content.left_out(results[0]),
        overlap=overlap,
        tasks=list(dict.fromkeys(row["task"] for row in results[0]["rows"])),
        only_some=any(row["n"] > samples for row in results[0]["rows"]),
        data=_safe_json({"samples": rows, "images": thumbnails.images, "texts": {k: TEXTS[k] for k in _BROWSER_TEXTS}}),
    )


def _safe_json(value: Any) -> str:
    """JSON that cannot end the script element it stands in."""
    encoded = msgspec.json.encode(value).decode("utf-8")
    return encoded.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _asset(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _write(path: Path, text: str) -> None:
    scratch = path.with_suffix(path.suffix + ".partial")
    scratch.write_text(text, encoding="utf-8")
    scratch.replace(path)
