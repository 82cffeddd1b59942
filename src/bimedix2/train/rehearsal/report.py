"""What a rehearsal found, and whether it is as it should be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

RESUME_TOLERANCE = 1e-6
EXPORT_TOLERANCE = 1e-4


@dataclass(frozen=True)
class StageNote:
    """One stage of the uninterrupted run; losses in nats per supervised token (per image for ``words``)."""

    name: str
    steps: int
    first_loss: float
    last_loss: float


@dataclass(frozen=True)
class RehearsalReport:
    """Losses and matches of a toy: they say that the machinery works, and nothing about a real model.

    Attributes:
        structure: of the toy: ``llama``, ``phi3`` or ``nano``.
        records, held_out: number of records to train on, and of those about pictures that are never trained on.
        broken: records that were broken on purpose, to see them skipped (none with ``bad_samples: stop``).
        skipped: records that the trainer left out.
        stages: of the run without interruption.
        stopped_after: optimiser steps before the other run was stopped; it was then taken up from its checkpoint.
        resume_gap: largest difference between the two runs, over all losses and all trained weights.
        adapter_change: largest difference that the trained parts make to the toy's logits.
        export_gap: largest difference of logits between the toy with its trained parts and its export read back.
        largest_logit: what ``export_gap`` is measured against.
        loss: before and after, on the held-out records, in nats per supervised token, by transformers' own forward.
        learns_answers: whether a stage trains on answers, so that ``loss`` has to fall; ``words`` alone does not.
        exact_match: before and after, share of held-out questions that are answered word for word.
        seconds: wall clock.
        changed: settings that the rehearsal replaced, ``was -> is``.
    """

    structure: str
    records: int
    held_out: int
    broken: int
    skipped: int
    stages: tuple[StageNote, ...]
    stopped_after: int
    resume_gap: float
    adapter_change: float
    export_gap: float
    largest_logit: float
    loss: tuple[float, float]
    learns_answers: bool
    exact_match: tuple[float, float]
    seconds: float
    changed: dict[str, str]

    @property
    def steps(self) -> int:
        """Optimiser steps of the whole run."""
        return sum(stage.steps for stage in self.stages)

    def faults(self) -> list[tuple[str, str]]:
        """What is not as it should be, in English and Arabic; empty if the rehearsal went well."""
        (before, after), gap = self.loss, f"{self.export_gap:.1e}"
        checks = (
            (
                self.skipped == self.broken,
                f"{self.skipped} records were skipped, {self.broken} should have been",
                f"تُرك {self.skipped} من السجلات وكان يجب ترك {self.broken}",
            ),
            (
                self.stopped_after < self.steps,
                "the run that was to be interrupted ran to its end",
                "لم يتوقف التدريب الذي كان يجب أن يُقطع",
            ),
            (
                self.resume_gap <= RESUME_TOLERANCE,
                f"stopping and resuming changes the result by {self.resume_gap:.1e}",
                f"الإيقاف والاستئناف يغيران النتيجة بمقدار {self.resume_gap:.1e}",
            ),
            (self.adapter_change > 0, "the trained parts change nothing", "الأجزاء المدربة لا تغير شيئا"),
            (
                self.export_gap <= EXPORT_TOLERANCE * max(1.0, self.largest_logit),
                f"the export's logits differ by {gap}",
                f"مخرجات النموذج المصدّر تختلف بمقدار {gap}",
            ),
            (
                after < before or not self.learns_answers,
                f"the loss on held-out records did not fall ({before:.3f}, then {after:.3f})",
                f"لم تنخفض الخسارة على السجلات المحجوزة ({before:.3f} ثم {after:.3f})",
            ),
        )
        return [(english, arabic) for held, english, arabic in checks if not held]

    def lines(self) -> list[tuple[str, str]]:
        """The report for people, in English and Arabic, faults last."""
        (before, after), (right, now_right) = self.loss, self.exact_match
        stages = "; ".join(f"{s.name} {s.steps}: {s.first_loss:.3f} -> {s.last_loss:.3f}" for s in self.stages)
        rows = [
            (
                f"toy {self.structure}: {self.records} records to train on, {self.held_out} held out, "
                f"{self.skipped} of {self.broken} broken ones skipped",
                f"نموذج مصغر {self.structure}: {self.records} سجلا للتدريب و{self.held_out} محجوزا، "
                f"وتُرك {self.skipped} من {self.broken} تالفا",
            ),
            (f"steps and loss by stage: {stages}", f"الخطوات والخسارة لكل مرحلة: {stages}"),
            (
                f"stopped after step {self.stopped_after} of {self.steps} and resumed: "
                f"largest difference {self.resume_gap:.1e}",
                f"أوقف بعد الخطوة {self.stopped_after} من {self.steps} ثم استؤنف: أكبر فرق {self.resume_gap:.1e}",
            ),
            (
                f"export read back: largest difference of logits {self.export_gap:.1e} of {self.largest_logit:.1f}",
                f"قراءة النموذج المصدّر: أكبر فرق في المخرجات {self.export_gap:.1e} من {self.largest_logit:.1f}",
            ),
            (
                f"held-out records, before and after: loss {before:.3f}, {after:.3f}; "
                f"exact match {right:.2f}, {now_right:.2f} (random toy weights: says nothing about the real model)",
                f"السجلات المحجوزة قبل وبعد: الخسارة {before:.3f} ثم {after:.3f}، والتطابق التام {right:.2f} ثم "
                f"{now_right:.2f} (أوزان عشوائية: لا يدل على النموذج الحقيقي)",
            ),
        ]
        rows.extend((f"FAULT: {english}", f"خلل: {arabic}") for english, arabic in self.faults())
        return rows


def stage_notes(rows: Sequence[dict[str, Any]]) -> tuple[StageNote, ...]:
    """First and last loss of every stage, from the rows of ``log.jsonl``."""
    names = dict.fromkeys(row["stage"] for row in rows)
    own = {name: [row["loss"] for row in rows if row["stage"] == name] for name in names}
    return tuple(StageNote(name, len(losses), losses[0], losses[-1]) for name, losses in own.items())
