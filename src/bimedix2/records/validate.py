"""What a record must obey beyond its types."""

from __future__ import annotations

import math
import re
from typing import NamedTuple

from .schema import Record, Turn

_SHA256 = re.compile(r"[0-9a-f]{64}")
_LAST_FRAME = 2**31 - 1  # DICOM counts frames in an integer string of at most 2^31 - 1


class Fault(NamedTuple):
    """One broken rule: the field's path, and the problem in both languages."""

    field: str
    problem: str
    problem_ar: str


def find_fault(record: Record) -> Fault | None:
    """The first broken rule of a record, or ``None`` for a good one."""
    if not record.id.strip():
        return Fault("id", "is empty", "فارغ")
    return _turn_order(record.turns) or _turn_content(record) or _images(record)


def _turn_order(turns: tuple[Turn, ...]) -> Fault | None:
    if not turns:
        return Fault("turns", "is empty; a record needs a user and an assistant turn", "لا توجد أدوار")
    start = 1 if turns[0].role == "system" else 0
    for index in range(start, len(turns)):
        expected = "assistant" if (index - start) % 2 else "user"
        if turns[index].role != expected:
            return Fault(
                f"turns[{index}].role",
                f"is {turns[index].role}; expected {expected} (turns alternate and start with user)",
                f"القيمة {turns[index].role} والمتوقع {expected}",
            )
    if len(turns) - start < 2:
        return Fault("turns", "has no assistant turn", "لا يوجد دور للمساعد")
    return None


def _turn_content(record: Record) -> Fault | None:
    seen: set[int] = set()
    for index, turn in enumerate(record.turns):
        if not turn.text.strip() and not (turn.role == "user" and turn.images):
            return Fault(f"turns[{index}].text", "is empty", "فارغ")
        if turn.images and turn.role != "user":
            return Fault(f"turns[{index}].images", "only user turns show images", "الصور لأدوار المستخدم فقط")
        for image in turn.images:
            if not 0 <= image < len(record.images):
                problem = f"refers to image {image} of {len(record.images)}"
                return Fault(f"turns[{index}].images", problem, "يشير إلى صورة غير موجودة")
            if image in seen:
                return Fault(f"turns[{index}].images", f"shows image {image} twice", "تظهر الصورة مرتين")
            seen.add(image)
    unused = sorted(set(range(len(record.images))) - seen)
    if unused:
        return Fault(f"images[{unused[0]}]", "is shown by no turn", "لا يعرضها أي دور")
    return None


def _images(record: Record) -> Fault | None:
    for index, image in enumerate(record.images):
        if not image.path:
            return Fault(f"images[{index}].path", "is empty", "فارغ")
        if image.sha256 is not None and not _SHA256.fullmatch(image.sha256):
            return Fault(f"images[{index}].sha256", "is not 64 lower-case hex digits", "ليست 64 رقما ست عشريا")
        if image.frame is not None and image.frame < 0:
            return Fault(f"images[{index}].frame", "is negative; frames count from 0", "قيمة سالبة")
        if image.frame is not None and image.frame > _LAST_FRAME:
            return Fault(f"images[{index}].frame", f"is greater than {_LAST_FRAME}", "قيمة كبيرة جدا")
        if image.window is not None and not all(map(math.isfinite, image.window)):
            return Fault(f"images[{index}].window", "has a part that is not finite", "فيها قيمة غير منتهية")
        if image.window is not None and image.window[1] <= 0:
            return Fault(f"images[{index}].window", "has a width that is not positive", "العرض ليس موجبا")
    return None
