from __future__ import annotations

import pytest
import torch

from bimedix2.model.projector import PixelShuffleProjector, init_projector, pixel_shuffle
from tiny import tiny_nano


def test_pixel_shuffle_by_hand() -> None:
    # A 4 x 4 grid of patches with one channel that holds the patch's number.
    grid = torch.arange(16.0).reshape(1, 16, 1)
    assert pixel_shuffle(grid, 2).tolist() == [[[0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]]]


def test_pixel_shuffle_equals_torch_pixel_unshuffle() -> None:
    features = torch.randn(2, 36, 5)
    grid = features.transpose(1, 2).reshape(2, 5, 6, 6)
    reference = torch.nn.functional.pixel_unshuffle(grid, 3)  # (2, 5 * 9, 2, 2), channel-major
    reference = reference.reshape(2, 5, 9, 4).permute(0, 3, 2, 1).reshape(2, 4, 45)
    assert torch.equal(pixel_shuffle(features, 3), reference)


@pytest.mark.parametrize(("patches", "r"), [(15, 2), (9, 2)])
def test_grid_must_fit(patches: int, r: int) -> None:
    with pytest.raises(ValueError, match="square grid"):
        pixel_shuffle(torch.zeros(1, patches, 3), r)


def test_start_has_the_spread_of_text_embeddings_and_follows_the_seed() -> None:
    projector = PixelShuffleProjector(24, 64, 3)
    init_projector(projector, 1.5, seed=1)
    output = projector(torch.randn(8, 81, 24) * 7)
    # RMSNorm: every token has length 1.5 sqrt(64), whatever the size of the features or of the weights.
    assert torch.allclose(output.norm(dim=-1), torch.tensor(12.0), rtol=1e-3)
    with torch.no_grad():
        projector.linear_2.weight.mul_(50)
    assert torch.allclose(projector(torch.randn(2, 81, 24)).norm(dim=-1), torch.tensor(12.0), rtol=1e-3)
    again = PixelShuffleProjector(24, 64, 3)
    init_projector(again, 1.5, seed=1)
    assert torch.equal(projector.linear_1.weight, again.linear_1.weight)


def test_image_tokens_fit_the_folded_grid() -> None:
    model = tiny_nano(400, 399)
    features = model.get_image_features(torch.randn(2, 3, 56, 56), return_dict=True).pooler_output
    assert [tuple(row.shape) for row in features] == [(4, 32), (4, 32)]
