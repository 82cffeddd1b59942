"""The synthetic bilingual set of ``data_scale.py``."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SENTENCES = (
    ("The heart is not enlarged.", "القلب غير متضخم."), ("There is no pleural effusion.", "لا يوجد انصباب جنبي."),
    ("The bones are intact.", "العظام سليمة."), ("The trachea lies in the midline.", "تقع الرغامى في خط الوسط."),
    ("The lungs are well expanded.", "الرئتان متمددتان جيدا."), ("The diaphragm is smooth.", "الحجاب الحاجز أملس."),
    ("A follow-up is advised.", "ينصح بالمتابعة."), ("The patient has a cough.", "يعاني المريض من سعال."),
    ("The aorta is calcified.", "الشريان الأبهر متكلس."), ("No fracture is seen.", "لا يظهر كسر."),
)  # fmt: skip
SIDES = (("left", "اليسرى"), ("right", "اليمنى"))


def pair(number: int) -> tuple[str, list[tuple[str, str]]]:
    """Image and the (question, answer) in both languages; every 25th pair says what the one before says."""
    number -= number % 25 == 24
    rng = random.Random(number)
    side, more, size = rng.choice(SIDES), rng.sample(SENTENCES, 4), rng.randint(3, 60)
    english = f"A lesion of {size} mm in the {side[0]} lung, case {number}. " + " ".join(one for one, _ in more)
    arabic = f"آفة قياسها {size} مم في الرئة {side[1]}، الحالة {number}. " + " ".join(one for _, one in more)
    image = number // 20
    return f"{image % 100}/{image}.png", [
        (f"What does film {number} of the chest show?", english), (f"ماذا تظهر صورة الصدر رقم {number}؟", arabic),
    ]  # fmt: skip


def make_set(folder: Path, count: int) -> None:
    """The LLaVA file and its images, which differ in their last bytes: nothing here decodes them."""
    with (folder / "set.json").open("w", encoding="utf-8") as file:
        for number in range(count // 2):
            image, texts = pair(number)
            path = folder / "images" / image
            if not path.is_file():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(b"\x89PNG\r\n\x1a\n" + image.encode() * 100)
            for language, (question, answer) in zip(("en", "ar"), texts, strict=True):
                turns = [{"from": "human", "value": f"<image>\n{question}"}, {"from": "gpt", "value": answer}]
                row = {"id": f"{number}:{language}", "image": f"images/{image}", "conversations": turns}
                file.write(("[" if row["id"] == "0:en" else ",\n") + json.dumps(row, ensure_ascii=False))
        file.write("]")


def linked(path: Path) -> Iterator[Any]:
    """LLaVA's form cannot say which rows are translations of each other: their ids do here."""
    import msgspec

    from bimedix2.records import read_jsonl

    for record in read_jsonl(path, unique_ids=False):
        name, _, language = record.id.rpartition(":")
        parent = f"{name}:en" if language == "ar" else None
        yield msgspec.structs.replace(record, pair_id=name, parent=parent)


def direct(count: int) -> Iterator[Any]:
    """The linked records without the way over LLaVA's file and ingest."""
    from bimedix2.records import ImageRef, Record, Step, Turn

    ingested = Step(name="ingest", tool="bimedix2")
    for number in range(count // 2):
        image, texts = pair(number)
        for language, (question, answer) in zip(("en", "ar"), texts, strict=True):
            yield Record(
                id=f"scale:{number}:{language}", images=(ImageRef(path=f"images/{image}"),), task="vqa",
                modality="xray", source="scale", licence="CC0-1.0", pair_id=f"scale:{number}",
                parent=f"scale:{number}:en" if language == "ar" else None, provenance=(ingested,),
                turns=(
                    Turn(role="user", text=question, language=language, images=(0,)),
                    Turn(role="assistant", text=answer, language=language),
                ),
            )  # fmt: skip
