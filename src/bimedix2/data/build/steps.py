"""The steps of the line in their order. A recipe takes those that it names."""

from __future__ import annotations

from . import check_step, clean_steps, decontaminate_step, ingest_step, llm_steps, pack_steps, review_step
from .job import BuildStep

STEPS: tuple[BuildStep, ...] = (
    BuildStep("ingest", "الاستيراد", ingest_step.run, ingest_step.depends),
    BuildStep("rewrite", "إعادة الصياغة", llm_steps.rewrite),
    BuildStep("translate", "الترجمة", llm_steps.translate, llm_steps.translate_depends),
    BuildStep("check", "فحص الترجمات", check_step.run, check_step.depends),
    BuildStep("review", "المراجعة", review_step.run, review_step.depends),
    BuildStep("phi", "بيانات الهوية", clean_steps.phi),
    BuildStep("dedup", "حذف المكرر", clean_steps.dedup),
    BuildStep("decontaminate", "عزل الاختبار", decontaminate_step.run, decontaminate_step.depends),
    BuildStep("mix", "الخلط", pack_steps.mix),
    BuildStep("shard", "التجزئة", pack_steps.shard),
    BuildStep("card", "البطاقة", pack_steps.card),
)
