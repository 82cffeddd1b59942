"""The client of OpenAI-compatible servers, against a real server that misbehaves."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate
from typing import Any

import pytest
from scripted_server import Act, completion, cut_off, drip, hang, raw, says, serving, status

from bimedix2.endpoint.settings import retry_after
from bimedix2.errors import ConfigError
from bimedix2.evaluate.engines._client import MAX_REPLY_BYTES
from bimedix2.evaluate.engines.endpoint import BudgetExceededError, Endpoint, EndpointError, Price, Usage

KEY = "sk-secret/0123456789"
ASK = [{"role": "user", "content": "هل القلب متضخم؟ 🫀"}]


class Waits(threading.Event):
    """Notes how long the client means to wait, and lets it go on at once."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.seconds.append(timeout or 0.0)
        return self.is_set()


def client(url: str, **options: Any) -> Endpoint:
    endpoint = Endpoint(url, "m", **{"api_key": KEY, **options})
    endpoint._hurry = Waits()
    return endpoint


def waits(endpoint: Endpoint) -> list[float]:
    assert isinstance(endpoint._hurry, Waits)
    return endpoint._hurry.seconds


def test_a_request_and_its_reply_are_whole() -> None:
    with serving(says("نعم 🙂", finish_reason="length")) as server:
        endpoint = client(server.url + "/", extra={"seed": None, "top_p": 0.5})
        found = endpoint.chat(ASK, max_tokens=7, temperature=0.2, top_logprobs=3)
    (seen,) = server.seen
    assert seen.path == "/v1/chat/completions"
    assert seen.headers["Authorization"] == f"Bearer {KEY}"
    assert "هل القلب متضخم؟ 🫀".encode() in seen.raw  # as UTF-8, not as \u escapes
    assert seen.body == {"model": "m", "messages": ASK, "max_tokens": 7, "temperature": 0.2, "top_p": 0.5,
                         "logprobs": True, "top_logprobs": 3}  # fmt: skip
    assert (found.text, found.finish_reason, found.model) == ("نعم 🙂", "length", "m-1")
    assert (found.prompt_tokens, found.completion_tokens, found.top_logprobs) == (10, 2, ())
    assert endpoint.usage == Usage(requests=1, prompt_tokens=10, completion_tokens=2)


def test_busy_and_broken_servers_are_tried_again() -> None:
    script = (status(429, Retry_After="7"), status(503), status(500, "<html>"), cut_off, status(408), says("done"))
    with serving(*script) as server:
        endpoint = client(server.url)
        assert endpoint.chat(ASK, max_tokens=1).text == "done"
    assert len(server.seen) == 6
    assert endpoint.usage.retries == 5
    # Base 0.5 s, doubled each time, the upper half of it random; the first one after the 7 s that were asked for.
    for waited, base in zip(waits(endpoint), (7.5, 1, 2, 4, 8), strict=True):
        assert base / 2 <= waited <= base
    assert waits(endpoint)[0] >= 7.25


@pytest.mark.parametrize(
    ("act", "code"),
    [
        (status(500, {"error": {"message": "out of memory"}}), "endpoint_server_error"),
        (status(429, "slow down"), "endpoint_busy"),
        (cut_off, "endpoint_unreachable"),
    ],
)
def test_lasting_trouble_ends_with_its_name(act: Act, code: str) -> None:
    with serving(default=act) as server:
        endpoint = client(server.url, retries=2)
        with pytest.raises(EndpointError) as caught:
            endpoint.chat(ASK, max_tokens=1)
    assert len(server.seen) == 3
    assert (caught.value.code, caught.value.stops_run) == (code, False)
    assert caught.value.message_ar != caught.value.message


