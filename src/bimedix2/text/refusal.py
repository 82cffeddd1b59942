"""Replies that decline to answer, in English and Arabic.

A rule list, not a classifier: it looks for a first-person or impersonal statement of inability or unwillingness near
the start of the reply. An answer that sends the reader to a doctor after answering is not a refusal.
"""

from __future__ import annotations

import re

from .arabic import normalize_for_search

_START = 160
_ENGLISH = re.compile(
    r"\b(?:i|we)\s*(?:'m| am| are)?\s*(?:really |very )?(?:sorry\b.{0,40}?\b)?"
    r"(?:can ?not|can't|can’t|could not|couldn't|am unable to|are unable to|'m unable to|am not able to|'m not able to|"
    r"won't|will not|do not|don't|must decline to|decline to|refuse to)\s+"
    r"(?:be able to |feel comfortable )?"
    r"(?:provide|providing|give|offer|make|help|assist|answer|say|tell|determine|identify|diagnos|analy[sz]|interpret|"
    r"see|view(?:ing)?|access|comment|comply|know|have (?:access|enough|the ability))"
    r"|\bas an? (?:ai|language model|artificial)\b.{0,60}?\b(?:can ?not|can't|unable|not able|do not|don't)\b"
    r"|\b(?:unable|not able|not possible|impossible) to (?:answer|determine|provide|tell|say|identify|assess|interpret)"
    r"|\bcannot be (?:determined|answered|assessed|identified)\b"
    r"|\b(?:not|in)sufficient information\b|\bnot enough information\b"
)
_ARABIC = re.compile(
    # "I cannot", "we cannot", "I am unable", "I apologise", "it cannot be determined", "not enough information".
    r"لا (?:استطيع|يمكنني|نستطيع|يمكننا|اقدر|املك|اعرف|اعلم)"
    r"|(?:لست|لسنا) (?:قادر|قادره|متاكد من|مخول)|(?:انا|لكنني|لكني|فانا|انني|نحن) غير (?:قادر|متاكد|مخول)"
    r"|(?:اعتذر|نعتذر|عذرا|اسف|اسفه|انا اسف)\b.{0,60}?(?:لا|لن|عن|غير|لست)"
    r"|لن (?:اتمكن|استطيع|يمكنني|اجيب)"
    r"|لا يمكن (?:تحديد|الاجابه|الجزم|معرفه|تقييم)|(?:يتعذر|تعذر) (?:علي|تحديد|الاجابه|تقييم|معرفه)"
    r"|ارفض (?:الاجابه|تقديم)|(?:معلومات|المعلومات) غير كافيه|لا توجد معلومات كافيه"
)
# "I do not see a fracture" and "لا أعرف أي مضاعفات" style findings are answers.
_FINDING = re.compile(r"\b(?:do not|don't|cannot|can't|can not) see (?:any |an? |evidence|signs?)")


def is_refusal(text: str, language: str = "") -> bool:
    """Whether a reply declines to answer; the rules of both languages always apply.

    >>> is_refusal("I'm sorry, but I cannot provide a diagnosis."), is_refusal("No fracture; see a doctor.")
    (True, False)
    """
    start = normalize_for_search(text)[:_START].replace("’", "'")
    if _FINDING.search(start):
        return False
    return bool(_ENGLISH.search(start) or _ARABIC.search(start))
