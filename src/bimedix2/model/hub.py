"""Fetch a model from the Hugging Face hub: configuration, tokenizer and safetensors, nothing that can run."""

from __future__ import annotations

from pathlib import Path

from bimedix2.errors import ModelError
from bimedix2.hub import Kind, hub_errors, is_hub_id

__all__ = ["ALLOWED", "fetch", "is_hub_id"]

ALLOWED = ("*.json", "*.safetensors", "tokenizer.model", "*.tiktoken", "*.jinja", "merges.txt")
_MODEL = Kind(
    ModelError,
    "model",
    "نموذج",
    "copy the model folder here and pass its path, or use the offline model, nano",
    "انسخ مجلد النموذج إلى هنا ومرر مساره، أو استخدم النموذج المحلي nano",
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

    with hub_errors(name, revision, _MODEL):
        return Path(snapshot_download(name, revision=revision, allow_patterns=list(ALLOWED)))
