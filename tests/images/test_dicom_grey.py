"""The grey pipeline against values worked by hand from PS3.3 C.11 and against pydicom's own functions."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
from image_builders import bundled, dicom_bytes, item, sequence
from pydicom.pixels import apply_modality_lut, apply_voi_lut
from pydicom.sequence import Sequence

pytestmark = pytest.mark.filterwarnings("ignore:Invalid value for VR DS")

HU = np.array([[-1000, -160, -60, 40], [140, 239, 240, 1000]])
PHANTOM = (HU + 1024).astype(np.uint16)
CT = {"RescaleSlope": 1, "RescaleIntercept": -1024}
# Linear window 40/400: ((x - 39.5) / 399 + 0.5) * 255, so -60 -> 63.91, 40 -> 127.82, 140 -> 191.73.
SOFT_TISSUE = [[0, 0, 64, 128], [192, 255, 255, 255]]


def grey(image):
    assert (image.pixels[:, :, :1] == image.pixels).all()
    return image.pixels[:, :, 0].tolist()


def show(decoder, source, **attributes):
    return decoder.decode_bytes(dicom_bytes(source, **attributes))


def test_phantom_window(decoder):
    image = show(decoder, PHANTOM, **CT, WindowCenter=40, WindowWidth=400)
    assert grey(image) == SOFT_TISSUE
    assert (image.window, image.modality, image.warnings) == ((40.0, 400.0), "ct", ())


def test_callers_window_wins(decoder):
    data = dicom_bytes(PHANTOM, **CT, WindowCenter=-600, WindowWidth=1500)
    image = decoder.decode_bytes(data, window=(40, 400))
    assert grey(image) == SOFT_TISSUE and image.window == (40.0, 400.0)


def test_first_of_several_windows(decoder):
    image = show(decoder, PHANTOM, **CT, WindowCenter=[40, -600], WindowWidth=[400, 1500])
    assert grey(image) == SOFT_TISSUE


def test_signed_values(decoder):
    image = show(decoder, HU.astype(np.int16), WindowCenter=40, WindowWidth=400)
    assert grey(image) == SOFT_TISSUE


def test_signed_twelve_bits_in_sixteen(decoder):
    packed = (HU & 0xFFF).astype(np.uint16)
    image = show(decoder, packed, BitsStored=12, HighBit=11, PixelRepresentation=1, WindowCenter=40, WindowWidth=400)
    assert grey(image) == SOFT_TISSUE


@pytest.mark.parametrize(
    "attributes",
    [
        {"PhotometricInterpretation": "MONOCHROME1"},
        {"PresentationLUTShape": "INVERSE"},
        {"PhotometricInterpretation": "MONOCHROME1", "PresentationLUTShape": "INVERSE"},
    ],
)
def test_inversion(decoder, attributes):
    # 255 - 63.91 = 191.09, 255 - 127.82 = 127.18, 255 - 191.73 = 63.27
    image = show(decoder, PHANTOM, **CT, WindowCenter=40, WindowWidth=400, **attributes)
    assert grey(image) == [[255, 255, 191, 127], [63, 0, 0, 0]]


def test_linear_exact_and_sigmoid(decoder):
    window = {**CT, "WindowCenter": 40, "WindowWidth": 400}
    exact = show(decoder, PHANTOM, **window, VOILUTFunction="LINEAR_EXACT")
    # ((x - 40) / 400 + 0.5) * 255: -160 -> 0, -60 -> 63.75, 40 -> 127.5, 239 -> 254.36
    assert grey(exact) == [[0, 0, 64, 128], [191, 254, 255, 255]]
    # 255 / (1 + exp(-4 (x - 40) / 400)): at x = 140, 255 / (1 + e^-1) = 186.42; at -60, 68.58
    sigmoid = show(decoder, PHANTOM, **window, VOILUTFunction="SIGMOID")
    assert [grey(sigmoid)[0][2], grey(sigmoid)[0][3], grey(sigmoid)[1][0]] == [69, 128, 186]


def test_width_one_is_a_threshold(decoder):
    # C.11.2.1.2.1: x <= c - 0.5 is black, all above is white.
    image = show(decoder, np.arange(4, dtype=np.uint16).reshape(1, 4), WindowCenter=2, WindowWidth=1)
    assert grey(image) == [[0, 0, 255, 255]]


@pytest.mark.parametrize(
    "window",
    [
        {"WindowCenter": 40, "WindowWidth": 0},
        {"WindowCenter": 40, "WindowWidth": -400},
        {"WindowCenter": "NaN", "WindowWidth": 400},
        {"WindowCenter": 40, "WindowWidth": [400, 80, 1500]},
        {"WindowCenter": 40},
    ],
)
def test_invalid_window_shows_the_full_range(decoder, window, monkeypatch):
    monkeypatch.setattr(pydicom.config.settings, "writing_validation_mode", pydicom.config.IGNORE)
    image = show(decoder, PHANTOM, **CT, **window)
    assert image.warning_codes() == ("window_invalid",)
    # -1000 -> 0 and 1000 -> 255; 40 -> 1040 / 2000 * 255 = 132.6
    assert grey(image)[0][0] == 0 and grey(image)[1][3] == 255 and grey(image)[0][3] == 133


def test_missing_intercept_shows_the_full_range(decoder):
    image = show(decoder, PHANTOM, RescaleSlope=2, WindowCenter=40, WindowWidth=400)
    assert image.warning_codes() == ("rescale_incomplete",)
    assert grey(image)[0][0] == 0 and grey(image)[1][3] == 255


@pytest.mark.parametrize("slope", ["0", "NaN"])
def test_slope_that_means_nothing(code_of, slope, monkeypatch):
    monkeypatch.setattr(pydicom.config.settings, "writing_validation_mode", pydicom.config.IGNORE)
    assert code_of(dicom_bytes(PHANTOM, RescaleSlope=slope, RescaleIntercept=0)) == "dicom_bad_rescale"


def test_no_window_takes_percentiles_without_padding(decoder):
    # 10,000 values 0…9999 beside as many of padding: ranks 100 and 9,900 are 99 and 9899.
    values = np.concatenate([np.arange(10000), np.full(10000, -2000)]).astype(np.int16).reshape(100, 200)
    image = show(decoder, values, PixelPaddingValue=-2000)
    assert image.window == (4999.0, 9800.0)
    assert image.warning_codes() == ("window_from_percentiles",)
    assert image.pixels[0, 0, 0] == 0 and image.pixels[99, 0, 0] == 0


def test_padding_range_and_wrong_sign(decoder):
    values = np.array([[-3000, -2500, 0, 100]], np.int16)
    kept = show(decoder, values, PixelPaddingValue=-3000, PixelPaddingRangeLimit=-2000)
    assert kept.window == (50.0, 100.0) and grey(kept) == [[0, 0, 0, 255]]


def test_padding_stays_black_when_inverted(decoder):
    values = np.array([[0, 1000, 2000]], np.uint16)
    image = show(
        decoder,
        values,
        PixelPaddingValue=0,
        PhotometricInterpretation="MONOCHROME1",
        WindowCenter=1500.5,
        WindowWidth=1001,
    )
    assert grey(image) == [[0, 255, 0]]


@pytest.mark.parametrize(("value", "shown"), [(0, 0), (4095, 255)])
def test_constant_image_without_window(decoder, value, shown):
    image = show(decoder, np.full((4, 4), value, np.uint16), BitsStored=12, HighBit=11)
    assert (image.pixels == shown).all()


def test_modality_and_voi_tables(decoder):
    # Modality LUT: stored 10, 11, 12 -> 0, 50, 100. VOI LUT of 12 bits: 0, 50, 100 -> 0, 2048, 4095.
    voi = np.zeros(101, np.uint16)
    voi[50], voi[100] = 2048, 4095
    attributes = {
        "ModalityLUTSequence": sequence(LUTDescriptor=[3, 10, 16], ModalityLUTType="US", LUTData=[0, 50, 100]),
        "VOILUTSequence": sequence(LUTDescriptor=[101, 0, 12], LUTData=voi.tobytes()),
    }
    for keyword in attributes:
        attributes[keyword][0]["LUTData"].VR = "OW" if keyword.startswith("VOI") else "US"
        attributes[keyword][0]["LUTDescriptor"].VR = "US"
    # below the first entry the first one holds, above the last the last: 9 -> 0, 13 -> 100
    image = show(decoder, np.array([[9, 10, 11, 12, 13]], np.uint8), **attributes)
    assert grey(image) == [[0, 0, 128, 255, 255]]  # 2048 / 4095 * 255 = 127.53
    assert image.window is None and image.warnings == ()


def test_broken_table_is_left_out(decoder):
    broken = sequence(LUTDescriptor=[300, 0, 12], LUTData=[1, 2, 3])
    broken[0]["LUTData"].VR = broken[0]["LUTDescriptor"].VR = "US"
    image = show(decoder, PHANTOM, **CT, WindowCenter=40, WindowWidth=400, VOILUTSequence=broken)
    assert grey(image) == SOFT_TISSUE and image.warning_codes() == ("lut_invalid",)


def enhanced(**shared) -> bytes:
    """Two frames whose windows stand in their own groups; the rescale is shared."""
    per_frame = Sequence(
        item(FrameVOILUTSequence=sequence(WindowCenter=centre, WindowWidth=width))
        for centre, width in ((40, 400), (-600, 1501))
    )
    transform = sequence(RescaleSlope=1, RescaleIntercept=-1024, RescaleType="HU")
    return dicom_bytes(
        np.stack([PHANTOM, PHANTOM]),
        NumberOfFrames=2,
        SharedFunctionalGroupsSequence=sequence(PixelValueTransformationSequence=transform, **shared),
        PerFrameFunctionalGroupsSequence=per_frame,
    )


def test_enhanced_multi_frame(decoder, code_of):
    data = enhanced()
    first, second = decoder.decode_bytes(data), decoder.decode_bytes(data, frame=1)
    assert grey(first) == SOFT_TISSUE and first.warning_codes() == ("multi_frame_first",)
    assert (first.frame, second.frame, second.frames) == (0, 1, 2)
    # ((x + 600.5) / 1500 + 0.5) * 255: -1000 -> 59.58, -160 -> 202.39, -60 -> 219.39
    assert grey(second)[0] == [60, 202, 219, 236] and second.warnings == ()
    assert second.window == (-600.0, 1501.0)
    assert code_of(data, frame=2) == "image_frame_not_found"
    assert code_of(data, frame=-1) == "image_frame_not_found"


def test_spacing_in_shared_groups(decoder):
    image = decoder.decode_bytes(enhanced(PixelMeasuresSequence=sequence(PixelSpacing=[2.0, 1.0])), frame=0)
    assert image.pixels.shape == (4, 4, 3) and image.warning_codes() == ("pixels_made_square",)


@pytest.mark.parametrize(
    ("attributes", "shape", "notices"),
    [
        ({"PixelSpacing": [0.5, 0.5]}, (10, 20, 3), ()),
        ({"PixelSpacing": [1.0, 0.5]}, (20, 20, 3), ("pixels_made_square",)),
        ({"PixelSpacing": [0.5, 1.0]}, (10, 40, 3), ("pixels_made_square",)),
        ({"PixelAspectRatio": [3, 1]}, (30, 20, 3), ("pixels_made_square",)),
        ({"ImagerPixelSpacing": [0.1, 0.1]}, (10, 20, 3), ()),
        ({"PixelSpacing": [0, 0]}, (10, 20, 3), ("pixel_aspect_ignored",)),
        ({"PixelSpacing": [1000, 1]}, (10, 20, 3), ("pixel_aspect_ignored",)),
    ],
)
def test_pixel_proportions(decoder, attributes, shape, notices):
    image = show(decoder, np.zeros((10, 20), np.uint8), WindowCenter=128, WindowWidth=256, **attributes)
    assert image.pixels.shape == shape and image.warning_codes() == notices


def test_wide_integers_and_floats(decoder):
    wide = np.array([[0, 100_000, 200_000]], np.uint32)
    assert grey(show(decoder, wide, WindowCenter=100_000.5, WindowWidth=200_001)) == [[0, 128, 255]]
    attributes = {"BitsStored": None, "HighBit": None, "PixelRepresentation": None, "PixelData": None}
    values = np.array([[0.0, 0.5, 1.0, np.nan]], np.float32)
    floats = show(decoder, values, **attributes, FloatPixelData=values.tobytes(), VOILUTFunction="LINEAR_EXACT")
    assert grey(floats) == [[0, 128, 255, 0]] and floats.window == (0.5, 1.0)


@pytest.mark.parametrize("name", ["MR_small.dcm", "693_J2KI.dcm", "J2K_pixelrep_mismatch.dcm", "examples_overlay.dcm"])
def test_equal_to_pydicoms_own_pipeline(decoder, name):
    ds = pydicom.dcmread(pydicom.data.get_testdata_file(name, download=False))
    values = apply_voi_lut(apply_modality_lut(ds.pixel_array, ds), ds).astype(float)
    # pydicom's output range is that of the stored bits, moved by the rescale
    ends = np.array([-(2 ** (ds.BitsStored - 1)), 2 ** (ds.BitsStored - 1) - 1.0])
    ends = ends if ds.PixelRepresentation else np.array([0, 2.0**ds.BitsStored - 1])
    low, high = ends * float(ds.get("RescaleSlope", 1)) + float(ds.get("RescaleIntercept", 0))
    expected = (values - low) / (high - low) * 255
    assert np.abs(decoder.decode_bytes(bundled(name)).pixels[:, :, 0] - expected).max() <= 0.51
