"""From a completion to a value of the type asked for, or to the reason why there is none."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any, NamedTuple

import msgspec

from bimedix2.endpoint.completion import Completion
from bimedix2.records.schema import Language
from bimedix2.text.refusal import is_refusal

from .step import Ask

_THOUGHT = re.compile(r"^.*</think>", re.DOTALL)
_SHOWN = 300


class Good(NamedTuple):
    """A reply that fits."""

    value: Any


class Refused(NamedTuple):
    """The model or a filter before it declines; asking again changes nothing."""

    reason: str
    detail: str


class Cut(NamedTuple):
    """The reply is longer than it was allowed to be."""


class Faulty(NamedTuple):
    """A reply of the wrong form; ``problem`` is told to the model."""

    problem: str


Verdict = Good | Refused | Cut | Faulty


def judge(completion: Completion, ask: Ask[Any]) -> Verdict:
    """Whether a reply can be used."""
    if completion.finish_reason == "content_filter":
        return Refused("content_filter", shown(completion.text) or "the reply was filtered")
    if completion.refusal:
        return Refused("refused", shown(completion.refusal))
    if completion.finish_reason == "length":
        return Cut()
    found = first_object(completion.text)
    if found is None:
        if is_refusal(completion.text):
            return Refused("refused", shown(completion.text))
        return Faulty(_NO_JSON[ask.prompt.language])
    try:
        value = msgspec.convert(found, ask.reply)
    except msgspec.ValidationError as error:
        return Faulty(str(error))
    problems = ask.problems(value)
    return Faulty("; ".join(problems)) if problems else Good(value)


_NO_JSON: dict[Language, str] = {
    "en": "the reply holds no JSON object",
    "ar": "لا يحتوي الرد على كائن JSON",
}


def first_object(text: str) -> dict[str, Any] | None:
    """The first JSON object in a reply; models like to put a fence, a thought or a greeting around it.

    >>> first_object('Sure!\\n```json\\n{"score": 90}\\n```')
    {'score': 90}
    """
    text = _THOUGHT.sub("", text)
    decoder = json.JSONDecoder(strict=False)  # a raw line break inside a string is the commonest slip
    start = text.find("{")
    while start >= 0:
        try:
            found, _ = decoder.raw_decode(text, start)
        except (json.JSONDecodeError, RecursionError):
            start = text.find("{", start + 1)
        else:
            return _valid_unicode(found) if isinstance(found, dict) else None
    return None


def _valid_unicode(found: dict[str, Any]) -> dict[str, Any]:
    """The same without half surrogates, which JSON can write and UTF-8 cannot."""
    text = json.dumps(found, ensure_ascii=False)
    if text.encode("utf-8", "replace").decode() == text:
        return found
    clean: dict[str, Any] = json.loads(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))
    return clean


def shown(text: str) -> str:
    """Start of a text on one line."""
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else line[:_SHOWN] + "…"


def reply_format(kind: str, reply: type[msgspec.Struct]) -> dict[str, Any] | None:
    """The request field that asks a server for JSON.

    Args:
        kind: ``json_schema`` (constrained to the type), ``json_object`` (any object) or ``none``.
        reply: the type.
    """
    if kind == "none":
        return None
    if kind == "json_object":
        return {"type": "json_object"}
    schema = strict_schema(reply)
    return {"type": "json_schema", "json_schema": {"name": reply.__name__.lower(), "schema": schema, "strict": True}}


_NOT_STRICT = (
    "title",
    "description",
    "default",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
)


@cache
def strict_schema(reply: type[msgspec.Struct]) -> dict[str, Any]:
    """A type as the JSON schema that servers constrain replies by: every field required and no others.

    Bounds are left to our own check, since some servers refuse a schema that has them.
    """
    (schema,), parts = msgspec.json.schema_components([reply], ref_template="#/$defs/{name}")
    root = parts[schema["$ref"].rpartition("/")[2]]
    used = {name: part for name, part in parts.items() if part is not root}
    strict: dict[str, Any] = _strict(root)
    if used:
        strict["$defs"] = {name: _strict(part) for name, part in used.items()}
    return strict


def _strict(node: Any) -> Any:
    if isinstance(node, list):
        return [_strict(item) for item in node]
    if not isinstance(node, dict):
        return node
    if node.get("type") == "object" and "properties" in node:
        fields = {name: _strict(part) for name, part in node["properties"].items()}
        return {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}
    return {name: _strict(part) for name, part in node.items() if name not in _NOT_STRICT}
