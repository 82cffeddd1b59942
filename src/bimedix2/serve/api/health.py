"""``GET /health``: whether answers can be written now. Open to everybody, so it says no more."""

from __future__ import annotations

import re
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from bimedix2.serve.engines.protocol import Engine
from bimedix2.serve.errors import ServeError
from bimedix2.serve.parts import Parts

_UNREADY = (
    "The model is not ready yet. Wait a little; the server's log says more.",
    "النموذج غير جاهز بعد. انتظر قليلا؛ في سجل الخادم تفاصيل أكثر.",
)
_BROKEN = (
    "The model cannot be loaded. The person who runs the server finds the reason in its terminal and with "
    "`bimedix2 serve --check`.",
    "يتعذر تحميل النموذج. يجد المسؤول عن الخادم السبب في الطرفية وبالأمر `bimedix2 serve --check`.",
)
_PATH = re.compile(r"(?:^|[\s\"'(«“])(?:\.{0,2}/|~|[A-Za-z]:[\\/])\S")
_TEXT = {"type": "string"}
_BODY = {
    "type": "object",
    "required": ["status", "ready", "problem"],
    "properties": {
        "status": {"enum": ["ok", "unavailable"]},
        "ready": {"type": "boolean"},
        "problem": {"type": ["object", "null"], "required": ["en", "ar"], "properties": {"en": _TEXT, "ar": _TEXT}},
    },
}
_ANSWERS: dict[int | str, dict[str, Any]] = {
    status: {"description": what, "content": {"application/json": {"schema": _BODY}}}
    for status, what in ((200, "Ready."), (503, "Not ready; `problem` says what to do."))
}


def health_router(engine: Engine, parts: Parts) -> APIRouter:
    """The route, for load balancers and the page."""
    router = APIRouter(tags=["health"])

    @router.get("/health", response_class=JSONResponse, responses=_ANSWERS)
    async def health() -> JSONResponse:
        """200 when ready, else 503."""
        state = engine.state()
        ready, problem = state.ready, state.problem
        try:
            parts.check_storage()
        except ServeError as error:
            ready, problem = False, (error.message, error.message_ar)
        if not ready and problem is None:
            problem = _UNREADY
        if problem is not None and any(_PATH.search(text) for text in problem):
            problem = _BROKEN
        texts = None if problem is None else {"en": problem[0], "ar": problem[1]}
        body = {"status": "ok" if ready else "unavailable", "ready": ready, "problem": texts}
        return JSONResponse(body, 200 if ready else 503)

    return router
