"""LLaVA-Med's VQA scores against what its script gives, and what sets them apart."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bimedix2.evaluate.families.vqa import FAMILY
from bimedix2.evaluate.metrics.vqa_llava_med import score_llava_med
from bimedix2.evaluate.schema import Reply, Sample

UPSTREAM = json.loads((Path(__file__).parent / "golden" / "upstream.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", UPSTREAM["llava_med_vqa"], ids=lambda case: case["prediction"] or "empty")
def test_values_are_those_of_the_original_script(case: dict[str, object]) -> None:
    found = score_llava_med(str(case["prediction"]), str(case["reference"]))
    assert found.exact == pytest.approx(case["exact"], abs=1e-12)
    assert [found.f1, found.precision, found.recall] == pytest.approx(case["f1_precision_recall"], abs=1e-12)
    assert int(found.closed_hit) == case["closed_hit_substring"]


def test_it_is_only_reported_when_asked_for() -> None:
    assert "llava_med" in FAMILY.modes
    assert "llava_med" not in FAMILY.default_modes


def test_mode_of_the_family_and_its_quirks() -> None:
    def values(prediction: str, reference: str, answer_type: str = "") -> dict[str, float | None]:
        group = {"answer_type": answer_type} if answer_type else {}
        sample = Sample(id="1", task="t", language="en", prompt="?", reference=reference, group=group)
        (scored,) = FAMILY.score([sample], [Reply(id="1", text=prediction)], "llava_med")
        return scored.values

    assert values("The scan is normal.", "No") == {"closed_accuracy": 1.0}  # "no" stands in "normal"
    assert values("Absent", "no") == {"closed_accuracy": 0.0}
    assert values("left", "left", "closed") == {"closed_accuracy": 0.0}
    assert values("CT", "computed tomography (CT)", "open") == {"open_recall": 1 / 3, "f1": 0.5, "exact": 1.0}
    assert values("نعم", "نعم") == {"open_recall": 1.0, "f1": 1.0, "exact": 1.0}
