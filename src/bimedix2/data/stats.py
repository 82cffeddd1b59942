"""What record files hold: counts by language, modality, task, source and split, in one pass of constant memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from bimedix2.errors import ConfigError
from bimedix2.records import Record

from .seen import Seen

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe and Ito's palette: told apart by colour-blind readers too.
COLOURS = {"en": "#0072B2", "ar": "#D55E00"}
_MOST_BARS = 30
_LANGUAGES = ("en", "ar")
WORDS: dict[str, tuple[str, str]] = {
    "language": ("language", "اللغة"),
    "modality": ("modality", "النوع"),
    "task": ("task", "المهمة"),
    "source": ("source", "المصدر"),
    "split": ("split", "القسم"),
    "licence": ("licence", "الترخيص"),
    "records": ("records", "السجلات"),
    "tokens": ("supervised tokens", "الرموز المتعلمة"),
    "pairs": ("pairs in both languages", "أزواج باللغتين"),
    "images": ("different images", "صور مختلفة"),
    "with_images": ("records with images", "سجلات بصور"),
    "cross_language": ("answered in another language", "أجيبت بلغة أخرى"),
    "turns": ("turns", "الأدوار"),
    "repeated_ids": ("repeated ids", "معرفات مكررة"),
    "en": ("English", "الإنجليزية"),
    "ar": ("Arabic", "العربية"),
}


class CellKey(NamedTuple):
    """What a record counts towards; its language is the last answer's."""

    language: str
    modality: str
    task: str
    source: str
    split: str


class Cell(msgspec.Struct, kw_only=True):
    """Counts of one cell; ``tokens`` are supervised ones, where they were asked for."""

    language: str
    modality: str
    task: str
    source: str
    split: str
    records: int
    tokens: int | None = None


class Stats(msgspec.Struct, kw_only=True):
    """Counts of some record files.

    Attributes:
        records, turns, with_images: of all files.
        images: different images, by hash or else by path and frame.
        pairs: ``pair_id`` with records in both languages.
        cross_language: records whose last answer is in another language than its question.
        repeated_ids: records whose id came before.
        tokens: supervised ones, where they were asked for.
        licences: records of each.
        cells: by language, modality, task, source and split, sorted.
    """

    records: int
    turns: int
    with_images: int
    images: int
    pairs: int
    cross_language: int
    repeated_ids: int
    tokens: int | None
    licences: dict[str, int]
    cells: list[Cell]

    def by(self, name: str) -> dict[str, int]:
        """Records by one of a cell's keys."""
        counts: Counter[str] = Counter()
        for cell in self.cells:
            counts[getattr(cell, name)] += cell.records
        return dict(sorted(counts.items()))


def stats_of(records: Iterable[Record], tokens: Callable[[Record], int] | None = None) -> Stats:
    """Count records.

    Args:
        records: of one or more files; read them with ``unique_ids=False``, so that memory stays constant.
        tokens: number of supervised tokens of a record.
    """
    cells: Counter[CellKey] = Counter()
    learnt: Counter[CellKey] = Counter()
    licences: Counter[str] = Counter()
    totals: Counter[str] = Counter()
    with Seen() as seen:
        for record in records:
            key = _key(record)
            cells[key] += 1
            licences[record.licence] += 1
            if tokens is not None:
                learnt[key] += tokens(record)
            _add(totals, seen, record, key)
    return Stats(
        records=cells.total(),
        turns=totals["turns"],
        with_images=totals["with_images"],
        images=totals["images"],
        pairs=totals["pairs"],
        cross_language=totals["cross_language"],
        repeated_ids=totals["repeated_ids"],
        tokens=learnt.total() if tokens is not None else None,
        licences=dict(sorted(licences.items())),
        cells=[
            Cell(**key._asdict(), records=count, tokens=learnt[key] if tokens is not None else None)
            for key, count in sorted(cells.items())
        ],
    )


def _key(record: Record) -> CellKey:
    return CellKey(record.turns[-1].language, record.modality, record.task, record.source, record.split)