@pytest.mark.parametrize("act", [hang, drip])
def test_a_reply_that_does_not_come_times_out(act: Act) -> None:
    with serving(default=act) as server:
        endpoint = client(server.url, retries=1, timeout_s=0.2, price=Price(1, 1))
        with pytest.raises(EndpointError, match=r"did not reply within 0\.2 s") as caught:
            endpoint.chat(ASK, max_tokens=1)
        assert caught.value.code == "endpoint_timeout"
        assert len(server.seen) == 2
        assert endpoint.usage.uncounted == 2  # it may have answered, and charged for it
        assert endpoint.usage.cost > 0
        # What is known to be down is not waited for again and again …
        with pytest.raises(EndpointError):
            endpoint.chat(ASK, max_tokens=1)
        assert len(server.seen) == 3
        # … and is up again with its first reply.
        server.default = says("back")
        assert endpoint.chat(ASK, max_tokens=1).text == "back"
        server.script = [says("")] * len(server.seen) + [status(500)]
        assert endpoint.chat(ASK, max_tokens=1).text == "back"


def test_nobody_listens() -> None:
    with serving() as server:
        pass
    endpoint = client(server.url, retries=1)
    with pytest.raises(EndpointError, match="cannot be reached") as caught:
        endpoint.chat(ASK, max_tokens=1)
    assert caught.value.code == "endpoint_unreachable"
    assert endpoint.usage == Usage(retries=1)  # nothing was sent, so nothing can have been charged


@pytest.mark.parametrize(
    ("act", "code", "stops"),
    [
        (status(400, {"error": {"message": "maximum context length is 4096"}}), "endpoint_bad_request", False),
        (status(401, {"error": f"wrong key {KEY}"}), "endpoint_auth", True),
        (status(403, f'{{"detail": "no {KEY.replace("/", chr(92) + "/")}"}}'), "endpoint_auth", True),
        (status(404, {"message": "model not found"}), "endpoint_not_found", True),
        (status(302, Location="http://127.0.0.1:9/v1"), "endpoint_not_found", True),
        (status(429, {"error": {"code": "insufficient_quota", "message": "pay"}}), "endpoint_auth", True),
    ],
)
def test_refusals_are_final_and_never_quote_the_key(act: Act, code: str, stops: bool) -> None:
    with serving(default=act) as server:
        with pytest.raises(EndpointError) as caught:
            client(server.url).chat(ASK, max_tokens=1)
        assert len(server.seen) == 1
    assert (caught.value.code, caught.value.stops_run) == (code, stops)
    assert "0123456789" not in caught.value.message + caught.value.message_ar


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"<!doctype html><p>Welcome", "an HTML page"),
        ("أهلا بك".encode(), "أهلا بك"),
        (b"", "not JSON"),
        (b"[1]", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"\xff\xfe\x00", "not JSON"),
        (b'{"choices": []}', "no choice"),
        (b'{"choices": [{"text": "old interface"}]}', "no choice"),
        (b'{"error": {"message": "model is loading"}}', "model is loading"),
        (b"a" * 290 + KEY.encode(), r"a\*\*\*"),  # the cut for display must not leave half a key
        (b" " * (MAX_REPLY_BYTES + 1), "more than 8 MiB"),
    ],
)
def test_replies_that_are_no_completion(data: bytes, problem: str) -> None:
    with serving(default=raw(data)) as server:
        with pytest.raises(EndpointError, match=problem) as caught:
            client(server.url).chat(ASK, max_tokens=1)
        assert len(server.seen) == 1
    assert caught.value.code == "endpoint_bad_reply"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, ""),
        ([{"type": "text", "text": "a"}, {"type": "image"}, {"type": "text", "text": "ب"}], "aب"),
        (3, ""),
        ("\ud800 half a character", "\ufffd half a character"),
    ],
)
def test_odd_contents_become_text_that_can_be_stored(content: Any, text: str) -> None:
    body = completion("", finish_reason="content_filter", usage=None, logprobs={"content": [{"top_logprobs": [7]}]})
    body["choices"][0]["message"]["content"] = content
    with serving(raw(json.dumps(body).encode())) as server:
        endpoint = client(server.url)
        found = endpoint.chat(ASK, max_tokens=1)
    assert (found.text, found.finish_reason) == (text, "content_filter")
    found.text.encode()  # does not raise
    assert found.prompt_tokens is None
    assert endpoint.usage == Usage(requests=1, uncounted=1)


