"""Bundled DICOM files in every syntax and colour space, and hostile ones (rows 25 to 37)."""

from __future__ import annotations

import struct

import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from image_builders import (
    CANARY,
    bundled,
    dicom_bytes,
    dicom_dataset,
    dicom_file,
    encapsulated,
    explicit,
    nested_sequences,
)

from bimedix2.errors import ImageError
from bimedix2.images import DecodeLimits, ImageDecoder
from bimedix2.images.messages import ERRORS

# Bars that pydicom documents for its SC_rgb files: row -> colour at column 50.
BARS = {5: (255, 0, 0), 15: (255, 128, 128), 25: (0, 255, 0), 35: (128, 255, 128), 45: (0, 0, 255)}
BARS |= {55: (128, 128, 255), 65: (0, 0, 0), 75: (64, 64, 64), 85: (192, 192, 192), 95: (255, 255, 255)}
SMALL = np.arange(16, dtype=np.uint8).reshape(4, 4)
JPEG_BASELINE, JPEG_2000, JPEG_LS = (f"1.2.840.10008.1.2.4.{number}" for number in (50, 90, 80))


@pytest.mark.parametrize(
    "name",
    [
        "SC_rgb_rle.dcm",
        "SC_rgb_rle_16bit.dcm",
        "SC_rgb_rle_32bit.dcm",
        "SC_rgb_gdcm_KY.dcm",
        "SC_rgb_jls_lossy_line.dcm",
        "SC_rgb_jls_lossy_sample.dcm",
        "SC_rgb_jpeg_dcmtk.dcm",
        "SC_rgb_jpeg_gdcm.dcm",
        "SC_rgb_dcmtk_+eb+cr.dcm",
        "SC_rgb_dcmtk_+eb+cy+n1.dcm",
        "SC_rgb_dcmtk_+eb+cy+n2.dcm",
        "SC_rgb_dcmtk_+eb+cy+np.dcm",
        "SC_rgb_dcmtk_+eb+cy+s2.dcm",
        "SC_rgb_dcmtk_+eb+cy+s4.dcm",
        "SC_ybr_full_422_uncompressed.dcm",
    ],
)
def test_colour_bars(decoder, name):
    image = decoder.decode_bytes(bundled(name))
    for row, colour in BARS.items():
        assert np.abs(image.pixels[row, 50].astype(int) - colour).max() <= 5, row  # lossy, or through YBR
    assert image.modality is None and image.warning_codes() == ("may_contain_identity",)


@pytest.mark.parametrize("variant", ["RLE", "bigendian", "implicit", "jp2klossless", "jpeg_ls_lossless", "padded"])
def test_lossless_variants_are_one_picture(decoder, variant):
    plain = decoder.decode_bytes(bundled("MR_small.dcm"))
    assert decoder.decode_bytes(bundled(f"MR_small_{variant}.dcm")).sha256 == plain.sha256
    assert plain.modality == "mri" and plain.window == (600.0, 1600.0)


def test_palette(decoder):
    ds = pydicom.dcmread(pydicom.data.get_testdata_file("examples_palette.dcm", download=False))
    tables = [
        np.frombuffer(ds[f"{colour}PaletteColorLookupTableData"].value, "<u2") >> 8
        for colour in ("Red", "Green", "Blue")
    ]
    expected = np.stack([table[ds.pixel_array] for table in tables], axis=-1)
    image = decoder.decode_bytes(bundled("examples_palette.dcm"))
    assert (image.pixels == expected).all() and image.modality == "ultrasound"


def test_planar_configuration(decoder):
    pixels = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
    colour = {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"}
    by_pixel = dicom_dataset(pixels, **colour, PlanarConfiguration=0)
    by_plane = dicom_dataset(pixels, **colour, PlanarConfiguration=1)
    by_plane.PixelData = pixels.transpose(2, 0, 1).tobytes()
    for ds in (by_pixel, by_plane):
        assert (decoder.decode_bytes(dicom_bytes(ds)).pixels == pixels).all()


def test_multi_frame_colour_by_index(decoder):
    frames = [decoder.decode_bytes(bundled("examples_ybr_color.dcm"), frame=n) for n in (0, 29)]
    assert frames[0].sha256 != frames[1].sha256 and frames[1].frames == 30
    assert frames[1].warning_codes() == ("may_contain_identity",)


def test_dose_and_ct(decoder):
    assert decoder.decode_bytes(bundled("rtdose.dcm"), frame=3).frames == 15
    ct = decoder.decode_bytes(bundled("CT_small.dcm"))
    assert ct.modality == "ct" and ct.warning_codes() == ("window_from_percentiles",)


@pytest.mark.parametrize(
    ("code", "modality"),
    [
        *(("CT", "ct"), ("MR", "mri"), ("CR", "xray"), ("DX", "xray"), ("DR", "xray"), ("US", "ultrasound")),
        *(("XA", "angiography"), ("PT", "pet"), ("OT", None), ("ZZ", None)),
    ],
)
def test_modality_names(decoder, code, modality):
    assert decoder.decode_bytes(dicom_bytes(SMALL, Modality=code)).modality == modality


@pytest.mark.parametrize(
    ("attributes", "warned"),
    [
        ({}, False),
        ({"BurnedInAnnotation": "NO"}, False),
        ({"BurnedInAnnotation": "YES"}, True),
        ({"Modality": "US", "BurnedInAnnotation": "NO"}, True),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}, True),
        ({"ConversionType": "WSD"}, True),
    ],
)
def test_identity_warning(decoder, attributes, warned):
    image = decoder.decode_bytes(dicom_bytes(SMALL, **attributes))
    assert ("may_contain_identity" in image.warning_codes()) is warned


