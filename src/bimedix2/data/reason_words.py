"""Reasons for which records are set aside or marked, in words."""

from __future__ import annotations

_REASONS: dict[str, str] = {
    "bad_row": "صف معيب",
    "bad_image": "صورة غير صالحة",
    "duplicate_id": "معرف مكرر",
    "contradictory_split": "أقسام متعارضة",
    "not_paired": "بلا ترجمة",
    "rewritten": "أعيدت صياغته",
    "failed_check": "لم يجتز الفحص",
    "review_rejected": "رفضه مراجع",
    "review_pending": "لم يقرأ بعد",
    "review_adjudicate": "اختلف فيه القراء",
    "review_retranslate": "تعاد ترجمته",
    "unread": "لم يقرأ وأبقي",
    "rejected_not_taken": "رفض لم يؤخذ به",
    "edit_not_taken": "تعديل لم يؤخذ به",
    "identifying": "قد يحدد هوية",
    "redacted": "حجبت منه بيانات الهوية",
    "duplicate_exact": "مكرر مطابق",
    "duplicate_near": "شبه مكرر",
    "duplicate_parent": "أصله مكرر",
    "same_question": "سؤال محجوز عن الصورة نفسها",
    "unreadable_image": "صورة لا تقرأ",
    "image_near": "نسخة معدلة من صورة اختبار",
    "image_file": "ملف صورة اختبار",
    "image_pixels": "بكسلات صورة اختبار",
    "text_exact": "نص اختبار",
    "text_near": "نص قريب من نص اختبار",
    "text_covered": "يحوي نص اختبار",
    "text_answer": "سؤال اختبار وجوابه",
    "name": "اسم عنصر اختبار",
    "split": "من قسم الاختبار",
    "parent": "أصله أو ترجمته عنصر اختبار",
    "pair": "من زوج عنصر اختبار",
    "not_chosen": "لم يختره الخلط",
}


def reason_word(code: str, language: str) -> str:
    """A reason for setting a record aside, in words; one that is not known is its own name."""
    return _REASONS.get(code, code) if language == "ar" else code.replace("_", " ")
