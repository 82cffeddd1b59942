"""A byte-level BPE tokenizer as the metadata of a GGUF file."""

from __future__ import annotations

import json
from typing import Any

from bimedix2.errors import ModelError

# Values of gguf.TokenType.
_NORMAL, _CONTROL, _USER_DEFINED, _UNUSED = 1, 3, 4, 5


def write_tokenizer(writer: Any, tokenizer: Any, vocab_size: int, template: str) -> None:
    """Add vocabulary, merges, special tokens and the chat template.

    Args:
        writer: ``gguf.GGUFWriter``.
        tokenizer: a fast tokenizer of transformers.
        vocab_size: rows of the embedding; missing tokens become unused ones.
        template: Jinja source.

    Raises:
        ModelError: ``gguf_unsupported`` for any other kind of tokenizer.
    """
    parsed = json.loads(tokenizer.backend_tokenizer.to_str())
    if parsed["model"]["type"] != "BPE" or "ByteLevel" not in json.dumps(parsed["pre_tokenizer"]):
        raise ModelError(
            "GGUF export knows byte-level BPE tokenizers only (Llama 3's). Export as --format hf.",
            "يعرف تصدير GGUF محللات BPE على مستوى البايت فقط (محلل Llama 3). صدر النموذج بالخيار --format hf.",
            code="gguf_unsupported",
        )
    tokens, types = _tokens(parsed, vocab_size)
    writer.add_tokenizer_model("gpt2")
    # Llama 3 splits numbers into groups of three digits; that names its pre-tokenizer in llama.cpp.
    writer.add_tokenizer_pre("llama-bpe" if "{1,3}" in json.dumps(parsed["pre_tokenizer"]) else "gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    merges = parsed["model"]["merges"]
    writer.add_token_merges([merge if isinstance(merge, str) else " ".join(merge) for merge in merges])
    for name in ("bos", "eos", "pad"):
        number = getattr(tokenizer, f"{name}_token_id")
        if number is not None:
            getattr(writer, f"add_{name}_token_id")(number)
    writer.add_chat_template(template)


def _tokens(parsed: dict[str, Any], vocab_size: int) -> tuple[list[str], list[int]]:
    tokens = [f"[UNUSED{number}]" for number in range(vocab_size)]
    types = [_UNUSED] * vocab_size
    for token, number in parsed["model"]["vocab"].items():
        tokens[number], types[number] = token, _NORMAL
    for added in parsed["added_tokens"]:
        kind = _CONTROL if added["special"] else _USER_DEFINED
        tokens[added["id"]], types[added["id"]] = added["content"], kind
    return tokens, types
