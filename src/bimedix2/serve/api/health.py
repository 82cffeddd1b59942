"""``GET /health``: whether answers can be written now. Open to everybody, so it says no more."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from bimedix2.serve.api.schemas import error_answers
from bimedix2.serve.engines.protocol import Engine
from bimedix2.serve.errors import ServeError
from bimedix2.serve.parts import Parts

_UNREADY = (
    "The model is not ready yet. Wait a little; the server's log says more.",
    "النموذج غير جاهز بعد. انتظر قليلا؛ في سجل الخادم تفاصيل أكثر.",
)


def health_router(engine: Engine, parts: Parts) -> APIRouter:
    """The route, for load balancers and the page."""
    router = APIRouter(tags=["health"])

    @router.get("/health", response_class=JSONResponse, responses={503: error_answers(503)[503] | {"content": {}}})
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
        texts = None if problem is None else {"en": problem[0], "ar": problem[1]}
        body = {"status": "ok" if ready else "unavailable", "ready": ready, "problem": texts}
        return JSONResponse(body, 200 if ready else 503)

    return router
