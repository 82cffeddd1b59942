"""Why a translation is edited or rejected, and whether the fault can change care."""

from __future__ import annotations

from typing import Literal, NamedTuple

Severity = Literal["critical", "minor"]


class Reason(NamedTuple):
    """A reason to choose.

    Attributes:
        severity: ``critical`` where the fault can change care.
        shortcut: key that chooses it in the list.
        english, arabic: what the reviewer reads.
    """

    severity: Severity
    shortcut: str
    english: str
    arabic: str


REASONS: dict[str, Reason] = {
    "number": Reason("critical", "1", "Number, unit or dose", "رقم أو وحدة أو جرعة"),
    "negation": Reason("critical", "2", "Negation", "نفي"),
    "side": Reason("critical", "3", "Side or position", "جهة أو موضع"),
    "term": Reason("critical", "4", "Drug or medical term", "دواء أو مصطلح طبي"),
    "omission": Reason("critical", "5", "Something is missing", "معنى ناقص"),
    "addition": Reason("critical", "6", "Something is added", "معنى زائد"),
    "options": Reason("critical", "7", "Options or answer", "خيارات أو جواب"),
    "image": Reason("critical", "8", "Does not fit the image", "لا يطابق الصورة"),
    "unsafe": Reason("critical", "9", "Unsafe advice", "نصيحة غير آمنة"),
    "privacy": Reason("critical", "0", "Personal data", "بيانات شخصية"),
    "language": Reason("minor", "l", "Grammar or spelling", "نحو أو إملاء"),
    "style": Reason("minor", "s", "Style", "أسلوب"),
    "other": Reason("critical", "x", "Something else: say what", "سبب آخر: اذكره"),
}


def severity(reason: str) -> Severity:
    """Severity of a reason; one that is not known counts as critical."""
    return REASONS[reason].severity if reason in REASONS else "critical"
