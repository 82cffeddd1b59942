"""What the page shows beside answers: key entry, an unready server, the queue, emergencies, errors, exports."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Any

import page_browser as pb
import pytest
from api_server import png, running

from bimedix2.records.schema import Language
from bimedix2.serve.auth.keys import KeyStore
from bimedix2.serve.engines.echo import EchoEngine
from bimedix2.serve.engines.protocol import Delta, EngineState, Job
from bimedix2.serve.errors import EngineDownError
from bimedix2.serve.safety.emergency import Kind, text_for
from bimedix2.serve.store.database import Database


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    program = pb.browser_program()
    with pb.chromium.Browser(program, tmp_path_factory.mktemp("profile")) as opened:
        yield opened


def test_a_server_with_keys_asks_for_one(browser: Any, tmp_path: Path) -> None:
    database = Database(tmp_path)
    secret = KeyStore(database).create("ward")[0]
    database.close()
    enter = "document.getElementById('entry-form').requestSubmit()"
    with running(tmp_path, EchoEngine(), public_hosts=("x.example",)) as server:
        browser.open(f"{server.url}/health")
        browser.run("localStorage.clear(); sessionStorage.clear()")
        browser.run("localStorage.setItem('bimedix2-settings', '{\"language\": \"ar\"}')")
        browser.open(f"{server.url}/")
        pb.wait(browser, "document.getElementById('entry').open")
        browser.run(f"document.getElementById('key').value = 'wrong'; {enter}")
        pb.wait(browser, "document.getElementById('entry-fault').textContent.includes('مفتاح')")
        browser.run(f"document.getElementById('key').value = '{secret}'; {enter}")
        pb.wait(browser, "document.getElementById('gate').open")
        browser.run("document.getElementById('gate-yes').click()")
        pb.wait(browser, "document.body.dataset.ready === 'yes'")
        pb.ask(browser, "ما هذا؟")
        assert "سألت" in browser.run("document.querySelector('.answer .text').textContent")
        assert browser.run("JSON.stringify(localStorage)").find(secret) == -1


def test_an_unready_server_is_told_and_asked_again(browser: Any, tmp_path: Path) -> None:
    class Waking(EchoEngine):
        ready = False

        def state(self) -> EngineState:
            return EngineState(ready=self.ready)

    engine = Waking()
    with running(tmp_path, engine) as server:
        pb.enter(browser, server, "ar")
        pb.wait(browser, "document.getElementById('state').textContent.includes('غير جاهز')")
        engine.ready = True
        pb.wait(browser, "document.getElementById('state').hidden")


def test_the_place_in_the_queue_is_shown(browser: Any, tmp_path: Path) -> None:
    with running(tmp_path, EchoEngine(places=1, delay=0.2)) as server:
        pb.enter(browser, server)
        request = {"messages": [{"role": "user", "content": "w " * 40}], "stream": True}
        with server.client.stream("POST", "/v1/chat/completions", json=request) as other:
            pieces = other.iter_raw()  # dropping it would end the stream
            next(pieces)
            end = time.monotonic() + 60
            while server.engine.state().running < 1 and time.monotonic() < end:  # type: ignore[attr-defined]
                time.sleep(0.02)
            pb.ask(browser, "And mine?", finish=False)
            pb.wait(browser, "document.querySelector('.progress').textContent === '1 question is ahead of yours.'")
        pb.wait(browser, "document.getElementById('send').dataset.t === 'send'")
        assert "And mine?" in browser.run("document.querySelector('.answer .text').textContent")


class Noting(EchoEngine):
    """Keeps the jobs that it gets; may refuse them as an engine does that still loads."""

    def __init__(self) -> None:
        super().__init__()
        self.jobs: list[Job] = []
        self.down = 0.0  # seconds after which to ask again

    async def generate(self, job: Job) -> AsyncGenerator[Delta]:
        if self.down:
            raise EngineDownError("The model is being loaded.", "يجري تحميل النموذج.", retry_after=self.down)
        self.jobs.append(job)
        async for piece in super().generate(job):
            yield piece


@pytest.mark.parametrize(
    ("language", "kind", "question"),
    [
        ("en", "self_harm", "I want to kill myself"),
        ("ar", "self_harm", "أريد أن أقتل نفسي"),
        ("en", "emergency", "I have crushing chest pain and my left arm is numb"),
        ("ar", "emergency", "عندي ألم شديد في الصدر وضيق في التنفس"),
    ],
)
def test_an_emergency_has_its_own_block(
    browser: Any, tmp_path: Path, language: Language, kind: Kind, question: str
) -> None:
    alarm, text = "document.querySelector('.emergency p')?.textContent", "document.querySelector('.answer .text')"
    fixed = text_for(kind)[language]
    own = {"en": "You asked: ", "ar": "سألت: "}[language] + question
    engine = Noting()
    with running(tmp_path, engine) as server:
        pb.size(browser, 360, 640)
        pb.enter(browser, server, language)
        pb.ask(browser, question)
        assert browser.run("document.querySelector('.emergency').hidden") is False
        assert (browser.run(alarm), browser.run(f"{text}.textContent")) == (fixed, own)
        assert browser.run("document.querySelector('.emergency p').dir") == {"en": "ltr", "ar": "rtl"}[language]
        assert browser.run(
            "document.querySelector('.emergency').getBoundingClientRect().top >= "
            "document.getElementById('log').getBoundingClientRect().top"
        )
        pb.ask(browser, {"en": "And a cold?", "ar": "وماذا عن الزكام؟"}[language])
        # The model never sees the fixed text.
        assert [turn.text for turn in engine.jobs[1].turns][:2] == [question, own]
        assert browser.run("[...document.querySelectorAll('.emergency')].map((e) => e.hidden)") == [False, True]
        pb.wait(browser, "document.querySelectorAll('#conversations .entry').length === 1")
        browser.open(f"{server.url}/")
        pb.wait(browser, "document.querySelectorAll('#conversations .entry').length === 1")
        browser.run("document.querySelector('#conversations .entry').click()")
        pb.wait(browser, "document.querySelectorAll('.answer').length === 2")
        assert (browser.run(alarm), browser.run(f"{text}.textContent")) == (fixed, own)


@pytest.mark.parametrize("language", ["en", "ar"])
def test_a_question_to_an_unready_model_can_be_sent_again(browser: Any, tmp_path: Path, language: str) -> None:
    engine = Noting()
    engine.down = 55
    with running(tmp_path, engine) as server:
        pb.enter(browser, server, language)
        pb.ask(browser, "BI-RADS 4?")
        said = browser.run("document.querySelector('.answer .note.fault').textContent")
        assert said == {"en": "The model is being loaded.", "ar": "يجري تحميل النموذج."}[language]
        assert "BI-RADS 4?" in browser.run("document.querySelector('.user').textContent")
        counting = browser.run("document.querySelector('.answer .progress').textContent")
        assert {"en": "goes out again in 5", "ar": "يعاد إرسال السؤال بعد 5"}[language] in counting
        engine.down = 0
        browser.run("document.querySelector('.answer .actions button').click()")
        pb.wait(browser, "document.querySelector('.answer .text')?.textContent.includes('BI-RADS 4?')")
        pb.wait(browser, "document.getElementById('send').dataset.t === 'send'")
        assert browser.run("document.querySelectorAll('.message').length") == 2
        assert len(engine.jobs) == 1


@pytest.mark.parametrize("language", ["en", "ar"])
def test_a_refused_question_goes_out_again_by_itself(browser: Any, tmp_path: Path, language: str) -> None:
    engine = Noting()
    engine.down = 3
    with running(tmp_path, engine) as server:
        pb.enter(browser, server, language)
        pb.ask(browser, "BI-RADS 4?")
        pb.wait(browser, "document.getElementById('announce').textContent !== ''")  # for screen readers, once
        engine.down = 0
        pb.wait(browser, "document.querySelector('.answer .text')?.textContent.includes('BI-RADS 4?')")
        pb.wait(browser, "document.getElementById('send').dataset.t === 'send'")
        assert browser.run("document.querySelectorAll('.message').length") == 2
        assert browser.run("document.querySelector('.answer .progress').hidden")
        assert len(engine.jobs) == 1


def test_what_only_reads_is_asked_for_again_when_the_server_is_back(browser: Any, tmp_path: Path) -> None:
    with running(tmp_path, EchoEngine()) as server:
        pb.enter(browser, server)
        pb.ask(browser, "BI-RADS 4?")
        pb.wait(browser, "document.querySelectorAll('#conversations .entry').length === 1")
        browser.run("document.getElementById('new').click()")
        pb.wait(browser, "document.querySelectorAll('#conversations .entry').length === 1")
    browser.run("document.querySelector('#conversations .entry').click()")
    with running(tmp_path, EchoEngine(), port=server.port):
        pb.wait(browser, "document.querySelectorAll('.message').length === 2")
        assert browser.run("document.getElementById('fault').hidden")


def test_faults_come_in_the_language_of_the_page(browser: Any, tmp_path: Path) -> None:
    bad = tmp_path / "a\u202egnp.png"
    bad.write_bytes(b"no picture")
    with running(tmp_path / "s", EchoEngine()) as server:
        pb.enter(browser, server, "ar")
        found = browser.call("Runtime.evaluate", expression="document.getElementById('files')")["result"]["objectId"]
        browser.call("DOM.setFileInputFiles", files=[str(bad)], objectId=found)
        pb.wait(browser, "!document.getElementById('fault').hidden")
        said = browser.run("document.getElementById('fault').textContent")
        assert said.startswith("agnp.png: ")
        assert any("\u0600" <= letter <= "\u06ff" for letter in said)
        browser.run("document.getElementById('composer').requestSubmit()")
        pb.wait(browser, "document.getElementById('fault').textContent.startsWith('اكتب')")


def test_several_pictures_in_one_question(browser: Any, tmp_path: Path) -> None:
    paths = [tmp_path / "a.png", tmp_path / "b.png"]
    for path in paths:
        path.write_bytes(png())
    with running(tmp_path / "s", EchoEngine()) as server:
        pb.enter(browser, server)
        pb.attach(browser, *paths)
        pb.ask(browser, "Compare")
        assert "40×30, 40×30" in browser.run("document.querySelector('.answer .text').textContent")
        pb.wait(browser, "document.querySelectorAll('.user img').length === 2")
