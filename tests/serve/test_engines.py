"""Engines: the echo, and another server behind ours. The other one is real, so is the connection."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from api_server import everything, job, words

from bimedix2.errors import ConfigError
from bimedix2.serve.engines.choose import choose_engine
from bimedix2.serve.engines.echo import EchoEngine
from bimedix2.serve.engines.protocol import Delta
from bimedix2.serve.settings import ServeSettings


def test_the_echo_is_the_same_each_time_in_both_languages() -> None:
    async def ask() -> list[list[Delta]]:
        engine = EchoEngine()
        return [await everything(engine, job(language=language)) for language in ("en", "ar", "en")]

    english, arabic, again = asyncio.run(ask())
    assert english == again
    assert words(english) == "You asked: one two three"
    assert words(arabic) == "سألت: one two three"
    assert [piece.finish_reason for piece in english][-1] == "stop"


def test_the_echo_gives_its_place_back_when_it_is_closed() -> None:
    async def ask() -> tuple[int, int, str]:
        engine = EchoEngine(places=1, delay=0.01)
        first = engine.generate(job())
        await anext(first)
        running_then = engine.state().running
        await first.aclose()
        return running_then, engine.state().running, words(await everything(engine, job("next")))

    assert asyncio.run(ask()) == (1, 0, "You asked: next")


@pytest.mark.parametrize("name", ["echo", "openai"])
def test_engines_are_chosen_by_name(tmp_path: Path, name: str) -> None:
    settings = ServeSettings(data=tmp_path, engine=name, model="m", upstream="http://127.0.0.1:9/v1")
    assert choose_engine(settings).info.engine == name


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"engine": "magic"}, "unknown_engine"),
        ({"engine": "openai"}, "upstream_needed"),
        ({"engine": "openai", "upstream": "http://user:hush-1@host/v1"}, "bad_config"),
    ],
)
def test_settings_that_fit_no_engine(tmp_path: Path, fields: dict[str, str], code: str) -> None:
    with pytest.raises(ConfigError) as found:
        choose_engine(ServeSettings(data=tmp_path, **fields))
    assert found.value.code == code
    assert "hush-1" not in found.value.message
