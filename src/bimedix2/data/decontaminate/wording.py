"""Reasons and refusals in English and Arabic."""

from __future__ import annotations

from pathlib import Path

from .find import Findings, Offence
from .search import Reason

WHY: dict[Reason, tuple[str, str]] = {
    "split": ("says itself that it is of a test split", "يصف السجل نفسه بأنه من قسم اختبار"),
    "name": ("bears the name of the test item", "يحمل اسم عنصر الاختبار"),
    "image_file": ("has the same image file", "فيه ملف الصورة نفسه"),
    "image_pixels": ("has an image with the same pixels", "فيه صورة بالبكسلات نفسها"),
    "image_near": ("has a changed copy of its image", "فيه نسخة معدلة من صورته"),
    "text_exact": ("has the same text", "فيه النص نفسه"),
    "text_answer": ("has the same question with the same answer", "فيه السؤال نفسه بالإجابة نفسها"),
    "text_near": ("has nearly the same text", "فيه نص يكاد يطابقه"),
    "text_covered": ("holds most of its text word for word", "فيه معظم نصه حرفيا"),
    "embedding": ("means much the same in another language", "معناه قريب جدا بلغة أخرى"),
    "parent": ("is a translation or the original of a record that is a test item", "ترجمة أو أصل لسجل هو عنصر اختبار"),
    "pair": ("belongs to the pair of a record that is a test item", "من زوج سجل هو عنصر اختبار"),
}
_SHOWN = 10


def reason_texts(offence: Offence) -> tuple[str, str]:
    """Why a record is left out, in English and Arabic."""
    english, arabic = WHY[offence.reason]
    via = f", by {offence.via}" if offence.via else ""
    via_ar = f"، عن طريق {offence.via}" if offence.via else ""
    item = f"{offence.test_id} of {offence.test_set}"
    return (
        f"{english}: {item}, distance {offence.distance:g}{via}",
        f"{arabic}: {offence.test_id} من {offence.test_set}، المسافة {offence.distance:g}{via_ar}",
    )


def refusal(found: Findings, listed: Path) -> tuple[str, str]:
    """Why a mix is refused, with the first pairs."""
    lines = [reason_texts(own[0]) for _, own in sorted(found.offences.items())[:_SHOWN]]
    heads = [f"row {own[0].row}, {own[0].id}" for _, own in sorted(found.offences.items())[:_SHOWN]]
    english = "\n".join(f"  {head}: {line[0]}" for head, line in zip(heads, lines, strict=True))
    arabic = "\n".join(f"  {head}: {line[1]}" for head, line in zip(heads, lines, strict=True))
    count = len(found.offences)
    return (
        f"{count} of {found.records} records are test items and must not be trained on; {listed} lists them. "
        f"Leave them out with --drop --out FILE.\n{english}",
        f"{count} من {found.records} سجل عناصر اختبار لا يجوز التدريب عليها؛ يسردها {listed}. "
        f"اتركها بالخيارين --drop --out FILE.\n{arabic}",
    )
