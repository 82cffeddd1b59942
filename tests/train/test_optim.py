"""What trains, at which rate: hand-worked values."""

from __future__ import annotations

import pytest
import torch

from bimedix2.model import add_adapter, lora_config
from bimedix2.train.optim import make_optimizer, schedule, select_trained, set_rates
from bimedix2.train.recipe import StageRecipe
from tiny import tiny_bundle


@pytest.mark.parametrize(
    ("step", "expected"),
    [(0, 0.1), (9, 1.0), (10, 1.0), (55, 0.5), (100, 0.0)],  # 10 warm-up steps of 100, then half a cosine
)
def test_schedule_by_hand(step: int, expected: float) -> None:
    assert schedule(step, 100, 0.1, 0.0) == pytest.approx(expected, abs=1e-9)


def test_schedule_ends_at_final() -> None:
    assert schedule(100, 100, 0.1, 0.2) == pytest.approx(0.2)


def test_what_trains_is_fp32_and_the_rest_stays_bf16() -> None:
    model = tiny_bundle("llava").model.bfloat16()
    add_adapter(model, lora_config(4, 8, 0.0))
    stage = StageRecipe("s", lr=2e-4, projector_lr=2e-5, unfreeze_blocks=1, encoder_lr=1e-5)
    trained = select_trained(model, stage)
    assert list(trained) == ["lora", "projector", "encoder"]
    for name, parameter in model.named_parameters():
        part = "vision_tower.encoder.layers.0" in name or "lora_" in name or "multi_modal_projector" in name
        assert parameter.requires_grad == part, name
        assert parameter.dtype == (torch.float32 if part else torch.bfloat16), name
    optimizer = make_optimizer(trained, stage)
    assert set_rates(optimizer, 0.5) == pytest.approx({"lora": 1e-4, "projector": 1e-5, "encoder": 5e-6})


def test_the_projector_alone_has_the_stages_own_rate() -> None:
    model = tiny_bundle("nano").model
    stage = StageRecipe("s", "projector", lr=1e-3, projector_lr=2e-5)
    trained = select_trained(model, stage)
    assert list(trained) == ["projector"]
    assert set_rates(make_optimizer(trained, stage), 1.0) == {"projector": 1e-3}
