"""Findings of a chest report by rules, in English and Arabic: which of the 14 CheXpert labels it affirms.

A stand-in to look at where the CheXbert and RadGraph weights are absent, under its own name and never in their place.
A finding is affirmed by a sentence that names it without a negation before it (or, in Arabic, before or after it).
The label ``No Finding`` is affirmed when none of the others is. Agreement with labelled sentences is in the docs.
"""

from __future__ import annotations

import re

from bimedix2.text import normalize_for_search

NO_FINDING = "No Finding"
# Terms in the search form of normalize_for_search: lower case, one alef and ya, no marks; ta marbuta as ha.
_TERMS = {
    "Enlarged Cardiomediastinum": (
        r"(?:widened|enlarged|wide) (?:cardio)?mediastin\w+|mediastinal (?:widening|enlargement)"
        r"|(?:توسع|اتساع|عرض) (?:في )?(?:ال)?منصف"
    ),
    "Cardiomegaly": (
        r"cardiomegaly|(?:heart|cardiac silhouette)\b[^.]{0,30}\benlarge\w*|enlarge\w* (?:heart|cardiac)"
        r"|(?:تضخم|ضخامه) (?:في )?(?:عضله )?(?:ال)?(?:قلب|ظل القلب)\w*|(?:ال)?قلب متضخم"
    ),
    "Lung Opacity": (
        r"opacit\w+|airspace disease|infiltrat\w+|(?:عتامه|عتامات|ارتشاح|ارتشاحات|تعتيم|كثافات|كثافه) ?(?:رئوي\w*|في)?"
    ),
    "Lung Lesion": r"nodul\w+|\bmass(?:es)?\b|granuloma\w*|lung lesion\w*|عقيد\w+|كتل\w+|(?:ال)?ورم حبيبي|افه رئويه",
    "Edema": r"(?:pulmonary |interstitial )?edema|oedema|vascular congestion|وذمه|احتقان",
    "Consolidation": r"consolidat\w+|تصلب رئوي|تكثف\w*|تصلد\w*",
    "Pneumonia": r"pneumonia|التهاب (?:ال)?رئ\w+|ذات الرئه|التهاب رئوي",
    "Atelectasis": r"atelecta\w+|collapse|انخماص\w*|انكماش رئوي",
    "Pneumothorax": (
        r"pneumothora\w+|استرواح (?:ال)?صدر\w*|(?:ال)?استرواح (?:ال)?صدري|استرواح في (?:ال)?(?:صدر|جنب\w*)"
    ),
    "Pleural Effusion": r"effusion\w*|pleural fluid|انصباب\w*",
    "Pleural Other": r"pleural thickening|pleural (?:scar\w*|plaque\w*)|سماكه (?:ال)?جنب\w*|تثخن (?:ال)?جنب\w*",
    "Fracture": r"fractur\w+|كسر|كسور",
    "Support Devices": (
        r"\b(?:catheter|picc|pacemaker|tube|sternotomy|wires?|clips|stent|prosthe\w+|hardware)\b"
        r"|قسطره|انبوب\w*|ناظم\w*|منظم ضربات|اسلاك|مشابك|دعامه"
    ),
}
_LABELS = {label: re.compile(rf"(?<!\w)(?:و?(?:ال|لل|ب|ل)?)?(?:{pattern})") for label, pattern in _TERMS.items()}
_NEGATION = re.compile(
    r"\b(?:no|not|without|negative for|free of|absence of|absent|resolved|ruled out|clear of|neither|nor|denies)\b"
    r"|(?<!\w)و?(?:لا|ليس|ليست|لم|بدون|دون|عدم|غياب|خلو|خاليه|خالي|خاليتان|خاليتين|نفي|بلا)(?!\w)"
)
_AFTER = re.compile(
    r"^[^.]{0,25}\b(?:is|are|was|were) (?:not (?:seen|present|identified)|absent|unlikely)"
    r"|^\s+(?:has|have|is|are) resolved"
)
_SENTENCE = re.compile(r"[.;!?\n؛؟]+\s*")
# A negation reaches to the end of its sentence unless one of these turns it.
_TURN = re.compile(
    r"\b(?:but|however|although|except|with new|there is|there are)\b"
    r"|(?<!\w)(?:لكن|ولكن|الا|باستثناء|مع وجود|يوجد)(?!\w)"
)


def findings(report: str) -> set[str]:
    """Labels that a report affirms.

    >>> sorted(findings("Small left pleural effusion. No pneumothorax or consolidation."))
    ['Pleural Effusion']
    >>> sorted(findings("لا يوجد انصباب جنبي ولا استرواح صدري. تضخم القلب."))
    ['Cardiomegaly']
    """
    found: set[str] = set()
    for sentence in _SENTENCE.split(normalize_for_search(report)):
        for label, pattern in _LABELS.items():
            if any(not _negated(sentence, match) for match in pattern.finditer(sentence)):
                found.add(label)
    return found or {NO_FINDING}


def finding_f1(prediction: str, reference: str) -> float:
    """F1 of the labels that both reports affirm; 0 for an empty prediction."""
    if not prediction.strip():
        return 0.0
    given, wanted = findings(prediction), findings(reference)
    return 2 * len(given & wanted) / (len(given) + len(wanted))


def _negated(sentence: str, match: re.Match[str]) -> bool:
    before = sentence[: match.start()]
    negations = list(_NEGATION.finditer(before))
    if negations:
        turned = [turn for turn in _TURN.finditer(before) if turn.start() >= negations[-1].end()]
        # "there is no", "لا يوجد": the verb belongs to the negation itself.
        own = before[negations[-1].end() :].lstrip().startswith(("يوجد", "يلاحظ", "يظهر"))
        if not turned or (own and len(turned) == 1):
            return True
    return bool(_AFTER.match(sentence[match.end() :]))
