"""Errors put into translations, for ``translation_checks.py``.

Each function takes a pair and a random generator and returns the spoiled translation, or ``None`` where the pair does
not offer the error. The word lists here are written apart from those of the checks and say nothing about them.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple


class Pair(NamedTuple):
    """A source and its translation; ``arabic_target`` tells which way."""

    id: str
    source: str
    translation: str
    arabic_target: bool


Injector = Callable[[Pair, random.Random, Sequence[Pair]], str | None]
_ARABIC_INDIC = "٠١٢٣٤٥٦٧٨٩"


def other_sentence(pair: Pair, rng: random.Random, pairs: Sequence[Pair]) -> str | None:
    """The translation of another source."""
    for _ in range(20):
        other = rng.choice(pairs)
        if _plain(other.source) != _plain(pair.source) and _plain(other.translation) != _plain(pair.translation):
            return other.translation
    return None


def _plain(text: str) -> str:
    return re.sub(r"\W+", " ", text).strip().lower()


def cut_half(pair: Pair, rng: random.Random, pairs: Sequence[Pair]) -> str | None:
    """The first half of the words alone; pairs of four words and more."""
    words = pair.translation.split()
    return " ".join(words[: len(words) // 2]) if len(words) >= 4 else None


def digits_changed(pair: Pair, rng: random.Random, pairs: Sequence[Pair]) -> str | None:
    """One digit of one figure becomes another."""
    places = [match.start() for match in re.finditer(r"[0-9٠-٩]", pair.translation)]
    if not places:
        return None
    at = rng.choice(places)
    old = pair.translation[at]
    alphabet = _ARABIC_INDIC if old in _ARABIC_INDIC else "0123456789"
    # A leading zero would leave the value as it was in "05".
    choices = [digit for digit in alphabet if digit != old and alphabet.index(digit) > 0]
    return pair.translation[:at] + rng.choice(choices) + pair.translation[at + 1 :]


def number_dropped(pair: Pair, rng: random.Random, pairs: Sequence[Pair]) -> str | None:
    """One figure left out."""
    places = list(re.finditer(r"[0-9٠-٩]+(?:[.,٫٬][0-9٠-٩]+)*", pair.translation))
    if not places:
        return None
    match = rng.choice(places)
    return pair.translation[: match.start()] + pair.translation[match.end() :]


_UNITS_AR = [
    ("ملم", "سم"), ("مم", "سم"), ("سم", "مم"), ("سنتيمتر", "مليمتر"), ("ملغ", "غرام"), ("مجم", "جم"), ("مل", "لتر"),
    ("متر", "كيلومتر"), ("مترا", "كيلومترا"), ("مترًا", "كيلومترًا"), ("كيلومتر", "متر"), ("أمتار", "أميال"),
    ("يوم", "أسبوع"), ("يومًا", "شهرًا"), ("يوما", "شهرا"), ("أيام", "أسابيع"), ("أسبوع", "شهر"), ("أسابيع", "أيام"),
    ("أسبوعًا", "يومًا"), ("شهر", "يوم"), ("شهرًا", "يومًا"), ("أشهر", "أسابيع"), ("شهور", "أيام"), ("ساعة", "دقيقة"),
    ("ساعات", "دقائق"), ("دقيقة", "ساعة"), ("دقائق", "ساعات"), ("عامًا", "شهرًا"), ("سنة", "شهرا"), ("سنوات", "أشهر"),
    ("أعوام", "أيام"), ("عاما", "شهرا"), ("درجة", "متر"), ("%", " سم"), ("٪", " ملغ"), ("بالمائة", "درجة"),
    ("في المائة", "يوم"),
    ("في المئة", "يوم"), ("قدم", "ميل"), ("أقدام", "أميال"), ("نانومتر", "ميكرومتر"), ("طن", "كيلوغرام"),
    ("طنًا", "كيلوغراما"),
    ("دولار", "يورو"), ("كجم", "جم"), ("لتر", "مل"), ("ثانية", "ساعة"),
]  # fmt: skip
_UNITS_EN = [
    ("mm", "cm"), ("cm", "mm"), ("mg", "g"), ("ml", "L"), ("meters", "kilometers"), ("metres", "kilometres"),
    ("km", "m"),
    ("days", "weeks"), ("day", "month"), ("weeks", "days"), ("week", "month"), ("months", "days"), ("hours", "minutes"),
    ("hour", "minute"), ("minutes", "hours"), ("years", "months"), ("year", "month"), ("%", " mm"),
    ("degrees", "meters"),
    ("feet", "miles"), ("nm", "mm"), ("tons", "grams"), ("tonnes", "grams"), ("percent", "days"), ("kg", "g"),
    ("seconds", "hours"),
]  # fmt: skip


def unit_changed(pair: Pair, rng: random.Random, pairs: Sequence[Pair]) -> str | None:
    """The unit behind one figure becomes another of the same or another kind, the figure stays."""
    spots = []
    for old, new in _UNITS_AR if pair.arabic_target else _UNITS_EN:
        gap = r"(?<=[0-9٠-٩])(\s?-?)" if old not in "%٪" else r"(?<=[0-9٠-٩])()"
        spots += [(match, new) for match in re.finditer(rf"{gap}{re.escape(old)}(?!\w)", pair.translation)]
    if not spots:
        return None
    match, new = rng.choice(spots)
    return pair.translation[: match.start()] + (match[1] or " ") + new.strip() + pair.translation[match.end() :]


_PARTICLE_AR = re.compile(
    r"(?<!\w)(و|ف)?(ب(?=عدم|غير)|ل(?=عدم))?(لا|لم|لن|ليست|ليس|ليسوا|غير|عدم|بدون|من دون|دون|بلا)\s+(?=\w)"
)
_DENIES_EN = re.compile(
    r"\b(?:no|not|never|none|nor|neither|cannot|without|nothing|lack\w*|absen\w+|fail\w*|abnormal\w*|\w+n['’]t|\w+less"
    r"|(?:un(?!der|it|ion|iv|til|iq|less|to)|non|in(?:ab|ac|ad|app|cap|com|con|cor|dir|eff|freq|sig|suff|val|tol)|im(?:poss|prop)"
    r"|asympt|ir(?:reg|rel|resp))\w*)\b",
    re.IGNORECASE,
)
_NOT_DROPPED_AR = re.compile(
    r"^(?:و|ف)?(?:لا\s+(?:[يتن]زال|سيما|بد\b|شك|محالة|غنى|[يت]قتصر|إرادي|[يت]قل|[يت]تجاوز)|لم\s+[يت]زل|ليست?\s+(?:فقط|فحسب)"
    r"|غير\s+(?:ذلك|أن\b)|دون\s+(?:سن|الحاد|الجلد)|بلا\s+شك|لم\s+[يت]قتصر)"
)
_LEXICAL_AR = [
    (r"خالٍ? من", "مليء بـ"), (r"خالي[ةا]? من", "مليئة بـ"), (r"يغيب", "يوجد"), (r"تغيب", "توجد"), (r"غياب", "وجود"),
    (r"انعدام", "وجود"), (r"سلبية", "إيجابية"), (r"سلبي", "إيجابي"), (r"سلبيًا", "إيجابيًا"), (r"ينفي", "يؤكد"),
    (r"تنفي", "تؤكد"), (r"شذوذات", "علامات طبيعية"), (r"شاذة?", "طبيعي"),
]  # fmt: skip


def _drop(text: str, spots: list[tuple[int, int, str]], rng: random.Random) -> str | None:
    if not spots:
        return None
    start, end, new = rng.choice(spots)
    return (text[:start] + new + text[end:]).strip()


def negation_dropped(pair: Pair, rng: random.Random, pairs: Sequence[Pair]) -> str | None:
    """One negating particle left out (no, not, never, without; لا, لم, ليس, غير, دون …)."""
    text = pair.translation
    if not (_DENIES_EN if pair.arabic_target else _PARTICLE_AR).search(pair.source):
        return None  # a free rendering, "drive-through" as "without leaving the car": nothing of the source is lost
    if pair.arabic_target:
        spots = [
            (m.start(), m.end(), (m[1] or "") + (m[2] or ""))
            for m in _PARTICLE_AR.finditer(text)
            if not _NOT_DROPPED_AR.match(m.group() + text[m.end() : m.end() + 12])
            and not re.search(r"(?<!\w)(?:إلا|سوى)(?!\w)", text[m.end() : m.end() + 50])
            and not re.search(r"(?:نعم\s*[/،]?\s*(?:أم|أو)?\s*|(?<!\w)أم\s|(?<!\w)أو\s)$", text[: m.start()])
        ]
        return _drop(text, spots, rng)
    spots = []
    for m in re.finditer(r"\b(?:not|never|cannot|without|no|\w+n['’]t)\b\s?", text, re.IGNORECASE):
        word, rest = m.group().strip().lower(), text[m.end() :]
        if re.match(r"(?:only|just|merely|least|necessarily|doubt|matter|more than|less than)\b", rest):
            continue
        if re.search(r"\b(?:or|whether or|yes[ /]*(?:or)?) ?$", text[: m.start()], re.IGNORECASE) and not rest.strip():
            continue
        new = {"cannot": "can ", "without": "with "}.get(word, "")
        if re.search(r"n['’]t$", word):
            stem = re.sub(r"n['’]t$", "", word)
            new = {"ca": "can", "wo": "will"}.get(stem, stem) + " "
        if rest.strip():
            spots.append((m.start(), m.end(), new))
    return _drop(text, spots, rng)


def negation_flipped(pair: Pair, rng: random.Random, pairs: Sequence[Pair]) -> str | None:
    """One word that denies by itself becomes its opposite (abnormal, negative, absent; يغيب, سلبي, خال من …)."""
    text = pair.translation
    if pair.arabic_target:
        spots = [
            (m.start(1), m.end(1), new)
            for old, new in _LEXICAL_AR
            for m in re.finditer(rf"(?<!\w)(?:و|ب|ل|ال)?({old})(?!\w)", text)
        ]
        return _drop(text, spots, rng)
    table = [
        ("abnormal", "normal"), ("negative", "positive"), ("asymptomatic", "symptomatic"), ("absence", "presence"),
        ("absent", "present"), ("unable", "able"), ("unlikely", "likely"), ("unknown", "known"),
        ("impossible", "possible"),
        ("lack", "presence"), ("unclear", "clear"), ("uncommon", "common"), ("abnormality", "normality"),
        ("abnormalities", "normal findings"), ("insufficient", "sufficient"),
    ]  # fmt: skip
    spots = [(m.start(), m.end(), new) for old, new in table for m in re.finditer(rf"\b{old}\b", text, re.IGNORECASE)]
    return _drop(text, spots, rng)


_SIDES_AR = {"الأيمن": "الأيسر", "اليمنى": "اليسرى", "اليمين": "اليسار", "أيمن": "أيسر", "يمنى": "يسرى", "يمين": "يسار"}
_SIDES_EN = {"left": "right", "Left": "Right", "LEFT": "RIGHT"}


def _flip_table(arabic: bool) -> dict[str, str]:
    table = _SIDES_AR if arabic else _SIDES_EN
    return table | {new: old for old, new in table.items()}


def _side_spots(pair: Pair) -> list[re.Match[str]]:
    table = _flip_table(pair.arabic_target)
    words = "|".join(sorted(table, key=len, reverse=True))
    found = re.finditer(
        rf"(?<!\w)(?:[وفبلك]?)({words})(?!\w)" if pair.arabic_target else rf"\b({words})\b", pair.translation
    )
    other = r"\b(?:left|right)\b" if pair.arabic_target else r"(?:يمين|أيمن|يمنى|يسار|أيسر|يسرى)"
    return list(found) if re.search(other, pair.source, re.IGNORECASE) else []


def side_flipped(pair: Pair, rng: random.Random, pairs: Sequence[Pair]) -> str | None:
    """One left becomes right, or the reverse."""
    spots = _side_spots(pair)
    if not spots:
        return None
    match, table = rng.choice(spots), _flip_table(pair.arabic_target)
    return pair.translation[: match.start(1)] + table[match[1]] + pair.translation[match.end(1) :]


def all_sides_flipped(pair: Pair, rng: random.Random, pairs: Sequence[Pair]) -> str | None:
    """Every left and right exchanged."""
    spots, table, text = _side_spots(pair), _flip_table(pair.arabic_target), pair.translation
    for match in reversed(spots):
        text = text[: match.start(1)] + table[match[1]] + text[match.end(1) :]
    return text if spots else None


_DRUGS = {
    "hydroxychloroquine": "هيدروكسي كلوروكين|هيدروكسيكلوروكوين", "chloroquine": "كلوروكين|كلوروكوين",
    "remdesivir": "ريمديسيفير|ريمدسيفير", "lopinavir": "لوبينافير", "ritonavir": "ريتونافير",
    "ibuprofen": "إيبوبروفين|ايبوبروفين", "paracetamol": "باراسيتامول", "tocilizumab": "توسيليزوماب",
    "azithromycin": "أزيثرومايسين|أزيثروميسين", "favipiravir": "فافيبيرافير", "oseltamivir": "أوسيلتاميفير",
    "ribavirin": "ريبافيرين", "insulin": "أنسولين|إنسولين", "aspirin": "أسبرين",
    "gadolinium": "غادولينيوم|جادولينيوم", "heparin": "هيبارين",
}  # fmt: skip
_NEW_DRUGS = {
    "warfarin": "وارفارين",
    "metformin": "ميتفورمين",
    "digoxin": "ديجوكسين",
    "tamoxifen": "تاموكسيفين",
    "morphine": "مورفين",
}


def drug_swapped(pair: Pair, rng: random.Random, pairs: Sequence[Pair]) -> str | None:
    """One drug becomes another."""
    spots = []
    for english, arabic in _DRUGS.items():
        forms = arabic if pair.arabic_target else english
        other = english if pair.arabic_target else arabic
        if re.search(other, pair.source, re.IGNORECASE):
            spots += list(re.finditer(rf"(?<!\w)(?:[وفبلك]?)(?:ال)?({forms})(?!\w)", pair.translation, re.IGNORECASE))
    if not spots:
        return None
    match, (english, arabic) = rng.choice(spots), rng.choice(sorted(_NEW_DRUGS.items()))
    return (
        pair.translation[: match.start(1)]
        + (arabic if pair.arabic_target else english)
        + pair.translation[match.end(1) :]
    )


def untranslated(pair: Pair, rng: random.Random, pairs: Sequence[Pair]) -> str | None:
    """The source itself; sources of letters that a translator would not keep (not CT, T2 or a name alone)."""
    return pair.source if re.search(r"[a-zء-ي]{3}", pair.source) else None


def half_untranslated(pair: Pair, rng: random.Random, pairs: Sequence[Pair]) -> str | None:
    """The first half translated, the second half of the source left as it was; pairs of four words and more."""
    source, translation = pair.source.split(), pair.translation.split()
    if min(len(source), len(translation)) < 4:
        return None
    kept = " ".join(source[len(source) // 2 :])
    return " ".join(translation[: len(translation) // 2]) + " " + kept if re.search(r"[a-zء-ي]{3}", kept) else None


ERRORS: dict[str, Injector] = {
    "other sentence": other_sentence,
    "second half cut": cut_half,
    "a digit changed": digits_changed,
    "a number dropped": number_dropped,
    "unit changed": unit_changed,
    "negation dropped": negation_dropped,
    "negative word flipped": negation_flipped,
    "a side flipped": side_flipped,
    "all sides flipped": all_sides_flipped,
    "drug swapped": drug_swapped,
    "untranslated": untranslated,
    "half untranslated": half_untranslated,
}


def _option_lines(text: str) -> tuple[list[str], list[int]]:
    lines = text.split("\n")
    return lines, [at for at, line in enumerate(lines) if re.match(r"[A-Dأبجد]\. ", line)]


def swapped_options(pair: Pair, rng: random.Random, pairs: Sequence[Pair]) -> str | None:
    """Two choices exchange their texts; the letters stay in order."""
    lines, at = _option_lines(pair.translation)
    if len(at) < 2:
        return None
    one, other = rng.sample(at, 2)
    lines[one], lines[other] = lines[one][:3] + lines[other][3:], lines[other][:3] + lines[one][3:]
    return "\n".join(lines)


def relabelled_options(pair: Pair, rng: random.Random, pairs: Sequence[Pair]) -> str | None:
    """Two choices exchange their places and take their letters along."""
    lines, at = _option_lines(pair.translation)
    if len(at) < 2:
        return None
    one, other = rng.sample(at, 2)
    lines[one], lines[other] = lines[other], lines[one]
    return "\n".join(lines)
