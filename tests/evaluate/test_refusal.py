from __future__ import annotations

import pytest

from bimedix2.text.refusal import is_refusal

REFUSALS = [
    "I'm sorry, but I cannot provide a diagnosis.",
    "I can't help with that.",
    "I am unable to view images.",
    "I'm not able to interpret medical images.",
    "As an AI language model, I cannot examine patients.",
    "As an AI, I don't have access to the picture.",
    "Sorry, I can't answer this question.",
    "I do not have enough information to answer.",
    "It is not possible to determine the cause from this image.",
    "This cannot be determined from the image.",
    "There is insufficient information to tell.",
    "We cannot provide medical advice.",
    "I won't answer this.",
    "I must decline to answer.",
    "Unable to determine.",
    "لا أستطيع تقديم تشخيص.",
    "لا يمكنني الإجابة عن هذا السؤال.",
    "عذرا، لا أستطيع رؤية الصورة.",
    "أعتذر، لكنني غير قادر على تحليل الصور.",
    "لست قادرا على تفسير هذه الصورة.",
    "لا يمكن تحديد السبب من هذه الصورة.",
    "يتعذر عليّ تحديد ذلك.",
    "لن أتمكن من مساعدتك في هذا.",
    "المعلومات غير كافية للإجابة.",
    "أرفض الإجابة عن هذا السؤال.",
    "لا يمكن الجزم بذلك.",
    "آسف، لا أعرف.",
    "لا أعلم.",
    "لا يمكننا تقديم استشارة طبية.",
    "نعتذر عن الإجابة.",
]
ANSWERS = [
    "No.",
    "There is no fracture; see a doctor if the pain lasts.",
    "I do not see any fracture.",
    "I don't see evidence of pneumothorax.",
    "Pneumonia. A physician should confirm this.",
    "The patient cannot breathe without help.",
    "The patient was unable to walk.",
    "The heart is not enlarged.",
    "The mass could not be resected.",
    "I see a nodule in the left lung.",
    "It does not help.",
    "Yes, but I am not a doctor.",
    "CT",
    "",
    "Do not give aspirin to children.",
    "لا.",
    "لا يوجد كسر، وينصح بمراجعة الطبيب.",
    "لا توجد علامات على الالتهاب.",
    "القلب غير متضخم.",
    "المريض غير قادر على المشي بسبب الكسر.",
    "الرئة اليسرى سليمة.",
    "نعم، لكن يجب أن يؤكد الطبيب ذلك.",
    "أشعة سينية للصدر",
    "لا تعط الأسبرين للأطفال.",
    "يعاني المريض من ضيق التنفس ولا يستطيع الاستلقاء.",
    "ليس هناك انصباب.",
    "الكتلة غير واضحة الحدود.",
    "تصوير بالرنين المغناطيسي",
    "التهاب رئوي في الفص السفلي.",
    "لم يظهر التصوير أي نزف.",
]


@pytest.mark.parametrize("text", REFUSALS)
def test_refusals(text: str) -> None:
    assert is_refusal(text)


@pytest.mark.parametrize("text", ANSWERS)
def test_answers(text: str) -> None:
    assert not is_refusal(text)
