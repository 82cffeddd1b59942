"""Errors of uploads, and the HTTP status of every error of ``bimedix2.images``."""

from __future__ import annotations

from bimedix2.errors import ImageError
from bimedix2.serve.errors import ServeError

STATUS = {
    "image_too_large": 422,
    "unsupported_image_type": 415,
    "no_image_in_dicom": 415,
    "dicom_expands_too_much": 413,
    "dicom_directory": 415,
    "dicom_syntax_unsupported": 415,
    "image_decoder_unavailable": 503,
    "dicom_support_missing": 503,
}
"""Those that are not 422."""


def image_fault(error: ImageError, param: str | None = None) -> ServeError:
    """The same error with a status; the text names no file and quotes nothing of it."""
    return ServeError(error.message, error.message_ar, code=error.code, status=STATUS.get(error.code, 422), param=param)


class UnknownUploadError(ServeError):
    """No such upload, or somebody else's: the answer does not tell which."""

    code = "upload_not_found"
    status = 404

    def __init__(self) -> None:
        super().__init__(
            "There is no such picture. It may have been deleted, or its time to be kept is over. Send it again.",
            "لا توجد صورة كهذه. ربما حذفت أو انتهت مدة حفظها. أرسلها من جديد.",
        )


class UploadTooLargeError(ServeError):
    """More bytes than a file may have."""

    code = "upload_too_large"
    status = 413

    def __init__(self, most: int) -> None:
        mib = f"{most / 1024 / 1024:.0f} MiB"
        super().__init__(
            f"The file is larger than {mib}. Send a smaller one.",
            f"الملف أكبر من {mib}. أرسل ملفا أصغر.",
            param="file",
        )


class BadUploadError(ServeError):
    """The request holds no file as a form would send it."""

    code = "bad_upload"
    status = 400

    def __init__(self) -> None:
        super().__init__(
            "Send one file as multipart/form-data, in a field named “file”.",
            "أرسل ملفا واحدا بصيغة multipart/form-data في حقل اسمه «file».",
            param="file",
        )


class SlowUploadError(ServeError):
    """The file did not arrive in time."""

    code = "upload_too_slow"
    status = 408

    def __init__(self) -> None:
        super().__init__(
            "The file did not arrive in time. Check the connection and send it again.",
            "لم يصل الملف في الوقت المحدد. تحقق من الاتصال ثم أرسله من جديد.",
        )


class CompressedUploadError(ServeError):
    """A request body in gzip or another coding."""

    code = "compressed_body"
    status = 415

    def __init__(self) -> None:
        super().__init__(
            "Compressed requests are not accepted. Send the file without Content-Encoding.",
            "لا تقبل الطلبات المضغوطة. أرسل الملف من دون Content-Encoding.",
        )


class IdentityError(ServeError):
    """A strict server takes no picture that may show a name."""

    code = "image_may_contain_identity"
    status = 422

    def __init__(self, param: str | None = None) -> None:
        super().__init__(
            "This server refuses pictures in which names or dates may be written. Cover them, save the picture as "
            "PNG and send that.",
            "يرفض هذا الخادم الصور التي قد تكون فيها أسماء أو تواريخ مكتوبة. أخفها واحفظ الصورة بصيغة PNG ثم أرسلها.",
            param=param,
        )


class TooManyUploadsError(ServeError):
    """One owner's share of the disk is full."""

    code = "too_many_uploads"
    status = 409

    def __init__(self, most: int) -> None:
        super().__init__(
            f"You already have {most} pictures here, or they take all the space you may use. Delete some first.",
            f"لديك هنا {most} صورة، أو أن صورك تشغل كل المساحة المتاحة لك. احذف بعضها أولا.",
        )
