"""Words of the views in English and Arabic, as the terminal they go to needs them."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Mapping
from typing import Literal, TextIO

Language = Literal["en", "ar"]

WORDS: Mapping[str, tuple[str, str]] = {
    "stage": ("stage", "المرحلة"),
    "step": ("step", "الخطوة"),
    "loss": ("loss", "الخسارة"),
    "loss_mean": ("loss, mean of last steps", "الخسارة، متوسط آخر الخطوات"),
    "loss_last": ("loss, last step", "خسارة آخر خطوة"),
    "validation": ("validation loss", "خسارة التحقق"),
    "time_left": ("left in this stage", "المتبقي من المرحلة"),
    "left": ("left", "المتبقي"),
    "tokens": ("tokens/s", "رمز/ثانية"),
    "supervised": ("supervised tokens/s", "رمز متعلم/ثانية"),
    "memory": ("peak memory", "ذروة الذاكرة"),
    "rates": ("learning rates", "معدلات التعلم"),
    "norm": ("gradient norm", "معيار التدرج"),
    "checkpoint": ("last checkpoint", "آخر نقطة حفظ"),
    "skipped": ("skipped samples", "عينات متروكة"),
    "nonfinite": ("non-finite steps", "خطوات غير منتهية القيم"),
    "cell": ("loss by cell", "الخسارة بالخلية"),
    "en": ("English", "الإنجليزية"),
    "ar": ("Arabic", "العربية"),
    "gap": ("Arabic − English", "العربية − الإنجليزية"),
    "all": ("all", "الكل"),
    "mean_gap": ("mean of gaps", "متوسط الفروق"),
    "more": ("further topics", "مواضيع أخرى"),
    "none": ("none", "لا شيء"),
    "state": ("state", "الحالة"),
    "process": ("process", "العملية"),
    "last_event": ("last event", "آخر حدث"),
    "checkpoints": ("checkpoints", "نقاط الحفظ"),
    "incomplete": ("incomplete", "غير مكتملة"),
    "damaged": ("unreadable log lines", "أسطر سجل غير مقروءة"),
}
EVENTS: Mapping[str, tuple[str, str]] = {
    "start": ("start", "بداية"),
    "resume": ("resumed", "استئناف"),
    "features": ("image features", "سمات الصور"),
    "checkpoint": ("checkpoint", "نقطة حفظ"),
    "nonfinite": ("step left out: its loss or gradient is not finite", "خطوة متروكة: خسارتها أو تدرجها غير منته"),
    "stop": ("stopped with a checkpoint", "توقف مع نقطة حفظ"),
    "done": ("finished", "انتهى"),
    "error": ("error", "خطأ"),
    "tracker_failed": ("a tracker failed and is left out", "تعطل متتبع فترك"),
}


def view_language() -> Language:
    """``BIMEDIX2_LANG`` decides, then an Arabic locale, as for messages; English without either."""
    wanted = os.environ.get("BIMEDIX2_LANG", "")[:2].lower()
    locale = os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG") or ""
    return "ar" if wanted == "ar" or (wanted != "en" and locale.startswith("ar")) else "en"


def word(key: str, language: Language) -> str:
    """A label in logical order."""
    return WORDS[key][language == "ar"]


def event_word(name: str, language: Language) -> str:
    """An event in words; one that is not known here is its own name."""
    return EVENTS.get(name, (name, name))[language == "ar"]


def _is_arabic(character: str) -> bool:
    return unicodedata.bidirectional(character) == "AL"


class Labels:
    """Labels for the columns of a terminal.

    A column holds its Arabic apart from its neighbours: isolated where the terminal orders letters itself, shaped
    and in visual order where it does not. A pipe or a file gets plain logical order.

    Args:
        language: of the labels.
        stream: where they go.
    """

    def __init__(self, language: Language, stream: TextIO) -> None:
        self.language = language
        self._is_tty = stream.isatty()

    def __call__(self, key: str) -> str:
        """The label of ``key``."""
        return self.text(word(key, self.language))

    def text(self, text: str) -> str:
        """Any short text that may hold Arabic."""
        from bimedix2.text.bidi import FSI, PDI, direction_of

        if not self._is_tty or not any(map(_is_arabic, text)):
            return text
        from bimedix2.text.terminal import has_visual_tools, terminal_does_bidi, to_visual

        if terminal_does_bidi() or not has_visual_tools():
            return f"{FSI}{text}{PDI}"
        return to_visual(text, direction_of(text))

    def columns(self, items: list[str]) -> list[str]:
        """Cells of a table row in the order of the screen: Arabic tables begin on the right."""
        return items[::-1] if self.language == "ar" else items
