"""``POST /v1/chat/completions``."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from bimedix2.serve.api.answer import Answer, Caller, Desk
from bimedix2.serve.api.answer_stream import AnswerStream
from bimedix2.serve.api.chunks import Form, notices
from bimedix2.serve.api.conversation import understand
from bimedix2.serve.api.language import accepted_language
from bimedix2.serve.api.reading import read_json
from bimedix2.serve.api.schema import ChatRequest, convert
from bimedix2.serve.api.schemas import body_of, error_answers
from bimedix2.serve.api.stream import ClientLeftError, EventStream, while_connected
from bimedix2.serve.auth.guard import address_of
from bimedix2.serve.engines.protocol import Delta, Usage

_CLIENT_LEFT = 499
_ANSWER: dict[str, Any] = {
    "description": "An answer in OpenAI's form; with `stream`, its chunks as events.",
    "content": {"application/json": {"schema": {"type": "object"}}, "text/event-stream": {}},
}


def chat_router(desk: Desk) -> APIRouter:
    """The route, for a server's engine and guard."""
    router = APIRouter(tags=["chat"])

    @router.post(
        "/v1/chat/completions",
        response_class=Response,
        openapi_extra=body_of(ChatRequest),
        responses={200: _ANSWER, **error_answers(504)},
    )
    async def complete(request: Request) -> Response:
        """Continue a conversation in English or Arabic, about pictures or text."""
        asked_for = convert(await read_json(request), ChatRequest)
        desk.guard.require(request.state.principal, "chat")
        asked = understand(asked_for, desk.engine.info, desk.settings.limits)
        caller = Caller(
            principal=request.state.principal, address=address_of(request), request_id=request.state.request_id
        )
        answer = Answer(desk, asked, caller)
        form = Form(desk.engine.info, asked.language, asked.adapter)
        if asked_for.stream:
            options = asked_for.stream_options
            reader = accepted_language(request.headers.get("accept-language", ""))
            with_usage = options is not None and options.include_usage
            stream = AnswerStream(answer, form, reader, with_usage=with_usage)
            return await _stream(stream, desk.settings.limits.seconds)
        return await _whole(answer, form, request)

    return router


async def _whole(answer: Answer, form: Form, request: Request) -> Response:
    try:
        await answer.open()
        body = await while_connected(request.receive, _write(answer, form))
        await answer.noted()
        return Response(body, media_type="application/json")
    except ClientLeftError:
        return Response(status_code=_CLIENT_LEFT)
    finally:
        await answer.close()


async def _write(answer: Answer, form: Form) -> bytes:
    words, found = [answer.fixed_text], list(answer.notices)
    last = Delta()
    async for piece in answer.deltas():
        words.append(piece.text)
        found += piece.notices
        last = piece
    news: dict[str, Any] = {"notices": notices(tuple(found))} if found else {}
    if answer.emergency:
        news["emergency"] = True
    return form.whole("".join(words), last.finish_reason or "stop", answer.usage or Usage(), news)


async def _stream(stream: AnswerStream, seconds: float) -> Response:
    """Begin, so that what goes wrong at once is told by the status."""
    try:
        await stream.answer.open()
        await stream.peek()
    except BaseException:
        await stream.close()
        raise
    return EventStream(stream, seconds)
