"""A small BiMed-MBench in the shape of the original files, made by hand for tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from PIL import Image

from bimedix2.records.schema import Language

FLAGS = ("chest_xray", "mri", "ct_scan", "histology", "gross")
TEXTS: dict[Language, dict[str, str]] = {
    "en": {
        "question": "What does item {} show?",
        "answer": "Reference {}: a pleural effusion.",
        "caption": "Chest film {} with an effusion.",
        "mention": "The film shows an effusion ( Figure {} ) .",
        "label": "Figure 1",
    },
    "ar": {
        "question": "ماذا يظهر العنصر {}؟",
        "answer": "المرجع {}: انصباب جنبي.",
        "caption": "صورة صدر {} فيها انصباب.",
        "mention": "تظهر الصورة انصبابا (الشكل {}).",
        "label": "الشكل 1",
    },
}
ARABIC_TYPES = ("وصف تفصيلي", "وصف تفصيلي", "وصف مفصل", "detailed_description", "شرح", "detailed_description")
FILES: dict[Language, str] = {
    "en": "llava_med_eval_qa50_qa.jsonl",
    "ar": "llava_med_eval_qa50_qa_arabic_verified.jsonl",
}


def row(number: int, language: Language) -> dict[str, Any]:
    """Items 0–5 are conversation about chest films, 6–11 descriptions of slides that are flagged gross too."""
    texts, described = TEXTS[language], number >= 6
    kind = "detailed_description" if described else "conversation"
    flags = ("histology", "gross") if described else ("chest_xray", "ct_scan")
    return {
        "question_id": number,
        "image": f"{number % 4}.png",
        "pair_id": f"figure{number % 4}",
        "text": texts["question"].format(number) + "\n<image>",
        "gpt4_answer": texts["answer"].format(number),
        "fig_caption": texts["caption"].format(number),
        "in_text_mention": [{"tokens": texts["mention"].format(number), "entities": [{"type": "figure"}]}],
        "domain": {name: name in flags for name in FLAGS},
        "type": ARABIC_TYPES[number - 6] if described and language == "ar" else kind,
        "fig_label": texts["label"],
        "qid": number,
        "in_text_mention_tokens": "",
    }


def write_mbench(root: Path) -> None:
    """Both files and four pictures below ``root/bimed_mbench``."""
    folder = root / "bimed_mbench"
    (folder / "images").mkdir(parents=True)
    for number in range(4):
        Image.new("L", (16, 16), 40 * number).save(folder / "images" / f"{number}.png")
    for language, name in FILES.items():
        lines = [json.dumps(row(number, language), ensure_ascii=False) for number in range(12)]
        (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
