"""From a finished translation to the new record, its provenance and what an expert should see."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import msgspec

from bimedix2.data.llm.prompts import Prompt
from bimedix2.data.llm.step import Answered, Outcome, ReviewItem
from bimedix2.records import Language, Record, Step
from bimedix2.records.validate import find_fault

from .parts import Parts
from .replies import Draft
from .settings import TranslateSettings

Log = list[tuple[str, Answered]]


class Finisher:
    """Makes the outcome of one translation.

    Args:
        settings: thresholds.
        prompts: by name, for provenance.
        glossary: its fingerprint, for provenance.
        language: of the notes.
    """

    def __init__(
        self, settings: TranslateSettings, prompts: Mapping[str, Prompt], glossary: str, language: Language
    ) -> None:
        self.settings, self._prompts, self._glossary, self._language = settings, prompts, glossary, language

    def outcome(self, parts: Parts, draft: Draft, log: Log, variant: int) -> Outcome:
        """The new record, or its place in the review queue.

        Args:
            parts: the original.
            draft: the chosen translation.
            log: all replies in order, by stage.
            variant: number of the outcome, from 0.
        """
        record, target = parts.record, self.settings.target
        new = msgspec.structs.replace(
            record,
            id=translated_id(record.id, target, variant),
            turns=parts.rebuilt(draft.turns, target),
            parent=record.id,
            pair_id=record.pair_id or record.id,
            provenance=(*record.provenance, *self._steps(draft, log)),
        )
        fault = find_fault(new)
        assert fault is None, fault  # the source is valid and no text is empty
        review = self._review(new, draft)
        low = bool(review) and review[0].reason != "audit"
        records: tuple[Record, ...] = () if low and not self.settings.keep_low else (new,)
        if records and self.settings.with_originals:
            records = (msgspec.structs.replace(record, pair_id=new.pair_id), new)
        return Outcome(records, review)

    def _review(self, record: Record, draft: Draft) -> tuple[ReviewItem, ...]:
        notes = (
            *(draft.critique.lines() if draft.critique else ()),
            *(fault.text(self._language) for fault in draft.faults),
        )
        score = draft.critique.score if draft.critique else None
        reason = ""
        if not passes(draft, self.settings):
            reason = "low_score"
        elif draft.faults:
            reason = "failed_checks"
        elif in_audit(record.id, self.settings.audit_share, self.settings.seed):
            reason = "audit"
        return (ReviewItem(record=record, reason=reason, score=score, notes=notes),) if reason else ()

    def _steps(self, draft: Draft, log: Log) -> tuple[Step, ...]:
        """Provenance: who translated, from which prompt and reply, and how the last critique judged it."""
        if not log:
            return (Step(name="translate", tool="bimedix2", note="option letters alone"),)
        target: Language = self.settings.target
        source: Language = "en" if target == "ar" else "ar"
        written = [answered for stage, answered in log if not stage.startswith("critique")]
        rounds = sum(stage.startswith("revise") for stage, _ in log)
        chosen = next(item for item in reversed(written) if item.value.turns == draft.turns)
        note = f"{source} to {target}; reply {chosen.key}; glossary {self._glossary}"
        if draft.faults:
            note += f"; failed {','.join(sorted({fault.check for fault in draft.faults}))}"
        version = self._prompts["translate"].label
        if chosen is not written[0]:
            version += f" {self._prompts['revise'].label}"
        steps = [Step(name="translate", tool=chosen.model, version=version, date=chosen.date, note=note)]
        judged = [item for stage, item in log if stage.startswith("critique") and item.value == draft.critique]
        if draft.critique is not None and judged:
            critical = "; critical" if draft.critique.critical else ""
            note = f"score {draft.critique.score} of 100{critical}; {rounds} rounds back; threshold "
            note += f"{self.settings.threshold}; reply {judged[-1].key}"
            label = self._prompts["critique"].label
            steps.append(Step(name="critique", tool=judged[-1].model, version=label, date=judged[-1].date, note=note))
        return tuple(steps)


def passes(draft: Draft, settings: TranslateSettings) -> bool:
    """Whether the critic lets a translation through; without a critic all pass."""
    critique = draft.critique
    return critique is None or (critique.score >= settings.threshold and not critique.critical)


def translated_id(record_id: str, target: Language, variant: int = 0) -> str:
    """Id of a translation: the language mark at the end changes, or is added.

    >>> translated_id("vqa_rad:7:en", "ar"), translated_id("slake:12", "ar"), translated_id("slake:12", "ar", 1)
    ('vqa_rad:7:ar', 'slake:12:ar', 'slake:12:ar~1')
    """
    base = record_id.removesuffix(":en" if target == "ar" else ":ar")
    return f"{base}:{target}" + (f"~{variant}" if variant else "")


def in_audit(record_id: str, share: float, seed: int) -> bool:
    """Whether a record belongs to the random sample for experts; depends on its id and the seed alone."""
    digest = hashlib.sha256(f"audit|{seed}|{record_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64 < share
