"""``/v1/conversations`` and ``DELETE /v1/data``. Whoever mounts the routers authenticates first."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request

from bimedix2.serve.api.reading import read_json
from bimedix2.serve.api.schemas import inline
from bimedix2.serve.principal import Principal
from bimedix2.serve.settings import Limits
from bimedix2.serve.store.audit import AuditLog
from bimedix2.serve.store.conversations import Conversation, Conversations, upload_ids
from bimedix2.serve.store.message import KeptConversation, read_conversation
from bimedix2.serve.store.retention import Retention

Touch = Callable[[str, set[str]], None]
_SCHEMA: dict[str, Any] = {}


def principal_of(request: Request) -> Principal:
    """Who asks, as the guard has found out."""
    principal: Principal = request.state.principal
    return principal


def conversations_router(
    conversations: Conversations, limits: Limits, audit: AuditLog, touch: Touch | None = None
) -> APIRouter:
    """Routes of kept conversations.

    Args:
        conversations: the table.
        limits: bounds on one conversation.
        audit: told who read, changed and deleted which one, before it is shown.
        touch: told the owner and the uploads that a kept conversation shows, so that they live as long as it does.
    """
    router = APIRouter(prefix="/v1/conversations", tags=["conversations"])
    body = {"requestBody": {"required": True, "content": {"application/json": {"schema": _schema()}}}}

    def log(request: Request, action: str, *names: str) -> None:
        audit.record(who=principal_of(request).owner, action=action, outcome="begun", objects=names)

    def keep_uploads(owner: str, messages: list[dict[str, Any]]) -> None:
        if touch is not None and (names := upload_ids(messages)):
            touch(owner, names)

    @router.get("")
    def index(request: Request) -> dict[str, Any]:
        """Yours, the newest first, without their messages."""
        return {"object": "list", "data": [_shown(found) for found in conversations.list(principal_of(request).owner)]}

    @router.post("", status_code=201, openapi_extra=body)
    async def add(request: Request) -> dict[str, Any]:
        """Keep a new one."""
        title, mode, messages = read_conversation(await read_json(request), limits)
        owner = principal_of(request).owner

        def work() -> Conversation:
            log(request, "conversation.create")
            keep_uploads(owner, messages)
            return conversations.create(owner, title, mode, messages)

        return _shown(await asyncio.to_thread(work))

    @router.get("/{name}")
    def get(name: str, request: Request) -> dict[str, Any]:
        """One of yours."""
        found = conversations.get(principal_of(request).owner, name)
        log(request, "conversation.read", name)
        keep_uploads(principal_of(request).owner, found.messages or [])
        return _shown(found)

    @router.put("/{name}", openapi_extra=body)
    async def replace(name: str, request: Request) -> dict[str, Any]:
        """Put a newer state in its place."""
        title, mode, messages = read_conversation(await read_json(request), limits)
        owner = principal_of(request).owner

        def work() -> Conversation:
            log(request, "conversation.change", name)
            keep_uploads(owner, messages)
            return conversations.replace(owner, name, title, mode, messages)

        return _shown(await asyncio.to_thread(work))

    @router.delete("/{name}", status_code=204)
    def delete(name: str, request: Request) -> None:
        """Delete it now."""
        log(request, "conversation.delete", name)
        conversations.delete(principal_of(request).owner, name)

    return router


def data_router(retention: Retention, audit: AuditLog) -> APIRouter:
    """``DELETE /v1/data``: everything that the server keeps of whoever asks."""
    router = APIRouter(prefix="/v1/data", tags=["data"])

    @router.delete("")
    def delete(request: Request) -> dict[str, Any]:
        """Delete everything of yours now; says how many things of each kind."""
        owner = principal_of(request).owner
        audit.record(who=owner, action="data.delete", outcome="begun")
        deleted = retention.forget(owner)
        audit.record(who=owner, action="data.delete", outcome="done", counts=deleted)
        return {"deleted": deleted}

    return router


def _shown(found: Conversation) -> dict[str, Any]:
    shown = {name: getattr(found, name) for name in ("id", "title", "created", "updated", "mode")}
    return shown if found.messages is None else {**shown, "messages": found.messages}


def _schema() -> dict[str, Any]:
    """The body for OpenAPI, every part written out in place."""
    import msgspec

    if not _SCHEMA:
        (top,), parts = msgspec.json.schema_components([KeptConversation], ref_template="#/$defs/{name}")
        _SCHEMA.update(inline(parts[top["$ref"].rpartition("/")[2]], parts))
    return _SCHEMA
