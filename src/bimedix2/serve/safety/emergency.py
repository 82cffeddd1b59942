"""Does somebody describe an emergency, and the fixed text that then comes first.

Rules, not a classifier: a person ("I", "my father", "انا", "ابوي") with a sign of an emergency in the same clause, or
a sentence that needs no person ("call an ambulance", "سوف انتحر"). Clauses of a report ("no chest pain", "denies",
"لا يوجد"), of the past and of general questions do not count. The rules are in ``emergency.yaml``. They miss some
phrases and fire on others; the text is the same harmless advice each time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml

from bimedix2.text.arabic import normalize_for_search

Kind = Literal["emergency", "self_harm"]

TEXT: dict[Kind, dict[str, str]] = {
    "emergency": {
        "en": "This may be an emergency. Call your local emergency number now or go to the nearest emergency "
        "department. Do not wait for an answer from this program: it cannot help in an emergency.",
        "ar": "قد تكون هذه حالة طارئة. اتصل برقم الطوارئ المحلي الآن أو توجه إلى أقرب قسم طوارئ. "
        "لا تنتظر إجابة من هذا البرنامج، فهو لا يستطيع المساعدة في الحالات الطارئة.",
    },
    "self_harm": {
        "en": "You are not alone, and help is there. If you may hurt yourself or have taken something harmful, call "
        "your local emergency number now, and stay with somebody you trust. This program cannot help in a crisis; "
        "people can.",
        "ar": "لست وحدك، والمساعدة موجودة. إذا كنت قد تؤذي نفسك أو تناولت شيئا ضارا فاتصل برقم الطوارئ المحلي الآن، "
        "وابق مع شخص تثق به. لا يستطيع هذا البرنامج المساعدة في الأزمات، لكن الناس يستطيعون.",
    },
}

_FILE = Path(__file__).with_name("emergency.yaml")
_LONGEST = 6_000
_APOSTROPHES = re.compile("['’`´]")
_LETTERS = {"en": re.compile("[a-z]"), "ar": re.compile("[\u0620-\u064a]")}
_NOT_WORDS = re.compile(r"[^\w,]+")
_SENTENCE = re.compile(r"[.!?;:\n\r؛؟…]+|(?<=\S)\s[-–—]+\s")


@dataclass(frozen=True, slots=True)
class _Rules:
    """Compiled rules of one language, for text as ``_plain`` leaves it; ``emergency.yaml`` says what each is for."""

    self_harm: re.Pattern[str]
    alone: re.Pattern[str]
    signs: re.Pattern[str]
    person: re.Pattern[str]
    urgent: re.Pattern[str]
    denied: re.Pattern[str]
    report: re.Pattern[str]
    about: re.Pattern[str]
    turn: re.Pattern[str]
    split: re.Pattern[str]


def emergency(text: str) -> Kind | None:
    """The kind of emergency that ``text`` describes, or ``None``.

    Args:
        text: what a person wrote; only the first and last 3,000 characters of a long one are looked at.

    >>> emergency("I have crushing chest pain and my left arm is numb")
    'emergency'
    >>> emergency("Findings: no chest pain, no dyspnoea.") is None
    True
    """
    if len(text) > _LONGEST:
        text = text[: _LONGEST // 2] + "\n" + text[-_LONGEST // 2 :]
    found: set[Kind] = set()
    for sentence in _SENTENCE.split(text):
        plain = _plain(sentence)
        for language, letters in _LETTERS.items():
            if letters.search(plain) and not (rules := _rules(language)).about.search(plain):
                found.update(_kinds(plain, rules))
    return "self_harm" if "self_harm" in found else "emergency" if found else None


def text_for(kind: Kind) -> dict[str, str]:
    """The fixed text in ``"en"`` and ``"ar"``."""
    return TEXT[kind]


def _kinds(sentence: str, rules: _Rules) -> Iterator[Kind]:
    """What the clauses of a sentence describe.

    A denial holds for the rest of a list ("no chest pain, dyspnoea or syncope"), until a "but" or the next person.
    """
    somebody = bool(rules.person.search(sentence) or rules.urgent.search(sentence))
    report = bool(rules.report.search(sentence))
    for part in rules.turn.split(sentence):
        denied = False
        for clause in rules.split.split(part):
            clause = f" {clause.strip()} "
            denied = bool(rules.denied.search(clause)) or (denied and not rules.person.search(clause))
            if denied:
                continue
            if rules.self_harm.search(clause):
                yield "self_harm"
            elif not report and (rules.alone.search(clause) or (somebody and rules.signs.search(clause))):
                yield "emergency"


def _plain(text: str) -> str:
    """One spelling for search: folded letters, no apostrophes, commas alone of the marks, words by single spaces."""
    text = normalize_for_search(text, fold_hamza=True).replace("،", ",")
    return f" {_NOT_WORDS.sub(' ', _APOSTROPHES.sub('', text))} "


@cache
def _rules(language: str) -> _Rules:
    content: dict[str, Any] = yaml.safe_load(_FILE.read_text(encoding="utf-8"))[language]
    parts: dict[str, str] = {}
    for name, part in content["parts"].items():
        parts[name] = _fill(part, parts)
    before = "[وف]?" if language == "ar" else ""
    lists = ("self_harm", "alone", "signs", "person", "urgent", "denied", "report", "about")
    patterns = {name: _compile([_fill(line, parts) for line in content[name]], before) for name in lists}
    return _Rules(**patterns, turn=re.compile(content["turn"]), split=re.compile(content["split"]))


def _fill(line: str, parts: dict[str, str]) -> str:
    """Fold a pattern like the text and put the parts in."""
    line = normalize_for_search(line, fold_hamza=True)
    for name, part in parts.items():
        line = line.replace("{" + name + "}", f"(?:{part})")
    return line


def _compile(lines: list[str], before: str) -> re.Pattern[str]:
    return re.compile("|".join(rf"(?<!\w){before}(?:{line})(?!\w)" for line in lines))


for _language in _LETTERS:  # at the start, so that the first question does not wait a fifth of a second
    _rules(_language)
