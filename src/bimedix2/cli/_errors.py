"""From exceptions to messages and exit codes: the one place that decides what a failed command looks like."""

from __future__ import annotations

import os
import re
import sys
import traceback
from typing import Any

import typer
from typer.core import TyperGroup

from bimedix2.errors import BiMediX2Error

INTERRUPTED = 130  # 128 + SIGINT, as shells count it
# What to install when an import fails: the extra that brings the package.
_EXTRA_OF = {
    **dict.fromkeys(("torch", "transformers", "peft", "safetensors", "gguf", "psutil", "huggingface_hub"), "ask"),
    **dict.fromkeys(("pydicom", "pylibjpeg", "jpeg_ls", "libjpeg", "openjpeg"), "dicom"),
    **dict.fromkeys(("pyarrow", "httpx"), "data"),
    "sklearn": "evaluate",
    **dict.fromkeys(
        ("fastapi", "uvicorn", "prometheus_client", "python_multipart", "joserfc", "fpdf", "docx"), "serve"
    ),
    **dict.fromkeys(("lm_eval", "inspect_ai"), "harness"),
}


class GuardedGroup(TyperGroup):
    """A command group whose commands end with a message and an exit code, never with a traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run the chosen command."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            typer.echo("", err=True)
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            # The reader (``| head``) has left. Python would complain once more when it closes stdout.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None
        except (BiMediX2Error, ImportError, OSError, MemoryError) as error:
            raise typer.Exit(report(as_known(error))) from error
        except Exception as error:  # a click error or a fault of ours; told apart below
            if not _is_fault(error):
                raise
            raise typer.Exit(report(_internal(error))) from error


def _is_fault(error: Exception) -> bool:
    """Whether an exception is our own fault rather than the command-line library's way to end a command."""
    return not type(error).__module__.startswith(("typer", "click"))


def as_known(error: BaseException) -> BiMediX2Error:
    """A failed import or system call as an error that says what to do."""
    if isinstance(error, BiMediX2Error):
        return error
    if isinstance(error, ImportError):
        return _missing(error)
    if isinstance(error, MemoryError):
        return BiMediX2Error(
            "There is not enough memory. Use a smaller model, image or batch.",
            "الذاكرة غير كافية. استخدم نموذجا أو صورة أو دفعة أصغر.",
            code="out_of_memory",
        )
    reason = getattr(error, "strerror", None) or str(error)
    place = getattr(error, "filename", None)
    where = f"{place}: " if place else ""
    return BiMediX2Error(
        f"{where}{reason}. Check the path, its permissions and the free space, then try again.",
        f"{where}{reason}. تحقق من المسار وصلاحياته ومن المساحة الحرة ثم أعد المحاولة.",
        code="system_error",
    )


def _missing(error: ImportError) -> BiMediX2Error:
    package = (error.name or "").split(".")[0]
    extra = _EXTRA_OF.get(package)
    if extra is None:
        return _internal(error)
    return BiMediX2Error(
        f"This command needs {package}, which is not installed. Run: pip install 'bimedix2[{extra}]'",
        f"يحتاج هذا الأمر إلى {package} وهو غير مثبت. شغل: pip install 'bimedix2[{extra}]'",
        code="missing_package",
    )


def _internal(error: BaseException) -> BiMediX2Error:
    kind = type(error).__name__
    return BiMediX2Error(
        f"Unexpected {kind}: {error}. Run again with BIMEDIX2_DEBUG=1 and report the traceback.",
        f"خطأ غير متوقع {kind}: {error}. أعد التشغيل مع BIMEDIX2_DEBUG=1 وأبلغ عن التفاصيل.",
        code="internal",
    )


def message_language() -> str | None:
    """Language of messages; ``None`` shows both.

    ``BIMEDIX2_LANG`` decides, then the command's ``--lang``, then an Arabic locale.
    """
    wanted = os.environ.get("BIMEDIX2_LANG", "")[:2].lower()
    if wanted in ("ar", "en"):
        return wanted
    named = re.search(r"(?:^|\0)--lang[=\0](ar|en)(?:\0|$)", "\0".join(sys.argv[1:]))
    if named:
        return named[1]
    locale = os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG") or ""
    return "ar" if locale.startswith("ar") else None


def report(error: BiMediX2Error) -> int:
    """Print an error to stderr and return its exit code."""
    from ._terminal import readable

    if os.environ.get("BIMEDIX2_DEBUG") == "1":
        traceback.print_exception(error.__cause__ or error, file=sys.stderr)
    language = message_language()
    lines = [error.message, error.message_ar] if language is None else [error.in_language(language)]
    for index, line in enumerate(dict.fromkeys(lines)):
        prefix = "خطأ" if index or language == "ar" else "error"
        typer.echo(readable(f"{prefix} [{error.code}]: {line}", sys.stderr), err=True)
    return error.exit_status
