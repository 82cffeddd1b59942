"""Negation, polarity and laterality: hand-written medical pairs, in both directions."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from bimedix2.data.check import Context
from bimedix2.data.check.evidence import listen, odds, without
from bimedix2.data.check.laterality import check_laterality
from bimedix2.data.check.negation import check_negation, doubts
from bimedix2.data.check.polarity import check_polarity

GOOD = [
    ("There is no evidence of pneumothorax.", "لا يوجد دليل على استرواح الصدر."),
    ("No pleural effusion.", "خالٍ من الانصباب الجنبي."),
    ("No pleural effusion.", "يغيب الانصباب الجنبي."),
    ("The patient denies chest pain.", "ينفي المريض وجود ألم في الصدر."),
    ("He has never smoked.", "لم يدخن قط."),
    ("CT without contrast", "CT دون مادة ظليلة"),
    ("The mass is unresectable.", "الكتلة غير قابلة للاستئصال."),
    ("Asymptomatic patients", "المرضى الذين لا تظهر عليهم أعراض"),
    ("Is the liver abnormal?", "هل الكبد غير طبيعي؟"),
    ("It is not only the liver.", "ليس الكبد فقط."),
    ("Only one kidney is seen.", "لا ترى إلا كلية واحدة."),
    ("The cause is still under study.", "لا يزال السبب قيد الدراسة."),
    ("Avoid alcohol.", "تجنب الكحول."),
    ("Under the diaphragm", "تحت الحجاب الحاجز"),
    ("Both lungs are clear.", "كلا الرئتين صافيتان."),
    ("especially in children", "ولا سيما عند الأطفال"),
    ("He should not be given aspirin.", "يجب ألا يعطى الأسبرين."),
    ("No", "لا"),
    ("unilateral", "أحادي الجانب"),
    ("He denies chest pain.", "ينفي وجود ألم في الصدر."),
    ("She denies fever or chills.", "لا تعاني من حمى أو قشعريرة."),
]
BAD = [
    ("There is no evidence of pneumothorax.", "يوجد دليل على استرواح الصدر."),
    ("No pleural effusion.", "انصباب جنبي."),
    ("CT without contrast", "CT مع مادة ظليلة"),
    ("He has never smoked.", "دخن من قبل."),
    ("The mass is unresectable.", "الكتلة قابلة للاستئصال."),
    ("Pleural effusion is present.", "لا يوجد انصباب جنبي."),
    ("Avoid alcohol and do not smoke.", "تجنب الكحول ودخن."),
    ("There is no fracture and no dislocation.", "لا يوجد كسر ويوجد خلع."),
    ("He should not be given aspirin.", "يجب أن يعطى الأسبرين."),
    ("He denies chest pain.", "لديه ألم في الصدر."),
    ("The patient denies any history of diabetes.", "لدى المريض تاريخ من داء السكري."),
]

ADDED = "Pleural effusion is present."  # Arabic is the side that denies
# Read from Arabic, these add a "not" or "un-", which needs more evidence than their words give: see the guide.
ADDED_UNHEARD = {"The mass is unresectable.", "Avoid alcohol and do not smoke.", "He should not be given aspirin."}


def both_ways(check, english: str, arabic: str, **options: bool) -> list[bool]:
    forth, back = Context("en", **options), Context("ar", **options)
    return [bool(check(english, arabic, forth)), bool(check(arabic, english, back))]


@pytest.mark.parametrize(("english", "arabic"), GOOD)
def test_kept_negation_passes(english: str, arabic: str) -> None:
    assert both_ways(check_negation, english, arabic) == [False, False]
    assert both_ways(check_polarity, english, arabic) == [False, False]


# Lost by the translation where it should be kept: the source is the side that denies.
@pytest.mark.parametrize(("english", "arabic"), BAD)
def test_lost_negation_fails(english: str, arabic: str) -> None:
    into_arabic, into_english = both_ways(check_negation, english, arabic)
    assert into_english if english == ADDED else into_arabic


@pytest.mark.parametrize(("english", "arabic"), [pair for pair in BAD if pair[0] not in ADDED_UNHEARD])
def test_added_negation_fails(english: str, arabic: str) -> None:
    assert both_ways(check_negation, english, arabic) == [True, True]


class _Encoder:
    """Hears the negation on both sides ("free", خال) whatever the words, so that their agreement is what counts."""

    name = "similarity"

    def score(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        return [1.0 - 0.5 * (self._denies(one) != self._denies(other)) for one, other in pairs]

    @staticmethod
    def _denies(text: str) -> bool:
        return any(word in text for word in (" no ", "not", "drive-in", "دون", "لا "))


def test_an_encoder_that_hears_the_negation_elsewhere_takes_the_alarm_back() -> None:
    english, arabic = "They offer drive-in worship every week.", "يقدمون العبادة دون مغادرة السيارة كل أسبوع."
    (doubt,) = doubts(english, arabic, Context("en"))
    assert (doubt.word, doubt.bare) == ("دون", "يقدمون العبادة مغادرة السيارة كل أسبوع.")
    assert not check_negation(english, arabic, Context("en"), _Encoder())
    kept = "They offer worship every week."
    assert listen(doubt, _Encoder())["whole"] < 0
    assert listen(doubts(kept, arabic, Context("en"))[0], _Encoder())["whole"] > 0


@pytest.mark.parametrize("model", ["negation", "negation_words"])
@pytest.mark.parametrize("language", ["en", "ar"])
def test_a_lost_negation_needs_no_more_evidence_than_an_added_one(model: str, language: str) -> None:
    known = doubts("There is no mass.", "توجد كتلة.", Context("en"))[0].features
    assert odds(known, model, f"lost_{language}") >= odds(known, model, f"added_{language}")


@pytest.mark.parametrize(
    ("text", "word", "bare"),
    [
        ("It cannot be seen.", "cannot", "It can be seen."),
        ("It isn't seen.", "isn't", "It is seen."),
        ("This is unlikely.", "unlikely", "This is likely."),
        ("without contrast", "without", "with contrast"),
    ],
)
def test_a_negating_word_is_taken_out(text: str, word: str, bare: str) -> None:
    start = text.index(word)
    assert without(text, (start, start + len(word)), word, english=True) == bare


def test_the_negating_word_is_marked() -> None:
    source = "The lungs are clear. There is no mass."
    (finding,) = check_negation(source, "الرئتان صافيتان. توجد كتلة.", Context("en"))
    assert [source[slice(*span)] for span in finding.source] == ["no"]
    translation = "الرئتان صافيتان. لا توجد كتلة."
    (finding,) = check_negation("The lungs are clear. There is a mass.", translation, Context("en"))
    assert [translation[slice(*span)] for span in finding.translation] == ["لا"]


@pytest.mark.parametrize(
    ("english", "right", "wrong"),
    [
        ("The test was negative.", "كان الاختبار سلبيا.", "كان الاختبار إيجابيا."),
        ("The test was positive.", "كان الاختبار إيجابيا.", "كان الاختبار سلبيا."),
        ("Is the heart normal?", "هل القلب طبيعي؟", "هل القلب غير طبيعي؟"),
        ("a benign tumour", "ورم حميد", "ورم خبيث"),
        ("chronic bronchitis", "التهاب القصبات المزمن", "التهاب القصبات الحاد"),
        ("increased opacity", "زيادة العتامة", "انخفاض العتامة"),
        ("The cause is unknown.", "السبب غير معروف.", "السبب معروف."),
        ("asymmetric lungs", "رئتان غير متناظرتين", "رئتان تناظر"),
    ],
)
def test_a_word_must_not_become_its_opposite(english: str, right: str, wrong: str) -> None:
    assert both_ways(check_polarity, english, right) == [False, False]
    assert both_ways(check_polarity, english, wrong) == [True, True]


@pytest.mark.parametrize(
    ("english", "arabic"),
    [
        ("It fell more than 10% this week.", "سجل انخفاضا بأكثر من 10% هذا الأسبوع."),
        ("The rate is higher than the reported one.", "المعدل أعلى من المبلغ عنه، وهناك نقص."),
        ("Only few such cases exist.", "لا توجد سوى حالات قليلة كهذه."),
        ("The total number of tests was unknown.", "لم يكن إجمالي عدد الاختبارات معروفا."),
    ],
)
def test_a_word_with_other_uses_is_no_opposite(english: str, arabic: str) -> None:
    assert both_ways(check_polarity, english, arabic) == [False, False]


def test_above_is_no_increase_where_a_decrease_is_lost() -> None:
    """أعلى renders "higher" and "upper" alike: it excuses, but does not accuse."""
    assert (
        both_ways(check_polarity, "decreased density in the upper zone", "قلة الكثافة في المنطقة الأعلى") == [False] * 2
    )


SIDES_GOOD = [
    ("left lung", "الرئة اليسرى"),
    ("the patient's left kidney", "كلية المريض اليسرى"),
    ("on the right side", "في الجانب الأيمن"),
    ("to the left", "إلى اليسار"),
    ("on the right", "باليمين"),
    ("R lung", "الرئة اليمنى"),
    ("RUQ pain", "ألم الربع العلوي الأيمن"),
    ("right and left lungs", "الرئتان اليمنى واليسرى"),
    ("bilateral infiltrates", "ارتشاحات ثنائية الجانب"),
    ("He is all right now.", "هو بخير الآن."),
    ("right in the middle", "في الوسط تماما"),
    ("RT-PCR test", "اختبار RT-PCR"),
    ("The virus left many ill.", "أصاب الفيروس كثيرين."),
    ("The ban applies.", "يسري الحظر."),
]
SIDES_BAD = [
    ("left lung", "الرئة اليمنى"),
    ("right hemisphere", "نصف الكرة الأيسر"),
    ("R lung", "الرئة اليسرى"),
    ("left lung", "الرئة"),
    ("The right kidney is larger than the left.", "الكلية اليسرى أكبر من اليمنى."),
    ("bilateral infiltrates", "ارتشاح في الجانب الأيمن"),
    ("a unilateral lesion", "آفة ثنائية الجانب"),
    ("lung nodule", "عقيدة في الرئة اليسرى"),
]


@pytest.mark.parametrize(("english", "arabic"), SIDES_GOOD)
def test_kept_sides_pass(english: str, arabic: str) -> None:
    assert both_ways(check_laterality, english, arabic) == [False, False]


@pytest.mark.parametrize(("english", "arabic"), SIDES_BAD)
def test_changed_sides_fail(english: str, arabic: str) -> None:
    assert both_ways(check_laterality, english, arabic) == [True, True]


def test_positions_are_an_option() -> None:
    pair = "upper lobe", "الفص السفلي"
    assert both_ways(check_laterality, *pair) == [False, False]
    assert both_ways(check_laterality, *pair, positions=True) == [True, True]
    assert both_ways(check_laterality, "upper lobe", "الفص العلوي", positions=True) == [False, False]
