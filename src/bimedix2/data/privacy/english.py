"""Patterns for English text."""

from __future__ import annotations

import re

from .patterns import ID, SEP, TELEPHONE, UNIT, YEAR, Pattern, given_names, is_old, no_case

_MONTH = (
    r"(?:jan(?:uary|\.)?|feb(?:ruary|\.)?|mar(?:ch|\.)?|apr(?:il|\.)?|may|june?|july?|aug(?:ust|\.)?|"
    r"sept?(?:ember|\.)?|oct(?:ober|\.)?|nov(?:ember|\.)?|dec(?:ember|\.)?)"
)
_ONE = r"(?:[A-Z]l-[A-Z][a-z]+|[A-Z][a-z]+(?:-[A-Z]?[a-z]+|'[A-Z][a-z]+)*|[A-Z]\.|[A-Z]'[A-Z][a-z]+)"
_NAMES = rf"{_ONE}(?:[ \t]+(?:(?:al|el|bin|ibn|van|von|de)[ -])?{_ONE}){{0,3}}"
_ANY_NAMES = rf"(?:{_NAMES}|[A-Z][A-Z'-]+(?:(?:[,^][ ]?|[ ])(?!(?:DOB|MRN|AGE|SEX|DATE|ID)\b)[A-Z][A-Z'-]+){{0,3}})"
_NO_NAME = re.compile(
    r"(?:The|This|That|He|She|It|His|Her|In|On|At|And|Or|Patients?|Doctor|Who|What|When|Where|Why|How|If|For|With|"
    r"Without|Google|Visits?|Shopping|Not?|Said|Will|Was|Is|Has|Had)\b"
)
_EVENT = (
    r"(?:admitted|discharged|born|seen|examined|exam(?:ination)?|dated|performed|surgery|operated|comparison|"
    r"visit(?:ed)?|died|diagnosed|follow-up|dob|birth)"
)
_BY = r"(?:dictated|signed|reported|reviewed|read|transcribed|verified)[ ]by"
_STREET = r"(?:Street|St|Avenue|Ave|Road|Rd|Boulevard|Blvd|Lane|Ln|Drive|Court|Square|Highway)"


_PLACE = re.compile(
    r"(?:Hospital|University|College|Clinic|Medical|Center|Centre|Institute|Street|School|Virus|Syndrome)"
)
_EPONYM = (
    r"(?!['’]?s?[ ](?i:disease|syndrome|sign|test|virus|criteria|classification|procedure|score|scale|law|palsy|"
    r"lymphoma|hospital|university|medical|clinic))"
)


def _named(match: re.Match[str]) -> bool:
    return not _NO_NAME.match(match["phi"])


def _given(match: re.Match[str]) -> bool:
    words = match["phi"].split()
    return words[0] in given_names("en") and not _NO_NAME.match(words[-1]) and not _PLACE.match(words[-1])


ENGLISH: tuple[Pattern, ...] = (
    Pattern(
        "name",
        re.compile(rf"(?<!\w)(?:Dr|Prof|Mr|Mrs|Ms|Mme|Professor|Doctor)\.?[ \t]+(?P<phi>{_NAMES})"),
        _named,
    ),
    Pattern(
        "name",
        re.compile(
            rf"(?<!\w)(?i:patient(?:'s)?[ ]name|full[ ]name|patient|referring[ ](?:physician|doctor)|radiologist|"
            rf"attending(?:[ ]physician)?|{_BY}|next[ ]of[ ]kin)[ \t]*:[ \t]*(?:Dr\.?[ ])?(?P<phi>{_ANY_NAMES})"
        ),
        _named,
    ),
    Pattern("name", re.compile(rf"(?m)^[ \t]*(?i:name)[ \t]*:[ \t]*(?P<phi>{_ONE}(?:[ \t]+{_ONE}){{1,3}})"), _named),
    # Two capitalised words in a row of which the first is a common given name.
    Pattern(
        "name",
        re.compile(
            rf"(?<![\w.'-])(?P<phi>[A-Z][a-z]+(?:[ ][A-Z]\.)?[ ](?:(?:al|el|bin|ibn|van|von|de)[ -])?{_ONE})\b{_EPONYM}"
        ),
        _given,
    ),
    Pattern(
        "date",
        no_case(rf"(?<![\w/.-])(?P<phi>\d{{1,2}}(?:st|[nr]d|th)?[ -](?:of[ ])?{_MONTH}(?:[ ,-]+{YEAR})?)(?![\w-])"),
    ),
    Pattern(
        "date",
        no_case(rf"(?<![\w-])(?P<phi>{_MONTH}[ ]\d{{1,2}}(?:st|[nr]d|th)?(?:,?[ ]{YEAR})?)(?![\w.,-]*\d){UNIT}"),
    ),
    # A month alone identifies only where it dates what happened to the patient.
    Pattern("date", no_case(rf"\b{_EVENT}\b[^.\n]{{0,25}}?[ :](?P<phi>{_MONTH},?[ ]{YEAR})(?!\d)")),
    Pattern(
        "age",
        no_case(r"(?<![\d.,])(?P<phi>\d{2,3}[ -]?(?:years?|yrs?|y)[ -]?(?:olds?|/o)|\d{2,3}[ ]?y\.?o\.?)(?!\w)"),
        is_old,
    ),
    Pattern("age", no_case(r"\b(?:aged?|age of)[ :=]{1,3}(?P<phi>\d{2,3})(?![\d.%])"), is_old),
    Pattern("phone", no_case(rf"\b(?:tel(?:ephone)?|phone|mobile|cell|fax|pager|whatsapp)\b\.?{SEP}{TELEPHONE}")),
    Pattern(
        "national_id",
        no_case(
            rf"\b(?:ssn|social[ ]security|national[ ]id|iqama|passport|emirates[ ]id|identity[ ]card|id[ ]card)\b"
            rf"{SEP}{ID}"
        ),
    ),
    Pattern(
        "record_number",
        no_case(
            rf"\b(?:mrn|m\.r\.n\.|(?:medical|hospital|patient|health)[ ](?:record|file|chart)"
            rf"(?:[ ](?:no\.?|number|id))?|(?:patient|hospital|account|case|chart|accession|file|admission|insurance|"
            rf"policy)[ ](?:no\.?|number|id|#)|accession|study[ ]id)(?!\w){SEP}{ID}"
        ),
    ),
    Pattern(
        "address",
        re.compile(rf"(?<![\w./-])(?P<phi>\d{{1,5}}[ ](?:[NSEW]\.?[ ])?(?:[A-Z][a-z]+[ ]){{1,3}}{_STREET}\b\.?)"),
    ),
    Pattern("address", re.compile(r"(?P<phi>\b[Pp]\.?[ ]?[Oo]\.?[ ]?[Bb]ox[ ]?:?[ ]?\d{1,6})(?!\d)")),
    Pattern("address", re.compile(r"(?i:\b(?:home[ ])?address)[ \t]*:[ \t]*(?P<phi>[^\n;\[]{5,80})")),
)
