"""Every check on a pair, a batch of pairs, or a translated record."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import msgspec

from bimedix2.records.schema import Language, Record
from bimedix2.text import language_of

from . import meaning
from .abbreviations import check_abbreviations
from .brackets import check_brackets
from .drugs import check_drugs
from .finding import Context, Finding
from .laterality import check_laterality
from .meaning import Meaning, check_length, check_meaning
from .negation import check_negation
from .numbers import check_numbers
from .options import check_options
from .polarity import check_polarity
from .repetition import check_repetition
from .scorers import Scorer
from .script import check_script
from .structure import check_structure
from .terms import check_glossary
from .units import check_units

Check = Callable[[str, str, Context], list[Finding]]
CHECKS: tuple[Check, ...] = (
    check_numbers,
    check_units,
    check_negation,
    check_polarity,
    check_laterality,
    check_drugs,
    check_abbreviations,
    check_options,
    check_structure,
    check_script,
    check_repetition,
    check_length,
    check_brackets,
    check_glossary,
)
_FAULT_ODDS = {"critical": 0.02, "error": 0.1, "note": 0.9}  # left of a pair's standing by each finding


class CheckResult(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome for one pair.

    Attributes:
        id: of the pair.
        failed: names of the checks that failed, each once, in order of the checks.
        scores: ``similarity`` (cosine), ``words_english`` and ``words_arabic`` (shares of known words with a partner),
            ``length_ratio`` (Arabic characters for one English), ``mismatch`` and ``cut`` (probabilities), ``risk``
            (0 to 1, all checks together, for sorting), and one figure for each further scorer.
        findings: explanations with spans.
    """

    id: str
    failed: list[str]
    scores: dict[str, float]
    findings: list[Finding]


class PairRow(NamedTuple):
    """A pair to be checked."""

    id: str
    source: str
    translation: str


def source_language(source: str, translation: str) -> Language:
    """Language of a source by its letters; one without letters is the other of its translation's."""
    if any(character.isalpha() for character in source):
        return language_of(source, default="en")
    has_letters = any(character.isalpha() for character in translation)
    return "ar" if has_letters and language_of(translation) == "en" else "en"


def _context(row: PairRow, context: Context) -> Context:
    """The context with the row's own source language where none is set."""
    if context.source_language is not None:
        return context
    return replace(context, source_language=source_language(row.source, row.translation))


def _similarities(rows: Sequence[PairRow], scorer: Scorer | None) -> list[tuple[float | None, float | None]]:
    """For each row its cosine, and the difference between the halves of the source."""
    if scorer is None:
        return [(None, None)] * len(rows)
    whole = scorer.score([(row.source, row.translation) for row in rows])
    parts = {at: part for at, row in enumerate(rows) if (part := meaning.halves(row.source))}
    asked = [(half, rows[at].translation) for at, part in parts.items() for half in part]
    told = iter(scorer.score(asked))
    difference = {at: -next(told) + next(told) for at in parts}
    return [(figure, difference.get(at)) for at, figure in enumerate(whole)]


def _scores(m: Meaning, context: Context, findings: Iterable[Finding]) -> dict[str, float]:
    mismatch = meaning.mismatch_probability(m)
    cut = meaning.cut_probability(m, context.target_language == "ar")
    standing = (1 - mismatch) * (1 - cut)
    for finding in findings:
        standing *= _FAULT_ODDS[finding.severity]
    scores = {} if m.similarity is None else {"similarity": m.similarity}
    scores |= {"words_english": m.english.share, "words_arabic": m.arabic.share, "length_ratio": m.ratio}
    return scores | {"mismatch": mismatch, "cut": cut, "risk": 1 - standing}


def _one(
    row: PairRow, context: Context, cosines: tuple[float | None, float | None], similarity: Scorer | None
) -> CheckResult:
    if not row.translation.strip():
        texts = "The translation is empty.", "الترجمة فارغة."
        empty = Finding(check="empty", severity="critical", english=texts[0], arabic=texts[1])
        return CheckResult(id=row.id, failed=["empty"], scores={"risk": 1.0}, findings=[empty])
    checks = [partial(check_negation, similarity=similarity) if check is check_negation else check for check in CHECKS]
    findings = [finding for check in checks for finding in check(row.source, row.translation, context)]
    m = meaning.measure(row.source, row.translation, context, *cosines)
    findings += check_meaning(row.source, row.translation, context, m)
    failed = list(dict.fromkeys(finding.check for finding in findings if finding.severity != "note"))
    scores = {name: round(figure, 4) for name, figure in _scores(m, context, findings).items()}
    return CheckResult(id=row.id, failed=failed, scores=scores, findings=findings)


