"""What an upstream is asked: our turns in OpenAI's form, pictures that we encoded, and no control token in any text."""

from __future__ import annotations

import asyncio
import base64
import re
from typing import Any

from bimedix2.images import DecodedImage
from bimedix2.records.schema import Turn
from bimedix2.serve.engines.protocol import Job
from bimedix2.serve.uploads.picture import png_of
from bimedix2.text import language_of
from bimedix2.text.answer_language import ASK_FOR

# Servers such as vLLM turn these into control tokens wherever they stand in a message: <|eot_id|>, <start_of_turn>,
# <image>, </s>, [INST], <<SYS>> and their like. We do not know the tokenizer, so all of them lose their form.
_CONTROL = re.compile(
    r"<(?=\|[^<>\n]{0,80}>|[^<>\n|]{0,80}\|>)"
    r"|<(?=/?(?:s|unk|pad|bos|eos|cls|sep|mask|image|images|video|audio|img|image_soft_token|mm:[a-z_]+"
    r"|[a-z]+_of_[a-z]+|im_[a-z]+|fim_[a-z]+|unused\d+|\uff5c[^<>\n]{0,80}|sys)>)"
    r"|\[(?=/?(?:INST|IMG|IMG_BREAK|IMG_END|SYS|AVAILABLE_TOOLS|TOOL_RESULTS|TOOL_CALLS|SYSTEM_PROMPT)\])",
    re.IGNORECASE,
)
_JOINER = "\u2060"  # word joiner: nothing to see, and no break in a line


async def payload(job: Job, model: str) -> dict[str, Any]:
    """The body of ``POST …/chat/completions``.

    Args:
        job: what is asked.
        model: the upstream's name of the model or adapter.
    """
    pictures = await asyncio.to_thread(lambda: [data_uri(image) for image in job.images])
    config = job.config
    body: dict[str, Any] = {
        "model": model,
        "messages": [_message(turn, job, pictures) for turn in job.turns],
        "max_tokens": config.max_new_tokens,
        "temperature": config.temperature,
        "top_p": config.top_p,
        "seed": config.seed,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if config.stop:
        body["stop"] = list(config.stop)
    if config.repetition_penalty != 1.0:
        body["repetition_penalty"] = config.repetition_penalty
    return body


def data_uri(image: DecodedImage) -> str:
    """The decoded pixels as a PNG of ours; nothing of the file that was sent is left."""
    return "data:image/png;base64," + base64.b64encode(png_of(image)).decode("ascii")


def plain(text: str) -> str:
    """Text in which no server finds a control token; it looks the same.

    >>> plain("<|eot_id|> 3 < 4 <b>") == "<\\u2060|eot_id|> 3 < 4 <b>"
    True
    """
    return _CONTROL.sub(lambda found: found[0] + _JOINER, text)


def _message(turn: Turn, job: Job, pictures: list[str]) -> dict[str, Any]:
    text = plain(turn.text)
    if turn is job.turns[-1] and language_of(turn.text, job.language) != job.language:
        text = f"{text}\n{ASK_FOR[job.language]}"
    if not turn.images:
        return {"role": turn.role, "content": text}
    parts: list[dict[str, Any]] = [{"type": "image_url", "image_url": {"url": pictures[i]}} for i in turn.images]
    return {"role": turn.role, "content": [*parts, {"type": "text", "text": text}] if text else parts}
