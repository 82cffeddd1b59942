"""What a pattern for identifying text is, and what English and Arabic ones share.

The kinds are those of HIPAA's Safe Harbor rule (45 CFR 164.514(b)(2)) that free text can hold. Numbers alone tell
little in medical text, so a number counts by its form (a whole date, an international telephone number, an identity
number with a valid birth date) or by the words in front of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import Literal, NamedTuple

from bimedix2.records.schema import Language

Kind = Literal["name", "date", "age", "phone", "national_id", "record_number", "email", "address"]
KINDS: tuple[Kind, ...] = ("name", "date", "age", "phone", "national_id", "record_number", "email", "address")
YEAR = r"(?:1[89]\d\d|20\d\d)"
UNIT = r"(?!\s*(?:mg|ml|mm|cm|kg|mcg|g|iu|units?|%|ملغ|مجم|ملم|مم|سم|مل))"
SEP = r"[ \t]*(?:[:=#]|[-](?=[ \t])|is\b|رقم|no\.?|number)?[ \t]*[:=#]?[ \t]*"
ID = r"(?P<phi>(?=[A-Z0-9/-]*\d)[A-Z0-9][A-Z0-9/-]{3,19})(?!\w)"
TELEPHONE = r"(?P<phi>\+?\(?\d(?:[ .()-]{0,2}\d){6,14})(?!\d)"


@cache
def given_names(language: Language) -> frozenset[str]:
    """Common given names: Arabic ones in Arabic script, and those that are written in Latin script."""
    text = files("bimedix2.data.privacy").joinpath(f"names_{language}.txt").read_text(encoding="utf-8")
    return frozenset(line for line in text.splitlines() if line and not line.startswith("#"))


class Pattern(NamedTuple):
    """One pattern; its group ``phi`` is what identifies.

    Attributes:
        kind: of what it finds.
        regex: to search with.
        holds: decides on a match where form alone does not.
    """

    kind: Kind
    regex: re.Pattern[str]
    holds: Callable[[re.Match[str]], bool] = lambda match: True


def no_case(text: str) -> re.Pattern[str]:
    """A pattern that takes capital and small letters for the same."""
    return re.compile(text, re.IGNORECASE)


def is_date(match: re.Match[str]) -> bool:
    """Whether the numbers can be a day, a month and a year, in the order of some country, Western or Hijri."""
    digits = re.findall(r"\d+", match["phi"])
    parts = [int(part) for part in digits]
    year = parts.pop(0) if len(digits[0]) == 4 else parts.pop()
    known = year < 100 or 1350 <= year <= 1500 or 1900 <= year <= 2100
    return known and 1 <= min(parts) <= 12 and 1 <= max(parts) <= 31


def is_old(match: re.Match[str]) -> bool:
    """Ages over 89 are so rare that they identify."""
    return 89 < int(re.findall(r"\d+", match["phi"])[0]) < 130


def is_egyptian(match: re.Match[str]) -> bool:
    """Century, then year, month and day of birth and governorate: a number by chance is so one time in fifty."""
    digits = match["phi"]
    return 1 <= int(digits[3:5]) <= 12 and 1 <= int(digits[5:7]) <= 31 and 1 <= int(digits[7:9]) <= 88


BOTH: tuple[Pattern, ...] = (
    Pattern(
        "date",
        re.compile(
            rf"(?<![\d/.-])(?P<phi>\d{{1,2}}(?:([/.-])\d{{1,2}}\2(?:{YEAR}|1[345]\d\d)|/\d{{1,2}}/\d\d))(?!\d|[/.-]\d){UNIT}"
        ),
        is_date,
    ),
    Pattern(
        "date",
        re.compile(rf"(?<![\d/.-])(?P<phi>(?:{YEAR}|1[345]\d\d)([/.-])\d{{1,2}}\2\d{{1,2}})(?!\d|[/.-]\d)"),
        is_date,
    ),
    Pattern("email", re.compile(r"(?<![\w.+-])(?P<phi>[\w.+-]{1,64}@(?:[\w-]+\.)+[A-Za-z]{2,})(?![\w-])")),
    Pattern(
        "phone",
        re.compile(
            r"(?<![\w+.,-])(?P<phi>(?:\+|00)[1-9]\d{0,2}[ .-]?(?:\(\d{1,4}\)[ .-]?)?\d(?:[ .-]?\d){6,11})(?![\d.,]*\d)"
        ),
    ),
    Pattern("phone", re.compile(r"(?<![\w.-])(?P<phi>(?:\(\d{3}\)[ ]?|\d{3}[-.])\d{3}[-.]\d{4})(?![\w-])")),
    # Long numbers stand for records more often than for measurements; counts come with a unit or a separator.
    Pattern(
        "record_number",
        re.compile(
            r"(?<!PMID )(?<!PMID: )(?<!doi )(?<![\w.,/:+-])(?P<phi>\d{6,10})(?![\w,/:-]|[.]\d|\s*(?:/|[cx×%]|cells|"
            r"copies|units|iu|per|people|patients|cases|deaths|persons|children|women|men|dollars|خلية|نسخة|وحدة|شخص|حالة|"
            r"مريض|دولار))",
            re.IGNORECASE,
        ),
        lambda match: not match["phi"].endswith("000"),
    ),
    # Mobile numbers of the Gulf and of Egypt.
    Pattern("phone", re.compile(r"(?<![\w.,/+-])(?P<phi>05\d(?:[ -]?\d){7}|01[0125](?:[ -]?\d){8})(?![\d.,]*\d)")),
    # Identity numbers of the Emirates, of Egypt, and of the United States.
    Pattern("national_id", re.compile(r"(?<![\w-])(?P<phi>784-?(?:19|20)\d\d-?\d{7}-?\d)(?![\w-])")),
    Pattern("national_id", re.compile(r"(?<![\w.,-])(?P<phi>[23]\d{13})(?![\w-]|[.,]\d)"), is_egyptian),
    Pattern("national_id", re.compile(r"(?<![\w-])(?P<phi>(?!000|666|9)\d{3}-(?!00)\d\d-(?!0000)\d{4})(?![\w-])")),
)
