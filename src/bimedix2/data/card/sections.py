"""What the card says: who may use the set, what is in it, where it comes from, what it lacks."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from bimedix2 import __version__

from .blocks import Block, Items, Picture, Section, Table, Text
from .facts import STEPS, Facts
from .licences import Terms, terms_of
from .names import Words
from .settings import CardSettings
from .step_sections import step_sections

Pictures = dict[str, Path]


def sections(facts: Facts, settings: CardSettings, language: str, pictures: Pictures) -> list[Section]:
    """The card in one language.

    Args:
        facts: what is known.
        settings: words of the makers.
        language: ``en`` or ``ar``.
        pictures: drawn already: ``counts`` and ``checks``.
    """
    w = Words(language)
    title = (settings.name_ar if language == "ar" else "") or settings.name or facts.path.stem
    described = settings.description_ar if language == "ar" else settings.description
    return [
        Section(f"{w('card')}: {title}", [Text(described)] if described else []),
        Section(w("use"), [Text(w("use_text")), Text(w("use_not"), strong=True)]),
        _glance(facts, w),
        _counts(facts, w, pictures),
        _sources(facts, w),
        _provenance(facts, w),
        *step_sections(facts, w, pictures),
        _limits(facts, settings, w),
        _hashes(facts, w),
    ]


def _glance(facts: Facts, w: Words) -> Section:
    stats = facts.stats
    language = stats.by("language")
    rows = [
        ("records", stats.records), ("en", language.get("en", 0)), ("ar", language.get("ar", 0)),
        ("pairs", stats.pairs), ("with_images", stats.with_images), ("images", stats.images),
        ("cross_language", stats.cross_language),
    ]  # fmt: skip
    table = Table((w("kind"), w("count")), tuple((w(name), f"{count:,}") for name, count in rows))
    splits = sorted({split for split, _ in facts.splits})
    by_split = tuple(
        (w.value(split), f"{facts.splits[split, 'en']:,}", f"{facts.splits[split, 'ar']:,}") for split in splits
    )
    return Section(w("glance"), [table, Table((w("split"), w("en"), w("ar")), by_split)])


def _counts(facts: Facts, w: Words, pictures: Pictures) -> Section:
    cells: dict[tuple[str, str], Counter[str]] = {}
    for cell in facts.stats.cells:
        cells.setdefault((cell.modality, cell.task), Counter())[cell.language] += cell.records
    rows = tuple(
        (*map(w.value, names), f"{counts['en']:,}", f"{counts['ar']:,}", f"{counts.total():,}")
        for names, counts in sorted(cells.items(), key=lambda item: -item[1].total())
    )
    blocks: list[Block] = [Table((w("modality"), w("task"), w("en"), w("ar"), w("total")), rows)]
    if "counts" in pictures:
        blocks.append(Picture(pictures["counts"], w("counts")))
    return Section(w("counts"), blocks)


def _sources(facts: Facts, w: Words) -> Section:
    by_source = {entry["source"]: entry for entry in facts.details("ingest").get("sources", [])}
    rows = []
    for (source, licence), count in sorted(facts.licences.items()):
        note = by_source.get(source, {}).get("notes_ar" if w.language == "ar" else "notes", "")
        rows.append((source, licence, _terms_words(terms_of(licence), w), f"{count:,}", note))
    blocks: list[Block] = [Table((w("source"), w("licence"), w("terms"), w("records"), w("notes")), tuple(rows))]
    return Section(w("sources"), blocks + _terms(facts, w))


def _terms_words(terms: Terms, w: Words) -> str:
    names = ("nc", "nd", "sa", "unclear")
    return w.joined([w(name) for name, told in zip(names, terms, strict=True) if told]) or "–"


def _terms(facts: Facts, w: Words) -> list[Block]:
    told = {source: terms_of(licence) for source, licence in sorted(facts.licences)}
    non_commercial = [source for source, terms in told.items() if terms.non_commercial]
    no_derivatives = [source for source, terms in told.items() if terms.no_derivatives]
    blocks: list[Block] = []
    if non_commercial:
        blocks.append(Text(w("terms_nc", names=w.joined(non_commercial)), strong=True))
    if no_derivatives:
        blocks.append(Text(w("terms_nd", names=w.joined(no_derivatives)), strong=True))
    return blocks or [Text(w("terms_none"))]


def _provenance(facts: Facts, w: Words) -> Section:
    rows = tuple(
        (w.value(name), w.value(tool), version or "–", f"{count:,}")
        for (name, tool, version), count in sorted(facts.provenance.items())
    )
    head = (w("step"), w("tool"), w("version"), w("records"))
    return Section(w("provenance"), [Text(w("provenance_note")), Table(head, rows)])


def _limits(facts: Facts, settings: CardSettings, w: Words) -> Section:
    found = [*_told_limits(facts, w), *_spread(facts, w)]
    missing = [w.step(name) for name in STEPS if not facts.done(name)]
    if missing:
        found.append(w("limit_missing", names=w.joined(missing)))
    found += settings.limits_ar if w.language == "ar" else settings.limits
    return Section(w("limits"), [Items(tuple(found))])


def _told_limits(facts: Facts, w: Words) -> list[str]:
    """Limits that the records and the reports of the steps tell."""
    found = [
        w("limit_machine", count=count, note=_note(note, w))
        for note, count in facts.notes.most_common()
        if "clinician" in note
    ]
    if facts.notes and facts.details("review").get("reviewers") == "scripted":
        found.append(w("limit_unread"))
    if facts.failed:
        found.append(w("limit_failed", count=facts.failed))
    for step, key in (("dedup", "limit_twins"), ("phi", "limit_phi")):
        kept = _kept(facts, step)
        if kept:
            found.append(w(key, count=kept))
    return found


def _kept(facts: Facts, step: str) -> int:
    """Records that a step found and kept unchanged; later steps may have left some of them out."""
    listed: dict[str, int] = facts.states.get(step, {}).get("listed", {})
    return sum(count for code, count in listed.items() if code != "redacted")


def _note(note: str, w: Words) -> str:
    known = {"not verified by a clinician": "لم يتحقق منه طبيب"}
    return known.get(note, note) if w.language == "ar" else note


def _spread(facts: Facts, w: Words) -> list[str]:
    records = facts.stats.records
    name, most = max(facts.stats.by("source").items(), key=lambda item: item[1])
    found = [w("limit_share", share=f"{most / records:.0%}", name=name)] if most > records / 3 else []
    arabic = facts.stats.by("language").get("ar", 0)
    return [*found, w("limit_arabic", share=f"{arabic / records:.0%}")]


def _hashes(facts: Facts, w: Words) -> Section:
    rows = [(facts.path.name, facts.sha256)]
    mix = facts.details("mix")
    if "content_sha256" in mix:
        rows.append(("content", str(mix["content_sha256"])))
    shard = facts.states.get("shard", {})
    rows += [(name, one["sha256"]) for name, one in shard.get("files", {}).items() if name.endswith("manifest.json")]
    blocks: list[Block] = [Table((w("file"), "SHA-256"), tuple(rows))]
    if facts.lists:
        blocks += [Text(w("lists")), Items(tuple(facts.lists))]
    return Section(w("hashes"), [*blocks, Text(w("made_with", version=__version__))])
