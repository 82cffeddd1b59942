"""The fixed research-use notice. It is never part of the model's own words."""

from __future__ import annotations

NOTICE_EN = (
    "Research use only. BiMediX2 is not a medical device: do not use its answers for diagnosis, "
    "treatment or triage. They can be wrong; a qualified clinician must verify them."
)
NOTICE_AR = (
    "للاستخدام البحثي فقط. BiMediX2 ليس جهازا طبيا: لا تستخدم إجاباته للتشخيص أو العلاج أو فرز الحالات. "
    "قد تكون الإجابات خاطئة، ويجب أن يتحقق منها طبيب مؤهل."
)


def notice(language: str) -> str:
    """The notice in ``"ar"`` or ``"en"``."""
    return NOTICE_AR if language == "ar" else NOTICE_EN
