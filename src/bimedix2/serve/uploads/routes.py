"""``/v1/uploads``. Whoever mounts the router authenticates first and says who asks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from bimedix2.images.messages import image_error
from bimedix2.images.types import GreyImage
from bimedix2.serve.principal import Principal
from bimedix2.serve.store.audit import AuditLog
from bimedix2.serve.uploads.errors import image_fault
from bimedix2.serve.uploads.intake import read_file, shown_name
from bimedix2.serve.uploads.service import Uploads, View

Frame = Annotated[int | None, Query(ge=0, le=1_000_000, description="0-based; the first by default")]
Centre = Annotated[float | None, Query(description="In modality units; together with width")]
Width = Annotated[float | None, Query(description="Above 0")]
PRIVATE = {"Cache-Control": "private, no-store", "X-Content-Type-Options": "nosniff"}
_FORM = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "properties": {"file": {"type": "string", "format": "binary"}},
                "required": ["file"],
            }
        }
    },
}


def principal_of(request: Request) -> Principal:
    """Who asks, as the guard has found out."""
    principal: Principal = request.state.principal
    return principal


def uploads_router(
    uploads: Uploads, who: Callable[[Request], Principal] = principal_of, audit: AuditLog | None = None
) -> APIRouter:
    """Routes for one ``Uploads``.

    Args:
        uploads: the store and its decoder.
        who: asks.
        audit: told who added, saw and deleted which upload, before a picture is shown.
    """
    router = APIRouter(prefix="/v1/uploads", tags=["uploads"])
    limits = uploads.settings.limits

    async def log(request: Request, action: str, name: str) -> None:
        if audit is not None:
            owner = who(request).owner
            await asyncio.to_thread(audit.record, who=owner, action=action, outcome="begun", objects=(name,))

    @router.post("", openapi_extra={"requestBody": _FORM})
    async def add(request: Request, response: Response) -> dict[str, Any]:
        """Take in one PNG, JPEG, WebP or DICOM file."""
        response.headers.update(PRIVATE)
        data, name = await read_file(
            request.headers, request.stream(), most=limits.image.max_bytes, seconds=limits.body_seconds
        )
        answer = await uploads.add(who(request).owner, data)
        await log(request, "upload.create", answer["id"])
        return {**answer, "name": shown_name(name)}

    @router.get("/{name}")
    async def get(name: str, request: Request, response: Response) -> dict[str, Any]:
        """What the answer to the upload said."""
        response.headers.update(PRIVATE)
        return await uploads.get(who(request).owner, name)

    @router.get("/{name}/image", response_class=Response, responses={200: {"content": {"image/png": {}}}})
    async def image(
        name: str, request: Request, frame: Frame = None, center: Centre = None, width: Width = None
    ) -> Response:
        """One view as a PNG: exactly the pixels that the model gets."""
        png = await uploads.png(who(request).owner, name, frame, _window(center, width))
        await log(request, "upload.read", name)
        return Response(png, media_type="image/png", headers=PRIVATE)

    @router.get(
        "/{name}/pixels", response_class=Response, responses={200: {"content": {"application/octet-stream": {}}}}
    )
    async def pixels(name: str, request: Request, frame: Frame = None) -> Response:
        """Grey values of one frame for windowing on a canvas: unsigned 16 bits, little-endian, row by row.

        A value in modality units is ``X-Min + code × X-Step``; the code ``X-Padding`` is no measurement (black).
        """
        grey = await uploads.grey(who(request).owner, name, frame)
        await log(request, "upload.read", name)
        return Response(
            grey.codes.tobytes(), media_type="application/octet-stream", headers={**PRIVATE, **_described(grey)}
        )

    @router.delete("/{name}", status_code=204)
    async def delete(name: str, request: Request) -> None:
        """Delete an upload now."""
        await log(request, "upload.delete", name)
        await uploads.delete(who(request).owner, name)

    return router


def _window(centre: float | None, width: float | None) -> View:
    if centre is None and width is None:
        return None
    if centre is None or width is None:
        raise image_fault(image_error("image_bad_window"), "center" if centre is None else "width")
    return centre, width


def _described(grey: GreyImage) -> dict[str, str]:
    rows, columns = grey.codes.shape
    return {
        "X-Rows": str(rows),
        "X-Columns": str(columns),
        "X-Min": repr(grey.low),
        "X-Max": repr(grey.high),
        "X-Step": repr(grey.step),
        "X-Invert": "1" if grey.inverted else "0",
        **({} if grey.padding is None else {"X-Padding": str(grey.padding)}),
    }
