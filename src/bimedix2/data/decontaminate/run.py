"""A training mix against test sets: refuse it with the list of offending pairs, or write it without them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec

from bimedix2 import __version__
from bimedix2.cache import sha256_file, write_whole
from bimedix2.data.good_rows import GoodRows
from bimedix2.data.locks import only_one
from bimedix2.data.quarantine import Quarantine, quarantine_path
from bimedix2.data.runner import Runner
from bimedix2.errors import ConfigError, DataError, RecordError
from bimedix2.records import Record, Step, read_records, write_records

from .embed import THRESHOLD, EmbeddingSearch, encoder
from .find import Finder, Findings, LookAt, Offence
from .pictures import Pictures, TestPictures, stated_looks
from .search import Search, SearchSettings
from .testset import Collector, TestHashes, joined, load, shipped
from .wording import reason_texts, refusal

Say = Callable[[str, str], None]


@dataclass(frozen=True)
class DecontaminateSettings:
    """What to compare with, and what to do.

    Attributes:
        tests: files of test records.
        test_data: folder that their images start from; ``data`` if not given.
        hashes: files of test-set hashes.
        use_shipped: also compare with the hashes that come with the package.
        data: folder that images of the mix start from.
        images: open the images; else only their SHA-256 as the records state it is compared.
        parents: files of originals that are not in the mix.
        drop: leave offending records out instead of refusing.
        embed, embed_threshold: encoder for translations by meaning, and least cosine.
        search: thresholds.
        runner: compares the texts of the mix; this process if not given.
    """

    tests: Sequence[Path] = ()
    test_data: Path | None = None
    hashes: Sequence[Path] = ()
    use_shipped: bool = True
    data: Path = field(default_factory=lambda: Path("data"))
    images: bool = True
    parents: Sequence[Path] = ()
    drop: bool = False
    embed: str = ""
    embed_threshold: float = THRESHOLD
    search: SearchSettings = field(default_factory=SearchSettings)
    runner: Runner | None = field(default=None, repr=False)


def decontaminate(
    mix: Path, out: Path | None, settings: DecontaminateSettings, report: Path | None = None, say: Say | None = None
) -> dict[str, Any]:
    """Compare a mix with test sets.

    Args:
        mix: ``.jsonl`` or ``.parquet``.
        out: the clean records, with a step added to their provenance; written if nothing was found or with ``drop``.
            ``OUT.quarantine.jsonl`` has the records left out, and rows that are no records, with reasons.
        settings: what to compare with.
        report: where the report goes; beside ``out`` or the mix if not given. ``….offences.jsonl`` stands beside it.
        say: takes progress in English and Arabic.

    Returns:
        The report.

    Raises:
        ConfigError: nothing to compare with, or ``drop`` without ``out``.
        DataError: ``contaminated``: the mix has test items, and ``drop`` was not asked for; ``unreadable_images``:
            images could not be compared. The report is written before.
        RecordError: a file is missing or damaged as a whole, or a row of a test file is bad.
    """
    _check(mix, out, settings)
    target = out or mix
    with ExitStack() as stack:
        stack.enter_context(only_one(out or report_path(target, report)))
        hashes, embedding = _test_sets(settings)
        look_at: LookAt = stated_looks
        if settings.images:
            look_at = stack.enter_context(Pictures(settings.data)).looks
        finder = Finder(Search(hashes, settings.search), look_at, embedding, say)
        parents = chain.from_iterable(GoodRows(path).records() for path in settings.parents)
        rows = GoodRows(mix)
        found = finder.find(rows.records(), parents, settings.runner)
        _complete(rows, found)
        content = _report(rows, hashes, found, settings)
        place = report_path(target, report)
        write_whole(offences_path(place), b"".join(msgspec.json.encode(one) + b"\n" for one in found.rows()))
        bad = bool(found.offences or found.unreadable)
        if out is not None and (settings.drop or not bad):
            content["out"] = {"path": str(out), "records": _write(rows, out, found, hashes)}
            content["out"]["sha256"] = sha256_file(out)
        write_whole(place, (json.dumps(content, ensure_ascii=False, indent=1) + "\n").encode())
    if bad and not settings.drop:
        _refuse(found, offences_path(place))
    return content


def report_path(target: Path, report: Path | None = None) -> Path:
    """``mix.jsonl`` has ``mix.decontamination.json``."""
    return report or target.with_name(f"{target.stem}.decontamination.json")


def offences_path(report: Path) -> Path:
    """``mix.decontamination.json`` has ``mix.decontamination.offences.jsonl``."""
    return report.with_name(f"{report.stem}.offences.jsonl")


def _check(mix: Path, out: Path | None, settings: DecontaminateSettings) -> None:
    if settings.drop and out is None:
        raise ConfigError("--drop needs --out FILE for the clean records.", "يحتاج --drop إلى --out للسجلات النظيفة.")
    if out is not None and out.absolute() == mix.absolute():
        raise ConfigError("--out must not be the mix itself.", "يجب ألا يكون --out ملف الخليط نفسه.")
    if not (settings.tests or settings.hashes or settings.use_shipped):
        raise ConfigError(
            "There is nothing to compare with: give --test FILE or --hashes FILE, or leave --no-shipped out.",
            "لا شيء للمقارنة: أعط --test FILE أو --hashes FILE أو احذف --no-shipped.",
        )
    if settings.embed and not settings.tests:
        raise ConfigError(
            "--embed compares meanings, which hashes do not hold: give the test records with --test FILE.",
            "يقارن --embed المعاني ولا تحملها البصمات: أعط سجلات الاختبار بالخيار --test FILE.",
        )


def _test_sets(settings: DecontaminateSettings) -> tuple[TestHashes, EmbeddingSearch | None]:
    parts = [shipped()] if settings.use_shipped else []
    parts += [load(path) for path in settings.hashes]
    embedding = EmbeddingSearch(encoder(settings.embed), settings.embed_threshold) if settings.embed else None
    first = sum(len(part.ids) for part in parts)
    collector = Collector()
    with TestPictures(settings.test_data or settings.data) as pictures:
        for path in settings.tests:
            records = list(read_records(path))
            if not records:
                raise RecordError(path, 0, "file", "has no record", "لا يحتوي على أي سجل")
            look_at = pictures.looks if settings.images else _stated
            collector.add_set(str(path), records, look_at, sha256=sha256_file(path))
            if embedding is not None:
                embedding.add(records, first)
            first += len(records)
    return joined([*parts, collector.collected()]), embedding


def _stated(record: Record) -> list[Any]:
    from .prints import no_codes

    return [(look.file, 0, no_codes()) for look in stated_looks([record])[0] if look.file is not None]


def _complete(rows: GoodRows, found: Findings) -> None:
    """Ids of records that inherited, for only their keys were kept; and rows of the file where some were bad."""
    if any(not own[0].id for own in found.offences.values()):
        for place, record in enumerate(rows.records(), start=1):
            if place in found.offences and not found.offences[place][0].id:
                found.offences[place] = [msgspec.structs.replace(one, id=record.id) for one in found.offences[place]]
    if rows.bad:
        found.offences = {
            rows.row(place): [msgspec.structs.replace(one, row=rows.row(place)) for one in own]
            for place, own in found.offences.items()
        }
        found.unreadable = {rows.row(place): why for place, why in found.unreadable.items()}


def _write(rows: GoodRows, out: Path, found: Findings, hashes: TestHashes) -> int:
    """Write the clean records and the quarantine; both appear whole or not at all."""
    quarantine, done = Quarantine(quarantine_path(out)), False
    names = ", ".join(dict.fromkeys(str(own["name"]) for own in hashes.sets))
    step = Step(name="decontaminate", tool="bimedix2", version=__version__, note=f"compared with {names}")

    def clean() -> Iterator[Record]:
        for place, record in enumerate(rows.records(quarantine.add), start=1):
            row = rows.row(place)
            if row in found.offences:
                _quarantine(quarantine, rows.path, found.offences[row][0])
            elif row in found.unreadable:
                index, english, arabic = found.unreadable[row]
                error = RecordError(rows.path, row, f"images[{index}].path", english, arabic)
                quarantine.add(error, "unreadable_image", record.id)
            else:
                yield msgspec.structs.replace(record, provenance=(*record.provenance, step))

    try:
        written = write_records(out, clean())
        done = True
    finally:
        quarantine.close(keep=done)
    return written


def _quarantine(quarantine: Quarantine, mix: Path, offence: Offence) -> None:
    english, arabic = reason_texts(offence)
    quarantine.add(RecordError(mix, offence.row, offence.field, english, arabic), offence.reason, offence.id)


def _report(rows: GoodRows, hashes: TestHashes, found: Findings, settings: DecontaminateSettings) -> dict[str, Any]:
    return {
        "version": __version__,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "mix": {
            "path": str(rows.path),
            "sha256": sha256_file(rows.path),
            "records": found.records,
            "bad_rows": rows.bad,
        },
        "test_sets": list(hashes.sets),
        "settings": msgspec.to_builtins(settings.search) | {"images": settings.images, "embed": settings.embed},
        "offending_records": len(found.offences),
        "by_reason": found.by_reason(),
        "by_test_set": found.by_set(),
        "unreadable_images": len(found.unreadable),
        "translations_without_original": found.orphans,
        "dropped": settings.drop,
    }


def _refuse(found: Findings, listed: Path) -> None:
    if found.offences:
        english, arabic = refusal(found, listed)
        raise DataError(english, arabic, code="contaminated")
    row, (index, why, why_ar) = next(iter(found.unreadable.items()))
    raise DataError(
        f"{len(found.unreadable)} records have images that cannot be compared, first row {row}, images[{index}]: {why} "
        "Give their folder with --data, leave the records out with --drop, or compare texts alone with --no-images.",
        f"تعذرت مقارنة صور {len(found.unreadable)} سجل، أولها الصف {row}: {why_ar} أعط مجلدها بالخيار --data، أو اترك "
        "هذه السجلات بالخيار --drop، أو قارن النصوص وحدها بالخيار --no-images.",
        code="unreadable_images",
    )
