"""``GET /api/session``: what the page needs to know before the first question."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from bimedix2.notice import NOTICE_AR, NOTICE_EN
from bimedix2.serve.api.schemas import error_answers
from bimedix2.serve.auth.errors import UnauthorizedError
from bimedix2.serve.engines.protocol import Engine
from bimedix2.serve.parts import Parts
from bimedix2.serve.principal import LOCAL, Principal
from bimedix2.serve.safety.emergency import text_for
from bimedix2.serve.settings import Limits, ServeSettings


def session_router(settings: ServeSettings, engine: Engine, parts: Parts) -> APIRouter:
    """The route; without a key or session it answers with the sign-in's address alone, where there is one."""
    router = APIRouter(tags=["session"], responses=error_answers(401, 429))

    @router.get("/api/session")
    async def session(request: Request) -> dict[str, Any]:
        """Who asks, what they may send, and the fixed texts."""
        try:
            principal = await parts.guard.authenticate(request)
        except UnauthorizedError:
            if parts.sign_in is None:
                raise
            return {"owner_kind": None, "sign_in": parts.sign_in, "notice": _notice()}
        info = engine.info
        return {
            "owner_kind": _kind(principal),
            "name": principal.name,
            "scopes": sorted(principal.scopes),
            "limits": _limits(settings.limits),
            "model": info.model,
            "engine": info.engine,
            "adapters": list(info.adapters),
            "keep": settings.keep,
            "notice": _notice(),
            "emergency": text_for("emergency"),
            "sign_in": parts.sign_in,
        }

    return router


def _kind(principal: Principal) -> str:
    if principal.owner == LOCAL:
        return "local"
    return "person" if principal.owner.startswith("person:") else "key"


def _notice() -> dict[str, str]:
    return {"en": NOTICE_EN, "ar": NOTICE_AR}


def _limits(limits: Limits) -> dict[str, int]:
    return {
        "images": limits.images,
        "image_bytes": limits.image.max_bytes,
        "messages": limits.messages,
        "characters": limits.characters,
        "max_tokens": limits.max_tokens,
        "body_bytes": limits.body_bytes,
    }