@pytest.mark.parametrize("name", ["test-SR.dcm", "reportsi.dcm", "rtplan.dcm", "waveform_ecg.dcm"])
def test_files_without_a_picture(code_of, name):
    assert code_of(bundled(name)) == "no_image_in_dicom"


@pytest.mark.parametrize("name", ["no_meta.dcm", "rtstruct.dcm", "ExplVR_LitEndNoMeta.dcm"])
def test_no_preamble(code_of, name):
    assert code_of(bundled(name)) == "unsupported_image_type"


@pytest.mark.parametrize("name", ["MR_truncated.dcm", "rtplan_truncated.dcm", "meta_missing_tsyntax.dcm", "badVR.dcm"])
def test_broken_bundled_files(code_of, name):
    assert code_of(bundled(name)) == "image_unreadable"


def test_deflated_and_directory_and_slides(code_of):
    assert code_of(bundled("image_dfl.dcm")) == "dicom_expands_too_much"
    assert code_of(bundled("DICOMDIR")) == "dicom_directory"
    slide = dicom_bytes(SMALL, SOPClassUID="1.2.840.10008.5.1.4.1.1.77.1.6")
    assert code_of(slide) == "unsupported_image_type"


@pytest.mark.parametrize("number", ["100", "102", "103", "106", "107", "999"])
def test_video_and_unknown_syntaxes(code_of, number):
    data = dicom_file(b"\x08\0\x16\0UI\0\0" + bytes(32), f"1.2.840.10008.1.2.4.{number}")
    assert code_of(data) == "dicom_syntax_unsupported"


@pytest.mark.parametrize("start", [b"MZ\x90\0", b"\x7fELF", b"%PDF-1.7", b"<html>"])
def test_hidden_preamble_is_dropped(decoder, start):
    plain = dicom_bytes(SMALL)
    image = decoder.decode_bytes(start + plain[len(start) :])
    assert image.sha256 == decoder.decode_bytes(plain).sha256


def test_deep_nesting(decoder, code_of):
    body = dicom_bytes(SMALL)
    at = body.index(b"\x28\0\x02\0")  # before the pixel module
    assert code_of(body[:at] + nested_sequences(3000) + body[at:]) == "dicom_too_deep"
    shallow = body[:at] + nested_sequences(10) + body[at:]
    assert decoder.decode_bytes(shallow).pixels.shape == (4, 4, 3)


def test_implicit_nesting_of_defined_length(decoder):
    # An implicit file does not say which values are sequences; they stay bytes, however deep they go.
    body = b""
    for _ in range(3000):
        inner = struct.pack("<HHI", 0xFFFE, 0xE000, len(body)) + body
        body = struct.pack("<HHI", 0x0008, 0x1140, len(inner)) + inner
    plain = dicom_bytes(dicom_dataset(SMALL, syntax="1.2.840.10008.1.2"))
    at = plain.index(b"\x28\0\x02\0")
    assert decoder.decode_bytes(plain[:at] + body + plain[at:]).sha256 == decoder.decode_bytes(plain).sha256


def test_lying_lengths(code_of):
    pixel = struct.pack("<HH2sH", 0x7FE0, 0x0010, b"OW", 0)
    endless = dicom_file(struct.pack("<HH2sHI", 0x0008, 0x1140, b"SQ", 0, 0xFFFFFFFF))
    assert code_of(dicom_file(pixel + struct.pack("<I", 0xFFFFFFF0) + bytes(8))) == "image_unreadable"
    assert code_of(dicom_file(explicit(8, 0x60, b"CS", b"CT")[:-2] + bytes(0))) == "image_unreadable"
    assert code_of(endless) == "image_unreadable"
    assert code_of(dicom_file(pixel + b"\xff\xff\xff\xff" + bytes(16), JPEG_2000)) == "image_unreadable"


