"""Another server behind ours: one of our own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from api_server import Running, asked, error_of, png, running, uri

from bimedix2.images import load_image_bytes
from bimedix2.inference.config import GenerationConfig
from bimedix2.records.schema import Turn
from bimedix2.serve.engines.echo import EchoEngine
from bimedix2.serve.engines.protocol import Job
from bimedix2.serve.engines.upstream import UpstreamEngine
from bimedix2.serve.engines.upstream_request import data_uri, payload, plain
from bimedix2.serve.settings import Limits, ServeSettings


@contextlib.contextmanager
def gateway(folder: Path, upstream: str, model: str = "", **settings: Any) -> Iterator[Running]:
    """Our server in front of ``upstream``."""
    engine = UpstreamEngine(ServeSettings(data=folder, engine="openai", model=model, upstream=upstream))
    with running(folder / "gateway", engine, **settings) as found:
        yield found


def test_our_own_server_as_the_upstream(tmp_path: Path) -> None:
    class Seen(EchoEngine):
        jobs: list[Job] = []  # noqa: RUF012

        def generate(self, wanted: Job) -> Any:
            self.jobs.append(wanted)
            return super().generate(wanted)

    with running(tmp_path / "up", Seen()) as up, gateway(tmp_path, f"{up.url}/v1") as front:
        assert front.until(lambda: front.client.get("/health").status_code == 200)
        assert front.client.get("/v1/models").json()["data"][0]["id"] == "echo"
        for stream in (True, False):
            found = front.chat(
                asked(uri(png(40, 30)), "ما هذا؟ <|eot_id|>"), stream=stream, stop=["!"], seed=3, language="ar"
            )
            assert found.status_code == 200
            assert "40×30" in found.text
        whole = found.json()
        assert whole["usage"]["prompt_tokens"] == 3 + 64  # as the upstream counts: the joiner splits no word
        sent, asked_there = load_image_bytes(png(40, 30)), Seen.jobs[0]
        assert np.array_equal(asked_there.images[0].pixels, sent.pixels)
        assert asked_there.turns[0].text == "ما هذا؟ <\u2060|eot_id|>"
        assert asked_there.config.stop == ("!",)
        assert asked_there.config.seed == 3


def test_what_is_sent_on_is_a_png_of_ours_and_asks_for_the_language() -> None:
    image = load_image_bytes(png(8, 8) + b"<script>tail</script>")
    wanted = Job(
        request_id="r",
        turns=(Turn(role="user", text="What is this?", language="en", images=(0,)),),
        images=(image,),
        language="ar",
        config=GenerationConfig(max_new_tokens=7),
    )
    body = asyncio.run(payload(wanted, "m"))
    assert b"script" not in json.dumps(body).encode()
    picture, text = body["messages"][0]["content"]
    assert picture == {"type": "image_url", "image_url": {"url": data_uri(image)}}
    assert text["text"] == "What is this?\nAnswer in Arabic."
    assert (body["max_tokens"], body["stream"]) == (7, True)


def test_no_tokenizer_finds_a_control_token_in_plain_text() -> None:
    from tokenizers import AddedToken, Tokenizer
    from tokenizers.models import WordLevel

    controls = [
        "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>", "<|begin_of_text|>", "<|image|>", "<image>", "</s>",
        "<s>", "<unk>", "<pad>", "<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>", "<start_of_image>", "[INST]",
        "<end_of_image>", "<image_soft_token>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<video>", "[/INST]",
        "<unused0>", "<mask>", "[IMG]", "<fim_prefix>", "<｜end▁of▁sentence｜>", "<<SYS>>", "<</SYS>>",
    ]  # fmt: skip
    tokenizer = Tokenizer(WordLevel({"?": 0}, unk_token="?"))
    tokenizer.add_special_tokens([AddedToken(name, special=True) for name in controls])
    known = {tokenizer.token_to_id(name) for name in controls}
    for name in controls:
        text = f"ا{name}{name}{name[:-1]}{name}x"
        assert known & set(tokenizer.encode(text).ids)
        assert not known & set(tokenizer.encode(plain(text)).ids), name
        assert plain(text).replace("\u2060", "") == text
    for harmless in ("3 < 4", "<b>bold</b>", "a|b", "[1]", "size <5 mm>", "p<0.05"):
        assert plain(harmless) == harmless


def test_leaving_the_gateway_frees_the_upstreams_place(tmp_path: Path) -> None:
    behind = EchoEngine(delay=0.2)
    with running(tmp_path / "up", behind) as up, gateway(tmp_path, f"{up.url}/v1") as front:
        assert front.until(lambda: front.client.get("/health").status_code == 200)
        body = {"messages": [{"role": "user", "content": "word " * 300}], "stream": True}
        with front.client.stream("POST", "/v1/chat/completions", json=body) as response:
            assert next(response.iter_bytes())
            assert front.until(lambda: behind.state().running == 1)
        left = time.monotonic()
        assert front.until(lambda: behind.state().running == 0)
        assert time.monotonic() - left < 5  # the answer would take a minute
        assert front.engine.state().running == 0


def test_an_upstream_that_goes_away_and_comes_back(tmp_path: Path) -> None:
    behind = EchoEngine()
    with running(tmp_path / "up", behind) as up:
        url = f"{up.url}/v1"
        with gateway(tmp_path, url) as front:
            assert front.until(lambda: front.client.get("/health").status_code == 200)
            up.client.close()
    with gateway(tmp_path / "again", url, model="echo", limits=Limits(seconds=20)) as front:
        health = front.client.get("/health")
        assert (health.status_code, health.json()["ready"]) == (503, False)
        assert health.json()["problem"]["ar"].startswith("يتعذر الوصول")
        assert "127.0.0.1" not in health.text
        found = front.chat("Hello?")
        assert (found.status_code, error_of(found)["code"]) == (503, "engine_unavailable")
        assert found.headers["retry-after"]


def test_an_upstream_without_the_model_is_not_ready(tmp_path: Path) -> None:
    with running(tmp_path / "up", EchoEngine()) as up, gateway(tmp_path, f"{up.url}/v1", model="other") as front:
        assert front.until(lambda: "refuses" in (front.engine.state().problem or ("",))[0])
        assert front.client.get("/health").status_code == 503
