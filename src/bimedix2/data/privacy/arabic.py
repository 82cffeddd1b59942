"""Patterns for Arabic text. Arabic has no capital letters: what follows a title may be a name, a verb or an adjective.

So behind a title that names often follow (الدكتور) a word counts if it is a common given name or looks like no verb
and no adjective; behind a word that names seldom follow (المريض) only a given name with a second one does.
"""

from __future__ import annotations

import re
from functools import cache

from .patterns import ID, SEP, TELEPHONE, Pattern, given_names, is_old

_WORD = r"[\u0621-\u063A\u0641-\u064A]{2,}"
_ENDS = (
    r"(?!(?:بتاريخ|في|من|مع|عن|على|إلى|أن|إن|بأن|يوم|لدى|قسم|مستشفى|بعد|قبل|هو|هي|قال|قالت|وقال|أوصى|عمره|عمرها|البالغ|البالغة|"
    r"رقم|ورقم)(?!\w)|بال|وال|لل)"
)
_NAMES = rf"(?:عبد[ ])?{_WORD}(?:[ ](?:(?:بن|ابن|بنت|أبو|آل)[ ])?(?:عبد[ ])?{_ENDS}{_WORD}){{0,3}}"
_MONTH = (
    r"(?:يناير|فبراير|مارس|[أا]بريل|نيسان|مايو|[أا]يار|يونيو|يونيه|حزيران|يوليو|يوليه|تموز|[أا]غسطس|[آا]ب|سبتمبر|"
    r"[أا]يلول|[أا]كتوبر|تشرين ال[أا]ول|تشرين الثاني|نوفمبر|ديسمبر|كانون ال[أا]ول|كانون الثاني|شباط|[آا]ذار|محرم|صفر|"
    r"ربيع ال[أا]ول|ربيع ال[آا]خر|ربيع الثاني|جمادى ال[أا]ولى|جمادى ال[آا]خرة|جمادى الثانية|رجب|شعبان|رمضان|شوال|"
    r"ذو القعدة|ذي القعدة|ذو الحجة|ذي الحجة)"
)
_NO_NAME = re.compile(
    r"(?:أو|في|من|على|إلى|عن|هو|هي|الذي|التي|قد|لا|لم|لن|إذا|أن|إن|أنه|كان|كانت|بعد|قبل|عند|مع|كل|أي|هذا|هذه|ذلك|بك|حول|لدى|"
    r"حتى|ثم|فقط|أيضا|مباشرة|فورا|وقال|قال|قالت|أوصى|أكد|أشار|ذكر|وصف|طلب|نصح|كتب|أخبر|مختص|مناوب|خاص|آخر|أخرى)(?!\w)"
)
_TITLE = r"(?:الدكتور|الدكتورة|دكتور|دكتورة|البروفيسور|بروفيسور|الآنسة|السيد|السيدة|للدكتور|للدكتورة|للسيد|للسيدة)"
_POLITE = r"(?:الأستاذ|الأستاذة|الشيخ)"
_PATIENT = r"ل?(?:المريض|المريضة|مريض|مريضة|لمريض)"
_LABEL = (
    r"(?:اسم[ ](?:المريض|المريضة|الأم|الأب|الطبيب)|الاسم(?:[ ]الكامل)?|المريض|المريضة|(?:ال)?طبيب(?:[ ]المعالج)?|"
    r"يدعى|تدعى|المدعو)"
)
_PHONE = r"(?:رقم[ ])?(?:الهاتف|هاتف|هاتفه|هاتفها|جوال|الجوال|جواله|جوالها|موبايل|الموبايل|المحمول|واتساب|فاكس|تلفون)"
_FILE = (
    r"(?:(?:رقم|برقم)[ ](?:الملف(?:[ ]الطبي)?|ملف(?:[ ]طبي)?|السجل(?:[ ]الطبي)?|المريض|المريضة|الحالة|الدخول|التأمين|"
    r"العينة|القيد)|الرقم[ ]الطبي|(?:ال)?ملف[ ]رقم|السجل[ ]رقم)"
)
_CARD = (
    r"(?:(?:رقم|برقم)[ ](?:الهوية(?:[ ]الوطنية)?|هوية|الإقامة|الاقامة|جواز(?:[ ]السفر)?|الجواز|البطاقة|بطاقة)|"
    r"الرقم[ ](?:القومي|الوطني|المدني)|الهوية(?:[ ]الوطنية)?|السجل[ ]المدني)"
)
_AGE = (
    r"(?:عمره|عمرها|العمر|بعمر|عمر|البالغ|البالغة|يبلغ|تبلغ)[ ](?:من العمر[ ])?(?:(?:المريض|المريضة)[ ])?(?:حوالي[ ])?"
    r":?[ ]?"
)
_HOME = r"(?:يسكن|تسكن|يقيم|تقيم|يقطن|تقطن|الساكن|المقيم)[ ](?:في[ ])?ب?"


# Given names that are words of their own: علي is also "on me", عمر "age", سعيد "happy".
_ALSO_WORDS = frozenset(
    re.findall(
        r"\w+",
        "شهد علي عمر سعيد كريم صالح صلاح جمال كمال جلال عادل نادر ناصر شريف أمين أنور صادق أشرف عامر حسن "
        "ماجد زايد باسل راشد منصور فارس رائد سلطان حمد سعد سعود طلال نايف مهدي عماد عصام جاسم قيس هاني "
        "معتز نزار أمل نور هالة هند هبة وفاء دعاء إيمان ايمان صفاء عزة بسمة زهرة زهراء جميلة لطيفة نوال "
        "منال سناء ضحى ريم مها ندى سحر سمر حياة خلود بشرى نجوى هدى وعد وداد وجدان يسرى شذى رؤى رغد حصة "
        "دلال غادة عبير روان رنا مي سهى عفاف ملاك مشاعل رقية حليمة أميرة أمينة عالية طيبة زينة تهاني "
        "ثريا نعيمة مالك محسن مراد مشهور معن وجدي وديع غانم علاء ضياء حاتم حازم رياض شادي مأمون مسعود "
        "نعيم همام تميم إسراء إلهام لمياء مؤيد باسم فؤاد لبنى أسماء اسماء سلوى نادية ناهد ماجدة سامي "
        "سامر رامي عاصم عقيل كاظم نبيل رشيد وسيم ",
    )
)


