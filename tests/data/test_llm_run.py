"""Runs against a real local server that misbehaves: nothing lost, nothing doubled, nothing paid twice."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from llm_records import findings, record
from llm_server import (
    LlmServer,
    Request,
    breaks_off,
    completion,
    garbage,
    hangs,
    says,
    serving,
    status,
    translated,
)

from bimedix2.data.llm import client
from bimedix2.data.llm.errors import LedgerError, WorkspaceBusyError
from bimedix2.data.llm.ledger import Call, Ledger, put_call
from bimedix2.data.llm.settings import RunSettings, Server
from bimedix2.data.llm.workspace import Summary, Work, estimate_work, run_work
from bimedix2.data.translate.settings import TranslateSettings
from bimedix2.data.translate.step import Translate
from bimedix2.endpoint.price import Price
from bimedix2.errors import BiMediX2Error, ConfigError, RecordError
from bimedix2.records import Record, read_records, write_jsonl

KEY = "sk-secret/0123456789"
ALONE = TranslateSettings(audit_share=0.0, critique=False)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_FIRST_S", 0.02)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


def work(
    folder: Path, server: LlmServer, records: list[Record], settings: TranslateSettings = ALONE, **given: Any
) -> Work:
    """A translation in a folder; keywords go to server and run."""
    source = folder / "in.jsonl"
    if not source.exists():
        write_jsonl(source, records)
    names = set(Server.__struct_fields__)
    fields = {"timeout_s": 20.0, **{name: value for name, value in given.items() if name in names}}
    target = Server(**{"address": server.url, "model": "writer", **fields})
    run = RunSettings(**{name: value for name, value in given.items() if name not in names})
    return Work(
        Translate(settings), [source], folder / "out.jsonl", folder / "work", {"writer": target, "critic": target}, run
    )


def done(task: Work) -> Summary:
    summary, error = run_work(task)
    assert error is None, error
    return summary


def quarantine(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "out.quarantine.jsonl").read_text("utf-8").splitlines()]


def test_every_record_is_translated_in_order_and_a_second_run_asks_nothing(tmp_path: Path) -> None:
    records = findings(40)
    with serving(LlmServer(delay=0.01)) as server:
        first = done(work(tmp_path, server, records))
        output = (tmp_path / "out.jsonl").read_bytes()
        again = done(work(tmp_path, server, records))
    found = list(read_records(tmp_path / "out.jsonl"))
    assert [item.parent for item in found] == [item.id for item in records]
    assert [item.turns[0].text for item in found] == [translated(item.turns[0].text, True) for item in records]
    assert (first.records, first.requests, first.decided, first.done_before) == (40, 40, 40, 0)
    assert (again.records, again.requests, again.decided, again.done_before) == (40, 0, 0, 40)
    assert len(server.requests) == 40
    assert (tmp_path / "out.jsonl").read_bytes() == output
    assert len({request.key for request in server.requests}) == 40


def test_arabic_records_into_english(tmp_path: Path) -> None:
    records = [record("ر:1:ar", "أين الكسر الذي ظهر في الصورة؟", "في عظم الفخذ الأيسر.", language="ar", images=1)]
    with serving(LlmServer()) as server:
        done(work(tmp_path, server, records, msgspec.structs.replace(ALONE, target="en")))
    (new,) = read_records(tmp_path / "out.jsonl")
    assert (new.id, new.turns[0].language, new.turns[0].text) == (
        "ر:1:en", "en", translated("أين الكسر الذي ظهر في الصورة؟", False),
    )  # fmt: skip


def test_the_request_as_it_is_sent(tmp_path: Path) -> None:
    with serving(LlmServer()) as server:
        done(
            work(
                tmp_path,
                server,
                findings(1),
                seed=7,
                extra={"top_p": 0.5, "seed": None},
                tokens_field="max_completion_tokens",
            )
        )
    (request,) = server.requests
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert {"temperature", "model", "messages", "max_completion_tokens", "response_format", "top_p"} == set(
        request.body
    )
    assert request.body["response_format"]["json_schema"]["strict"] is True
    assert len(request.key) == 32
    stored = b"".join(path.read_bytes() for path in (tmp_path / "work").iterdir())
    assert KEY.encode() not in stored


def test_the_same_text_in_two_rows_is_asked_once(tmp_path: Path) -> None:
    records = [record(f"same{number}", "Is the heart enlarged?", "No.") for number in range(12)]
    with serving(LlmServer(delay=0.05)) as server:
        summary = done(work(tmp_path, server, records))
    assert (summary.records, summary.requests, summary.cached, len(server.requests)) == (12, 1, 11, 1)
    assert len({item.id for item in read_records(tmp_path / "out.jsonl")}) == 12


@pytest.mark.parametrize(
    ("acts", "requests", "failures"),
    [
        ([status(429, "slow down", Retry_After="0")], 2, 1),
        ([status(500), status(503), status(408)], 4, 3),
        ([breaks_off, breaks_off], 3, 2),
        ([garbage, garbage], 3, 2),
        ([hangs], 2, 1),
    ],
)
def test_failures_that_pass_are_retried(tmp_path: Path, acts: list[Any], requests: int, failures: int) -> None:
    with serving(LlmServer(faults={"number 1 ": acts})) as server:
        summary = done(work(tmp_path, server, findings(3), timeout_s=2.0))
    assert (summary.records, summary.failures) == (3, failures)
    seen = server.seen("number 1 ")
    assert len(seen) == requests
    assert len({request.key for request in seen}) == 1  # an idempotency key is worth something only if it stays


def test_retry_after_holds_every_request_back(tmp_path: Path) -> None:
    with serving(LlmServer(faults={"number 0 ": [status(429, Retry_After="1.5")]}, delay=0.05)) as server:
        done(work(tmp_path, server, findings(12), concurrency=2))
    first, *others = [request.at for request in server.requests]
    # Its neighbour, and what that one's slot sent before the refusal was read.
    assert sum(at - first < 1.5 for at in others) <= 2


def test_a_server_that_fails_for_one_row_leaves_it_open_for_the_next_run(tmp_path: Path) -> None:
    with serving(LlmServer(faults={"number 1 ": [status(500)] * 3})) as server:
        summary, error = run_work(work(tmp_path, server, findings(4), retries=2))
        assert error is not None
        assert (error.code, summary.records, summary.open) == ("endpoint_server_error", 3, {"endpoint_server_error": 1})
        summary = done(work(tmp_path, server, findings(4), retries=2))
    assert (summary.records, summary.requests, summary.open) == (4, 1, {})
    assert [item.parent for item in read_records(tmp_path / "out.jsonl")] == ["r0", "r1", "r2", "r3"]


def test_a_server_that_is_gone_ends_the_run_soon(tmp_path: Path) -> None:
    with serving(LlmServer()) as server:
        pass
    summary, error = run_work(work(tmp_path, server, findings(50), retries=0, concurrency=2, give_up_after=3))
    assert error is not None
    assert error.code == "endpoint_unreachable"
    assert "تعذر الوصول" in error.message_ar
    assert (summary.records, summary.failures) <= (0, 5)


@pytest.mark.parametrize(
    ("act", "reason", "requests"),
    [
        (says("I'm sorry, but I can't help with that."), "refused", 1),
        (says("", finish_reason="content_filter"), "content_filter", 1),
        (says("", message={"refusal": "I will not."}), "refused", 1),
        (status(400, "context length exceeded"), "bad_request", 1),
        (says("no JSON at all"), "schema", 3),
        (says('{"turns": [["ا"]]}'), "schema", 3),
        (says('{"turns": [["ا', finish_reason="length"), "length", 2),
        (garbage, "bad_reply", 3),
    ],
)
def test_rows_that_cannot_be_had_go_to_quarantine_and_are_never_paid_again(
    tmp_path: Path, act: Any, reason: str, requests: int
) -> None:
    with serving(LlmServer(faults={"number 1 ": [act] * 50})) as server:
        summary = done(work(tmp_path, server, findings(3)))
        assert (summary.records, summary.quarantined, summary.quarantine) == (2, {reason: 1}, 1)
        assert len(server.seen("number 1 ")) == requests
        (line,) = quarantine(tmp_path)
        assert (line["id"], line["code"]) == ("r1", reason)
        assert msgspec.convert(line["record"], Record) == findings(2)[1]
        assert line["reason"]
        assert line["reason_ar"]
        assert done(work(tmp_path, server, findings(3))).quarantine == 1
        assert len(server.seen("number 1 ")) == requests
        # Asked for again by reason, the ledger answers; only what brought no reply is sent anew.
        server.faults.clear()
        summary = done(work(tmp_path, server, findings(3), retry=(reason,)))
        paid = reason in ("bad_request", "bad_reply")
        assert (summary.records, summary.requests) == ((3, 1) if paid else (2, 0))


def test_a_faulty_reply_is_repaired_with_the_fault_and_a_cut_one_gets_more_room(tmp_path: Path) -> None:
    faults = {
        "number 1 ": [says("Sure! Here it comes.")],
        "number 2 ": [says('{"turns": [["ا', finish_reason="length")],
        "number 3 ": [says('{"turns": 5}'), says("{}")],
    }
    with serving(LlmServer(faults=faults)) as server:
        summary = done(work(tmp_path, server, findings(4)))
    assert (summary.records, summary.quarantine) == (4, 0)
    repaired = server.seen("number 1 ")[1].body["messages"]
    assert [message["role"] for message in repaired] == ["system", "user", "assistant", "user"]
    assert repaired[2]["content"] == "Sure! Here it comes."
    assert "the reply holds no JSON object" in repaired[3]["content"]
    assert [request.body["max_tokens"] for request in server.seen("number 2 ")] == [4096, 8192]
    assert "Expected `array`, got `int`" in server.seen("number 3 ")[1].last
    ledger = sqlite3.connect(tmp_path / "work" / "ledger.sqlite")
    rows = ledger.execute("SELECT kind, state, reason FROM calls WHERE row_key = 'r3#0' ORDER BY kind").fetchall()
    assert rows == [("first", "rejected", "schema"), ("repair1", "rejected", "schema"), ("repair2", "accepted", "")]
    assert ledger.execute("SELECT body FROM replies WHERE CAST(body AS TEXT) LIKE '%Here it comes%'").fetchall()


def test_the_critique_loop_over_the_wire(tmp_path: Path) -> None:
    scores = iter([40, 95])

    def model(request: Request) -> str:
        from llm_server import answer

        if '"score"' not in request.last:
            return answer(request).replace("ه", "ة") if "- x | y | z" in request.last else answer(request)
        errors = [{"quote": "x", "fault": "y", "better": "z"}]
        return json.dumps({"score": next(scores), "errors": errors, "critical": False})

    settings = msgspec.structs.replace(ALONE, critique=True)
    with serving(LlmServer(model)) as server:
        summary = done(work(tmp_path, server, findings(1), settings))
    assert summary.requests == 4
    assert "- x | y | z" in server.requests[2].last
    (new,) = read_records(tmp_path / "out.jsonl")
    assert [step.name for step in new.provenance] == ["ingest", "translate", "critique"]
    assert "score 95" in new.provenance[-1].note


def test_another_model_behind_the_same_name_stops_the_run_and_its_reply_is_not_used(tmp_path: Path) -> None:
    with serving(LlmServer()) as server:
        done(work(tmp_path, server, findings(2), limit=1))
        server.served = "writer-2"
        summary, error = run_work(work(tmp_path, server, findings(2)))
        assert error is not None
        assert (error.code, summary.records) == ("model_changed", 1)
        assert "writer-2" in error.message
        assert "--accept-model" in error.message_ar
        sent = len(server.requests)
        assert run_work(work(tmp_path, server, findings(2)))[0].records == 1
        assert done(work(tmp_path, server, findings(2), accept_models=("writer-2",))).records == 2
    assert len(server.requests) == sent  # the reply that was set aside is used, not paid for again


@pytest.mark.parametrize(("code", "name"), [(401, "endpoint_auth"), (404, "endpoint_not_found")])
def test_a_wrong_key_or_model_ends_the_run_at_once(tmp_path: Path, code: int, name: str) -> None:
    with serving(LlmServer(faults={"Where": [status(code, f"bad key {KEY}")] * 100})) as server:
        summary, error = run_work(work(tmp_path, server, findings(30), concurrency=2))
    assert error is not None
    assert error.code == name
    assert KEY not in error.message
    assert KEY.encode() not in (tmp_path / "work" / "ledger.sqlite").read_bytes()
    assert (summary.records, summary.quarantine) == (0, 0)
    assert len(server.requests) <= 2


def test_a_server_that_refuses_every_request_quarantines_nothing(tmp_path: Path) -> None:
    with serving(LlmServer(faults={"Where": [status(400, "unknown field response_format")] * 100})) as server:
        summary, error = run_work(work(tmp_path, server, findings(30), concurrency=2, give_up_after=4))
        assert error is not None
        assert (error.code, summary.quarantine) == ("endpoint_bad_request", 0)
        assert len(server.requests) <= 6
        server.faults.clear()
        assert done(work(tmp_path, server, findings(30))).records == 30


PRICE = Price(1_000_000, 1_000_000)  # one a token: a reply of the server costs 120


def test_a_budget_stops_before_it_is_exceeded_and_goes_on_when_raised(tmp_path: Path) -> None:
    price = Price(0, 1_000_000)  # 20 a reply, 4096 at worst
    with serving(LlmServer(delay=0.005)) as server:
        summary, error = run_work(work(tmp_path, server, findings(30), price=price, budget=4300.0))
        assert error is not None
        assert error.code == "budget_exceeded"
        assert summary.cost == 20 * summary.records <= 4300 - 4096 + 20
        assert summary.records == len(server.requests) == 11
        summary = done(work(tmp_path, server, findings(30), price=price, budget=1e6))
    assert (summary.records, summary.requests, summary.cost) == (30, 19, 600)


def test_replies_without_a_count_and_timeouts_cost_the_worst_case(tmp_path: Path) -> None:
    price = Price(0, 1_000_000)
    faults = {"number 0 ": [lambda request: completion('{"turns": [["ا"], ["ب"]]}', usage=None)], "number 1 ": [hangs]}
    with serving(LlmServer(faults=faults)) as server:
        summary = done(work(tmp_path, server, findings(2), price=price, timeout_s=2.0))
    assert summary.cost == 4096 + 4096 + 20


def test_an_attempt_that_may_have_been_charged_counts_against_the_budget(tmp_path: Path) -> None:
    with serving(LlmServer(faults={"number 0 ": [hangs]})) as server:
        task = work(tmp_path, server, findings(1), price=Price(0, 1_000_000), budget=6000.0, timeout_s=1.0)
        summary, error = run_work(task)
    assert error is not None
    assert (error.code, summary.cost, len(server.requests)) == ("budget_exceeded", 4096, 1)


def test_a_request_lost_with_its_process_counts_as_paid(tmp_path: Path) -> None:
    call = Call("r0#0", "translate", "first", "p", "writer", "k")
    ledger = Ledger(tmp_path / "work")
    ledger.post(put_call(call, "sent", 7.5))
    ledger.close()
    for lost in (1, 0):
        ledger = Ledger(tmp_path / "work")
        assert (ledger.lost, ledger.totals().cost) == (lost, 7.5)
        ledger.close()


def test_dry_run_sends_nothing_and_bounds_what_is_paid(tmp_path: Path) -> None:
    settings = msgspec.structs.replace(ALONE, critique=True, rounds=1)
    with serving(LlmServer()) as server:
        task = work(tmp_path, server, [*findings(5), record("ar", "ما؟", "ورم", language="ar")], settings, price=PRICE)
        found = estimate_work(task)
        assert (server.requests, (tmp_path / "work").exists()) == ([], False)
        summary = done(task)
        after = estimate_work(task)
    assert (found.rows, found.passed_over, found.requests) == (6, 1, (10, 20))
    assert found.cost is not None
    assert found.cost[0] < found.cost[1]
    assert summary.cost == 120 * 10 <= found.cost[1]
    assert (after.done, after.requests, after.cost) == (6, (0, 0), (0.0, 0.0))
    assert estimate_work(work(tmp_path, server, [], settings)).cost is None


def test_bad_rows_and_repeated_ids_are_quarantined_and_lose_nothing_else(tmp_path: Path) -> None:
    source, other = tmp_path / "in.jsonl", tmp_path / "other.jsonl"
    write_jsonl(source, findings(3))
    lines = source.read_bytes().splitlines()
    source.write_bytes(b"\n".join([lines[0], b'{"id": "half', lines[1], b"\xff\xfe", lines[0], lines[2]]))
    write_jsonl(other, [*findings(1), record("new", "Where is it seen, in which lobe?", "In the left one.")])
    with serving(LlmServer()) as server:
        task = work(tmp_path, server, [])
        task = Work(task.step, [source, other], task.out, task.folder, task.servers, task.settings)
        for _ in range(2):
            summary = done(task)
            assert (summary.records, summary.quarantine) == (4, 4)
            found = quarantine(tmp_path)
            assert [(Path(line["file"]).name, line["row"]) for line in found] == [
                ("in.jsonl", 2), ("in.jsonl", 4), ("in.jsonl", 5), ("other.jsonl", 0),
            ]  # fmt: skip
            assert {line["code"] for line in found} == {"bad_row"}
    assert [item.parent for item in read_records(tmp_path / "out.jsonl")] == ["r0", "r1", "r2", "new"]


def test_an_edited_record_and_a_new_setting_redo_only_what_they_touch(tmp_path: Path) -> None:
    with serving(LlmServer()) as server:
        done(work(tmp_path, server, findings(5)))
        changed = findings(5)
        changed[2] = record("r2", "Where is the new finding seen?", "In the right lung.", images=1)
        write_jsonl(tmp_path / "in.jsonl", changed[1:])
        summary = done(work(tmp_path, server, []))
        assert (summary.records, summary.requests, summary.done_before) == (4, 1, 3)
        summary = done(work(tmp_path, server, [], msgspec.structs.replace(ALONE, audit_share=1.0)))
    assert (summary.requests, summary.cached, summary.review) == (0, 4, 4)
    lines = (tmp_path / "work" / "review.jsonl").read_text("utf-8").splitlines()
    assert {json.loads(line)["reason"] for line in lines} == {"audit"}


def test_variants_differ_by_seed_and_need_sampling(tmp_path: Path) -> None:
    with serving(LlmServer()) as server:
        with pytest.raises(ConfigError, match="variants"):
            run_work(work(tmp_path, server, findings(2), variants=3))
        summary = done(work(tmp_path, server, findings(2), variants=3, temperature=0.7, seed=10))
    assert (summary.records, summary.requests) == (6, 6)
    assert sorted({request.body["seed"] for request in server.requests}) == [10, 11, 12]
    assert len({item.id for item in read_records(tmp_path / "out.jsonl")}) == 6


def test_output_and_input_are_checked_before_anything_is_opened(tmp_path: Path) -> None:
    with serving(LlmServer()) as server:
        task = work(tmp_path, server, findings(1))
        for out, inputs, kind in (
            (tmp_path / "out.txt", task.inputs, RecordError),
            (task.out, [tmp_path / "none.jsonl"], RecordError),
            (tmp_path / "in.jsonl", task.inputs, ConfigError),
        ):
            with pytest.raises(kind):
                run_work(Work(task.step, inputs, out, task.folder, task.servers))
        with pytest.raises(ConfigError):
            run_work(work(tmp_path, server, [], address="127.0.0.1:1"))
        assert not (tmp_path / "work").exists()


def test_a_workspace_lets_one_process_in(tmp_path: Path) -> None:
    code = "import sys, time; from pathlib import Path; from bimedix2.data.llm.ledger import Ledger\n" \
           "l = Ledger(Path(sys.argv[1])); print('open', flush=True); time.sleep(60)"  # fmt: skip
    holder = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "work")], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "open\n"
    try:
        with serving(LlmServer()) as server, pytest.raises(WorkspaceBusyError) as caught:
            run_work(work(tmp_path, server, findings(1)))
        assert f"process {holder.pid}" in caught.value.message
        assert str(holder.pid) in caught.value.message_ar
    finally:
        holder.kill()
        holder.wait()
    with serving(LlmServer()) as server:  # the lock ends with its process
        assert done(work(tmp_path, server, findings(1))).records == 1


def test_a_damaged_or_foreign_ledger_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    path = tmp_path / "work" / "ledger.sqlite"
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(LedgerError):
        Ledger(tmp_path / "work")
    assert path.read_bytes() == b"not a database" * 100
    path.unlink()
    Ledger(tmp_path / "work").close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE meta SET value = '99' WHERE name = 'format'")
    connection.close()
    with pytest.raises(LedgerError, match="format 99"):
        Ledger(tmp_path / "work")


def test_a_ledger_that_cannot_be_written_ends_the_run(tmp_path: Path) -> None:
    with serving(LlmServer()) as server:
        done(work(tmp_path, server, findings(4), limit=1))
        with sqlite3.connect(tmp_path / "work" / "ledger.sqlite") as connection:
            connection.execute(
                "CREATE TRIGGER full BEFORE INSERT ON replies BEGIN SELECT RAISE(ABORT, 'disk is full'); END"
            )
        connection.close()
        with pytest.raises(BiMediX2Error) as caught:
            run_work(work(tmp_path, server, findings(4), concurrency=1))
    assert caught.value.code == "bad_ledger"
    assert "disk is full" in caught.value.message
    assert len(server.requests) == 2  # one reply could not be kept; no other was asked for


def test_a_signal_lets_requests_under_way_finish_and_the_next_run_goes_on(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "in.jsonl", findings(60))
    with serving(LlmServer(delay=0.3)) as server:
        source = str(tmp_path / "in.jsonl")
        command = [sys.executable, "-c", "from bimedix2.cli import main; main()", "data", "translate"]
        options = ["--out", str(tmp_path / "out.jsonl"), "--endpoint", server.url, "--model", "writer"]
        options += ["--concurrency", "4", "--json", "--no-critique", "--no-checks"]
        environment = os.environ | {"BIMEDIX2_LANG": "en"}
        process = subprocess.Popen(
            [*command, source, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=environment, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )  # fmt: skip
        while len(server.requests) < 8:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
        assert process.returncode == 130, errors
        assert "error [stopped]" in errors
        summary = json.loads(output)
        assert summary["requests"] == summary["records"] == len(server.requests)
        server.delay = 0
        result = subprocess.run(
            [*command, source, *options],
            capture_output=True,
            text=True,
            env=environment,
            check=True,
        )
        assert json.loads(result.stdout)["records"] == 60
    assert len(server.requests) == 60


def test_threads_of_the_ledger_end(tmp_path: Path) -> None:
    Ledger(tmp_path).close()
    assert not [thread for thread in threading.enumerate() if thread.name == "ledger"]