def test_the_budget_is_worked_out_by_hand() -> None:
    # 2 per million read and 5 per million written: a reply of 10 + 2 tokens costs 30 millionths. Before it is known,
    # the worst case is 16 + 4 bytes of prompt and 8 tokens of reply: 2 * 20 + 5 * 8 = 80 millionths.
    ask = [{"role": "user", "content": "abcd"}]
    with serving() as server:
        endpoint = client(server.url, price=Price(2, 5), budget=139.9e-6)
        for _ in range(2):  # 0 + 80 and 30 + 80 fit into 139.9, 60 + 80 does not
            endpoint.chat(ask, max_tokens=8)
        with pytest.raises(BudgetExceededError, match="Raise --budget") as caught:
            endpoint.chat(ask, max_tokens=8)
        assert caught.value.stops_run
        assert len(server.seen) == 2
        assert endpoint.usage.cost == pytest.approx(60e-6)
        # The totals of an earlier run count; a higher budget goes on.
        later = client(server.url, price=Price(2, 5), budget=141e-6, spent=endpoint.usage)
        later.chat(ask, max_tokens=8)
        assert later.usage.requests == 3
        assert later.usage.cost == pytest.approx(90e-6)


def test_a_budget_holds_with_many_requests_at_once() -> None:
    ask = [{"role": "user", "content": "abcd"}]
    with serving() as server:
        endpoint = client(server.url, price=Price(2, 5), budget=600e-6)

        def call(_: int) -> bool:
            try:
                return bool(endpoint.chat(ask, max_tokens=8).text)
            except BudgetExceededError:
                return False

        with ThreadPoolExecutor(8) as pool:
            answered = sum(pool.map(call, range(40)))
    # The call after n replies fits while 30 n + 80 <= 600: 18 calls, however they overlap.
    assert answered == len(server.seen) == 18
    assert endpoint.usage.cost == pytest.approx(540e-6)


def test_images_count_in_the_worst_case() -> None:
    ask = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:" + "A" * 10**6}}]}]
    with serving() as server, pytest.raises(BudgetExceededError, match=r"could cost 0\.0030"):
        client(server.url, price=Price(1, 0), budget=0.001).chat(ask, max_tokens=8)
    assert not server.seen


def test_retry_after_in_both_forms() -> None:
    assert retry_after("12") == 12
    assert retry_after("86400") == 60
    assert retry_after("-5") == retry_after("soon") == retry_after("") == retry_after("nan") == 0
    assert 20 <= retry_after(formatdate(time.time() + 30, usegmt=True)) <= 30


def test_an_interrupt_leaves_no_retries() -> None:
    with serving(default=status(500)) as server:
        endpoint = client(server.url)
        with endpoint.no_retries(), pytest.raises(EndpointError):
            endpoint.chat(ASK, max_tokens=1)
        assert len(server.seen) == 1


def test_the_fingerprint_changes_with_what_replies_depend_on() -> None:
    def fingerprint(url: str = "http://h/v1", model: str = "m", **options: Any) -> str:
        return Endpoint(url, model, **options).fingerprint

    same = {fingerprint(), fingerprint("http://h/v1/"), fingerprint(api_key=KEY), fingerprint(retries=1, timeout_s=3)}
    assert len(same) == 1
    others = [fingerprint("http://i/v1"), fingerprint(model="n"), fingerprint(seed=1), fingerprint(extra={"top_p": 1})]
    assert len({*same, *others}) == 5


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("localhost:8000", {}),
        ("ftp://h/v1", {}),
        ("http://", {}),
        ("http://user:sk-secret@h/v1", {}),
        ("http://h/v1?key=sk-secret", {}),
        ("http://h:port/v1", {}),
        ("http://h/v1", {"api_key": "sk-secret\nX: y"}),
        ("http://h/v1", {"api_key": "sk-secret مفتاح"}),
        ("http://h/v1", {"budget": 1}),
        ("http://h/v1", {"budget": -1, "price": Price(1, 1)}),
        ("http://h/v1", {"price": Price(float("nan"), 1)}),
    ],
)
def test_settings_that_cannot_be_used(url: str, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        Endpoint(url, "m", **options)
    assert "sk-secret" not in caught.value.message + caught.value.message_ar
