"""All sources by name. A module is imported when its source is asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path

from bimedix2.errors import ConfigError
from bimedix2.records import OnError, Record
from bimedix2.records.schema import Split

from ._reading import DEFAULT_SPLITS, Reading, Source, SourceInfo

MODULES: dict[str, str] = {
    "vqa_rad": "vqa_rad",
    "slake": "slake",
    "path_vqa": "path_vqa",
    "rocov2": "rocov2",
    "pmc_oa": "pmc_oa",
    "llava_med_alignment": "llava_med",
    "llava_med_instruct": "llava_med",
    "bimed": "bimed",
    "medqa": "medqa",
    "medmcqa": "medmcqa",
    "pubmedqa": "pubmedqa",
    "mmlu": "mmlu",
    "indiana": "indiana",
    "mimic_cxr": "mimic",
    "mimic_iii": "mimic",
    "meqsum": "meqsum",
    "tico19": "tico19",
    "bccd": "bccd",
    "pneumoniamnist": "pneumoniamnist",
    "llava": "llava_file",
    "table": "table",
}


def find_source(name: str) -> Source:
    """The source of this name.

    Raises:
        ConfigError: there is none; names those that come closest.
    """
    if name not in MODULES:
        near = ", ".join(get_close_matches(name, MODULES) or MODULES)
        raise ConfigError(
            f"{name!r} is not a source; did you mean: {near}? `bimedix2 data sources` lists them. For a set of your "
            "own use `table` (CSV, JSON) or `llava`.",
            f"{name!r} ليس مصدرا؛ هل تقصد: {near}؟ يعرضها bimedix2 data sources. لبياناتك استخدم table أو llava.",
            code="unknown_source",
        )
    module = import_module(f".{MODULES[name]}", __package__)
    found: Source = next(source for source in module.SOURCES if source.info.name == name)
    return found


def all_sources() -> list[SourceInfo]:
    """What there is, in the order of ``MODULES``."""
    return [find_source(name).info for name in MODULES]


def settings_of(info: SourceInfo, given: Mapping[str, str]) -> dict[str, str]:
    """The options of a source with defaults filled in.

    Raises:
        ConfigError: the source has no such option.
    """
    known = {option.name: option.default for option in info.options}
    for name in given:
        if name not in known:
            names = ", ".join(known) or "-"
            raise ConfigError(
                f"--set {name}: {info.name} has no such option; it has: {names}.",
                f"--set {name}: لا يوجد هذا الخيار في {info.name}؛ خياراته: {names}.",
            )
    return known | dict(given)


def records(
    name: str,
    root: Path,
    splits: Collection[Split] = DEFAULT_SPLITS,
    *,
    on_error: OnError | None = None,
    options: Mapping[str, str] | None = None,
    skipped: Counter[str] | None = None,
) -> Iterator[Record]:
    """The records of one source, straight from its original files.

    Args:
        name: one of ``MODULES``.
        root: folder that holds the sources' folders.
        splits: the official test split comes only where it is named here.
        on_error: takes the error of each bad row; ``None`` raises the first.
        options: of the source.
        skipped: counts rows that are left out on purpose, by reason.

    Raises:
        ConfigError: no such source or option.
        RecordError: its files are not there, or damaged as a whole.
    """
    source = find_source(name)
    reading = Reading(root, frozenset(splits), on_error, settings_of(source.info, options or {}))
    yield from source.read(reading)
    if skipped is not None:
        skipped.update({said.en: count for said, count in reading.skipped.items()})
