"""Every error and notice of the room, in English and Arabic: a fault and what to do about it.

Texts hold no value taken from a file, so no patient attribute can leak through an error.
"""

from __future__ import annotations

from typing import NoReturn

from bimedix2.errors import ImageError
from bimedix2.images.types import ImageNotice

ERRORS: dict[str, tuple[str, str]] = {
    "image_not_found": (
        "there is no readable image file here. Check the path and its permissions.",
        "لا يوجد هنا ملف صورة يمكن قراءته. تحقق من المسار ومن أذونات الملف.",
    ),
    "image_unreadable": (
        "the image is damaged or cut off. Export or download it again.",
        "الصورة تالفة أو غير مكتملة. أعد تصديرها أو تنزيلها.",
    ),
    "image_too_large": (
        "the image exceeds the limits on file size, pixels or memory. Make it smaller, "
        "or raise DecodeLimits if you trust the file.",
        "تتجاوز الصورة حدود حجم الملف أو عدد البكسلات أو الذاكرة. صغّرها، أو ارفع حدود DecodeLimits إن كنت تثق بالملف.",
    ),
    "image_strip": (
        "the image is a long, thin strip of which nothing would be left after resizing. Crop the part you need.",
        "الصورة شريط طويل رفيع لن يبقى منه شيء بعد تغيير الحجم. اقتطع الجزء الذي تحتاج إليه.",
    ),
    "unsupported_image_type": (
        "this type of file is not supported. Give a PNG, JPEG, WebP or DICOM image.",
        "هذا النوع من الملفات غير مدعوم. استخدم صورة بصيغة PNG أو JPEG أو WebP أو DICOM.",
    ),
    "image_frame_not_found": (
        "the file has no frame of that number; frames count from 0. Choose a smaller number.",
        "لا يوجد إطار بهذا الرقم في الملف؛ يبدأ ترقيم الإطارات من 0. اختر رقما أصغر.",
    ),
    "image_bad_window": (
        "the window must be two finite numbers, centre and width, with a width above 0, and applies to grey images.",
        "يجب أن تتكون النافذة من عددين محدودين، المركز والعرض، وأن يكون العرض أكبر من 0، وهي للصور الرمادية فقط.",
    ),
    "image_not_grey": (
        "the picture is in colour or has 8 bits, so it has no grey values to window. Use it as it is.",
        "الصورة ملونة أو من 8 بت، فليست فيها قيم رمادية تطبق عليها نافذة. استخدمها كما هي.",
    ),
    "image_decode_timeout": (
        "decoding took longer than allowed. Export the image again, or raise DecodeLimits.max_seconds.",
        "استغرق فك ترميز الصورة وقتا أطول من المسموح. أعد تصدير الصورة، أو ارفع قيمة DecodeLimits.max_seconds.",
    ),
    "image_decoder_crashed": (
        "the decoder stopped on this image, which is probably damaged or hostile. Export it again from "
        "a source you trust.",
        "توقف برنامج فك الترميز عند هذه الصورة، وهي على الأرجح تالفة أو ضارة. أعد تصديرها من مصدر تثق به.",
    ),
    "image_decoder_unavailable": (
        "the decoding process could not be started. Check the installation and the free memory, then try again.",
        "تعذر تشغيل عملية فك الترميز. تحقق من التثبيت ومن الذاكرة المتاحة ثم أعد المحاولة.",
    ),
    "no_image_in_dicom": (
        "this DICOM file holds no picture (it may be a report, a plan or a waveform). Choose an image instance.",
        "لا يحتوي ملف DICOM هذا على صورة (قد يكون تقريرا أو خطة علاج أو إشارة). اختر ملفا يحتوي على صورة.",
    ),
    "dicom_expands_too_much": (
        "this DICOM file is stored deflated, which can expand without bound. Save it again without "
        "deflate compression.",
        "ملف DICOM هذا مضغوط بطريقة deflate التي قد تتضخم بلا حد. احفظه من جديد من دون هذا الضغط.",
    ),
    "dicom_too_deep": (
        "this DICOM file nests or repeats its elements too often to be an ordinary image. "
        "Export it again from a source you trust.",
        "عناصر ملف DICOM هذا متداخلة أو متكررة أكثر من أي صورة عادية. أعد تصديره من مصدر تثق به.",
    ),
    "dicom_directory": (
        "this is a DICOMDIR index, not an image. Choose one of the image files beside it.",
        "هذا فهرس DICOMDIR وليس صورة. اختر أحد ملفات الصور الموجودة معه.",
    ),
    "dicom_syntax_unsupported": (
        "this DICOM file uses a video or unknown compression. Export it as uncompressed or JPEG 2000 images.",
        "يستخدم ملف DICOM هذا ضغط فيديو أو ضغطا غير معروف. صدّره صورا غير مضغوطة أو بصيغة JPEG 2000.",
    ),
    "dicom_bad_rescale": (
        "the rescale slope of this DICOM file is 0 or no number, so its values mean nothing. Export it again.",
        "معامل التحويل (rescale slope) في ملف DICOM هذا صفر أو ليس عددا، فلا معنى لقيمه. أعد تصديره.",
    ),
    "dicom_support_missing": (
        "reading DICOM needs an optional part. Install it with: pip install 'bimedix2[dicom]'",
        "تحتاج قراءة DICOM إلى جزء اختياري. ثبته بالأمر: pip install 'bimedix2[dicom]'",
    ),
}

