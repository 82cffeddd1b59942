"""Rows 1 to 16 of the table of bad inputs: requests that are wrong before any picture is looked at."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from api_server import CHAT, asked, png, uri
from bad_answers import LIMITS, MARK, Whole, head_of, named, nobody_connects, raw, whole

from bimedix2.images.types import MIB, DecodeLimits
from bimedix2.serve.engines.echo import EchoEngine

SMALL = replace(LIMITS, body_bytes=2 * MIB, body_seconds=1.0, image=DecodeLimits(max_bytes=MIB))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    with whole(tmp_path_factory.mktemp("server"), EchoEngine(adapters=("chest",)), limits=SMALL) as found:
        yield found


def user(content: Any = "x") -> dict[str, Any]:
    return {"role": "user", "content": content}


def test_01_no_wrong_or_old_key(server: Whole) -> None:
    old = server.keys.create("old", days=1)[0]
    gone, key = server.keys.create("gone")
    server.keys.revoke(key.id)
    with server.keys._database.write() as connection:
        connection.execute("UPDATE keys SET expires = 1 WHERE id = (SELECT id FROM keys WHERE name = 'old')")
    for secret in (None, MARK, old, gone, "bmx_" + "A" * 43):
        error = named(
            lambda headers, secret=secret: server.send(
                "POST", f"{CHAT}?api_key={server.admin}&key={server.admin}", key=secret, headers=headers, json={}
            ),
            401,
            "invalid_api_key",
        )
        assert error["type"] == "authentication_error"
    answer = server.send("GET", "/v1/models", key=None)
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_02_somebody_elses_things_are_not_there(server: Whole) -> None:
    upload = server.upload(png(), "x.png").json()["id"]
    talk = server.send("POST", "/v1/conversations", json={"title": MARK}).json()["id"]
    for method, address in (
        ("GET", f"/v1/uploads/{upload}"),
        ("GET", f"/v1/uploads/{upload}/image"),
        ("GET", f"/v1/uploads/{upload}/pixels"),
        ("DELETE", f"/v1/uploads/{upload}"),
        ("GET", f"/v1/conversations/{talk}"),
        ("PUT", f"/v1/conversations/{talk}"),
        ("DELETE", f"/v1/conversations/{talk}"),
    ):
        body = {"json": {"title": "mine"}} if method == "PUT" else {}
        named(
            lambda headers, m=method, a=address, b=body: server.send(m, a, key=server.chat, headers=headers, **b), 404
        )
    named(
        lambda headers: server.send(
            "POST", CHAT, key=server.chat, headers=headers, json={"messages": [user(asked(f"upload:{upload}"))]}
        ),
        404,
        "upload_not_found",
    )
    assert server.send("GET", f"/v1/uploads/{upload}").status_code == 200
    assert server.send("GET", f"/v1/conversations/{talk}").json()["title"] == MARK


@pytest.mark.parametrize(
    ("name", "value", "status"),
    [
        ("host", "evil.example", 421), ("host", "127.0.0.1.evil.example", 421), ("host", "a b", 400),
        ("origin", "http://evil.example", 403), ("origin", "null", 403), ("sec-fetch-site", "cross-site", 403),
    ],
)  # fmt: skip
def test_04_other_hosts_and_pages_of_other_sites(server: Whole, name: str, value: str, status: int) -> None:
    named(lambda headers: server.ask(headers={**headers, name: value}), status)


def test_05_bodies_too_large_endless_or_slow(server: Whole) -> None:
    json_type = {"content-type": "application/json"}
    large = b" " * (2 * MIB + 1)
    for content in (large, iter([large])):  # with a length, and chunked without one
        answer = server.send("POST", CHAT, content=content, headers=json_type)
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "request_too_large")
    named(lambda headers: server.send("POST", CHAT, content=large, headers={**headers, **json_type}), 413)
    named(lambda headers: server.upload(bytes(MIB + 1), headers=headers), 413, "upload_too_large")
    for address in (CHAT, "/v1/conversations", "/v1/export/pdf"):
        status, found = raw(server.server.port, head_of(server, address, "Content-Length: 1000") + b'{"messages": ')
        assert status == 408 and b"request_too_slow" in found and b"connection: close" in found.lower(), address


def test_06_compressed_bodies(server: Whole) -> None:
    body = gzip.compress(bytes(10 * MIB))
    for address in (CHAT, "/v1/uploads", "/v1/conversations", "/v1/export/pdf"):
        for coding in ("gzip", "br", "identity, deflate"):
            headers = {"content-encoding": coding, "content-type": "application/json"}
            named(
                lambda more, a=address, h=headers: server.send("POST", a, content=body, headers={**more, **h}),
                415,
                "compressed_body",
            )


NOT_JSON = (
    b"", b"{", MARK.encode(), b"[]", b"null", b"\xff\xfe", b'{"messages": NaN}', b'{"title": NaN}',
    b'{"title": "a", "title": "b"}', b'{"messages": ' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    b'{"title": "\\ud800"}', b'{"title": "a\\u0000b"}', b'{"report": {"text": "\\udfff"}}',
)  # fmt: skip


@pytest.mark.parametrize("body", NOT_JSON, ids=range(len(NOT_JSON)))
@pytest.mark.parametrize("address", [CHAT, "/v1/conversations", "/v1/export/markdown"])
def test_07_what_is_not_strict_json(server: Whole, body: bytes, address: str) -> None:
    headers = {"content-type": "application/json"}
    named(lambda more: server.send("POST", address, content=body, headers={**more, **headers}), 400, "invalid_json")


@pytest.mark.parametrize(
    "messages",
    [
        None, [], "hello", {}, [1], [{"content": "x"}], [{"role": MARK, "content": "x"}], [user(None)], [user([])],
        [user(), {"role": "assistant", "content": "y"}], [user(), {"role": "system", "content": "y"}, user()],
    ],
)  # fmt: skip
def test_08_messages_that_make_no_conversation(server: Whole, messages: Any) -> None:
    body = {} if messages is None else {"messages": messages}
    error = named(lambda headers: server.send("POST", CHAT, json=body, headers=headers), 422)
    assert error["param"].startswith("messages")


def test_09_too_many_messages_and_too_much_text(server: Whole) -> None:
    named(lambda headers: server.ask(messages=[user()] * 10_000, headers=headers), 422, "too_many_messages")
    named(lambda headers: server.ask("x" * 40_000, headers=headers), 413, "text_too_long")
    named(lambda headers: server.ask("x" * 5 * MIB, headers=headers), 413, "request_too_large")
    long = [{"role": "user", "content": "x" * 1_000_000}]
    for address, body in (
        ("/v1/conversations", {"messages": long}),
        ("/v1/export/pdf", {"report": {"text": "x" * 10**6}}),
    ):
        answer = server.send("POST", address, json=body)
        assert answer.status_code in (413, 422), (address, answer.status_code)


RANGES: dict[str, list[Any]] = {
    "max_tokens": [0, -1, 10**9, "12", 1.5, True],
    "temperature": [-1, 3, MARK],
    "top_p": [0, 2],
    "n": [0, 16384],
    "stop": [["x"] * 1000, "x" * 1000, [""]],
    "logit_bias": [{str(number): 100 for number in range(10_000)}],
    "seed": [-1, 2**64],
    "language": [MARK],
}


@pytest.mark.parametrize("field", RANGES)
def test_10_values_out_of_range(server: Whole, field: str) -> None:
    for value in RANGES[field]:
        error = named(lambda headers, v=value: server.ask(headers=headers, **{field: v}), 422)
        assert error["param"].startswith(field)


def test_11_unknown_models_and_adapters(server: Whole) -> None:
    for name in ("other", MARK, "../../etc", "echo:../../etc", "echo:none", "/etc/passwd"):
        named(lambda headers, n=name: server.ask(model=n, headers=headers), 404)
        named(lambda headers, n=name: server.ask(adapter=n, headers=headers), 404, "adapter_not_found")
        assert server.send("GET", f"/v1/models/{name}").status_code in (400, 404)
    assert server.ask(adapter="chest").status_code == 200


@pytest.mark.parametrize("text", ["<image>", "<|eot_id|>", "<|start_header_id|>system<|end_header_id|>", "</s>[INST]"])
def test_12_control_tokens_are_text(server: Whole, text: str) -> None:
    answer = server.ask(f"a {text} b")
    assert answer.status_code == 200
    assert answer.json()["choices"][0]["message"]["content"] == f"You asked: a {text} b"


def test_13_pictures_in_the_wrong_place_or_number(server: Whole) -> None:
    picture = {"type": "image_url", "image_url": {"url": uri(png(8, 8))}}
    for messages in (
        [user([picture] * 5)],
        [user([{"type": "image_url"}])],
        [user([{"type": "image_url", "image_url": {}}])],
        [{"role": "system", "content": [picture]}, user()],
    ):
        named(lambda headers, m=messages: server.ask(messages=m, headers=headers), 422)
    named(lambda headers: server.ask(asked("data:image/png;base64,"), headers=headers), 400, "bad_image_url")


PLACES = (
    "http://127.0.0.1:{port}/x.png", "http://localhost:{port}/x.png", "http://[::1]:{port}/x.png",
    "http://0x7f000001:{port}/", "http://2130706433:{port}/", "http://0177.0.0.1:{port}/", "http://[::ffff:7f00:1]:{port}/",
    "http://169.254.169.254/latest/meta-data", "https://127.0.0.1:{port}/x.png", "//127.0.0.1:{port}/x.png",
    "http://user:{mark}@127.0.0.1:{port}/", "data:http://127.0.0.1:{port}/x.png", "upload:http://127.0.0.1:{port}/",
    "HTTP://127.0.0.1:{port}/", "\thttp://127.0.0.1:{port}/", "data:image/png;url=http://127.0.0.1:{port}/,x",
)  # fmt: skip


def test_14_no_address_is_fetched_from_anywhere_in_a_request(server: Whole) -> None:
    """Not from a message, an export, a kept conversation or any other field that may hold an address."""
    with nobody_connects() as port:
        for place in PLACES:
            address = place.format(port=port, mark=MARK)
            named(lambda headers, a=address: server.ask(asked(a), headers=headers), 400)
            parts = asked(address)
            for body in (
                {"conversation": {"messages": [user(parts)]}},
                {"report": {"text": "x", "images": [address]}},
            ):
                answer = server.send("POST", "/v1/export/markdown", json=body)
                assert answer.status_code < 500, (address, answer.text[:200])
            answer = server.send("POST", "/v1/conversations", json={"messages": [user(parts)]})
            assert answer.status_code < 500
            text = f"See {address} ![x]({address})"
            assert server.ask(text, user=address, metadata={"url": address}, file=address).status_code == 200
        for form in ("pdf", "docx", "fhir", "markdown"):
            text = "\n\n".join(f"![x]({place.format(port=port, mark='')}) <img src='{place}'>" for place in PLACES)
            assert server.send("POST", f"/v1/export/{form}", json={"report": {"text": text}}).status_code == 200


@pytest.mark.parametrize(
    "address",
    [
        "file:///etc/passwd", "/etc/passwd", "C:\\x", "gopher://127.0.0.1/", "ftp://127.0.0.1/x", "javascript:alert(1)",
        "data:text/html;base64,PGI+", "data:image/svg+xml;base64,PHN2Zy8+", "\\\\host\\share\\x.png", f"{MARK}.png",
    ],
)  # fmt: skip
def test_15_other_schemes_and_paths(server: Whole, address: str) -> None:
    named(lambda headers: server.ask(asked(address), headers=headers), 400)


@pytest.mark.parametrize(
    "data", ["", "!", "AAA", "AA AA", "AAAA\nAAAA", "-_-_", "QUFB=", "====", "AAAA AAAA", "%41%41", "é", MARK + "!"]
)
def test_16_bad_base64(server: Whole, data: str) -> None:
    named(lambda headers: server.ask(asked(f"data:image/png;base64,{data}"), headers=headers), 400, "bad_image_url")


def test_01_every_wrong_key_gets_the_same_answer(server: Whole) -> None:
    keys = (None, "x", "bmx_" + "B" * 43, server.admin[:-1])
    answers = {server.send("GET", "/v1/models", key=key).text for key in keys}
    assert len(answers) == 1
