"""Answers to requests that may not go on."""

from __future__ import annotations

from bimedix2.serve.errors import ServeError

CHALLENGE = 'Bearer realm="bimedix2"'


class UnauthorizedError(ServeError):
    """No valid key or session; goes out with ``WWW-Authenticate``. The same for every reason."""

    code = "invalid_api_key"
    status = 401
    headers = (("WWW-Authenticate", CHALLENGE),)

    def __init__(self) -> None:
        super().__init__(
            "This server needs a valid key or a sign-in. Send the key as `Authorization: Bearer …`; "
            "`bimedix2 keys create` makes one.",
            "يحتاج هذا الخادم إلى مفتاح صالح أو تسجيل دخول. أرسل المفتاح في الترويسة `Authorization: Bearer …`، "
            "وينشئه الأمر `bimedix2 keys create`.",
        )


class ScopeError(ServeError):
    """A valid key that may not do this."""

    code = "missing_scope"
    status = 403

    def __init__(self, scope: str) -> None:
        super().__init__(
            f"This key has no scope {scope!r}. Ask for a key that has it.",
            f"لا يملك هذا المفتاح النطاق {scope}. اطلب مفتاحا يملكه.",
        )


class CrossSiteError(ServeError):
    """Another site's page asks in the name of whoever is signed in."""

    code = "cross_site"
    status = 403

    def __init__(self) -> None:
        super().__init__(
            "Requests from pages of another site are refused. Open the server's own page.",
            "ترفض الطلبات القادمة من صفحات موقع آخر. افتح صفحة الخادم نفسه.",
        )


class TooManyError(ServeError):
    """Too many requests, or too many at a time."""

    code = "rate_limited"
    status = 429

    def __init__(self, retry_after: float) -> None:
        super().__init__(
            "Too many requests in a short time. Wait a little and try again.",
            "طلبات كثيرة في وقت قصير. انتظر قليلا ثم أعد المحاولة.",
            retry_after=retry_after,
        )


class BusyKeyError(ServeError):
    """As many answers of one key at a time as are allowed."""

    code = "too_many_at_a_time"
    status = 429

    def __init__(self, allowed: int, retry_after: float) -> None:
        super().__init__(
            f"This key already has {allowed} answers under way. Wait for one to end, or stop one.",
            f"لهذا المفتاح {allowed} من الإجابات قيد الكتابة. انتظر انتهاء إحداها أو أوقفها.",
            retry_after=retry_after,
        )


class QuotaError(ServeError):
    """The day's quota of tokens or images is used up."""

    code = "quota_used_up"
    status = 429

    def __init__(self, kind: str, retry_after: float) -> None:
        arabic = "الرموز" if kind == "tokens" else "الصور"
        super().__init__(
            f"Today's quota of {kind} is used up; it starts anew at 00:00 UTC.",
            f"نفدت حصة اليوم من {arabic}، وتتجدد عند 00:00 بالتوقيت العالمي.",
            retry_after=retry_after,
        )


class BadHostError(ServeError):
    """The request names a host that is not ours."""

    code = "wrong_host"
    status = 421

    def __init__(self) -> None:
        super().__init__(
            "This server does not answer under that host name. Use the address it printed at the start, "
            "or add the name with --public-host.",
            "لا يجيب هذا الخادم تحت هذا الاسم. استخدم العنوان الذي طبعه عند بدء التشغيل، "
            "أو أضف الاسم بالخيار --public-host.",
        )


class BadAddressError(ServeError):
    """A request line or header that no client of ours sends."""

    code = "bad_address"
    status = 400

    def __init__(self) -> None:
        super().__init__(
            "The address or the Host header of the request is malformed. Write the path as the documentation does.",
            "عنوان الطلب أو ترويسة Host غير صحيح. اكتب المسار كما في الوثائق.",
        )


class LongHeadersError(ServeError):
    """More headers than any client of ours sends."""

    code = "headers_too_long"
    status = 431

    def __init__(self) -> None:
        super().__init__(
            "The headers of the request are too long. Delete this site's cookies, or send fewer headers.",
            "ترويسات الطلب أطول من المسموح. احذف ملفات تعريف الارتباط لهذا الموقع، أو أرسل ترويسات أقل.",
        )
