"""Names of steps and values, and the words of a card in one language."""

from __future__ import annotations

from collections.abc import Mapping

from .words import TEXTS

STEP_NAMES: Mapping[str, tuple[str, str]] = {
    "ingest": ("ingest", "الاستيراد"),
    "rewrite": ("rewriting", "إعادة الصياغة"),
    "translate": ("translation by a model here", "الترجمة بنموذج هنا"),
    "check": ("checks of translations", "فحص الترجمات"),
    "review": ("review by people", "مراجعة البشر"),
    "phi": ("screen for identifying data", "فرز بيانات الهوية"),
    "dedup": ("search for near duplicates", "البحث عن المكرر"),
    "decontaminate": ("comparison with test sets", "المقارنة بمجموعات الاختبار"),
    "mix": ("mixing", "الخلط"),
    "shard": ("sharding", "التجزئة"),
}
VALUES: Mapping[str, str] = {
    "xray": "أشعة سينية",
    "ct": "تصوير مقطعي",
    "mri": "رنين مغناطيسي",
    "ultrasound": "موجات فوق صوتية",
    "angiography": "تصوير الأوعية",
    "pet": "تصوير بوزيتروني",
    "microscopy": "مجهر",
    "photograph": "صورة ضوئية",
    "text": "نص",
    "other": "أخرى",
    "caption": "وصف الصورة",
    "vqa": "سؤال عن الصورة",
    "mcq": "اختيار من متعدد",
    "summarization": "تلخيص",
    "report": "تقرير",
    "dialogue": "حوار",
    "classification": "تصنيف",
    "qa": "سؤال وجواب",
    "train": "تدريب",
    "dev": "تطوير",
    "test": "اختبار",
    "accept": "مقبول",
    "edit": "معدل",
    "reject": "مرفوض",
    "ingest": "الاستيراد",
    "translate": "الترجمة",
    "critique": "النقد",
    "check": "الفحص",
    "review": "المراجعة",
    "redact": "حجب بيانات الهوية",
    "dedup": "حذف المكرر",
    "decontaminate": "عزل الاختبار",
    "mix": "الخلط",
    "large language model": "نموذج لغوي كبير",
    "samples": "عينات",
    "words": "كلمات",
    "characters": "حروف",
    "date": "تاريخ",
    "name": "اسم",
    "age": "عمر",
    "phone": "هاتف",
    "national_id": "رقم هوية",
    "record_number": "رقم ملف",
    "email": "بريد إلكتروني",
    "address": "عنوان",
    "burned_in": "كتابة في الصورة",
    "unreadable": "صورة لا تقرأ",
    "numbers": "الأعداد",
    "units": "الوحدات",
    "negation": "النفي",
    "polarity": "نعم أو لا",
    "laterality": "الجهة",
    "drugs": "الأدوية",
    "abbreviations": "الاختصارات",
    "options": "الخيارات",
    "structure": "البنية",
    "script": "الكتابة",
    "repetition": "التكرار",
    "length": "الطول",
    "brackets": "الأقواس",
    "glossary": "المسرد",
    "mismatch": "معنى آخر",
    "cut": "مقطوعة",
    "empty": "فارغة",
}


class Words:
    """The card's words in one language.

    Args:
        language: ``en`` or ``ar``.
    """

    def __init__(self, language: str) -> None:
        self.language = language
        self._at = int(language == "ar")

    def __call__(self, key: str, **values: object) -> str:
        """A text with its values filled in; numbers get separators."""
        shown = {name: f"{value:,}" if isinstance(value, int) else value for name, value in values.items()}
        return TEXTS[key][self._at].format(**shown)

    def step(self, name: str) -> str:
        """Name of a step."""
        return STEP_NAMES[name][self._at]

    def value(self, name: str) -> str:
        """A modality, task, split, verdict and the like; in Arabic by its Arabic name where it has one."""
        return VALUES.get(name, name) if self._at else name

    def joined(self, names: list[str]) -> str:
        """Names after one another."""
        return ("، " if self._at else ", ").join(names)
