"""The preprocessing policy against CLIP's own image processor and values worked by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest

from bimedix2.errors import ModelError
from bimedix2.images import ImagePolicy


def picture(height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    noise = np.random.default_rng(height * width).integers(0, 60, (height, width, 3))
    return (np.stack([x * 195 // width, y * 195 // height, (x + y) % 195], -1) + noise).astype(np.uint8)


@pytest.mark.parametrize("shape", [(64, 64), (50, 90), (91, 40), (33, 34), (20, 300), (200, 301)])
def test_crop_equals_clips_own_processor(shape):
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    pixels = picture(*shape)
    theirs = CLIPImageProcessorPil(size={"shortest_edge": 48}, crop_size={"height": 48, "width": 48})
    expected = theirs(pixels, return_tensors="np", input_data_format="channels_last")["pixel_values"][0]
    ours = ImagePolicy.clip(48, "crop").preprocess(pixels)
    assert ours.shape == (3, 48, 48) and ours.dtype == np.float32
    assert np.abs(ours - expected).max() < 1e-5


def test_pad_puts_the_picture_in_the_middle_of_the_mean_colour():
    pixels = np.full((2, 4, 3), 255, np.uint8)
    square = ImagePolicy.clip(4).to_uint8(pixels)
    colour = (122, 116, 104)  # 0.48145466, 0.4578275 and 0.40821073 of 255, rounded down
    assert (square[1:3] == 255).all()
    assert (square[0] == colour).all() and (square[3] == colour).all()


def test_pad_of_a_tall_picture_with_an_odd_margin():
    square = ImagePolicy.dinov2(5).to_uint8(np.full((5, 2, 3), 9, np.uint8))
    # margin of 3 columns: 1 on the left, 2 on the right
    assert (square[:, 1:3] == 9).all()
    assert (square[:, [0, 3, 4]] == (123, 116, 103)).all()


def test_hand_worked_normalisation():
    values = ImagePolicy.dinov2(1).normalise(np.array([[[255, 0, 51]]], np.uint8))
    # (1 - 0.485) / 0.229, (0 - 0.456) / 0.224, (0.2 - 0.406) / 0.225
    assert np.allclose(values.ravel(), [2.2489083, -2.0357143, -0.9155556], atol=1e-6)
    assert np.abs(ImagePolicy.clip(8).preprocess(np.zeros((1, 8, 3), np.uint8))[:, 0]).max() < 0.02


def test_normalise_keeps_leading_axes():
    batch = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 4, 3), np.uint8)
    policy = ImagePolicy.clip(4)
    assert policy.normalise(batch).shape == (2, 3, 3, 4, 4)
    assert np.array_equal(policy.normalise(batch)[1, 2], policy.preprocess(batch[1, 2]))


@pytest.mark.parametrize("fit", ["pad", "crop"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 16), (16, 1), (1, 20_000), (9000, 600), (600, 9000)])
def test_extreme_shapes_stay_bounded(fit, shape):
    square = ImagePolicy.clip(16, fit).to_uint8(np.full((*shape, 3), 77, np.uint8))
    assert square.shape == (16, 16, 3)
    # padding makes a line of a strip, cropping keeps its middle only
    assert (square == 77).all() == (fit == "crop" or shape == (1, 1))


def test_round_trip_through_json():
    for policy in (ImagePolicy.clip(336), ImagePolicy.clip(336, "crop"), ImagePolicy.dinov2(448)):
        assert ImagePolicy.from_dict(json.loads(json.dumps(policy.to_dict()))) == policy


@pytest.mark.parametrize(
    "change",
    [{"size": 0}, {"size": 3.5}, {"fit": "stretch"}, {"std": [0, 1, 1]}, {"mean": [1]}, {"extra": 1}],
)
def test_bad_policies_are_refused_in_both_languages(change):
    with pytest.raises(ModelError) as caught:
        ImagePolicy.from_dict({**ImagePolicy.clip().to_dict(), **change})
    assert any("\u0600" <= letter <= "\u06ff" for letter in caught.value.in_language("ar"))


@pytest.mark.parametrize("pixels", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)])
def test_other_arrays_are_refused(pixels):
    with pytest.raises(ValueError, match="uint8"):
        ImagePolicy.clip(4).to_uint8(pixels)