def _add(totals: Counter[str], seen: Seen, record: Record, key: CellKey) -> None:
    totals["turns"] += len(record.turns)
    totals["with_images"] += bool(record.images)
    totals["cross_language"] += record.turns[-2].language != key.language
    totals["repeated_ids"] += seen.first(f"i:{record.id}") is not None
    for image in record.images:
        totals["images"] += seen.first(f"p:{image.sha256 or image.path}:{image.frame}") is None
    if record.pair_id is None:
        return
    place = seen.first(f"2:{record.pair_id}", _LANGUAGES.index(key.language))
    if place is not None and _LANGUAGES[place.kind] != key.language:
        totals["pairs"] += seen.first(f"b:{record.pair_id}") is None


def supervised_counter(setup: object) -> Callable[[Record], int]:
    """Counts the supervised tokens of a record as training would.

    Args:
        setup: of ``bimedix2.data.show.read_text_setup``, or a loaded model.
    """
    from typing import Any, cast

    from bimedix2.text.chat import encode_conversation

    given = cast("Any", setup)

    def count(record: Record) -> int:
        encoded = encode_conversation(
            record.turns,
            given.tokenizer,
            given.template,
            image_token_id=given.image_token_id,
            tokens_per_image=given.tokens_per_image,
            image_count=len(record.images),
        )
        return encoded.supervised

    return count


def draw_stats(stats: Stats, path: Path, language: str = "en") -> Path:
    """Bars of records by source and task, and by modality, each split by language.

    Args:
        stats: what to draw.
        path: of the picture; its ending says the format (``.png``, ``.svg``, ``.pdf``).
        language: of the words, ``en`` or ``ar``.

    Raises:
        ConfigError: matplotlib is not installed, or there is nothing to draw.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigError(
            "--plot needs matplotlib, which is not installed. Run: pip install matplotlib",
            "يحتاج --plot إلى matplotlib وهو غير مثبت. شغل: pip install matplotlib",
            code="missing_package",
        ) from error
    if not stats.records:
        raise ConfigError("There is no record to draw.", "لا سجلات للرسم.")
    bars = _bars(stats, ("source", "task"))
    kinds = _bars(stats, ("modality",))
    figure = Figure(figsize=(9, 1.8 + 0.28 * (len(bars) + len(kinds))), layout="constrained")
    panels = figure.subplots(2, 1, height_ratios=[len(bars), len(kinds)])
    for panel, rows, name in ((panels[0], bars, "source"), (panels[1], kinds, "modality")):
        _draw(panel, rows, language)
        panel.set_title(_word(name, language), fontsize=10)
    panels[0].legend(frameon=False)
    panels[1].set_xlabel(_word("records", language))
    _save(figure, path)
    return path


def _bars(stats: Stats, names: tuple[str, ...]) -> list[tuple[str, dict[str, int]]]:
    rows: dict[str, Counter[str]] = {}
    for cell in stats.cells:
        label = " · ".join(getattr(cell, name) for name in names)
        rows.setdefault(label, Counter())[cell.language] += cell.records
    largest = sorted(rows.items(), key=lambda item: (-item[1].total(), item[0]))
    return [(label, dict(counts)) for label, counts in largest[:_MOST_BARS]]


def _draw(panel: object, rows: list[tuple[str, dict[str, int]]], language: str) -> None:
    from typing import Any, cast

    axes, labels = cast("Any", panel), [label for label, _ in rows]
    starts = [0] * len(rows)
    for spoken in _LANGUAGES:
        widths = [counts.get(spoken, 0) for _, counts in rows]
        axes.barh(labels, widths, left=starts, color=COLOURS[spoken], label=_word(spoken, language))
        starts = [start + width for start, width in zip(starts, widths, strict=True)]
    axes.invert_yaxis()
    axes.spines[["top", "right"]].set_visible(False)


def _word(name: str, language: str) -> str:
    return shaped(WORDS[name][language == "ar"], language)


def shaped(word: str, language: str) -> str:
    """A word as matplotlib needs it: it joins and reorders letters itself from 3.11 on, where it has libraqm."""
    if language != "ar":
        return word
    from matplotlib import ft2font

    from bimedix2.text import for_terminal

    return word if hasattr(ft2font, "__libraqm_version__") else for_terminal(word, bidi="visual").strip()


def _save(figure: Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.stem}.partial{path.suffix}")
    figure.savefig(scratch, dpi=110)
    scratch.replace(path)
