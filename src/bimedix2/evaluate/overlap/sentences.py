"""An overlap report in plain sentences, English and Arabic."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

LANGUAGES = {"en": ("English", "الإنجليزية"), "ar": ("Arabic", "العربية")}
CRITERIA = {
    "duplicate": ("duplicates of training items", "نسخ من عناصر التدريب"),
    "image": ("image in training", "الصورة في التدريب"),
    "exact": ("same question word for word", "السؤال نفسه حرفيا"),
    "similar": ("similar question", "سؤال مشابه"),
    "same_answer": ("similar question with the same answer", "سؤال مشابه بالإجابة نفسها"),
    "same_image": ("similar question about the same image", "سؤال مشابه عن الصورة نفسها"),
    "same_all": ("the same image, question and answer", "الصورة والسؤال والإجابة نفسها"),
    "covered": ("mostly made of runs of eight words from training", "معظمه سلاسل من ثماني كلمات من التدريب"),
    "same_item": ("the very item under its own name", "العنصر نفسه باسمه"),
    "translated": ("in training in the other language", "موجود في التدريب باللغة الأخرى"),
}
KINDS = {
    "file": ("identical file", "ملف مطابق"),
    "pixels": ("identical pixels", "بكسلات مطابقة"),
    "near": ("changed copy", "نسخة معدلة"),
    "path": ("same path, not readable", "المسار نفسه، غير مقروءة"),
}
Line = dict[str, str]
_COMMA, _SEMICOLON = (", ", "، "), ("; ", "؛ ")


def summary(content: Mapping[str, Any]) -> list[Line]:
    """The lines that a report shows: what was compared, then every task, then what it means for the scores."""
    return [
        _compared(content),
        *(_task(row) for row in content["tasks"]),
        *_scores(content),
        *_faults(content),
    ]


def _compared(content: Mapping[str, Any]) -> Line:
    training, settings = content["training"], content["settings"]
    english, arabic = (training["questions"][language] for language in ("en", "ar"))
    looked = settings["images"]
    return {
        "en": f"Compared with {training['items']} training items ({english} different English questions, {arabic} "
        f"Arabic, {training['images']} images{'' if looked else ', images not looked at'}) of "
        f"{', '.join(training['sources'])}. Similar: cosine of at least {settings['similarity']}.",
        "ar": f"قورنت مع {training['items']} من عناصر التدريب ({english} سؤالا إنجليزيا مختلفا، {arabic} عربيا، "
        f"{training['images']} صورة{'' if looked else '، لم تفحص الصور'}) من {'، '.join(training['sources'])}. "
        f"المشابه: جيب تمام لا يقل عن {settings['similarity']}.",
    }


def _task(row: Mapping[str, Any]) -> Line:
    """One task: duplicates and images always, other kinds of overlap where there are any."""
    told = [
        name
        for name in CRITERIA
        if name == "duplicate" or row["overlap"][name] or (name == "image" and row["with_image"])
    ]
    english, arabic = (_SEMICOLON[place].join(_share(row, name, place) for name in told) for place in (0, 1))
    language_en, language_ar = LANGUAGES[row["language"]]
    questions, n, similarity = row["distinct_questions"], row["n"], row["similarity"]["median"]
    return {
        "en": f"{row['title']['en']}, {language_en}, {row['split']}: items {n}, different questions {questions}. "
        f"{english}. Median cosine of the nearest training question: {similarity:.2f}.",
        "ar": f"{row['title']['ar']}، {language_ar}، {row['split']}: العناصر {n}، الأسئلة المختلفة {questions}. "
        f"{arabic}. وسيط جيب التمام لأقرب سؤال تدريب: {similarity:.2f}.",
    }


def _share(row: Mapping[str, Any], criterion: str, place: int) -> str:
    """``image in training: 3 (1.4 %; identical file 2, changed copy 1)``; ``place`` is 1 for Arabic."""
    number = row["overlap"][criterion]
    kinds = [f"{KINDS[kind][place]} {n}" for kind, n in row["image_kinds"].items() if n]
    parts = [
        f"{100 * number / row['n']:.1f} %",
        *([_COMMA[place].join(kinds)] if criterion == "image" and kinds else []),
    ]
    return f"{CRITERIA[criterion][place]}: {number} ({_SEMICOLON[place].join(parts)})"


def _scores(content: Mapping[str, Any]) -> Iterator[Line]:
    """Of each task the split by duplicates, or else by the first criterion that divides it."""
    told: set[tuple[str, str, str]] = set()
    for row in content["scores"]:
        key = row["task"], row["language"], row["mode"]
        if key in told:
            continue
        told.add(key)
        english, arabic = LANGUAGES[row["language"]]
        text_en, text_ar = CRITERIA[row["criterion"]]
        inside, outside = row["overlapping"], row["others"]
        head = f"{row['mode']}, {row['headline']}"
        yield {
            "en": f"{row['title']['en']}, {english} ({head}): {figure(inside)} on the {inside['items']} items that "
            f"overlap ({text_en}), {figure(outside)} on the {outside['items']} others.",
            "ar": f"{row['title']['ar']}، {arabic} ({head}): {figure(inside)} في {inside['items']} عنصرا متداخلا "
            f"({text_ar})، و{figure(outside)} في {outside['items']} من سواها.",
        }


def figure(metric: Mapping[str, Any]) -> str:
    """``0.512 [0.470, 0.551]``, or a dash where there is no value."""
    if metric["value"] is None:
        return "–"
    if metric["low"] is None:
        return f"{metric['value']:.3f}"
    return f"{metric['value']:.3f} [{metric['low']:.3f}, {metric['high']:.3f}]"


def _faults(content: Mapping[str, Any]) -> Iterator[Line]:
    images, rows = content["bad_images"], content["training"]
    if images["n"]:
        first = images["first"][0]["reason"]
        yield {
            "en": f"{images['n']} images could not be compared, the first: {first['en']}",
            "ar": f"تعذرت مقارنة {images['n']} من الصور، أولاها: {first['ar']}",
        }
    if rows["bad_rows"]:
        first = rows["first_bad_rows"][0]
        yield {
            "en": f"{rows['bad_rows']} training rows were left out, the first: {first['en']}",
            "ar": f"ترك {rows['bad_rows']} من صفوف التدريب، أولها: {first['ar']}",
        }
    for item in content["skipped"]:
        yield {language: f"{item['task']} {item['language']}: {item['reason'][language]}" for language in ("en", "ar")}
