"""What can go wrong with a server, named, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping

from bimedix2.errors import BiMediX2Error

from .completion import error_text, is_quota
from .settings import retry_after


class EndpointError(BiMediX2Error):
    """A server did not answer a request as it should.

    Attributes:
        stops_run: every further request would fail alike, so that a run has to end here.
        transient: worth another attempt.
        may_cost: the server may have done, and charged for, the work all the same.
        retry_after_s: how long the server asks to wait, in seconds; 0 if it does not say.
    """

    code = "endpoint_failed"
    stops_run = False
    transient = False
    may_cost = False
    retry_after_s = 0.0


class EndpointUnreachableError(EndpointError):
    """No connection, or it broke off; retries did not help."""

    code = "endpoint_unreachable"
    transient = True

    def __init__(self, url: str, reason: str, *, sent: bool = False) -> None:
        self.may_cost = sent
        super().__init__(
            f"{url} cannot be reached ({reason}). Check that the server runs and that the address ends in /v1.",
            f"تعذر الوصول إلى {url} ({reason}). تحقق من أن الخادم يعمل ومن أن العنوان ينتهي بـ /v1.",
        )


class EndpointTimeoutError(EndpointError):
    """No complete reply in time; retries did not help."""

    code = "endpoint_timeout"
    transient = True
    may_cost = True

    def __init__(self, url: str, seconds: float) -> None:
        super().__init__(
            f"{url} did not reply within {seconds:g} s. Raise --timeout or lower --concurrency.",
            f"لم يرد {url} خلال {seconds:g} ثانية. ارفع --timeout أو خفض --concurrency.",
        )


class EndpointBusyError(EndpointError):
    """Too many requests (429), also after the retries."""

    code = "endpoint_busy"
    transient = True

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(
            f"{url} takes no more requests for now (429: {reason}). Lower --concurrency or run it again later.",
            f"لا يقبل {url} طلبات أخرى الآن (429: {reason}). خفض --concurrency أو أعد الأمر لاحقا.",
        )


class EndpointServerError(EndpointError):
    """The server reports a fault of its own (5xx, 408, 409), also after the retries."""

    code = "endpoint_server_error"
    transient = True

    def __init__(self, url: str, status: int, reason: str) -> None:
        super().__init__(
            f"{url} failed with status {status} ({reason}). Look at the server's log, then run the command again.",
            f"فشل {url} بالحالة {status} ({reason}). راجع سجل الخادم ثم أعد الأمر.",
        )


class EndpointBadRequestError(EndpointError):
    """The server refuses this request (400, 413, 422 …), such as a prompt that is too long for the model."""

    code = "endpoint_bad_request"

    def __init__(self, url: str, status: int, reason: str) -> None:
        super().__init__(
            f"{url} refused the request with status {status} ({reason}). Check that the model takes images, a system "
            "message and a prompt of this length.",
            f"رفض {url} الطلب بالحالة {status} ({reason}). تحقق من أن النموذج يقبل الصور ورسالة النظام وسؤالا بهذا "
            "الطول.",
        )
        self.reason = reason


class EndpointAuthError(EndpointError):
    """The key is missing, wrong or not allowed to do this (401, 403), or its quota is used up."""

    code = "endpoint_auth"
    stops_run = True

    def __init__(self, url: str, status: int, reason: str) -> None:
        super().__init__(
            f"{url} does not accept the API key (status {status}: {reason}). Put a valid key with quota into the "
            "environment variable that --api-key-env names (OPENAI_API_KEY by default).",
            f"لا يقبل {url} مفتاح الواجهة (الحالة {status}: {reason}). ضع مفتاحا صالحا له رصيد في متغير البيئة الذي "
            "يسميه --api-key-env (وهو OPENAI_API_KEY ما لم تغيره).",
        )


class EndpointNotFoundError(EndpointError):
    """There is no such model or no such interface (404), or the address leads elsewhere (3xx)."""

    code = "endpoint_not_found"
    stops_run = True

    def __init__(self, url: str, status: int, model: str, reason: str) -> None:
        super().__init__(
            f"{url} has no model {model!r} or no chat interface (status {status}: {reason}). Compare --model with the "
            "list at …/v1/models, and give the address with /v1; redirects are not followed.",
            f"لا يوجد النموذج {model!r} أو واجهة المحادثة في {url} (الحالة {status}: {reason}). قارن --model بالقائمة "
            "في …/v1/models وأعط العنوان منتهيا بـ /v1؛ لا تتبع التحويلات.",
        )


class EndpointBadReplyError(EndpointError):
    """The reply is not what the interface promises."""

    code = "endpoint_bad_reply"
    may_cost = True

    def __init__(self, url: str, problem: str, problem_ar: str) -> None:
        super().__init__(
            f"The reply of {url} cannot be used: {problem}. Check that it is an OpenAI-compatible server.",
            f"لا يمكن استخدام رد {url}: {problem_ar}. تحقق من أنه خادم متوافق مع واجهة OpenAI.",
        )


class BudgetExceededError(EndpointError):
    """The next request could cost more than what is left of the budget; it was not sent."""

    code = "budget_exceeded"
    stops_run = True

    def __init__(self, budget: float, spent: float, worst: float) -> None:
        super().__init__(
            f"{spent:.4f} of the budget of {budget:g} is spent and the next request could cost {worst:.4f}; it was not "
            "sent. Raise --budget and run the same command: what was answered is kept.",
            f"أنفق {spent:.4f} من الميزانية البالغة {budget:g} وقد يكلف الطلب التالي {worst:.4f}، فلم يرسل. "
            "ارفع --budget وأعد الأمر نفسه: ما أجيب عنه محفوظ.",
        )


def status_error(url: str, model: str, status: int, headers: Mapping[str, str], data: bytes) -> EndpointError:
    """The error that a status other than 2xx stands for.

    Args:
        url, model: what was asked.
        headers: their names in lower case, or a mapping that does not mind.
        data: the body, without the API key.
    """
    reason = error_text(data)
    error: EndpointError
    if status in (401, 402, 403) or (status == 429 and is_quota(data)):
        return EndpointAuthError(url, status, reason)
    if status == 404 or 300 <= status < 400:
        return EndpointNotFoundError(url, status, model, reason)
    if status == 429:
        error = EndpointBusyError(url, reason)
    elif status >= 500 or status in (408, 409):
        error = EndpointServerError(url, status, reason)
    else:
        return EndpointBadRequestError(url, status, reason)
    error.retry_after_s = retry_after(headers.get("retry-after", ""))
    return error
