"""What fetching models and data sets from the Hugging Face Hub shares: ids, and errors that say what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from .errors import BiMediX2Error

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")


def is_hub_id(name: str) -> bool:
    """Whether a name has the form ``owner/name`` and is not a path."""
    return _HUB_ID.fullmatch(name) is not None and ".." not in name


@dataclass(frozen=True)
class Kind:
    """What is fetched, in the words of its errors.

    Attributes:
        error: class of the errors.
        word, word_ar: such as ``model``, without an article.
        instead, instead_ar: what to do without the Hub.
    """

    error: type[BiMediX2Error]
    word: str
    word_ar: str
    instead: str
    instead_ar: str


@contextmanager
def hub_errors(name: str, revision: str | None, kind: Kind) -> Iterator[None]:
    """Turn what the Hub's library raises into errors of ``kind``.

    Args:
        name: hub id, ``owner/name``.
        revision: branch, tag or commit that was asked for.
        kind: what is fetched.

    Raises:
        BiMediX2Error: of ``kind.error`` with the code ``hub_unreachable``, ``hub_not_found`` or ``hub_gated``.
    """
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )
    from huggingface_hub.utils import httpx  # type: ignore[attr-defined]  # the client that hub 1 or 2 uses

    try:
        yield
    except GatedRepoError as error:
        raise kind.error(
            f"{name} is gated. Accept its terms on its hub page, then log in with `hf auth login`.",
            f"المستودع {name} مقيد الوصول. اقبل الشروط في صفحته ثم سجل الدخول بالأمر hf auth login.",
            code="hub_gated",
        ) from error
    except (RepositoryNotFoundError, RevisionNotFoundError, HFValidationError) as error:
        raise kind.error(
            f"The hub has no {kind.word} {name}{f' at revision {revision}' if revision else ''}. Check the spelling; "
            "if it is private, log in with `hf auth login`.",
            f"لا يوجد في المنصة {kind.word_ar} باسم {name}{f' بالإصدار {revision}' if revision else ''}. تحقق من "
            "الاسم، وإن كان خاصا فسجل الدخول بالأمر hf auth login.",
            code="hub_not_found",
        ) from error
    except LocalEntryNotFoundError as error:
        problem = "the hub did not answer or is switched off."
        raise _unreachable(name, problem, "لا اتصال بالمنصة.", kind) from error
    except (OSError, httpx.HTTPError) as error:
        # A transfer that breaks half way, a server error, offline mode, or a full disk.
        problem = f"{str(error).rstrip('.')}."
        raise _unreachable(name, problem, problem, kind) from error


def _unreachable(name: str, problem: str, problem_ar: str, kind: Kind) -> BiMediX2Error:
    return kind.error(
        f"{name} is not on this machine and cannot be downloaded: {problem} Connect to the internet and "
        f"unset HF_HUB_OFFLINE, or {kind.instead}.",
        f"المستودع {name} غير موجود على هذا الجهاز وتعذر تنزيله: {problem_ar} اتصل بالإنترنت وألغ "
        f"HF_HUB_OFFLINE، أو {kind.instead_ar}.",
        code="hub_unreachable",
    )
