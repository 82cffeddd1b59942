"""OpenAI's own Python client with a key: answers, streams, pictures, models, and its exception for every refusal."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from api_server import asked, png, uri
from bad_answers import Whole, whole

from bimedix2.notice import NOTICE_AR, NOTICE_EN
from bimedix2.serve.engines.echo import EchoEngine
from bimedix2.serve.settings import Limits


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    with whole(tmp_path_factory.mktemp("server"), EchoEngine(adapters=("chest",))) as found:
        yield found


def client(server: Whole, key: str = "", **options: Any) -> openai.OpenAI:
    return openai.OpenAI(
        base_url=f"{server.server.url}/v1", api_key=key or server.chat, **{"max_retries": 0, **options}
    )


def user(content: Any) -> list[Any]:
    return [{"role": "user", "content": content}]


QUESTIONS = [("Is the heart large?", "You asked: ", NOTICE_EN), ("هل القلب كبير؟", "سألت: ", NOTICE_AR)]


@pytest.mark.parametrize(("question", "start", "notice"), QUESTIONS)
def test_an_answer(server: Whole, question: str, start: str, notice: str) -> None:
    with client(server) as asking:
        found = asking.chat.completions.with_raw_response.create(model="echo", messages=user(question), max_tokens=50)
        answer = found.parse()
    assert found.headers["x-request-id"] == answer._request_id
    assert answer.choices[0].message.content == start + question
    assert (answer.object, answer.choices[0].finish_reason) == ("chat.completion", "stop")
    assert answer.usage is not None and answer.usage.total_tokens > 0
    assert answer.model_extra is not None and answer.model_extra["notice"] == notice


@pytest.mark.parametrize(("question", "start", "notice"), QUESTIONS)
def test_a_stream_with_its_tokens(server: Whole, question: str, start: str, notice: str) -> None:
    options: Any = {"include_usage": True}
    with client(server) as asking, asking.chat.completions.create(
        model="echo", messages=user(question), stream=True, stream_options=options
    ) as stream:  # fmt: skip
        pieces = list(stream)
    assert "".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices) == start + question
    assert pieces[-1].choices == [] and pieces[-1].usage is not None and pieces[-1].usage.completion_tokens > 0
    assert [piece.choices[0].finish_reason for piece in pieces if piece.choices][-1] == "stop"
    assert pieces[0].model_extra is not None and pieces[0].model_extra["notice"] == notice


def test_the_clients_own_stream_helper(server: Whole) -> None:
    with client(server) as asking, asking.chat.completions.stream(model="echo", messages=user("Hello?")) as stream:
        said = [event.delta for event in stream if event.type == "content.delta"]
        assert "".join(said) == "You asked: Hello?" and len(said) > 2
        assert stream.get_final_completion().choices[0].message.content == "You asked: Hello?"


def test_a_stream_that_is_left_frees_its_place(tmp_path: Path) -> None:
    engine = EchoEngine(delay=0.2)
    with whole(tmp_path, engine) as server, client(server) as asking:
        stream = asking.chat.completions.create(model="echo", messages=user("word " * 500), stream=True)
        assert next(iter(stream)).choices[0].delta.role == "assistant"
        assert server.server.until(lambda: engine.state().running == 1)
        stream.close()
        assert server.server.until(lambda: engine.state().running == 0)


def test_pictures(server: Whole) -> None:
    upload = server.send("POST", "/v1/uploads", key=server.chat, files={"file": ("x.png", png(20, 10))}).json()["id"]
    content = [*asked(uri(png(40, 30)), "Compare."), *asked(f"upload:{upload}")[1:]]
    with client(server) as asking:
        answer = asking.chat.completions.create(model="echo", messages=user(content))
    assert str(answer.choices[0].message.content).endswith("Pictures: 40×30, 20×10.")


def test_models_and_adapters(server: Whole) -> None:
    with client(server) as asking:
        assert [model.id for model in asking.models.list()] == ["echo", "echo:chest"]
        assert asking.models.retrieve("echo").object == "model"
        answer = asking.chat.completions.create(model="echo:chest", messages=user("x"))
        assert str(answer.choices[0].message.content).startswith("[chest]")
        with pytest.raises(openai.NotFoundError):
            asking.models.retrieve("none")


def test_many_at_once_through_the_asynchronous_client(server: Whole) -> None:
    async def ask() -> list[str | None]:
        async with openai.AsyncOpenAI(base_url=f"{server.server.url}/v1", api_key=server.chat, max_retries=0) as asking:
            jobs = [asking.chat.completions.create(model="echo", messages=user(f"سؤال {n}")) for n in range(20)]
            return [answer.choices[0].message.content for answer in await asyncio.gather(*jobs)]

    assert asyncio.run(ask()) == [f"سألت: سؤال {number}" for number in range(20)]


REFUSALS: list[tuple[dict[str, Any], type[openai.APIStatusError], str]] = [
    ({"messages": user(asked("http://127.0.0.1:1/x.png"))}, openai.BadRequestError, "remote_images_disabled"),
    ({"messages": user("x"), "model": "gpt-4o"}, openai.NotFoundError, "model_not_found"),
    ({"messages": user("x"), "temperature": 3}, openai.UnprocessableEntityError, "invalid_value"),
    ({"messages": user("x"), "n": 2}, openai.UnprocessableEntityError, "invalid_value"),
    ({"messages": user("x" * 40_000)}, openai.APIStatusError, "text_too_long"),
    ({"messages": user("x"), "extra_headers": {"host": "evil.example"}}, openai.APIStatusError, "wrong_host"),
    (
        {"messages": user("x"), "extra_headers": {"origin": "http://evil.example"}},
        openai.PermissionDeniedError,
        "cross_site",
    ),
]


@pytest.mark.parametrize(("fields", "kind", "code"), REFUSALS, ids=[code for _, _, code in REFUSALS])
@pytest.mark.parametrize("stream", [False, True])
def test_refusals_are_its_exceptions(
    server: Whole, fields: dict[str, Any], kind: type[openai.APIStatusError], code: str, stream: bool
) -> None:
    for language, letters in (("en", str.isascii), ("ar", lambda text: not text.isascii())):
        with client(server, default_headers={"accept-language": language}) as asking, pytest.raises(kind) as caught:
            asking.chat.completions.create(**{"model": "echo", "stream": stream, **fields})
        error = caught.value
        assert (error.code, isinstance(error.body, dict)) == (code, True)
        assert error.request_id and letters(error.body["message"].replace("…", ""))  # type: ignore[index]


def test_wrong_keys_and_scopes(server: Whole) -> None:
    for key in ("none", "bmx_wrong"):
        with client(server, key) as asking, pytest.raises(openai.AuthenticationError) as caught:
            asking.models.list()
        assert caught.value.code == "invalid_api_key"
    with client(server) as asking, pytest.raises(openai.PermissionDeniedError) as denied:
        asking.get("/../metrics".replace("/..", f"{server.server.url}"), cast_to=object)
    assert denied.value.code == "missing_scope"


def test_too_many_at_a_time_and_the_clients_own_patience(tmp_path: Path) -> None:
    """It tries again after ``Retry-After`` by itself, and gets its answer."""
    engine = EchoEngine(delay=0.1)
    with whole(tmp_path, engine, limits=Limits(per_key=1)) as server, client(server) as asking:
        stream = asking.chat.completions.create(model="echo", messages=user("one two three four five"), stream=True)
        assert server.server.until(lambda: engine.state().running == 1)
        with pytest.raises(openai.RateLimitError) as caught:
            asking.chat.completions.create(model="echo", messages=user("x"))
        assert caught.value.code == "too_many_at_a_time"
        assert int(caught.value.response.headers["retry-after"]) >= 1
        patient = asking.with_options(max_retries=3).chat.completions.create(model="echo", messages=user("x"))
        assert patient.choices[0].message.content == "You asked: x"
        assert "five" in "".join(piece.choices[0].delta.content or "" for piece in stream)


def test_an_engine_that_fails_is_a_server_error(tmp_path: Path) -> None:
    class Late(EchoEngine):
        def __init__(self) -> None:
            super().__init__(delay=0.5)

    with (
        whole(tmp_path, Late(), limits=Limits(seconds=0.2)) as server,
        client(server) as asking,
        pytest.raises(openai.InternalServerError) as caught,
    ):
        asking.chat.completions.create(model="echo", messages=user("one two"))
    assert (caught.value.status_code, caught.value.code) == (504, "deadline_passed")
