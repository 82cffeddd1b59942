"""Errors with an HTTP status. ``code`` and both texts go into OpenAI's form of an error, and nothing else does."""

from __future__ import annotations

from bimedix2.errors import BiMediX2Error


class ServeError(BiMediX2Error):
    """A request cannot be answered.

    Attributes:
        status: HTTP status.
        param: field of the request at fault, such as ``messages[2].content[0].image_url``.
        retry_after: seconds, for ``Retry-After``.
    """

    code = "bad_request"
    status = 400

    def __init__(
        self,
        message: str,
        message_ar: str,
        *,
        code: str | None = None,
        status: int | None = None,
        param: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, message_ar, code=code)
        self.status = status if status is not None else self.status
        self.param, self.retry_after = param, retry_after


class QueueFullError(ServeError):
    """Every place is taken."""

    code = "queue_full"
    status = 429

    def __init__(self, retry_after: float) -> None:
        super().__init__(
            "The server is busy and its queue is full. Try again a little later.",
            "الخادم مشغول وقائمة الانتظار ممتلئة. أعد المحاولة بعد قليل.",
            retry_after=retry_after,
        )


class DeadlineError(ServeError):
    """The answer was not ready in time."""

    code = "deadline_passed"
    status = 504

    def __init__(self) -> None:
        super().__init__(
            "The answer was not ready in time. Ask for a shorter one, or try again when fewer people are asking.",
            "لم تكتمل الإجابة في الوقت المحدد. اطلب إجابة أقصر أو أعد المحاولة حين يقل عدد السائلين.",
        )


class EngineDownError(ServeError):
    """The model or the upstream cannot answer now."""

    code = "engine_unavailable"
    status = 503

    def __init__(self, message: str, message_ar: str, *, retry_after: float = 5.0) -> None:
        super().__init__(message, message_ar, retry_after=retry_after)
