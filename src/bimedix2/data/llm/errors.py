"""What ends a run of a language-model step, beside the errors of the server itself."""

from __future__ import annotations

from pathlib import Path

from bimedix2.errors import BiMediX2Error


class LedgerError(BiMediX2Error):
    """The ledger cannot be opened or written."""

    code = "bad_ledger"

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"{path}: the ledger cannot be used ({reason}). Free space or restore the file; it holds the replies that "
            "were paid for, so do not delete it lightly.",
            f"{path}: تعذر استخدام سجل الطلبات ({reason}). أفرغ مساحة أو استعد الملف؛ فيه الردود المدفوعة فلا تحذفه "
            "بلا حاجة.",
        )


class WorkspaceBusyError(BiMediX2Error):
    """Another process works in the same folder."""

    code = "workspace_busy"

    def __init__(self, folder: Path, owner: str) -> None:
        who = f" (process {owner})" if owner else ""
        who_ar = f" (العملية {owner})" if owner else ""
        super().__init__(
            f"{folder} is in use by another run{who}. Wait for it to end, or give this one a --work folder of its own.",
            f"المجلد {folder} يستخدمه تشغيل آخر{who_ar}. انتظر انتهاءه أو أعط هذا التشغيل مجلدا آخر بالخيار --work.",
        )


class ModelChangedError(BiMediX2Error):
    """The server answers under another model name than before."""

    code = "model_changed"

    def __init__(self, asked: str, known: list[str], found: str) -> None:
        names = ", ".join(known)
        super().__init__(
            f"The server answered for {asked!r} as {found!r}, after {names} before. The reply is kept but not used. "
            f"Ask the model that you began with, start another --work folder, or go on with --accept-model {found}.",
            f"أجاب الخادم عن {asked!r} باسم {found!r} بعد {names} من قبل. حفظ الرد ولم يستخدم. اطلب النموذج الذي بدأت "
            f"به، أو ابدأ مجلدا آخر بالخيار --work، أو تابع بالخيار --accept-model {found}.",
        )


class RunStoppedError(BiMediX2Error):
    """A signal asked the run to end; what was answered is kept."""

    code = "stopped"
    exit_status = 130

    def __init__(self, left: int) -> None:
        super().__init__(
            f"Stopped with {left} started rows open; what was answered is kept. Run the same command to go on.",
            f"توقف التشغيل وبقيت {left} صفوف مفتوحة؛ ما أجيب عنه محفوظ. شغل الأمر نفسه للمتابعة.",
        )
