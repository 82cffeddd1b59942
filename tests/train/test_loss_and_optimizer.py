import pytest
import torch
from torch.nn.functional import cross_entropy

from bimedix2.train.loss import supervised_loss
from bimedix2.train.optim import MasterAdamW, schedule


def test_loss_and_gradient_equal_torch_cross_entropy() -> None:
    torch.manual_seed(0)
    hidden = torch.randn(90, 8, requires_grad=True)
    head = torch.randn(50, 8)
    targets = torch.randint(0, 50, (90,))
    targets[::3] = -100
    loss = supervised_loss(hidden, head, targets)
    loss.backward()
    ours, hidden.grad = hidden.grad, None
    reference = cross_entropy(hidden @ head.T, targets, ignore_index=-100, reduction="sum")
    reference.backward()
    torch.testing.assert_close(loss, reference)
    torch.testing.assert_close(ours, hidden.grad, rtol=1e-4, atol=1e-6)


def test_unsupervised_positions_get_no_gradient() -> None:
    hidden = torch.randn(4, 8, requires_grad=True)
    supervised_loss(hidden, torch.randn(9, 8), torch.tensor([-100, 3, -100, 1])).backward()
    assert hidden.grad is not None
    assert hidden.grad[[0, 2]].abs().sum() == 0
    assert hidden.grad[[1, 3]].abs().sum() > 0


def test_master_weights_keep_updates_that_bf16_rounds_away() -> None:
    weight = torch.ones(4, dtype=torch.bfloat16, requires_grad=True)
    optimizer = MasterAdamW([{"params": [weight], "lr": 1e-3}], weight_decay=0.0)
    for _ in range(5):
        weight.grad = torch.ones_like(weight)
        optimizer.step(1.0, 10.0, 1.0)
    # One step of 1e-3 is below bf16's spacing of 2**-8 under 1.0; five are kept in fp32: Adam moves by lr a step.
    torch.testing.assert_close(optimizer.masters[0], torch.full((4,), 0.995), rtol=0, atol=1e-5)
    assert weight[0].item() == torch.tensor(0.995).bfloat16().item()


def test_optimizer_state_round_trip_gives_the_same_next_step() -> None:
    def run(steps: int, state: dict[str, torch.Tensor] | None) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        weight = torch.linspace(-1, 1, 6).bfloat16().requires_grad_(True)
        optimizer = MasterAdamW([{"params": [weight], "lr": 1e-2}], weight_decay=0.1)
        if state is not None:
            optimizer.load_state_tensors(state)
        for _ in range(steps):
            weight.grad = weight.detach() * 2
            optimizer.step(1.0, 1.0, 1.0)
        return weight.detach().clone(), {k: v.clone() for k, v in optimizer.state_tensors().items()}

    straight, _ = run(6, None)
    _, half = run(3, None)
    resumed, _ = run(3, half)
    assert torch.equal(straight, resumed)


@pytest.mark.parametrize(
    ("step", "expected"),
    [(0, 0.1), (9, 1.0), (10, 1.0), (55, 0.5), (100, 0.0)],  # 10 warm-up steps of 100, then half a cosine
)
def test_schedule_by_hand(step: int, expected: float) -> None:
    assert schedule(step, 100, 0.1, 0.0) == pytest.approx(expected, abs=1e-9)


def test_schedule_ends_at_final() -> None:
    assert schedule(100, 100, 0.1, 0.2) == pytest.approx(0.2)
