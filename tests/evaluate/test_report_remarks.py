"""What the report says of servers and judges."""

from __future__ import annotations

import json
from pathlib import Path

from report_run import make_run, result_row, results

from bimedix2.evaluate.report.page import write_report
from bimedix2.evaluate.report.remarks import remarks

USAGE = {"requests": 1200, "retries": 3, "prompt_tokens": 45678, "completion_tokens": 90, "cost": 1.239}
JUDGE = {
    "model": "judge-1",
    "verdicts": 386,
    "unparsed_verdicts": 2,
    "missing": 1,
    "order_agreement": 0.875,
    "notes": [{"en": "3 items have an unknown type", "ar": "نوع ثلاثة عناصر غير معروف"}],
}


def test_a_local_run_that_needs_no_judge_has_nothing_to_say() -> None:
    assert remarks(results(result_row("vqa_rad", "corrected", {"mean": 0.5}))) == []


def test_server_judge_and_the_reason_of_an_early_end_in_both_languages() -> None:
    row = result_row("bimed_mbench", "fixed", {"relative_score": 0.5}, judge=JUDGE)
    control = {**row, "condition": "blind"}
    run = {
        **results(row, control),
        "usage": USAGE,
        "stopped": {"en": "budget used up", "ar": "نفدت الميزانية"},
    }
    stopped, server, judge, note = remarks(run)
    assert stopped["en"] == "Ended early: budget used up"
    assert "نفدت الميزانية" in stopped["ar"]
    assert server["en"] == "Server: 1,200 requests, 45,678 prompt and 90 reply tokens, cost 1.24"
    assert "judge judge-1, 386 verdicts, 2 without a score, 1 items still to judge" in judge["en"]
    assert "87.5%" in judge["en"]
    assert "87.5%" in judge["ar"]
    assert note["en"].endswith("3 items have an unknown type")
    assert "المحكم" in judge["ar"]


def test_page_and_markdown_show_them(tmp_path: Path) -> None:
    make_run(tmp_path, tmp_path / "run")
    path = tmp_path / "run" / "results.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**content, "usage": USAGE}), encoding="utf-8")
    for page in write_report([tmp_path / "run"], tmp_path, language="ar"):
        text = page.read_text(encoding="utf-8")
        assert "عن هذا التشغيل" in text
        assert "45,678" in text
