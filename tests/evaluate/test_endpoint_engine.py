"""A server as an engine: what it is sent, letters from log-probabilities, runs that are cut short and go on."""

from __future__ import annotations

import base64
import io
import math
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage
from scripted_server import Exchange, Server, hang, says, serving, status

from bimedix2.errors import ConfigError
from bimedix2.evaluate.engines._letters import label_logprobs
from bimedix2.evaluate.engines.endpoint import BudgetExceededError, Endpoint, EndpointEngine, Price
from bimedix2.evaluate.runner import Notes, RunOptions, ask_all, plan
from bimedix2.evaluate.schema import RunStopped, Sample, Task
from bimedix2.evaluate.scoring import results_of
from bimedix2.images import load_image
from bimedix2.records.schema import Language

KEY = "sk-secret-0123456789"
PROMPT: dict[Language, str] = {"en": "Is item {} normal?", "ar": "هل العنصر {} طبيعي؟"}
YES: dict[Language, str] = {"en": "Yes", "ar": "نعم"}


def sample(number: int = 0, language: Language = "en", *images: str) -> Sample:
    prompt = PROMPT[language].format(number)
    return Sample(id=str(number), task="toy", language=language, prompt=prompt, question=prompt,
                  reference=YES[language], images=images, group={"answer_type": "closed"})  # fmt: skip


def read(root: Path, language: Language, split: str) -> Iterator[Sample]:
    return (sample(number, language) for number in range(10))


TASK = Task("toy", "vqa", read, max_new_tokens=4)


def engine(server: Server, concurrency: int = 4, **options: Any) -> EndpointEngine:
    endpoint = Endpoint(server.url, "m", **{"api_key": KEY, "retries": 0, "timeout_s": 5, **options})
    return EndpointEngine(endpoint, concurrency=concurrency)


def run(engine: EndpointEngine, out: Path) -> tuple[dict[str, Any], bool, Notes]:
    options, notes = RunOptions(batch=4), Notes()
    jobs = list(plan([TASK], engine, out, out, options, notes))
    complete = ask_all(jobs, engine, out, options, lambda _: None, notes)
    return results_of(jobs, engine.name, options, out, (), notes), complete, notes


def figures(results: dict[str, Any]) -> list[Any]:
    return [(row["language"], row["mode"], row["n"], row["errors"], row["metrics"]) for row in results["rows"]]


def every_third_wrong(exchange: Exchange) -> str:
    """An answer that depends on the question alone, in its language."""
    number = int("".join(mark for mark in exchange.prompt() if mark.isdigit()))
    language: Language = "ar" if "هل" in exchange.prompt() else "en"
    return YES[language] if number % 3 else "–"


def dicom(path: Path) -> None:
    data = pydicom.Dataset()
    data.SOPClassUID, data.SOPInstanceUID = SecondaryCaptureImageStorage, pydicom.uid.generate_uid()
    data.PatientName, data.Modality = "Nobody^Known", "CT"
    data.Rows, data.Columns, data.SamplesPerPixel, data.PhotometricInterpretation = 30, 50, 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 16, 15, 0
    data.PixelData = np.arange(1500, dtype=np.uint16).tobytes()
    data.file_meta = pydicom.dataset.FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.save_as(path, enforce_file_format=True)


