"""The whole path with a real model: nano behind the local server. Run by `make test-slow`, which assembles it first.

Nano has 270 million parameters and was trained to answer questions, not to write JSON. So the server does what servers
with constrained decoding do: it puts nano's words into the form that the request's JSON schema demands. What nano says
is nano's, and rows whose words do not pass our checks go to quarantine, as they should.
"""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from llm_records import record
from llm_server import LlmServer, Request, objects, serving

from bimedix2.data.llm.settings import RunSettings, Server
from bimedix2.data.llm.step import Step
from bimedix2.data.llm.workspace import Summary, Work, run_work
from bimedix2.data.rewrite import KINDS
from bimedix2.data.translate.settings import TranslateSettings
from bimedix2.data.translate.step import Translate
from bimedix2.records import Record, read_records, write_jsonl

pytestmark = pytest.mark.slow

RECORDS = [
    record("n:1:en", "Which part of the body is shown?", "chest"),
    record("n:2:en", "What kind of image is this?", "X-ray"),
    record("n:3:ar", "أي جزء من الجسم يظهر؟", "الصدر", language="ar"),
    record("n:4:en", "Which drug?\nA. Aspirin\nB. Heparin", "B. Heparin", task="mcq"),
]


class Nano:
    """Nano as the server's model; one question at a time."""

    def __init__(self) -> None:
        import bimedix2

        self.model = bimedix2.load("nano")
        self.lock = threading.Lock()
        self.said: list[str] = []

    def words(self, question: str) -> str:
        """What nano answers."""
        from bimedix2.inference import GenerationConfig

        with self.lock:
            text = self.model.ask(question, config=GenerationConfig(max_new_tokens=24)).text
        self.said.append(text)
        return text

    def __call__(self, request: Request) -> str:
        """Nano's words in the form of the request's schema."""
        user = request.body["messages"][1]["content"]
        fields = request.body["response_format"]["json_schema"]["schema"]["properties"]
        if "turns" in fields:
            texts = objects(user)[0]["turns"]
            return json.dumps({"turns": [[self.words(f"Translate into Arabic: {t}") for t in turn] for turn in texts]})
        if "answers" in fields:
            pairs = json.loads(user[user.index("[{") : user.index("}]") + 2])
            return json.dumps({"answers": [self.words(f"{p['question']} {p['answer']}") for p in pairs]})
        return json.dumps({"answer": "B", "explanation": self.words(user)})


@pytest.fixture(scope="module")
def nano() -> Nano:
    return Nano()


@pytest.mark.parametrize("name", ["expand", "explain", "translate"])
def test_every_row_is_decided_once_and_nanos_words_are_kept(tmp_path: Path, nano: Nano, name: str) -> None:
    step: Step = Translate(TranslateSettings(critique=False)) if name == "translate" else KINDS[name]()
    write_jsonl(tmp_path / "in.jsonl", RECORDS)
    with serving(LlmServer(nano)) as server:
        server.served = "nano"
        first = run(tmp_path, step, server)
        output = (tmp_path / "out.jsonl").read_bytes()
        sent = len(server.requests)
        again = run(tmp_path, step, server)
    assert first.records + first.review + first.quarantine + sum(first.passed_over.values()) == len(RECORDS)
    assert (again.requests, len(server.requests), (tmp_path / "out.jsonl").read_bytes()) == (0, sent, output)
    spoken = {text.strip() for text in nano.said}
    for new in read_records(tmp_path / "out.jsonl"):
        assert new.provenance[-1].tool == "nano"
        assert any(text and text in turn.text for turn in new.turns for text in spoken)
    for line in quarantined(tmp_path):
        assert line["record"]["id"] in {item.id for item in RECORDS}
        assert line["reply"]


def run(folder: Path, step: Step, server: LlmServer) -> Summary:
    target = Server(address=server.url, model="nano", timeout_s=120.0)
    work = Work(
        step, [folder / "in.jsonl"], folder / "out.jsonl", folder / "work", {"writer": target}, RunSettings(repairs=1)
    )
    summary, error = run_work(work)
    assert error is None, error
    return summary


def quarantined(folder: Path) -> list[dict[str, Any]]:
    path = folder / "out.quarantine.jsonl"
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    found: list[dict[str, Any]] = [json.loads(line) for line in lines]
    return found


def test_the_records_are_valid(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "in.jsonl", RECORDS)
    assert all(isinstance(item, Record) for item in read_records(tmp_path / "in.jsonl"))