@cache
def _bare_names() -> re.Pattern[str]:
    """A given name that is no other word, and more of the name behind it."""
    first = "|".join(sorted(given_names("ar") - _ALSO_WORDS, key=len, reverse=True))
    more = rf"(?:[ ](?:(?:بن|ابن|بنت|أبو|آل)[ ])?(?:عبد[ ])?{_ENDS}{_WORD}){{1,3}}"
    return re.compile(rf"(?<!\w)[ول]?(?P<phi>(?:{first}){more})(?!\w)")


def _given(match: re.Match[str]) -> bool:
    """A given name first; عبد is the first half of one."""
    words = match["phi"].split()
    return words[0] in given_names("ar") or (words[0] == "عبد" and len(words) > 1)


def _two_given(match: re.Match[str]) -> bool:
    words = match["phi"].split()
    return (
        _given(match) and len(words) > 1 and (words[1] in given_names("ar") or words[1].startswith(("ال", "عبد", "بن")))
    )


def _titled(match: re.Match[str]) -> bool:
    """A given name, or a word that is no verb of the third person, no adjective and no particle."""
    first = match["phi"].split()[0]
    looks = len(first) > 2 and not first.startswith(("ال", "ي", "ت", "سي", "ست", "لل", "و", "ب")) and first[-1] != "ة"
    return _given(match) or (looks and not _NO_NAME.match(first))


def _labelled(match: re.Match[str]) -> bool:
    return not _NO_NAME.match(match["phi"])


def _street(match: re.Match[str]) -> bool:
    return not _NO_NAME.match(match["phi"].split()[1])


def arabic() -> tuple[Pattern, ...]:
    """All patterns; the one of bare names is made when it is first needed."""
    return (*_ARABIC, Pattern("name", _bare_names(), _two_given))


_ARABIC: tuple[Pattern, ...] = (
    # At the start of a line د. and أ. are letters of options, and behind a number د. are minutes.
    Pattern("name", re.compile(rf"(?m)(?<![\w.\d])(?<!\d )(?<!^)(?:أ\.[ ]?)?د\.[ ]?(?P<phi>{_NAMES})"), _titled),
    Pattern("name", re.compile(rf"(?m)^[ ]*(?:أ\.[ ]?)?د\.[ ]?(?P<phi>{_NAMES})"), _two_given),
    Pattern("name", re.compile(rf"(?<!\w)[وفب]?{_TITLE}[ ](?:/[ ]?)?(?P<phi>{_NAMES})"), _titled),
    Pattern("name", re.compile(rf"(?<!\w)[وفب]?{_POLITE}[ ](?:/[ ]?)?(?P<phi>{_NAMES})"), _given),
    Pattern("name", re.compile(rf"(?<!\w)[وفب]?{_PATIENT}[ ](?P<phi>{_NAMES})"), _two_given),
    Pattern("name", re.compile(rf"(?<!\w){_LABEL}[ ]*[:/][ ]*(?:د\.[ ]?)?(?P<phi>{_NAMES})"), _labelled),
    Pattern(
        "date",
        re.compile(
            rf"(?<![\w/.-])(?P<phi>\d{{1,2}}[ ](?:من[ ])?(?:شهر[ ])?{_MONTH}"
            r"(?:[ ،/]+(?:عام[ ]|سنة[ ])?\d{4}(?:[ ]?هـ?)?)?)(?!\w)"
        ),
    ),
    Pattern("age", re.compile(rf"(?<!\w){_AGE}(?P<phi>\d{{2,3}})(?![\d.%])"), is_old),
    Pattern(
        "age",
        re.compile(
            r"(?<!منذ )(?<!خلال )(?<!لمدة )(?<!قبل )(?<!مدة )(?<!مرور )(?<!بعد )(?<![\d.,] )(?<![\d.,])"
            r"(?P<phi>\d{2,3}[ ](?:عاما|سنة))(?!\w)"
        ),
        is_old,
    ),
    Pattern("phone", re.compile(rf"(?<!\w){_PHONE}{SEP}{TELEPHONE}")),
    Pattern("record_number", re.compile(rf"(?<!\w){_FILE}{SEP}{ID}")),
    Pattern("national_id", re.compile(rf"(?<!\w){_CARD}{SEP}{ID}")),
    Pattern("address", re.compile(r"(?<!\w)(?:العنوان|عنوانه|عنوانها|مكان السكن)[ ]*:[ ]*(?P<phi>[^\n;؛\[]{5,80})")),
    Pattern(
        "address",
        re.compile(rf"(?<!\w)ب?(?P<phi>شارع[ ]{_WORD}(?:[ ]{_WORD})?(?:[ ،]+(?:رقم[ ])?\d{{1,4}})?)(?!\w)"),
        _street,
    ),
    Pattern("address", re.compile(r"(?<!\w)(?P<phi>ص\.?[ ]?ب\.?[ ]?:?[ ]?\d{1,6})(?!\d)")),
    Pattern("address", re.compile(rf"(?<!\w){_HOME}(?P<phi>حي[ ]{_WORD}(?:[ ]{_WORD})?)")),
)
