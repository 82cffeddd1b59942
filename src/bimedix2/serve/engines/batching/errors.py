"""Failures of a job in the engine, in English and Arabic."""

from __future__ import annotations

from bimedix2.serve.errors import EngineDownError, ServeError


def engine_fault() -> ServeError:
    """Something went wrong while this one answer was written."""
    return ServeError(
        "This answer could not be written because of a fault in the engine. Try again; if it happens again, tell the "
        "server's administrator the request's number.",
        "تعذرت كتابة هذه الإجابة بسبب خلل في المحرك. أعد المحاولة، وإن تكرر الخلل فأبلغ مدير الخادم برقم الطلب.",
        code="engine_fault",
        status=500,
    )


def out_of_memory() -> ServeError:
    """There is no memory for this answer beside the others."""
    return ServeError(
        "There is not enough memory for this conversation now. Try again later, or ask with fewer images or less text.",
        "الذاكرة لا تكفي لهذه المحادثة الآن. أعد المحاولة لاحقا أو قلل الصور أو النص.",
        code="out_of_memory",
        status=503,
        retry_after=10.0,
    )


def closed() -> EngineDownError:
    """The engine is shutting down or has not started."""
    return EngineDownError(
        "The model is not ready. Try again in a little while.",
        "النموذج غير جاهز. أعد المحاولة بعد قليل.",
    )


def not_loaded() -> EngineDownError:
    """The model could not be loaded, for a reason that nobody foresaw; waiting does not help."""
    return EngineDownError(
        "The model could not be loaded. The administrator finds the reason in the log; `bimedix2 serve --check` "
        "looks for it.",
        "تعذر تحميل النموذج. يجد مدير الخادم السبب في سجل الخادم، والأمر `bimedix2 serve --check` يبحث عنه.",
    )


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception means that memory ran out, on the device or in main memory."""
    import torch

    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    # The CPU allocator raises a bare RuntimeError.
    return isinstance(error, RuntimeError) and "allocate memory" in str(error)
