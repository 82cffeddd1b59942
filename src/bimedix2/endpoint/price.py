"""What tokens cost, and the most that a message can hold."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_TOKENS_PER_MESSAGE = 16  # roles and separators of a chat template, rounded up


@dataclass(frozen=True)
class Price:
    """Price of a model, in any one currency.

    Attributes:
        prompt: per million tokens read.
        completion: per million tokens written.
        image_tokens: most tokens that one image can count for; only the budget's worst case uses it. 3,000 covers
            GPT-4o (1,105) and LLaVA-NeXT (2,880) at the size that images are sent in; GPT-4o mini counts up to
            48,000.
    """

    prompt: float
    completion: float
    image_tokens: int = 3000

    def of(self, prompt_tokens: int, completion_tokens: int) -> float:
        """Cost of one call."""
        return (prompt_tokens * self.prompt + completion_tokens * self.completion) / 1e6


def most_tokens(message: Mapping[str, Any], image_tokens: int) -> int:
    """Most tokens of one message: no tokenizer makes more of them than the text has UTF-8 bytes."""
    content = message.get("content")
    if not isinstance(content, list):
        return _TOKENS_PER_MESSAGE + len(str(content or "").encode("utf-8", "replace"))
    texts = [part for part in content if part.get("type") != "image_url"]
    images = len(content) - len(texts)
    return _TOKENS_PER_MESSAGE + images * image_tokens + len(json.dumps(texts, ensure_ascii=False).encode())
