"""Agreement of a judge with people, against scikit-learn and by hand."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from sklearn.metrics import cohen_kappa_score

from bimedix2.errors import RecordError
from bimedix2.evaluate.judge.calibration import LabelledRow, calibrate, read_labelled


def rows(pairs: list[tuple[str, str]], clusters: int = 0) -> list[LabelledRow]:
    return [
        LabelledRow(human=human, judge=judge, cluster=str(number % clusters) if clusters else "")
        for number, (human, judge) in enumerate(pairs)
    ]


def test_agreement_and_kappa_by_hand() -> None:
    # 20 agree/agree, 5 agree/disagree, 10 disagree/agree, 15 disagree/disagree: .70 agree, chance .50, kappa .40.
    pairs = [("agree", "agree")] * 20 + [("agree", "disagree")] * 5
    pairs += [("disagree", "agree")] * 10 + [("disagree", "disagree")] * 15
    found = calibrate(rows(pairs))
    assert (found.n, found.clusters) == (50, 50)
    assert found.agreement == pytest.approx(0.7)
    assert found.kappa == pytest.approx(0.4)
    assert found.confusion[("disagree", "agree")] == 10
    assert found.agreement_low < 0.7 < found.agreement_high
    assert found.kappa_low is not None
    assert found.kappa_high is not None
    assert 0 < found.kappa_low < 0.4 < found.kappa_high < 1
    # The usual normal interval is .70 ± 1.96 √(.7 · .3 / 50) = .573 … .827.
    assert (found.agreement_low, found.agreement_high) == pytest.approx((0.573, 0.827), abs=0.02)


def test_kappa_equals_scikit_learn() -> None:
    draw = random.Random(4)
    labels = ("agree", "disagree", "neutral")
    pairs = [(draw.choice(labels), draw.choice(labels)) for _ in range(40)]
    pairs += [(label, label) for label in labels for _ in range(9)]
    human, judge = zip(*pairs, strict=True)
    assert calibrate(rows(pairs)).kappa == pytest.approx(cohen_kappa_score(human, judge))


def test_rows_of_one_claim_are_drawn_together() -> None:
    pairs = [("agree", "agree" if number % 4 else "neutral") for number in range(80)]
    alone, together = calibrate(rows(pairs)), calibrate(rows(pairs, clusters=4))
    assert together.clusters == 4
    assert together.agreement_high - together.agreement_low > alone.agreement_high - alone.agreement_low


def test_one_label_throughout_has_no_kappa() -> None:
    found = calibrate(rows([("Agree", "agree ")] * 3))
    assert (found.agreement, found.kappa, found.kappa_low) == (1.0, None, None)


def test_file_of_labels(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    given = [{"human": "يوافق", "judge": "يوافق", "language": "ar", "note": 1}, {"human": "agree", "judge": "neutral"}]
    path.write_text("\n".join(json.dumps(row) for row in given))
    assert calibrate(read_labelled(path)).agreement == 0.5
    path.write_text('{"human": "agree"}')
    with pytest.raises(RecordError, match=r"labels\.jsonl, row 1, field row: .*judge"):
        read_labelled(path)
    path.write_text('{"human": "agree", "judge": " "}')
    with pytest.raises(RecordError, match="row 1, field judge: is empty"):
        read_labelled(path)
    with pytest.raises(RecordError, match="missing, or without labelled rows") as caught:
        read_labelled(tmp_path / "none.jsonl")
    assert "مفقود" in caught.value.message_ar
