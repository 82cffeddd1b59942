"""What a server is put together from. ``create_app`` takes them as they are; tests and other servers may choose."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib import resources

from fastapi import APIRouter

from bimedix2.serve.api.images import UploadSource
from bimedix2.serve.auth.guard import Guard
from bimedix2.serve.auth.oidc import LOGIN, sign_in_of, sign_in_router
from bimedix2.serve.engines.protocol import Engine
from bimedix2.serve.export.pictures import ExportPictures
from bimedix2.serve.export.routes import export_router
from bimedix2.serve.page.routes import page_router
from bimedix2.serve.pictures import Pictures
from bimedix2.serve.settings import ServeSettings
from bimedix2.serve.store.audit import AuditLog
from bimedix2.serve.store.conversations import Conversations
from bimedix2.serve.store.database import Database
from bimedix2.serve.store.retention import Retention
from bimedix2.serve.store.routes import conversations_router, data_router
from bimedix2.serve.uploads.pool import DecoderPool
from bimedix2.serve.uploads.routes import uploads_router
from bimedix2.serve.uploads.service import Uploads


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Everything beside the engine.

    Attributes:
        guard: tells who asks.
        pictures: decodes what comes inside a request.
        uploads: finds pictures that were sent before.
        audit: gets a line for every answer; ``None`` writes none.
        routers: routes for those whom the guard lets in.
        open_routers: routes for everybody: a page without data, the sign-in.
        sign_in: address of the sign-in, or ``None``.
        background: run as long as the server does.
        closers: called at the end, in this order.
    """

    guard: Guard
    pictures: Pictures
    uploads: UploadSource | None = None
    audit: AuditLog | None = None
    routers: tuple[APIRouter, ...] = ()
    open_routers: tuple[APIRouter, ...] = ()
    sign_in: str | None = None
    background: tuple[Callable[[], Awaitable[None]], ...] = ()
    closers: tuple[Callable[[], None], ...] = ()

    def check_storage(self) -> None:
        """Raise ``StorageError`` where nothing can be written now."""
        if self.audit is not None:
            self.audit.check()


def default_parts(settings: ServeSettings, engine: Engine) -> Parts:
    """Every part there is, on the settings' data folder.

    Raises:
        ConfigError: the folder cannot be used, or the server would be open to others without keys.
    """
    database = Database(settings.data)
    guard = Guard(settings, database)
    try:
        guard.require_safe()
        sign_in = sign_in_of(settings, guard)
    except BaseException:
        database.close()
        raise
    pool = DecoderPool(settings.limits.image)
    pictures = Pictures(settings.limits.image, pool, strict=settings.strict_images)
    uploads = Uploads(settings, database, pool)
    audit = AuditLog(settings.data / "audit.jsonl")
    conversations = Conversations(database, keep=settings.keep)
    retention = Retention({"conversations": conversations, "uploads": uploads.store}, settings.retention_hours)
    return Parts(
        guard=guard,
        pictures=pictures,
        uploads=uploads,
        audit=audit,
        routers=(
            uploads_router(uploads, audit=audit),
            conversations_router(conversations, settings.limits, audit, uploads.store.touch),
            data_router(retention, audit),
            export_router(ExportPictures(uploads, pictures), lambda: engine.info, audit=audit),
        ),
        open_routers=(*_page(), *(() if sign_in is None else (sign_in_router(sign_in, guard, audit),))),
        sign_in=None if sign_in is None else LOGIN,
        background=(pictures.warm, retention.run, *(() if sign_in is None else (sign_in.run,))),
        closers=(pool.close, audit.close, database.close),
    )


def _page() -> tuple[APIRouter, ...]:
    """The page's routes; a package built without the page still serves the interface."""
    static = resources.files("bimedix2.serve.page") / "static" / "index.html"
    return (page_router(),) if static.is_file() else ()