def check_pairs(
    rows: Sequence[PairRow],
    context: Context | None = None,
    *,
    similarity: Scorer | None = None,
    scorers: Sequence[Scorer] = (),
    least: dict[str, float] | None = None,
) -> list[CheckResult]:
    """Check a batch of pairs, in order.

    Args:
        rows: id, source and translation each.
        context: languages, glossary and options; ``None`` tells the languages of every row by its letters.
        similarity: encoder for ``mismatch``, ``cut`` and ``negation``; ``None`` decides by words and length alone.
        scorers: further scorers, whose figures are added under their names.
        least: by name of a scorer the figure under which a pair fails.
    """
    context = Context(source_language=None) if context is None else context
    cosines = _similarities(rows, similarity)
    results = [_one(row, _context(row, context), both, similarity) for row, both in zip(rows, cosines, strict=True)]
    for scorer in scorers:
        figures = scorer.score([(row.source, row.translation) for row in rows])
        limit = (least or {}).get(scorer.name)
        results = [_with_score(r, scorer.name, f, limit) for r, f in zip(results, figures, strict=True)]
    return results


def _with_score(result: CheckResult, name: str, figure: float, limit: float | None) -> CheckResult:
    scores = {**result.scores, name: round(figure, 4)}
    if limit is None or figure >= limit:
        return msgspec.structs.replace(result, scores=scores)
    texts = f"{name} is {figure:.3f}, under {limit}.", f"قيمة {name} هي {figure:.3f} وهي دون {limit}."
    finding = Finding(check=name, severity="error", english=texts[0], arabic=texts[1])
    return msgspec.structs.replace(
        result, scores=scores, failed=[*result.failed, name], findings=[*result.findings, finding]
    )


def check_pair(id: str, source: str, translation: str, context: Context | None = None, **options: Any) -> CheckResult:  # noqa: A002
    """Check one pair; ``options`` are those of ``check_pairs``."""
    return check_pairs([PairRow(id, source, translation)], context, **options)[0]


def _shape(parent: Record, record: Record) -> list[Finding]:
    """Turns, roles and images of the two records."""
    if [turn.role for turn in parent.turns] != [turn.role for turn in record.turns]:
        texts = (
            f"{len(parent.turns)} turns in the original, {len(record.turns)} in the translation, or other roles.",
            f"الأدوار في الأصل {len(parent.turns)} وفي الترجمة {len(record.turns)}، أو الأدوار مختلفة.",
        )
        return [Finding(check="structure", severity="error", english=texts[0], arabic=texts[1])]
    images = [turn.images for turn in parent.turns], [turn.images for turn in record.turns]
    if images[0] != images[1] or len(parent.images) != len(record.images):
        texts = "The images stand at other turns.", "الصور في أدوار أخرى."
        return [Finding(check="structure", severity="error", english=texts[0], arabic=texts[1])]
    return []


def check_record(parent: Record, record: Record, **options: Any) -> CheckResult:
    """Check a translated record against its original, turn by turn.

    Args:
        parent: the original.
        record: its translation; ``record.parent`` should name ``parent.id``, which is not checked here.
        options: those of ``check_pairs``, its ``context`` included.

    Returns:
        One result; the findings name their turn, the scores are the worst of the turns.
    """
    findings = _shape(parent, record)
    turns = list(zip(parent.turns, record.turns, strict=False)) if not findings else []
    rows = [PairRow(str(at), one.text, other.text) for at, (one, other) in enumerate(turns)]
    results = check_pairs(rows, **options)
    scores: dict[str, float] = {}
    for at, result in enumerate(results):
        findings += [msgspec.structs.replace(finding, turn=at) for finding in result.findings]
        for name, figure in result.scores.items():
            worst = max if name in ("mismatch", "cut", "risk") else min
            scores[name] = worst(scores.get(name, figure), figure)
    failed = list(dict.fromkeys(finding.check for finding in findings if finding.severity != "note"))
    return CheckResult(id=record.id, failed=failed, scores=scores, findings=findings)