NOTICES: dict[str, tuple[str, str]] = {
    "animation_first_frame": (
        "The file is an animation or holds several pictures; only the first one is used.",
        "الملف صورة متحركة أو يحتوي على عدة صور؛ تستخدم الأولى فقط.",
    ),
    "exif_ignored": (
        "The orientation data of the photograph is damaged and was ignored.",
        "بيانات اتجاه الصورة تالفة وقد أهملت.",
    ),
    "sixteen_bit_scaled": (
        "The 16-bit values were scaled between their 1st and 99th percentiles; give a window to choose another range.",
        "حولت قيم 16 بت بين المئين الأول والمئين التاسع والتسعين؛ حدد نافذة لاختيار مدى آخر.",
    ),
    "multi_frame_first": (
        "The file has several frames and none was chosen; the first one is shown.",
        "يحتوي الملف على عدة إطارات ولم يحدد أي منها؛ يعرض الإطار الأول.",
    ),
    "window_from_percentiles": (
        "The file names no window; grey values between the 1st and 99th percentiles are shown.",
        "لا يحدد الملف نافذة عرض؛ تعرض القيم بين المئين الأول والمئين التاسع والتسعين.",
    ),
    "window_invalid": (
        "The window in the file is not valid; the full range of values is shown.",
        "نافذة العرض في الملف غير صالحة؛ يعرض مدى القيم كاملا.",
    ),
    "rescale_incomplete": (
        "Only one of rescale slope and intercept is present, so the window in the file cannot be trusted; "
        "the full range of values is shown.",
        "لا يوجد في الملف سوى أحد معاملي التحويل (slope وintercept)، فلا يمكن الوثوق بنافذته؛ يعرض مدى القيم كاملا.",
    ),
    "lut_invalid": (
        "A look-up table in the file is not valid and was not applied.",
        "أحد جداول التحويل في الملف غير صالح ولم يطبق.",
    ),
    "pixels_made_square": (
        "The pixels of the file are not square; the image was resampled to true proportions.",
        "بكسلات الملف ليست مربعة؛ أعيد تشكيل الصورة بنسبها الحقيقية.",
    ),
    "pixel_aspect_ignored": (
        "The pixel proportions in the file are not plausible and were ignored.",
        "نسب البكسل المذكورة في الملف غير معقولة وقد أهملت.",
    ),
    "may_contain_identity": (
        "The image may contain identity: names or dates may be written in the picture itself. "
        "Check it before you share it.",
        "قد تحتوي الصورة على ما يدل على هوية المريض: ربما كتبت أسماء أو تواريخ داخل الصورة نفسها. افحصها قبل مشاركتها.",
    ),
}


def image_error(code: str, name: str | None = None) -> ImageError:
    """The named error, with the file's cleaned name in front where there is one."""
    english, arabic = ERRORS[code]
    if name is None:
        return ImageError(english[0].upper() + english[1:], arabic, code=code)
    # Isolates keep a Latin file name from reordering the Arabic sentence around it.
    return ImageError(f"{name}: {english}", f"\u2068{name}\u2069: {arabic}", code=code)


def image_notice(code: str) -> ImageNotice:
    """The notice of that code in both languages."""
    return ImageNotice(code, *NOTICES[code])


def refuse(code: str) -> NoReturn:
    """Raise the named error.

    Raises:
        ImageError: always.
    """
    raise image_error(code)


def clean_name(name: str, longest: int = 120) -> str:
    """A file name fit for a message: no control, direction or surrogate character, bounded length."""
    shown = "".join(letter for letter in name if letter.isprintable())
    return shown if len(shown) <= longest else "…" + shown[-longest:]
