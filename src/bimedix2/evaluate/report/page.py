"""``report.html`` and ``report.md`` of a run. The page needs no network and no server."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec

from bimedix2.cache import write_whole
from bimedix2.errors import ConfigError
from bimedix2.evaluate.store import read_results
from bimedix2.notice import NOTICE_AR, NOTICE_EN
from bimedix2.records.schema import Language

from . import content, figures
from .markdown import markdown
from .published import Bilingual
from .remarks import remarks
from .samples import Thumbnails, browser_rows, visible
from .strings import TEXTS
from .tables import paper_tables

PAGE, TEXT, OVERLAP = "report.html", "report.md", "overlap.json"
_BROWSER_TEXTS = (
    *("prompt", "reference", "reply", "score", "all_scores", "answerer", "asked_with", "judge", "english", "arabic"),
    *("model", "blind", "shuffled", "lookup", "majority"),
    *("correct", "wrong", "unparsed", "refused", "any_error", "no_reply", "more", "no_image", "bad_image"),
    *("found", "none_found", "page", "of"),
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
    results = [_named(read_results(run)) for run in runs]
    folder = runs[0] if runs[0].is_dir() else runs[0].parent
    overlap = _overlap(folder)
    thumbnails = Thumbnails(data, images)
    rows, damaged = browser_rows(folder, results[0], thumbnails, samples)
    thumbnails.decode()
    left_out = [*content.left_out(results[0]), *damaged]
    island = _safe_json(_browser_data(rows, thumbnails, results[0]))
    some = any(row["n"] > samples for row in results[0]["rows"])
    page = _html(results, left_out, overlap, language, data=island, only_some=some)
    write_whole(folder / PAGE, page.encode())
    write_whole(folder / TEXT, markdown(results, overlap, language, left_out).encode())
    return folder / PAGE, folder / TEXT


def _named(results: dict[str, Any]) -> dict[str, Any]:
    """Results whose model's name, which may be anything, can be shown anywhere."""
    return {**results, "model": visible(str(results["model"]))}


def _overlap(run: Path) -> list[dict[str, str]]:
    path = run / OVERLAP
    if not path.is_file():
        return []
    try:
        lines = msgspec.json.decode(path.read_bytes(), type=_Overlap).summary
    except msgspec.DecodeError as error:
        raise ConfigError(
            f"{path} cannot be read ({error}). Delete it, or write it again with the overlap command.",
            f"تعذرت قراءة {path} ({error}). احذفه أو أعد كتابته بأمر التداخل.",
        ) from error
    return [{"en": line.en, "ar": line.ar} for line in lines]


class _Line(msgspec.Struct):
    en: str
    ar: str


class _Overlap(msgspec.Struct):
    summary: list[_Line]


def _html(
    results: Sequence[Mapping[str, Any]],
    left_out: list[dict[str, Any]],
    overlap: list[dict[str, str]],
    language: Language,
    **samples: Any,
) -> str:
    import jinja2

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, keep_trailing_newline=True
    )
    return environment.from_string(_asset("template.html"), globals={"named_text": content.text}).render(
        **_static(language),
        results=results[0],
        **_tables(results, left_out),
        run_charts=figures.run_charts(results[0]),
        published_charts=figures.published_charts(results),
        overlap=overlap,
        **samples,
    )


def _static(language: Language) -> dict[str, Any]:
    """What is the same in every report."""
    script = _asset("browser.js")
    return {
        "texts": TEXTS,
        "language": language,
        "notice": {"en": NOTICE_EN, "ar": NOTICE_AR},
        "style": _asset("style.css"),
        "script": script,
        "script_hash": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii"),
    }


def _tables(results: Sequence[Mapping[str, Any]], left_out: list[dict[str, Any]]) -> dict[str, Any]:
    first = results[0]
    conditions, overview = content.overview(first)
    found: dict[str, Any] = {
        "conditions": conditions,
        "overview": overview,
        "gap": content.language_gap(first),
        "tables": paper_tables(results),
        "details": content.details(first),
        "comparisons": content.control_comparisons(first),
        "left_out": left_out,
        "remarks": remarks(first),
        "tasks": [(name, content.task_title(name)) for name in dict.fromkeys(row["task"] for row in first["rows"])],
    }
    present = {
        "language_gap": found["gap"],
        "comparisons": found["comparisons"],
        "skipped": left_out,
        "remarks": found["remarks"],
    }
    order = "overview language_gap charts published details comparisons skipped remarks samples"
    sections = order.split()
    return {**found, "sections": [name for name in sections if present.get(name, True)]}


def _browser_data(rows: list[dict[str, Any]], thumbnails: Thumbnails, results: Mapping[str, Any]) -> dict[str, Any]:
    """What the script reads: samples, their pictures, and every text in both languages."""
    metrics: dict[str, dict[str, list[str]]] = {}
    for row in results["rows"]:
        titles = metrics.setdefault(row["family"], {})
        titles |= {name: _pair(content.metric_title(row["family"], name)) for name in row["metrics"]}
    return {
        "samples": rows,
        "images": thumbnails.images,
        "image_errors": thumbnails.errors,
        "texts": {key: TEXTS[key] for key in _BROWSER_TEXTS},
        "tasks": {row["task"]: _pair(content.task_title(row["task"])) for row in results["rows"]},
        "metrics": metrics,
    }


def _pair(both: Bilingual) -> list[str]:
    return [both["en"], both["ar"]]


def _safe_json(value: Any) -> str:
    """JSON that cannot end the script element it stands in."""
    encoded = msgspec.json.encode(value).decode("utf-8")
    return encoded.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _asset(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
