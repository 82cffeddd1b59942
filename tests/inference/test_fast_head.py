from __future__ import annotations

import torch

from bimedix2.inference.fast_head import ShortlistHead, shortlist_head


def test_best_token_and_its_score_are_those_of_the_full_head() -> None:
    torch.manual_seed(0)
    weight = torch.randn(3000, 32).bfloat16()
    hidden = torch.randn(100, 32).bfloat16()
    full = torch.nn.functional.linear(hidden, weight).float()
    scores = ShortlistHead(weight)(hidden)
    assert torch.equal(scores.argmax(1), full.argmax(1))
    torch.testing.assert_close(scores.amax(1), full.amax(1), rtol=1e-2, atol=1e-2)
    assert (scores > -torch.inf).sum(1).unique().tolist() == [64]


def test_only_large_bf16_heads_on_a_cpu_get_one() -> None:
    assert shortlist_head(torch.zeros(500, 8, dtype=torch.bfloat16)) is None
    assert shortlist_head(torch.zeros(100_000, 8)) is None
    assert shortlist_head(torch.zeros(100_000, 8, dtype=torch.bfloat16)) is not None
