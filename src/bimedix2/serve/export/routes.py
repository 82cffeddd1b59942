"""``POST /v1/export/{format}``. Whoever mounts the router authenticates first and says who asks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from bimedix2 import __version__
from bimedix2.serve.api.reading import read_json
from bimedix2.serve.api.schemas import inline
from bimedix2.serve.engines.protocol import EngineInfo
from bimedix2.serve.export.build import Export, PictureSource, build
from bimedix2.serve.export.fhir import write_fhir
from bimedix2.serve.export.markdown import write_markdown
from bimedix2.serve.export.pdf import write_pdf
from bimedix2.serve.export.request import ExportRequest
from bimedix2.serve.export.word import write_docx
from bimedix2.serve.principal import Principal
from bimedix2.serve.store.audit import AuditLog
from bimedix2.serve.uploads.routes import PRIVATE, principal_of

Format = Literal["markdown", "docx", "pdf", "fhir"]
TYPES = {
    "markdown": ("text/markdown; charset=utf-8", "md"),
    "docx": ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", "docx"),
    "pdf": ("application/pdf", "pdf"),
    "fhir": ("application/fhir+json; charset=utf-8", "json"),
}


def export_router(
    pictures: PictureSource,
    info: Callable[[], EngineInfo],
    who: Callable[[Request], Principal] = principal_of,
    audit: AuditLog | None = None,
) -> APIRouter:
    """The route.

    Args:
        pictures: finds the pictures of an export.
        info: of the model now.
        who: asks.
        audit: told who took what kind of file out, before it goes.
    """
    router = APIRouter(tags=["export"])
    content: dict[str, dict[str, str]] = {kind.partition(";")[0]: {} for kind, _ in TYPES.values()}
    schema = {"requestBody": {"required": True, "content": {"application/json": {"schema": _schema()}}}}

    @router.post(
        "/v1/export/{form}", response_class=Response, responses={200: {"content": content}}, openapi_extra=schema
    )
    async def export(form: Format, request: Request) -> Response:
        """A conversation or a report as a file. Research-use notice and draft mark are always in it."""
        body = _read(await read_json(request))  # as strictly as the chat: FastAPI's own reader takes NaN and more
        engine = info()
        found = await build(body, who(request).owner, pictures, engine)
        data = await asyncio.to_thread(_write, form, found, engine, body)
        if audit is not None:
            await asyncio.to_thread(audit.record, who=who(request).owner, action=f"export.{form}", outcome="begun")
        kind, ending = TYPES[form]
        name = "report" if body.report is not None else "conversation"
        disposition = {"Content-Disposition": f'attachment; filename="bimedix2-{name}.{ending}"'}
        return Response(data, media_type=kind, headers={**PRIVATE, **disposition})

    return router


def _read(value: dict[str, Any]) -> ExportRequest:
    try:
        return ExportRequest.model_validate(value)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False, include_input=False)
        raise RequestValidationError([{**fault, "loc": ("body", *fault["loc"])} for fault in faults]) from None


def _schema() -> dict[str, Any]:
    """The body for OpenAPI, every part written out in place."""
    top = ExportRequest.model_json_schema()
    found: dict[str, Any] = inline(top, top.pop("$defs"))
    return found


def _write(form: Format, found: Export, engine: EngineInfo, body: ExportRequest) -> bytes:
    if form == "fhir":
        return write_fhir(found, engine, __version__, body.report)
    writer = {"markdown": write_markdown, "docx": write_docx, "pdf": write_pdf}[form]
    return writer(found.document)
