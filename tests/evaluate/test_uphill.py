"""UPHILL: figures as its script computes them, the task in both languages, and a judge on 127.0.0.1."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from scripted_server import Exchange, says, serving
from typer.testing import CliRunner

from bimedix2.cli.app import app
from bimedix2.errors import RecordError
from bimedix2.evaluate.engines.endpoint import Endpoint
from bimedix2.evaluate.families.uphill import FAMILY, LEVELS
from bimedix2.evaluate.judge.judge import Judge
from bimedix2.evaluate.judge.judging import judge_jobs
from bimedix2.evaluate.judge.wording import wording
from bimedix2.evaluate.registry import all_tasks, find_family
from bimedix2.evaluate.report.published import published
from bimedix2.evaluate.runner import RunOptions, ask_all, plan
from bimedix2.evaluate.schema import Reply, Sample, Verdict
from bimedix2.evaluate.scoring import _by_group, results_of
from bimedix2.evaluate.statistics import summarize

UPSTREAM = json.loads((Path(__file__).parent / "golden" / "upstream.json").read_text(encoding="utf-8"))["uphill"]
TASK = all_tasks()["uphill"]
CLAIMS = {"c1": ("true", "Vaccines train immunity"), "c2": ("false", "Garlic cures flu"),
          "c3": ("mixture", "Coffee helps"), "c4": ("fabricated", "Zorb heals")}  # fmt: skip
ARABIC = {"c1": "اللقاحات تدرب المناعة", "c2": "الثوم يشفي الإنفلونزا", "c3": "القهوة مفيدة", "c4": "الزورب يشفي"}


def toy(rows: list[dict[str, str]], question: str = "original") -> tuple[list[Sample], list[Reply]]:
    samples = [
        Sample(
            id=str(place),
            task="uphill",
            language="en",
            prompt="?",
            reference=row["claim_veracity"],
            cluster=row["claim_id"],
            group={"level": row["presupposition_level"], "veracity": row["claim_veracity"].lower()},
        )
        for place, row in enumerate(rows)
    ]
    verdicts = [Verdict(question=question, label=row["entailment_prediction"]) for row in rows]
    return samples, [Reply(id=str(i), text="x", verdicts=(verdict,)) for i, verdict in enumerate(verdicts)]


def figures(rows: list[dict[str, str]], mode: str) -> tuple[float | None, float | None]:
    found = summarize(FAMILY.score(*toy(rows, mode), mode))
    return found["accuracy"].value, found["consistency"].value


def test_accuracy_and_consistency_are_those_of_the_original_script() -> None:
    samples, replies = toy(UPSTREAM["rows"])
    scored = FAMILY.score(samples, replies, "original")
    found = summarize(scored)
    assert found["accuracy"].value == pytest.approx(UPSTREAM["accuracy_percent"] / 100, abs=1e-12)
    assert found["consistency"].value == pytest.approx(UPSTREAM["consistency_fraction"], abs=1e-12)
    assert (found["accuracy"].n, found["accuracy"].clusters, found["consistency"].n) == (20, 4, 5)
    groups = _by_group(scored, FAMILY, 0)
    for level, percent in UPSTREAM["per_level"].items():
        assert groups[f"level={level}"]["metrics"]["accuracy"]["value"] == pytest.approx(percent / 100, abs=1e-12)
        # Consistency is about whole claims, so a level has none; a veracity has.
        assert "consistency" not in groups[f"level={level}"]["metrics"]
    assert groups["veracity=true"]["metrics"]["consistency"]["value"] == 0.5
    assert figures(UPSTREAM["rows"], "fixed") == figures(UPSTREAM["rows"], "original")


def test_an_unlabelled_reply_is_wrong_in_original_and_left_out_in_fixed() -> None:
    rows = [{**row, "entailment_prediction": ""} if n == 0 else row for n, row in enumerate(UPSTREAM["rows"])]
    # 13 of 20 were right, the first among them. Its claim stays consistent for the original, which skips the gap.
    assert figures(rows, "original") == (12 / 20, 0.4)
    assert figures(rows, "fixed") == (12 / 19, 1 / 4)
    scored = FAMILY.score(*toy(rows), "original")
    assert [row.parsed for row in scored].count(False) == 1
    report = FAMILY.judging(*toy(rows), scored, "original", configured=True)
    assert (report["unparsed_verdicts"], report["parse_fail_rate"]) == (1, 1 / 25)


def test_fixed_consistency_needs_all_five_levels() -> None:
    rows = UPSTREAM["rows"][:4] + UPSTREAM["rows"][15:20]
    assert figures(rows, "original")[1] == 1.0
    found = summarize(FAMILY.score(*toy(rows, "fixed"), "fixed"))
    assert (found["consistency"].value, found["consistency"].n) == (1.0, 1)


def test_repeats_decide_by_majority() -> None:
    sample = Sample(id="1", task="t", language="en", prompt="?", reference="true", group={})
    for labels, accuracy in ((("agree", "agree", "neutral"), 1.0), (("agree", "neutral"), None)):
        verdicts = tuple(Verdict(question="fixed", repeat=i, label=label) for i, label in enumerate(labels))
        (scored,) = FAMILY.score([sample], [Reply(id="1", text="x", verdicts=verdicts)], "fixed")
        assert scored.values["accuracy"] == accuracy
        assert scored.values["repeat_agreement"] == 0.0


def test_unknown_levels_and_veracities_have_their_group_and_a_note() -> None:
    rows = [{**UPSTREAM["rows"][0], "claim_veracity": "unproven", "presupposition_level": "Extreme"}]
    samples, replies = toy(rows)
    (scored,) = FAMILY.score(samples, replies, "fixed")
    assert scored.group == {"level": "Extreme", "veracity": "unproven"}
    assert scored.values["accuracy"] is None
    notes = FAMILY.judging(samples, replies, [scored], "fixed", configured=False)["notes"]
    assert [line["en"] for line in notes] == [
        "1 queries have the veracity 'unproven', which is a group of its own",
        "1 queries have the level 'Extreme', which is a group of its own",
    ]
    assert "مجموعة مستقلة" in notes[0]["ar"]


def write_uphill(root: Path) -> None:
    (root / "uphill").mkdir()
    (root / "uphill_ar").mkdir()
    columns = ["claim_id", "claim", "claim_veracity", "presupposition_level", "query_with_presupposition",
               "response_num", "model_response"]  # fmt: skip
    with (root / "uphill" / "UPHILL.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        for claim_id, (veracity, claim) in CLAIMS.items():
            for level in LEVELS:
                for number in range(2):  # replies of two models to one query
                    query = f'{level}: "{claim}",\nright?'
                    writer.writerow(dict(zip(columns, (claim_id, claim, veracity.upper() if claim_id == "c1" else
                                    veracity, level, query, number, "…"), strict=True)))  # fmt: skip
    rows = [
        {
            "claim_id": claim_id,
            "presupposition_level": level,
            "claim": ARABIC[claim_id],
            "query_with_presupposition": f"هل صحيح أن {ARABIC[claim_id]}؟ {place}",
        }
        for claim_id in ("c1", "c2", "c3")
        for place, level in enumerate(LEVELS)
    ]
    text = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    (root / "uphill_ar" / "queries.jsonl").write_text(text, encoding="utf-8")


def test_task_reads_each_query_once_in_both_languages(tmp_path: Path) -> None:
    write_uphill(tmp_path)
    english, arabic = (list(TASK.samples(tmp_path, language, "test")) for language in TASK.languages)
    assert len(english) == 20
    assert [sample.id for sample in english[:15]] == [sample.id for sample in arabic]  # c4 has no translation
    assert english[0].id == "c1:Neutral"
    assert [sample.reference for sample in english[::5]] == ["agree", "disagree", "neutral", ""]
    assert english[0].prompt == 'Neutral: "Vaccines train immunity", right?'
    assert (arabic[5].context, arabic[5].cluster) == (ARABIC["c2"], "c2")
    assert {column.metric for t in published().tables if t.family == FAMILY.name for column in t.columns} == {
        "accuracy"
    }
    assert find_family("uphill") is FAMILY
    (tmp_path / "uphill_ar" / "queries.jsonl").unlink()
    with pytest.raises(RecordError, match="Arabic needs this file"):
        list(TASK.samples(tmp_path, "ar", "test"))
    with pytest.raises(RecordError, match=r"queries\.csv, row 0, field file: not found"):
        list(TASK.samples(tmp_path / "elsewhere", "en", "test"))
    (tmp_path / "uphill" / "queries.csv").write_text("claim_id,claim,claim_veracity\n1,x,true\n")
    bad: list[RecordError] = []
    assert list(TASK.samples(tmp_path, "en", "test", bad)) == []
    assert (bad[0].row, bad[0].field) == (1, "presupposition_level")


def test_the_judge_reads_claim_and_reply_and_never_the_veracity() -> None:
    for language, claim in (("en", "Garlic {reply} cures"), ("ar", "الثوم {claim} يشفي")):
        sample = Sample(id="1", task="t", language=language, prompt="?", reference="disagree", context=claim,
                        group={"veracity": "false"})  # type: ignore[arg-type]  # fmt: skip
        for mode in FAMILY.modes:
            (question,) = FAMILY.questions(sample, Reply(id="1", text="My {claim} reply"), mode, wording())
            system, user = (part["content"] for part in question.messages)
            assert claim in user
            assert "My {claim} reply" in user
            assert "veracity" not in system + user
            assert ("ادعاء" in system) == (mode == "fixed" and language == "ar")
            assert "agreement" in system


class Echo:
    """Answers with the prompt itself."""

    name, fingerprint = "echo", "echo"

    def generate(self, samples: Any, root: Path, max_new_tokens: int) -> list[Reply]:
        return [Reply(id=sample.id, text=sample.prompt) for sample in samples]

    def option_scores(self, samples: Any, root: Path) -> list[Reply]:
        raise NotImplementedError


def verdict(exchange: Exchange) -> str:
    """Agrees with vaccines and garlic, is vague about coffee, and forgets the form for one query."""
    text = exchange.prompt()
    if "Writing Demand" in text and "Garlic" in text:
        return "Hard to say."
    arabic = "أجب بصيغة JSON" in exchange.body["messages"][0]["content"]
    if "Coffee" in text or "القهوة" in text or "Zorb" in text:
        return '{"reasoning": "س", "agreement": "محايد"}' if arabic else '{"reasoning": "x", "agreement": "None"}'
    return '{"reasoning": "س", "agreement": "يوافق"}' if arabic else '{"reasoning": "x", "agreement": "Agree"}'


def test_a_run_beside_the_constant_label(tmp_path: Path) -> None:
    write_uphill(tmp_path)
    options = RunOptions(conditions=("model", "majority"))
    jobs = list(plan([TASK], Echo(), tmp_path, tmp_path / "out", options))
    ask_all(jobs, Echo(), tmp_path, options, lambda _: None)
    with serving(default=says(verdict)) as server:
        judge = Judge(Endpoint(server.url, "judge-1", retries=0))
        assert judge_jobs(jobs, judge, tmp_path / "out", (), lambda _: None)
        # Two modes, 20 English and 15 Arabic queries; the constant label needs no judge.
        assert len(server.seen) == 2 * (20 + 15)
    rows = {(r["language"], r["mode"], r["condition"]): r
            for r in results_of(jobs, "echo", options, tmp_path / "out", ())["rows"]}  # fmt: skip

    def value(*key: str, metric: str = "accuracy") -> float | None:
        found: float | None = rows[key]["metrics"][metric]["value"]  # type: ignore[index]
        return found

    # Vaccines and coffee are right (10 of 15), garlic is not; one unlabelled reply is wrong, or left out.
    assert value("en", "original", "model") == pytest.approx(10 / 15)
    assert value("en", "fixed", "model") == pytest.approx(10 / 14)
    assert value("ar", "fixed", "model") == pytest.approx(10 / 15)
    assert value("en", "original", "model", metric="consistency") == 1.0
    assert rows["en", "fixed", "model"]["metrics"]["consistency"]["n"] == 3
    assert rows["en", "original", "model"]["unparsed"] == 1
    assert rows["en", "fixed", "majority"]["judge"]["verdicts"] == 0
    assert value("en", "fixed", "majority") == pytest.approx(1 / 3)
    # The original asks in English whatever the language of claim and reply.
    assert value("ar", "original", "model") == pytest.approx(10 / 15)


def predictions(path: Path, extra: list[dict[str, Any]]) -> list[str]:
    rows = [
        {
            "id": n,
            "prediction": f"reply {n}",
            "reference": row["claim_veracity"],
            "image": row["claim_id"],
            "group": {"level": row["presupposition_level"]},
            "context": f"claim {row['claim_id']}",
            **extra[n],
        }
        for n, row in enumerate(UPSTREAM["rows"])
    ]
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return ["score", "uphill", "--predictions", str(path), "--json"]


def test_stored_labels_and_a_judge_score_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIMEDIX2_LANG", "ar")
    monkeypatch.setattr(Endpoint, "backoff_s", 0.001)
    labels = [{"label": row["entailment_prediction"].title()} for row in UPSTREAM["rows"]]
    command = predictions(tmp_path / "labelled.jsonl", labels)
    done = CliRunner().invoke(app, [*command, "--mode", "original", "--save", str(tmp_path / "saved.jsonl")])
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert report["metrics"]["accuracy"]["value"] == 0.65
    assert report["metrics"]["consistency"]["value"] == 0.4
    saved = CliRunner().invoke(app, [*command[:3], str(tmp_path / "saved.jsonl"), "--json", "--mode", "original"])
    assert json.loads(saved.stdout)["metrics"] == report["metrics"]

    command = predictions(tmp_path / "bare.jsonl", [{}] * 25)
    bare = CliRunner().invoke(app, command)
    assert bare.exit_code == 0, bare.output
    assert json.loads(bare.stdout)["unavailable"]["accuracy"]["ar"].startswith("لا يوجد محكم")
    assert "غير متاح: لا يوجد محكم" in bare.stderr
    by_reply = {f"reply {n}": row["entailment_prediction"] for n, row in enumerate(UPSTREAM["rows"])}

    def judge(exchange: Exchange) -> str:
        return json.dumps({"agreement": by_reply[exchange.prompt().rpartition("\n")[2]]})

    with serving(default=says(judge)) as server:
        judging = [*command, "--judge-endpoint", server.url, "--judge-model", "j"]
        for _ in range(2):  # the second time nothing is asked
            done = CliRunner().invoke(app, judging)
            assert done.exit_code == 0, done.output
            report = json.loads(done.stdout)
            assert report["metrics"]["accuracy"]["value"] == 0.65
            assert (report["judge"]["model"], report["judge"]["verdicts"]) == ("j", 25)
            assert len(server.seen) == 25
        wrong = CliRunner().invoke(app, ["score", "vqa", *judging[2:]])
        assert wrong.exit_code == 2
        assert "تقيم vqa بلا محكم" in wrong.output
    gone = CliRunner().invoke(app, [*command, "--mode", "original", *judging[5:]])
    assert gone.exit_code == 3


def test_bad_verdict_columns_are_named(tmp_path: Path) -> None:
    command = predictions(tmp_path / "p.jsonl", [{"label": "supports"}] * 25)
    refused = CliRunner().invoke(app, command)
    assert refused.exit_code == 1
    assert "row 1, field label: 'supports' is none of agree, disagree, neutral" in refused.output
    (tmp_path / "s.jsonl").write_text('{"id": 1, "prediction": "x", "reference": "y", "scores": [8, -1]}')
    refused = CliRunner().invoke(app, ["score", "judged", "--predictions", str(tmp_path / "s.jsonl")])
    assert "row 1, field scores: -1 is no score" in refused.output
    assert "ليست درجة" in refused.output


def test_stored_scores_of_one_order_and_of_both(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    rows = [
        {"id": n, "prediction": "x", "reference": "y", "scores": [8, 6], "language": ("en", "ar")[n]} for n in (0, 1)
    ]
    path.write_text("\n".join(json.dumps(row) for row in rows))
    command = ["score", "judged", "--predictions", str(path), "--json"]
    original = json.loads(CliRunner().invoke(app, [*command, "--mode", "original"]).stdout)
    assert original["metrics"]["relative_score"]["value"] == 0.75
    fixed = json.loads(CliRunner().invoke(app, command).stdout)
    assert fixed["metrics"]["relative_score"]["value"] is None
    assert fixed["unavailable"]["relative_score"]["en"].startswith("only verdicts of one order")
    path.write_text("\n".join(json.dumps({**row, "scores_swapped": [4, 9]}) for row in rows))
    fixed = json.loads(CliRunner().invoke(app, command).stdout)
    assert fixed["metrics"]["relative_score"]["value"] == 1.25
    assert fixed["languages"].keys() == {"en", "ar"}
    path.write_text(json.dumps({**rows[0], "scores": None, "judge_reply": "8 6\nwhy"}))
    original = json.loads(CliRunner().invoke(app, [*command, "--mode", "original"]).stdout)
    assert original["metrics"]["relative_score"]["value"] == 0.75
