"""Judging against a real server on 127.0.0.1 that is good, talks, hangs, refuses, or dies in the middle."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mbench_files import write_mbench
from scripted_server import Act, Exchange, Server, hang, says, serving, status
from typer.testing import CliRunner

from bimedix2.cli.app import app
from bimedix2.errors import RecordError
from bimedix2.evaluate.engines.endpoint import Endpoint, Price
from bimedix2.evaluate.judge.judge import Judge
from bimedix2.evaluate.judge.judging import judge_jobs
from bimedix2.evaluate.judge.verdicts import StoredVerdict
from bimedix2.evaluate.registry import all_tasks
from bimedix2.evaluate.runner import Job, Notes, RunOptions, ask_all, plan
from bimedix2.evaluate.schema import Reply, Sample
from bimedix2.evaluate.scoring import results_of
from bimedix2.evaluate.store import read_lines

TASK = all_tasks()["bimed_mbench"]
GOOD = says("8 6\nThe first is more complete.")


def noting(seen: list[dict[str, Any]], act: Act = GOOD) -> Act:
    """The act, with a copy of what was asked: a connection that is kept uses one ``Exchange`` for all."""

    def noted(exchange: Exchange) -> None:
        seen.append(exchange.body)
        act(exchange)

    return noted


class Echo:
    """Answers with a fixed text; what is tested here is what comes after."""

    name, fingerprint = "echo", "echo"

    def generate(self, samples: Any, root: Path, max_new_tokens: int) -> list[Reply]:
        return [Reply(id=sample.id, text=f"نص {sample.id}") for sample in samples]

    def option_scores(self, samples: Any, root: Path) -> list[Reply]:
        raise NotImplementedError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_mbench(tmp_path)
    return tmp_path


def jobs_of(root: Path, **options: Any) -> tuple[list[Job], RunOptions]:
    chosen = RunOptions(**{"languages": ("en", "ar"), **options})
    jobs = list(plan([TASK], Echo(), root, root / "out", chosen))
    ask_all(jobs, Echo(), root, chosen, lambda _: None)
    return jobs, chosen


def judge_at(server: Server | str, **options: Any) -> Judge:
    url = server if isinstance(server, str) else server.url
    settings = {"timeout_s": 5, "retries": 0, **{k: options.pop(k) for k in list(options) if k in ENDPOINT}}
    return Judge(Endpoint(url, "judge-1", **settings), settings.get("price"), **options)


ENDPOINT = {"timeout_s", "retries", "price", "budget", "spent"}


def judged(root: Path, judge: Judge, modes: tuple[str, ...] = (), **options: Any) -> tuple[bool, Any, Notes]:
    jobs, chosen = jobs_of(root, **options)
    notes = Notes()
    complete = judge_jobs(jobs, judge, root / "out", modes, lambda _: None, notes)
    return complete, results_of(jobs, "echo", chosen, root / "out", modes, notes), notes


def stored(root: Path) -> list[StoredVerdict]:
    return read_lines(root / "out" / "verdicts.jsonl", StoredVerdict)


def test_every_reply_is_judged_once_and_results_say_by_what(root: Path) -> None:
    seen: list[dict[str, Any]] = []
    with serving(default=noting(seen)) as server:
        complete, results, _ = judged(root, judge_at(server, price=Price(1e6, 0)))
        assert complete
        assert not results["partial"]
        # 12 items, 2 languages, one question in original and two in fixed.
        assert len(server.seen) == len(stored(root)) == 72
        assert {(body["temperature"], body["max_tokens"]) for body in seen} == {(0.0, 1024)}
        again, same, _ = judged(root, judge_at(server, price=Price(1e6, 0)))
        assert again
        assert len(server.seen) == 72
    rows = {(row["language"], row["mode"]): row for row in results["rows"]}
    assert [row["metrics"] for row in same["rows"]] == [row["metrics"] for row in results["rows"]]
    for language in ("en", "ar"):
        original, fixed = rows[language, "original"], rows[language, "fixed"]
        # The judge always prefers what comes first: .75 for the original protocol, a tie when both orders count.
        assert original["metrics"]["relative_score"]["value"] == 0.75
        assert fixed["metrics"]["relative_score"]["value"] == 1.0
        assert fixed["judge"]["order_agreement"] == 0.0
        assert original["clusters"] == 4
        part = fixed["judge"]
        assert (part["model"], part["answered_as"], part["missing"]) == ("judge-1", ["m-1"], 0)
        assert (part["verdicts"], part["parse_fail_rate"], part["errors"]) == (24, 0.0, {})
        assert part["cost"] == 36 * 10  # 36 verdicts a language at 10 prompt tokens, whichever mode
    assert rows["en", "original"]["by_group"].keys() == {
        "type=conversation", "type=detailed_description", "domain=chest_xray", "domain=histology",
    }  # fmt: skip
    assert "type=detailed_description" in rows["ar", "fixed"]["by_group"]
    assert "type=detailed_description" not in rows["ar", "original"]["by_group"]  # 2 of 6 rows are left in it
    assert {row["language"] for row in results["comparisons"] if "language" in row} == set()
    assert any(row["kind"] == "language" for row in results["comparisons"])


def test_a_judge_that_dies_is_asked_only_for_the_rest(root: Path) -> None:
    before: list[dict[str, Any]] = []
    after: list[dict[str, Any]] = []
    with serving(*[noting(before)] * 10, default=hang) as first:
        port = first.server_address[1]
        judge = judge_at(first, timeout_s=0.2, concurrency=2)
        complete, results, notes = judged(root, judge, ("fixed",))
    assert not complete
    assert results["partial"]
    assert notes.stopped is not None
    assert notes.stopped.code == "endpoint_timeout"
    assert results["stopped"]["ar"].startswith("لم يرد")
    row = next(row for row in results["rows"] if row["language"] == "en")
    assert row["judge"]["missing"] == 12 - 5
    assert row["metrics"]["relative_score"]["n"] == 5
    assert row["judge"]["errors"]["endpoint_timeout"] >= 6
    assert len(stored(root)) == 10
    # The last line was cut off by a kill: that verdict is asked for again, and nothing else.
    file = root / "out" / "verdicts.jsonl"
    whole = file.read_bytes()
    file.write_bytes(whole[: whole.rstrip(b"\n").rfind(b"\n") + 20])
    with serving(default=noting(after), port=port) as second:
        complete, results, _ = judged(root, judge_at(second), ("fixed",))
        assert complete
    old, new = ([json.dumps(body["messages"]) for body in seen] for seen in (before, after))
    assert len(old) == len(set(old)) == 10
    assert len(new) == len(set(new)) == 48 - 9
    assert len(set(old) & set(new)) == 1
    assert not results["partial"]
    assert len({row.key for row in stored(root)}) == len(stored(root)) == 48


def test_prose_is_counted_and_never_a_crash(root: Path) -> None:
    def some(exchange: Exchange) -> str:
        return "كلتاهما جيدة" if "item 3" in exchange.prompt() or "العنصر 3" in exchange.prompt() else "7 7"

    with serving(default=says(some)) as server:
        complete, results, _ = judged(root, judge_at(server))
    assert complete
    assert not results["partial"]
    for row in results["rows"]:
        assert (row["n"], row["unparsed"], row["metrics"]["relative_score"]["n"]) == (12, 1, 11)
        assert row["metrics"]["relative_score"]["value"] == 1.0
        assert row["judge"]["parse_fail_rate"] == pytest.approx(1 / 12)
    assert sum("كلتاهما جيدة" in verdict.text for verdict in stored(root)) == 6


def test_one_failed_request_takes_no_other_along(root: Path) -> None:
    with serving(GOOD, status(500, "broken"), default=GOOD) as server:
        complete, results, notes = judged(root, judge_at(server, concurrency=1), ("original",), languages=("ar",))
        assert not complete
        assert notes.stopped is None
        (row,) = results["rows"]
        assert (row["judge"]["missing"], row["judge"]["errors"]) == (1, {"endpoint_server_error": 1})
        assert results["partial"]
        complete, results, _ = judged(root, judge_at(server, concurrency=1), ("original",), languages=("ar",))
        assert complete
        assert len(server.seen) == 13


def test_budget_and_key_stop_the_judge_and_keep_what_there_is(root: Path) -> None:
    usage = root / "out" / "judge-usage.json"
    with serving(default=GOOD) as server:
        price = Price(0, 1e6)  # 2 a verdict; at most 1024 a request are set aside
        judge = judge_at(server, price=price, budget=1033, concurrency=3, usage_file=usage)
        complete, results, notes = judged(root, judge, ("original",))
        assert not complete
        assert notes.stopped is not None
        assert (notes.stopped.code, results["stopped"]["ar"][:5]) == ("budget_exceeded", "أنفق ")
        assert 0 < len(stored(root)) == len(server.seen) < 24
        assert json.loads(usage.read_text())["cost"] == 2 * len(server.seen)
    with serving(default=status(401, {"error": {"message": "no such key"}})) as server:
        complete, _, notes = judged(root, judge_at(server, concurrency=1), ("original",))
        assert not complete
        assert notes.stopped is not None
        assert notes.stopped.code == "endpoint_auth"
        assert len(server.seen) == 1


def test_without_a_judge_replies_are_kept_and_the_reason_is_given(root: Path) -> None:
    jobs, chosen = jobs_of(root)
    results = results_of(jobs, "echo", chosen, root / "out", ())
    assert not results["partial"]
    for row in results["rows"]:
        assert row["metrics"]["relative_score"]["value"] is None
        assert row["unavailable"]["relative_score"]["en"].startswith("judge missing")
        assert row["unavailable"]["relative_score"]["ar"].startswith("لا يوجد محكم")
        assert row["judge"]["missing"] == 0


def test_repeats_have_their_own_seeds_and_verdicts(root: Path) -> None:
    texts, seen = iter(["8 6", "6 8"] * 50), []
    with serving(default=noting(seen, says(lambda _: next(texts)))) as server:
        judge = judge_at(server, repeats=2, concurrency=1)
        _, results, _ = judged(root, judge, ("original",), languages=("en",), limit=4)
    assert [body["seed"] for body in seen] == [0, 1] * 4
    (row,) = results["rows"]
    assert row["metrics"]["relative_score"]["value"] == 1.0
    assert row["metrics"]["repeat_agreement"]["value"] == 0.0


def test_failed_replies_are_worth_nothing_and_not_sent_to_the_judge(root: Path) -> None:
    class Failing(Echo):
        fingerprint = "failing"

        def generate(self, samples: list[Sample], root: Path, max_new_tokens: int) -> list[Reply]:
            return [Reply(id=s.id, error="x: y" if s.id == "0" else "", text="a" + s.id) for s in samples]

    chosen = RunOptions(languages=("en",))
    jobs = list(plan([TASK], Failing(), root, root / "out", chosen))
    ask_all(jobs, Failing(), root, chosen, lambda _: None)
    with serving(default=says("6 6")) as server:
        assert judge_jobs(jobs, judge_at(server), root / "out", ("original",), lambda _: None)
        assert len(server.seen) == 11
    (row,) = results_of(jobs, "f", chosen, root / "out", ("original",))["rows"]
    assert (row["errors"], row["judge"]["missing"]) == (1, 0)
    assert row["metrics"]["relative_score"]["value"] == pytest.approx(11 / 12)


def roles(model: Act, judge: Act) -> Act:
    return lambda exchange: (judge if exchange.body["model"] == "judge-1" else model)(exchange)


@pytest.fixture
def both_roles() -> Iterator[Server]:
    with serving(default=roles(says("انصباب"), says("٨ ٦"))) as server:
        yield server


def test_the_command(root: Path, both_roles: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIMEDIX2_LANG", "ar")
    monkeypatch.setenv("JUDGE_KEY", "sk-judge-0123")
    out = root / "run"
    command = ["evaluate", "bimed_mbench", "--data", str(root), "--out", str(out), "--endpoint", both_roles.url,
               "--model", "m", "--no-controls", "--limit", "6"]  # fmt: skip
    alone = CliRunner().invoke(app, command)
    assert alone.exit_code == 0, alone.output
    assert "bimed_mbench: تحفظ الإجابات دون تقييم" in alone.output
    judging = ["--judge-endpoint", both_roles.url, "--judge-model", "judge-1", "--judge-key-env", "JUDGE_KEY"]
    done = CliRunner().invoke(app, [*command, *judging])
    assert done.exit_code == 0, done.output
    results = json.loads((out / "results.json").read_text(encoding="utf-8"))
    values = {(row["language"], row["mode"]): row["metrics"]["relative_score"]["value"] for row in results["rows"]}
    # Python reads Arabic digits as numbers, so the original reader does too.
    assert values == {(a, b): c for a in ("en", "ar") for b, c in (("fixed", 1.0), ("original", 0.75))}
    assert "bimed_mbench ar original:" in done.output
    assert "6 حكما، منها 0 غير مفهومة، و0 عنصرا بلا حكم" in done.output
    asked = [exchange for exchange in both_roles.seen if exchange.body["model"] == "judge-1"]
    assert {exchange.headers["Authorization"] for exchange in asked} == {"Bearer sk-judge-0123"}
    assert len(asked) == 6 * 2 * 3
    assert b"sk-judge" not in b"".join(file.read_bytes() for file in out.rglob("*") if file.is_file())
    for extra, message in (
        (["--judge-model", "x"], "--judge-endpoint"),
        ([*judging[:4], "--judge-key-env", "NO_SUCH_KEY"], "NO_SUCH_KEY (--judge-key-env) غير مضبوط"),
        ([*judging, "--judge-budget", "1"], "--judge-price-in"),
        ([*judging, "--judge-prompts", str(root / "none.json")], "none.json"),
    ):
        refused = CliRunner().invoke(app, [*command, *extra])
        assert refused.exit_code == 2, refused.output
        assert message in refused.output
        assert "[bad_config]" in refused.output


def test_a_damaged_verdict_is_named(root: Path) -> None:
    jobs, _ = jobs_of(root)
    (root / "out" / "verdicts.jsonl").write_text('{"key": 1}\n')
    with serving(default=GOOD) as server, pytest.raises(RecordError, match=r"verdicts\.jsonl, row 1, field row"):
        judge_jobs(jobs, judge_at(server), root / "out", (), lambda _: None)
