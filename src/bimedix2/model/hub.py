"""Fetch a model from the Hugging Face hub: configuration, tokenizer and safetensors, nothing that can run."""

from __future__ import annotations

import re
from pathlib import Path

from bimedix2.errors import ModelError

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
ALLOWED = ("*.json", "*.safetensors", "tokenizer.model", "*.tiktoken", "*.jinja", "merges.txt")


def is_hub_id(name: str) -> bool:
    """Whether a name has the form ``owner/model`` and is not a path."""
    return _HUB_ID.fullmatch(name) is not None and ".." not in name


def _unreachable(name: str, problem: str, problem_ar: str) -> ModelError:
    return ModelError(
        f"{name} is not on this machine and cannot be downloaded: {problem} Connect to the internet and "
        "unset HF_HUB_OFFLINE, or copy the model folder here and pass its path, or use the offline model, "
        "nano.",
        f"النموذج {name} غير موجود على هذا الجهاز وتعذر تنزيله: {problem_ar} اتصل بالإنترنت وألغ "
        "HF_HUB_OFFLINE، أو انسخ مجلد النموذج إلى هنا ومرر مساره، أو استخدم النموذج المحلي nano.",
        code="hub_unreachable",
    )


def fetch(name: str, *, revision: str | None = None) -> Path:
    """Local folder of a hub model, downloaded if need be; pickles and code are left on the hub.

    Args:
        name: hub id, ``owner/model``.
        revision: branch, tag or commit; the default branch if ``None``.

    Raises:
        ModelError: ``hub_unreachable``, ``hub_not_found`` or ``hub_gated``.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )
    from huggingface_hub.utils import httpx  # type: ignore[attr-defined]  # the client that hub 1 or 2 uses

    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=list(ALLOWED)))
    except GatedRepoError as error:
        raise ModelError(
            f"{name} is gated. Accept its terms on its hub page, then log in with `hf auth login`.",
            f"النموذج {name} مقيد. اقبل شروطه في صفحته ثم سجل الدخول بالأمر hf auth login.",
            code="hub_gated",
        ) from error
    except (RepositoryNotFoundError, RevisionNotFoundError, HFValidationError) as error:
        raise ModelError(
            f"The hub has no model {name}{f' at revision {revision}' if revision else ''}. Check the spelling.",
            f"لا يوجد في المنصة نموذج باسم {name}. تحقق من الاسم.",
            code="hub_not_found",
        ) from error
    except LocalEntryNotFoundError as error:
        raise _unreachable(name, "the hub did not answer or is switched off.", "لا اتصال بالمنصة.") from error
    except (OSError, httpx.HTTPError) as error:
        # A transfer that breaks half way, a server error, or a full disk.
        raise _unreachable(name, f"{error}.", f"{error}.") from error
