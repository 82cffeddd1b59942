"""What reaches a log: names and numbers of an allow-list, and no canary from anywhere in a request."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from security_tools import bearer, canary, serving

from bimedix2.serve import logs
from bimedix2.serve.engines.echo import EchoEngine


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """Everything that the process logs, as the server's formatter writes it, at the lowest level."""
    root = logging.getLogger()
    before = root.handlers[:], root.level, logging.raiseExceptions
    stream = io.StringIO()
    logs.configure(stream, logging.DEBUG)
    yield stream
    root.handlers[:], root.level, logging.raiseExceptions = before[0], before[1], before[2]
    logging.captureWarnings(False)


def rows(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_fields_of_the_allow_list_alone(written) -> None:
    log = logging.getLogger("bimedix2.serve.test")
    log.info("answered", extra={"status": 200, "model": "nano", "prompt": "secret", "route": "/v1/x", "ms": 1.5})
    log.info("odd", extra={"status": "200 secret", "route": "/v1/a b", "model": "x" * 500, "count": True})
    found = rows(written)
    assert {name: found[0][name] for name in ("event", "status", "model", "route", "ms")} == {
        "event": "answered", "status": 200, "model": "nano", "route": "/v1/x", "ms": 1.5,
    }  # fmt: skip
    assert set(found[0]) == {"at", "level", "logger", "event", "status", "model", "route", "ms"}
    assert found[1].keys() & {"status", "route", "model"} == set()


def test_messages_with_something_in_them_are_dropped(written) -> None:
    secret = canary("message")
    logging.getLogger("bimedix2.serve.x").warning("answer %s", secret)
    logging.getLogger("bimedix2.serve.x").warning(f"answer_{secret}")
    logging.getLogger("some.library").error("while reading %s", secret)
    logging.getLogger("some.library").error(secret)
    logging.getLogger("uvicorn.error").info("Started server process [%d]", 7)
    logging.getLogger("uvicorn.access").info("%s GET /?q=%s", "127.0.0.1", secret)
    try:
        raise ValueError(secret)
    except ValueError:
        logging.getLogger("uvicorn.error").exception("Exception in ASGI application")
    assert secret not in written.getvalue()
    found = rows(written)
    assert [row.get("event") for row in found] == [None, None, None, None, "Started server process [%d]", None]
    assert found[-1]["exception"] == "ValueError" and "test_logs.py" in str(found[-1]["places"])


def test_one_line_for_a_request(written, tmp_path: Path) -> None:
    with serving(tmp_path / "d") as server:
        secret, key = server.parts.guard.keys.create("a")
        reply = server.chat(headers=bearer(secret))
        server.client.get(f"/v1/conversations/{canary('id')}?q={canary('query')}", headers=bearer(secret))
        server.client.get(f"/{canary('path')}")
    found = [row for row in rows(written) if row.get("event") == "request"]
    shown = [(row["method"], row["route"], row["status"], row["key"]) for row in found]
    assert shown[0] == ("POST", "/v1/chat/completions", 200, key.id)
    assert shown[1][2:] == (404, key.id) and shown[2][2:] == (404, "none")
    assert found[0]["request"] == reply.headers["x-request-id"] and found[0]["bytes_out"] == len(reply.content)
    assert "CANARY" not in written.getvalue()


class Failing(EchoEngine):
    """Fails with the question in its exception, as libraries do."""

    async def generate(self, job):  # type: ignore[no-untyped-def, override]
        raise RuntimeError(f"cannot answer {job.turns[-1].text}")
        yield


@pytest.mark.parametrize("engine", [EchoEngine, Failing])
def test_no_canary_in_logs_errors_metrics_or_audit(written, tmp_path: Path, engine, caplog) -> None:
    """A canary in every place where a client can put something; it may come back in the answer to itself alone."""
    with serving(tmp_path / "d", engine=engine()) as server:
        secret = server.parts.guard.keys.create(canary("keyname"), scopes=["chat", "admin"])[0]
        key = bearer(secret)
        errors = []

        def send(method: str, address: str, **more) -> None:  # type: ignore[no-untyped-def]
            headers = {"User-Agent": canary("agent"), "Referer": canary("referer"), "X-Any": canary("header"),
                       "Cookie": f"a={canary('cookie')}", **key, **more.pop("headers", {})}  # fmt: skip
            reply = server.client.request(method, address, headers=headers, **more)
            if reply.status_code >= 400:
                errors.append(reply.text)

        image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{canary('image')}"}}
        for stream in (False, True):
            question = [
                {"role": "system", "content": canary("system")},
                {"role": "user", "content": canary("question")},
            ]
            send("POST", f"/v1/chat/completions?q={canary('query')}", json={"messages": question, "stream": stream})
        for body in (
            {"messages": [{"role": "user", "content": [image]}]},
            {"messages": [{"role": canary("role"), "content": canary("text")}]},
            {"messages": question, "model": canary("model"), "stop": [canary("stop")]},
            {"messages": question, "adapter": canary("adapter")},
            {canary("field"): canary("value")},
        ):
            send("POST", "/v1/chat/completions", json=body)
        send("POST", "/v1/chat/completions", content=canary("json"), headers={"Content-Type": "application/json"})
        send("POST", "/v1/uploads", files={"file": (canary("name") + ".png", canary("bytes").encode(), "image/png")})
        send("POST", "/v1/conversations", json={"title": canary("title"), "messages": question})
        send("PUT", f"/v1/conversations/{canary('id')}", json={"title": canary("title"), "messages": [canary("m")]})
        send("GET", f"/v1/uploads/{canary('upload')}/image?frame={canary('frame')}")
        send("GET", f"/{canary('path')}", headers={"Authorization": f"Bearer {canary('key')}"})
        send("GET", "/health", headers={"Host": canary("host")})
        send("POST", "/v1/export/pdf", json={"report": {"text": canary("report")}})
        metrics = server.client.get("/metrics", headers=key).text
    assert len(rows(written)) > 15 and len(errors) >= 9, "the test must have reached the log and the errors"
    assert "CANARY" not in written.getvalue() and secret not in written.getvalue()
    assert "CANARY" not in "".join(errors)
    assert "CANARY" not in metrics and "requests" in metrics
    assert "CANARY" not in (tmp_path / "d" / "audit.jsonl").read_text()