@pytest.mark.parametrize(
    ("attributes", "code"),
    [
        ({"Rows": 65535, "Columns": 65535}, "image_too_large"),
        ({"Rows": 5000, "Columns": 4000}, "image_unreadable"),
        ({"NumberOfFrames": 100_000}, "image_unreadable"),
        ({"BitsStored": 12}, "image_unreadable"),
        ({"BitsAllocated": 64}, "image_unreadable"),
        ({"SamplesPerPixel": 4}, "image_unreadable"),
        ({"SamplesPerPixel": 3}, "image_unreadable"),
        ({"Rows": 0}, "image_unreadable"),
        ({"Rows": 1, "Columns": 16000}, "image_strip"),
        ({"Columns": None}, "image_unreadable"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "image_unreadable"),
        ({"PhotometricInterpretation": "HSV"}, "image_unreadable"),
    ],
)
def test_impossible_pixel_modules(code_of, attributes, code):
    assert code_of(dicom_bytes(SMALL, **attributes)) == code


@pytest.mark.parametrize("syntax", [JPEG_BASELINE, JPEG_2000, JPEG_LS, "1.2.840.10008.1.2.5"])
@pytest.mark.parametrize("start", [b"", b"\xff\xd8\xff\xe0", b"\xff\x4f\xff\x51"])
def test_garbage_fragments(code_of, syntax, start):
    noise = np.random.default_rng(3).bytes(4000)
    ds = dicom_dataset(SMALL, syntax=syntax)
    ds.PixelData = encapsulated(start + noise)[:-8]
    assert code_of(dicom_bytes(ds)) in {"image_unreadable", "image_too_large", "image_decoder_crashed"}


def test_codestream_larger_than_it_says(code_of):
    # A JPEG 2000 header of 60,000 × 60,000 inside an image of 4 × 4.
    ds = pydicom.dcmread(pydicom.data.get_testdata_file("MR_small_jp2klossless.dcm", download=False))
    at = ds.PixelData.index(b"\xff\x4f\xff\x51")
    size = struct.pack(">II", 60_000, 60_000)
    ds.PixelData = ds.PixelData[: at + 8] + size + ds.PixelData[at + 16 :]
    assert code_of(dicom_bytes(ds)) in {"image_unreadable", "image_too_large", "image_decoder_crashed"}


def test_loop_in_a_decoder_ends():
    # A JP2 box of length 0 keeps pydicom 3.0.2 reading the same box for ever; a later one may refuse it.
    ds = dicom_dataset(SMALL, syntax=JPEG_2000)
    ds.PixelData = encapsulated(b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(32))[:-8]
    with ImageDecoder(DecodeLimits(max_seconds=1)) as decoder, pytest.raises(ImageError) as caught:
        decoder.decode_bytes(dicom_bytes(ds))
    assert caught.value.code in {"image_decode_timeout", "image_unreadable"}


def test_wrong_syntax_label(code_of):
    ds = pydicom.dcmread(pydicom.data.get_testdata_file("MR_small_RLE.dcm", download=False))
    ds.file_meta.TransferSyntaxUID = pydicom.uid.UID(JPEG_2000)
    assert code_of(dicom_bytes(ds)) == "image_unreadable"


@pytest.mark.parametrize("charset", ["ISO_IR 127", "ISO_IR 192", "NONSENSE"])
def test_patient_attributes_never_leave(decoder, charset):
    ds = dicom_dataset(SMALL, SpecificCharacterSet="ISO_IR 192", PatientName="أحمد^" + CANARY)
    data = dicom_bytes(ds).replace(b"ISO_IR 192", charset.encode().ljust(10))
    image = decoder.decode_bytes(data)
    assert CANARY not in repr(image) and "أحمد" not in repr(image)
    with pytest.raises(ImageError) as caught:
        decoder.decode_bytes(data, frame=7)
    assert CANARY not in caught.value.message + caught.value.message_ar + repr(caught.value.__context__)


SEEDS = ["MR_small.dcm", "MR_small_RLE.dcm", "MR_small_jpeg_ls_lossless.dcm", "SC_rgb_jpeg_dcmtk.dcm"]


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(SEEDS),
    changes=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=12),
    keep=st.floats(0.2, 1),
)
def test_any_mutation_is_an_image_or_a_named_error(decoder, name, changes, keep):
    data = bytearray(bundled(name))
    for place, byte in changes:
        # The square brings most changes into the header, where the structure is.
        data[132 + int(place**2 * (len(data) - 133))] = byte
    try:
        image = decoder.decode_bytes(bytes(data[: int(len(data) * keep)] if keep > 0.6 else data))
    except ImageError as error:
        assert error.code in ERRORS
    else:
        assert image.pixels.dtype == np.uint8 and image.pixels.ndim == 3
