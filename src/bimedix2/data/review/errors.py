"""What can go wrong with a review workspace."""

from __future__ import annotations

from pathlib import Path

from bimedix2.errors import BiMediX2Error


class ReviewError(BiMediX2Error):
    """A review workspace or a verdict cannot be used. ``code`` says what is wrong."""

    code = "bad_review"


class WorkspaceBusyError(ReviewError):
    """Another process writes to the workspace."""

    code = "workspace_busy"

    def __init__(self, folder: Path, owner: str) -> None:
        number, number_ar = (f" (process {owner})", f" (العملية {owner})") if owner else ("", "")
        super().__init__(
            f"The review workspace {folder} is open in another process{number}. "
            "Use that server, or stop it and try again.",
            f"مساحة المراجعة {folder} مفتوحة في عملية أخرى{number_ar}. استخدم ذلك الخادم أو أوقفه ثم أعد المحاولة.",
        )
