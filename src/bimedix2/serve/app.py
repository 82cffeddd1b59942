"""Puts the server together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse

from bimedix2 import __version__
from bimedix2.cli._terminal import tell
from bimedix2.errors import BiMediX2Error
from bimedix2.serve.api.answer import Desk
from bimedix2.serve.api.chat import chat_router
from bimedix2.serve.api.errors import add_handlers
from bimedix2.serve.api.gate import Gate, describe
from bimedix2.serve.api.health import health_router
from bimedix2.serve.api.images import ImageSources
from bimedix2.serve.api.metrics import Metrics, metrics_router
from bimedix2.serve.api.models import models_router
from bimedix2.serve.api.schema import ChatRequest
from bimedix2.serve.api.schemas import complete, components
from bimedix2.serve.api.session import session_router
from bimedix2.serve.api.stream import end
from bimedix2.serve.api.trail import Trail
from bimedix2.serve.auth.guard import Guard
from bimedix2.serve.auth.headers import SecurityHeaders
from bimedix2.serve.auth.origin import OriginCheck
from bimedix2.serve.engines.protocol import Engine
from bimedix2.serve.logs import RequestLog
from bimedix2.serve.parts import Parts, default_parts
from bimedix2.serve.settings import ServeSettings

_LOG = logging.getLogger(__name__)
OPEN_PATHS = frozenset({"/health", "/api/session"})
"""Routes of this package that answer without a key; the page's and the sign-in's come with ``Parts.open_routers``."""


def create_app(settings: ServeSettings, engine: Engine, *, parts: Parts | None = None) -> FastAPI:
    """A server for ``engine``.

    Args:
        settings: limits and places.
        engine: started and closed with the server.
        parts: by default all there are.

    Raises:
        ConfigError: the data folder cannot be used, or the server would be open to others without keys.
    """
    parts = parts or default_parts(settings, engine)
    metrics, trail = Metrics(engine), None if parts.audit is None else Trail(parts.audit)
    app = FastAPI(
        title="BiMediX2",
        version=__version__,
        lifespan=_lifespan(engine, parts, trail),
        docs_url=None,  # these pages would load scripts from other sites
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    app.state.parts, app.state.metrics = parts, metrics
    for router in (health_router(engine, parts), session_router(settings, engine, parts), *parts.open_routers):
        app.include_router(router)
    app.include_router(_behind_guard(settings, engine, parts, metrics, trail))
    app.openapi = _describer(app)  # type: ignore[method-assign]
    add_handlers(app)
    # The last one added is the first one that a request meets.
    app.add_middleware(Gate, limits=settings.limits, metrics=metrics)
    app.add_middleware(OriginCheck, settings=settings)
    app.add_middleware(SecurityHeaders, settings=settings)
    app.add_middleware(RequestLog)
    return app


def _behind_guard(
    settings: ServeSettings, engine: Engine, parts: Parts, metrics: Metrics, trail: Trail | None
) -> APIRouter:
    """Every route that needs a key, under one dependency, so that a new one cannot be forgotten."""
    desk = Desk(
        settings=settings,
        engine=engine,
        guard=parts.guard,
        images=ImageSources(pictures=parts.pictures, uploads=parts.uploads),
        metrics=metrics,
        trail=trail,
    )
    router = APIRouter(dependencies=[Depends(authentication(parts.guard))])
    inner = (chat_router(desk), models_router(engine), metrics_router(metrics, parts.guard), _openapi_router())
    for found in (*inner, *parts.routers):
        router.include_router(found)
    return router


def authentication(guard: Guard) -> Callable[[Request], Any]:
    """The dependency that lets a request in; it leaves who asks in ``request.state.principal``."""

    async def authenticate(request: Request) -> None:
        request.state.principal = await guard.authenticate(request)

    authenticate.guards_routes = True  # type: ignore[attr-defined]  # a test walks the routes and looks for it
    return authenticate


def _openapi_router() -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/openapi.json")
    async def openapi(request: Request) -> JSONResponse:
        """The interface as an OpenAPI document."""
        return JSONResponse(request.app.openapi())

    return router


def _describer(app: FastAPI) -> Callable[[], dict[str, Any]]:
    def describe() -> dict[str, Any]:
        if app.openapi_schema is None:
            found = get_openapi(title=app.title, version=app.version, routes=app.routes)
            found.setdefault("components", {}).setdefault("schemas", {}).update(components(ChatRequest))
            complete(found, OPEN_PATHS)
            app.openapi_schema = found
        return app.openapi_schema

    return describe


def _lifespan(
    engine: Engine, parts: Parts, trail: Trail | None
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        # A model takes minutes to load; meanwhile /health says so.
        works = (_start(engine), *(work() for work in parts.background))
        tasks = [asyncio.ensure_future(work) for work in works]
        try:
            yield
        finally:
            for task in tasks:
                await end(task)
            await engine.close()
            if trail is not None:
                await trail.close()
            for close in parts.closers:
                close()

    return lifespan


async def _start(engine: Engine) -> None:
    """Start the engine; one that cannot start says why in its ``state``, and the server stays up to tell it."""
    try:
        await engine.start()
    except Exception as error:  # noqa: BLE001 - its text may name a path
        code = error.code if isinstance(error, BiMediX2Error) else "internal"
        _LOG.error("engine_not_started", extra={"code": code, "error": describe(error)})
        if isinstance(error, BiMediX2Error):
            tell(error.message, error.message_ar)  # to the terminal: /health is open to everybody and names no path
