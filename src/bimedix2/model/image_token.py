"""Give a tokenizer an ``<image>`` token, in a reserved place where there is one."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

from bimedix2.errors import ModelError

from .bundle import read_json

IMAGE_TOKEN = "<image>"  # noqa: S105 - a vocabulary entry, not a secret
# Llama 3.1, Phi-3 and Gemma keep such tokens for uses like this one.
_RESERVED = re.compile(r"<\|reserved_special_token_\d+\|>|<\|placeholder\d+\|>|<unused\d+>")
_TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "generation_config.json",
)


def install_image_token(source: Path, target: Path) -> int:
    """Copy a tokenizer from ``source`` to ``target`` and return the id of ``<image>`` in it.

    An ``<image>`` that is there already is kept; else the first reserved token that is an added token is
    renamed, so that the embedding table need not grow; else a token is appended after the last one.

    Raises:
        ModelError: ``bad_tokenizer`` if there is no usable ``tokenizer.json``.
    """
    for name in _TOKENIZER_FILES:
        if (source / name).is_file():
            shutil.copyfile(source / name, target / name)
    file = target / "tokenizer.json"
    if not file.is_file():
        raise ModelError(
            f"{source} has no tokenizer.json. Save it with a fast tokenizer of the same model first.",
            f"لا يحتوي {source} على tokenizer.json. احفظه أولا بمقطع سريع للنموذج نفسه.",
            code="bad_tokenizer",
        )
    tokenizer = read_json(file)
    old, index = _place(tokenizer)
    file.write_text(json.dumps(tokenizer, ensure_ascii=False), encoding="utf-8")
    if (target / "tokenizer_config.json").is_file():
        _rename_in_config(target / "tokenizer_config.json", old, index)
    return index


def _place(tokenizer: dict[str, Any]) -> tuple[str | None, int]:
    """Edit ``tokenizer.json`` and return (name that was replaced, id)."""
    added: list[dict[str, Any]] = tokenizer.setdefault("added_tokens", [])
    vocab = tokenizer.get("model", {}).get("vocab", {})
    present = [entry for entry in added if entry["content"] == IMAGE_TOKEN]
    if present:
        present[0]["special"] = True
        return None, int(present[0]["id"])
    for entry in sorted(added, key=lambda item: int(item["id"])):
        if _RESERVED.fullmatch(entry["content"]):
            old = str(entry["content"])
            entry.update(content=IMAGE_TOKEN, special=True, normalized=False)
            if isinstance(vocab, dict) and old in vocab:
                vocab[IMAGE_TOKEN] = vocab.pop(old)
            return old, int(entry["id"])
    used = list(vocab.values()) if isinstance(vocab, dict) else list(range(len(vocab)))
    index = max([*used, *(int(entry["id"]) for entry in added)], default=-1) + 1
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    added.append({"id": index, "content": IMAGE_TOKEN, **flags})
    return None, index


def _rename_in_config(file: Path, old: str | None, index: int) -> None:
    """Keep ``tokenizer_config.json`` in step: old releases read added tokens from it."""
    config = read_json(file)
    decoder = config.get("added_tokens_decoder")
    if isinstance(decoder, dict):
        flags = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True}
        decoder[str(index)] = {"content": IMAGE_TOKEN, **flags}
    extra = config.get("additional_special_tokens")
    if isinstance(extra, list) and old in extra:
        extra[extra.index(old)] = IMAGE_TOKEN
    # Classes named here may hold code of a checkpoint; the plain fast class reads tokenizer.json as it is.
    config["tokenizer_class"] = "PreTrainedTokenizerFast"
    config.pop("auto_map", None)
    file.write_text(json.dumps(config, indent=2, ensure_ascii=False), encoding="utf-8")
