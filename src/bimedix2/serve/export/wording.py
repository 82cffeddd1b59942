"""Fixed words of exports, in both languages."""

from __future__ import annotations

from bimedix2.records.schema import Language

DRAFT = {
    "en": "DRAFT, written by an AI model and not confirmed by a clinician",
    "ar": "مسودة كتبها نموذج ذكاء اصطناعي ولم يؤكدها طبيب",
}
WORDS: dict[str, dict[str, str]] = {
    "chat": {"en": "Conversation with BiMediX2", "ar": "محادثة مع BiMediX2"},
    "report": {"en": "Draft report", "ar": "مسودة تقرير"},
    "summary": {"en": "Draft summary", "ar": "مسودة ملخص"},
    "user": {"en": "Question", "ar": "السؤال"},
    "assistant": {"en": "Answer (AI)", "ar": "الإجابة (ذكاء اصطناعي)"},
    "made": {"en": "Exported", "ar": "تاريخ التصدير"},
    "model": {"en": "Model", "ar": "النموذج"},
    "picture": {"en": "Picture", "ar": "الصورة"},
    "gone": {"en": "This picture is no longer kept on the server.", "ar": "لم تعد هذه الصورة محفوظة على الخادم."},
    "side": {"en": "Side according to the file", "ar": "الجانب بحسب الملف"},
}
SIDES = {
    "L": {"en": "left", "ar": "الأيسر"},
    "R": {"en": "right", "ar": "الأيمن"},
    "B": {"en": "both", "ar": "كلا الجانبين"},
    "U": {"en": "unpaired", "ar": "عضو مفرد"},
}


def word(name: str, language: Language) -> str:
    """A fixed word."""
    return WORDS[name][language]


def caption(
    language: Language,
    number: int,
    frame: tuple[int, int] | None,
    window: tuple[float, float] | None,
    side: str | None,
) -> str:
    """Line under a picture: which it is, (frame, frames) counted from 1, window and side."""
    parts = [f"{word('picture', language)} {number}"]
    if frame is not None and frame[1] > 1:
        parts.append(f"الإطار {frame[0]} من {frame[1]}" if language == "ar" else f"frame {frame[0]} of {frame[1]}")
    if window is not None:
        centre, width = (f"{value:g}" for value in window)
        arabic = f"النافذة: المركز {centre}، العرض {width}"
        parts.append(arabic if language == "ar" else f"window: centre {centre}, width {width}")
    if side is not None:
        parts.append(f"{word('side', language)}: {SIDES[side][language]}")
    return " · ".join(parts)
