"""``GET /v1/models``."""

from __future__ import annotations

import time
from typing import Any

from fastapi import APIRouter

from bimedix2.serve.api.schemas import error_answers
from bimedix2.serve.engines.protocol import Engine, EngineInfo
from bimedix2.serve.errors import ServeError


def models_router(engine: Engine) -> APIRouter:
    """The model, and the model with each adapter as ``model:adapter``."""
    router = APIRouter(tags=["models"], responses=error_answers(401))
    started = int(time.time())

    @router.get("/v1/models")
    async def models() -> dict[str, Any]:
        """Names that a request may use."""
        return {"object": "list", "data": [_model(name, engine.info, started) for name in _names(engine.info)]}

    @router.get("/v1/models/{name:path}", responses=error_answers(404))
    async def model(name: str) -> dict[str, Any]:
        """One of them."""
        if name not in _names(engine.info):
            raise ServeError(
                "There is no such model here. GET /v1/models lists those that there are.",
                "لا يوجد نموذج بهذا الاسم هنا. يعرض GET /v1/models النماذج المتاحة.",
                code="model_not_found",
                status=404,
                param="model",
            )
        return _model(name, engine.info, started)

    return router


def _names(info: EngineInfo) -> list[str]:
    return [info.model, *(f"{info.model}:{adapter}" for adapter in info.adapters)]


def _model(name: str, info: EngineInfo, created: int) -> dict[str, Any]:
    return {
        "id": name,
        "object": "model",
        "created": created,
        "owned_by": "bimedix2",
        "context_length": info.context,
        "system_fingerprint": info.fingerprint,
        "languages": ["en", "ar"],
        "input": ["text", "image"],
    }