def test_images_arrive_as_our_own_models_see_them(tmp_path: Path) -> None:
    dicom(tmp_path / "ct.dcm")
    pixels = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    Image.new("RGB", (3000, 600), (9, 9, 9)).save(tmp_path / "wide.jpg", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0")
    with serving() as server:
        engine(server).generate([sample(1, "ar", "ct.dcm", "photo.png", "wide.jpg")], tmp_path, 5)
    system, user = server.seen[0].body["messages"]
    assert (system["role"], system["content"], user["role"]) == ("system", "أجب باللغة العربية.", "user")
    *images, text = user["content"]
    assert text == {"type": "text", "text": "هل العنصر 1 طبيعي؟"}
    assert PROMPT["ar"].format(1).encode() in server.seen[0].raw
    heads, data = zip(*(image["image_url"]["url"].split(",", 1) for image in images), strict=True)
    assert set(heads) == {"data:image/png;base64"}
    files = [base64.b64decode(part, validate=True) for part in data]
    ct, photo, wide = (Image.open(io.BytesIO(file)) for file in files)
    assert np.array_equal(np.asarray(ct.convert("RGB")), load_image(tmp_path / "ct.dcm").pixels)
    assert np.array_equal(np.asarray(photo), pixels)
    assert wide.size == (1024, 205)
    assert not any(word in file for file in files for word in (b"Nobody", b"Exif", b"DICM"))


def test_a_sample_that_fails_costs_only_itself(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture at all" * 10)
    with serving(default=says(lambda exchange: exchange.prompt())) as server:
        samples = [sample(0), sample(1, "en", "broken.png"), sample(2, "en", "gone.png"), sample(3, "ar")]
        replies = engine(server).generate(samples, tmp_path, 5)
        assert [reply.text for reply in replies] == [samples[0].prompt, "", "", samples[3].prompt]
        assert [reply.error.partition(":")[0] for reply in replies] == \
            ["", "unsupported_image_type", "image_not_found", ""]  # fmt: skip
        server.default = status(400, "too long")
        (refused,) = engine(server).generate([sample()], tmp_path, 5)
    assert refused.error.startswith("endpoint_bad_request: ")


def test_many_at_once_and_in_order(tmp_path: Path) -> None:
    together = threading.Barrier(4, timeout=60)

    def late(exchange: Exchange) -> str:
        together.wait()  # breaks, and fails the test, unless four requests are under way at once
        time.sleep(0.02 * (3 - int(exchange.prompt().split()[2]) % 4))
        return exchange.prompt()

    with serving(default=says(late)) as server:
        samples = [sample(number) for number in range(8)]
        replies = engine(server, 4).generate(samples, tmp_path, 5)
    assert [reply.text for reply in replies] == [item.prompt for item in samples]
    assert [reply.id for reply in replies] == [item.id for item in samples]


def test_without_a_system_role_the_user_says_it(tmp_path: Path) -> None:
    with serving() as server:
        asking = EndpointEngine(Endpoint(server.url, "m"), system=False)
        asking.generate([sample(1, "ar")], tmp_path, 5)
    assert server.seen[0].body["messages"] == [{"role": "user", "content": "أجب باللغة العربية.\nهل العنصر 1 طبيعي؟"}]
    assert asking.fingerprint != engine(server).fingerprint


def listed(*tokens: tuple[str, float], with_bytes: bool = False) -> dict[str, Any]:
    entries = [{"token": token, "logprob": math.log(p)} for token, p in tokens]
    for entry in entries if with_bytes else ():
        entry["bytes"] = list(str(entry["token"]).encode("utf-8", "surrogateescape"))
        entry["token"] = "\ufffd"  # what half a letter looks like as text
    return {"content": [{**entries[0], "top_logprobs": entries}]}


def choice(language: Language = "en") -> Sample:
    letters = ("A", "B", "C") if language == "en" else ("أ", "ب", "ج")
    return Sample(id="q", task="t", language=language, prompt="?", reference=letters[0],
                  options=("x", "y", "z"), letters=letters)  # fmt: skip


def test_letters_from_the_first_token(tmp_path: Path) -> None:
    english = says("A", logprobs=listed((" A", 0.5), ("A", 0.25), ("B", 0.2), ("a", 0.04), ("The", 0.01)))
    with serving(english) as server:
        (reply,) = engine(server).option_scores([choice()], tmp_path)
    asked = server.seen[0].body
    assert (asked["max_tokens"], asked["logprobs"], asked["top_logprobs"]) == (1, True, 20)
    # " A" and "A" add up; "a" is a word and not the letter; C is not listed: 1 nat below the last.
    assert reply.option_logprobs == pytest.approx((math.log(0.75), math.log(0.2), math.log(0.01) - 1))


def test_arabic_letters_by_their_bytes(tmp_path: Path) -> None:
    # U+0623 is D8 A3, U+0628 is D8 A8: the bare D8 begins all of them and says nothing. Models asked in Arabic also
    # answer "B", and write the hamza or not.
    tokens = [(" أ", 0.3), ("ا", 0.1), ("\udcd8", 0.2), ("ب", 0.1), ("B", 0.15), (" ج", 0.05)]
    with serving(says("أ", logprobs=listed(*tokens, with_bytes=True))) as server:
        (reply,) = engine(server).option_scores([choice("ar")], tmp_path)
    assert reply.option_logprobs == pytest.approx((math.log(0.4), math.log(0.25), math.log(0.05)))


def test_words_as_labels_count_by_their_beginning() -> None:
    found = label_logprobs([("Yes", -1.0), (" may", -2.0), ("n", -3.0), ("", -0.1)], ("yes", "no", "maybe"))
    assert found == (-1.0, -3.0, -2.0)
    assert label_logprobs([("نعم", -1.0), ("رب", -2.0)], ("نعم", "لا", "ربما")) == (-1.0, -3.0, -2.0)
    assert label_logprobs([("n", -1.0)], ("none", "no")) is None  # begins both


def test_servers_without_logprobs_are_told_apart_from_odd_replies(tmp_path: Path) -> None:
    good = says("A", logprobs=listed(("A", 0.9)))
    with serving(good, says("The", logprobs=listed(("The", 0.9))), says("A")) as server:
        replies = engine(server, 1).option_scores([choice()] * 3, tmp_path)
    assert [reply.error.partition(":")[0] for reply in replies] == ["", "endpoint_no_label", "endpoint_no_label"]
    for refusing in (says("A"), status(400, {"error": {"message": "logprobs are not supported"}})):
        with serving(default=refusing) as server, pytest.raises(RunStopped) as caught:
            engine(server).option_scores([choice()] * 3, tmp_path)
        assert isinstance(caught.value.reason, ConfigError)
        assert "--request generate" in str(caught.value.reason)


def test_a_dead_server_costs_nothing_that_was_answered(tmp_path: Path) -> None:
    with serving(default=says(every_third_wrong)) as server:
        whole, _, _ = run(engine(server), tmp_path / "whole")
        assert len(server.seen) == 20
    with serving(*[says(every_third_wrong)] * 7, default=hang) as server:
        port = server.server_address[1]
        threading.Timer(0.3, server.released.set).start()
        partial, complete, _ = run(engine(server), tmp_path / "cut")
    assert not complete
    assert partial["partial"]
    assert sum(row["n"] - row["errors"] for row in partial["rows"] if row["mode"] == "corrected") == 7
    answered = [exchange.prompt() for exchange in server.seen[:7]]
    # The address is part of the stored replies' keys, so the server has to come back to its own.
    with serving(default=says(every_third_wrong), port=port) as server:
        resumed, complete, _ = run(engine(server), tmp_path / "cut")
        again = [exchange.prompt() for exchange in server.seen]
        run(engine(server), tmp_path / "cut")
        assert len(server.seen) == len(again)  # nothing left to ask
    assert complete
    assert not set(answered) & set(again)
    assert len(answered) + len(again) == 20
    assert figures(resumed) == figures(whole)
    assert whole["rows"][0]["metrics"]["closed_accuracy"]["value"] == pytest.approx(0.6)


@pytest.mark.parametrize("trouble", ["key", "budget"])
def test_what_stops_a_run_keeps_its_replies(tmp_path: Path, trouble: str) -> None:
    right = says(every_third_wrong)
    refusing = status(401, {"error": {"message": f"bad {KEY}"}})
    with serving(*[right] * 6, default=refusing if trouble == "key" else right) as server:
        # A reply costs 12, and before it is sent it could cost the bytes of its prompt, so some of 20 fit into 160.
        limits = {"price": Price(1e6, 1e6), "budget": 160} if trouble == "budget" else {}
        partial, complete, notes = run(engine(server, 1, **limits), tmp_path)
        first = 6 if trouble == "key" else len(server.seen)
        assert not complete
        assert partial["partial"]
        assert notes.stopped is not None
        assert partial["stopped"]["ar"] == notes.stopped.message_ar
        assert isinstance(notes.stopped, BudgetExceededError) == (trouble == "budget")
        assert sum(row["n"] for row in partial["rows"] if row["mode"] == "corrected") == first > 0
        assert all(row["errors"] == 0 for row in partial["rows"])
        server.default = right
        server.script, asked = [], len(server.seen)
        resumed, complete, _ = run(engine(server, 1), tmp_path)
        assert complete
        assert len(server.seen) - asked == 20 - first
    assert "stopped" not in resumed
    assert not any(KEY in file.read_text() for file in tmp_path.rglob("*.json*"))


def test_an_interrupt_keeps_what_is_under_way(tmp_path: Path) -> None:
    class Interrupted(Endpoint):
        def chat(self, messages: Any, **options: Any) -> Any:
            if messages[-1]["content"] == sample(2).prompt:
                raise KeyboardInterrupt
            return super().chat(messages, **options)

    with serving(default=says(every_third_wrong)) as server:
        with pytest.raises(KeyboardInterrupt):
            run(EndpointEngine(Interrupted(server.url, "m"), concurrency=2), tmp_path)
        before = len(server.seen)
        assert before >= 2
        _, complete, _ = run(EndpointEngine(Endpoint(server.url, "m"), concurrency=2), tmp_path)
    assert complete
    assert len(server.seen) == 20
