"""Our request types and errors in the OpenAPI document."""

from __future__ import annotations

from typing import Any

import msgspec

_REFERENCE = "#/components/schemas/{name}"
ERROR_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": "string"},
            },
        }
    },
}
_WHAT = {
    400: "The request cannot be read.",
    401: "No valid key.",
    403: "The key may not do this.",
    404: "There is no such thing.",
    408: "The request did not arrive in time.",
    409: "It does not fit what is there.",
    413: "The request is too large.",
    415: "That kind of content is not accepted.",
    421: "The server has another name.",
    422: "A value is not allowed.",
    429: "Too many requests.",
    431: "The headers are too long.",
    503: "Not now.",
    504: "Not ready in time.",
}


def body_of(kind: type[msgspec.Struct]) -> dict[str, Any]:
    """``openapi_extra`` of a route that reads ``kind``."""
    schema = {"$ref": _REFERENCE.format(name=kind.__name__)}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def components(*kinds: type[msgspec.Struct]) -> dict[str, Any]:
    """JSON schemas of request types and what they are made of."""
    _, found = msgspec.json.schema_components(kinds, ref_template=_REFERENCE)
    return {**found, "Error": ERROR_SCHEMA}


def error_answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """``responses`` of a route."""
    content = {"application/json": {"schema": {"$ref": _REFERENCE.format(name="Error")}}}
    return {status: {"description": _WHAT[status], "content": content} for status in statuses}


_EVERYWHERE = (400, 403, 408, 413, 415, 421, 431, 503)  # the middlewares' own answers, and the disk's
_BEHIND_GUARD = (401, 429)
_KEY = {"type": "http", "scheme": "bearer", "description": "A key of `bimedix2 keys create`."}


def complete(document: dict[str, Any], open_paths: frozenset[str]) -> None:
    """Add to an OpenAPI document what FastAPI cannot know: our form of errors, keys, and answers before any route.

    Args:
        document: changed in place.
        open_paths: those that need no key.
    """
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    document["components"]["securitySchemes"] = {"key": _KEY}
    for path, operations in document["paths"].items():
        for operation in operations.values():
            answers = operation["responses"]
            if path not in open_paths:
                operation["security"] = [{"key": []}]
            statuses = {*_EVERYWHERE, *(() if path in open_paths else _BEHIND_GUARD)}
            if operation.get("parameters") or "requestBody" in operation:
                answers.pop("422", None)
                statuses |= {404, 409, 422}
            for status, answer in error_answers(*sorted(statuses)).items():
                answers.setdefault(str(status), answer)
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)


def inline(value: Any, parts: dict[str, Any]) -> Any:
    """A JSON schema with every reference into ``parts`` written out in its place."""
    if isinstance(value, list):
        return [inline(item, parts) for item in value]
    if not isinstance(value, dict):
        return value
    if "$ref" in value:
        return inline(parts[value["$ref"].rpartition("/")[2]], parts)
    return {key: inline(item, parts) for key, item in value.items() if key != "discriminator"}
