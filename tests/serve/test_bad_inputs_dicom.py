"""Rows 25 to 37 of the table of bad inputs: DICOM files as an upload and inside a chat."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from api_server import asked, uri
from bad_answers import MARK, Whole, named, whole
from bad_pictures import refused, taken
from image_builders import (
    bundled,
    dicom_bytes,
    dicom_dataset,
    dicom_file,
    encapsulated,
    explicit,
    nested_sequences,
)
from PIL import Image

GREY = np.arange(64, dtype=np.uint8).reshape(8, 8)
WIDE = np.arange(64, dtype=np.int16).reshape(8, 8)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    with whole(tmp_path_factory.mktemp("server")) as found:
        yield found


def test_25_dicom_without_its_mark(server: Whole) -> None:
    whole_file = dicom_bytes(GREY)
    refused(server, whole_file[132:], "unsupported_image_type")
    refused(server, np.random.default_rng(5).bytes(4000), "unsupported_image_type")
    refused(server, b"\x80\x04\x95" + bytes(60), "unsupported_image_type")


@pytest.mark.parametrize("start", [b"MZ\x90\0", b"\x7fELF", b"%PDF-1.7", b"<html><script>"])
def test_26_preambles(server: Whole, start: bytes) -> None:
    found = taken(server, start + dicom_bytes(GREY)[len(start) :])
    kept = (server.folder / "uploads" / found["id"]).read_bytes()
    assert start not in kept
    assert server.send("GET", f"/v1/uploads/{found['id']}").headers["content-type"] == "application/json"


def test_27_deflated(server: Whole) -> None:
    packer = zlib.compressobj(9, wbits=-15)
    bomb = b"".join(packer.compress(bytes(1 << 20)) for _ in range(64)) + packer.flush()
    refused(server, bundled("image_dfl.dcm"), "dicom_expands_too_much")
    refused(server, dicom_file(bomb, "1.2.840.10008.1.2.1.99"), "dicom_expands_too_much")


def test_28_deep_sequences(server: Whole) -> None:
    body = dicom_bytes(GREY)
    at = body.index(b"\x28\0\x02\0")
    refused(server, body[:at] + nested_sequences(3000) + body[at:], "dicom_too_deep")


def test_29_lying_lengths(server: Whole) -> None:
    pixel = struct.pack("<HH2sH", 0x7FE0, 0x0010, b"OW", 0)
    for data in (
        dicom_file(pixel + struct.pack("<I", 0xFFFFFFF0) + bytes(8)),
        dicom_file(explicit(8, 0x60, b"CS", b"CT")[:-2]),
        dicom_file(struct.pack("<HH2sHI", 0x0008, 0x1140, b"SQ", 0, 0xFFFFFFFF)),
        dicom_file(pixel + b"\xff\xff\xff\xff" + bytes(16), "1.2.840.10008.1.2.4.90"),
    ):
        refused(server, data, "image_unreadable")


@pytest.mark.parametrize(
    "attributes",
    [
        {"Rows": 5000, "Columns": 4000}, {"NumberOfFrames": 100_000}, {"BitsStored": 12}, {"BitsAllocated": 64},
        {"SamplesPerPixel": 4}, {"PhotometricInterpretation": "HSV"}, {"Rows": 65535, "Columns": 65535},
    ],
    ids=lambda given: "-".join(given),
)  # fmt: skip
def test_30_impossible_pixel_modules(server: Whole, attributes: dict[str, Any]) -> None:
    refused(server, dicom_bytes(GREY, **attributes), "image_unreadable", "image_too_large")


@pytest.mark.parametrize("syntax", ["4.50", "4.90", "4.80", "4.201", "5"])
def test_31_garbage_and_video(server: Whole, syntax: str) -> None:
    found = dicom_dataset(GREY, syntax=f"1.2.840.10008.1.2.{syntax}")
    found.PixelData = encapsulated(b"\xff\xd8\xff\xe0" + np.random.default_rng(3).bytes(3000))[:-8]
    refused(server, dicom_bytes(found), "image_unreadable", "image_too_large", "dicom_syntax_unsupported")
    video = dicom_file(b"\x08\0\x16\0UI\0\0" + bytes(32), "1.2.840.10008.1.2.4.102")
    refused(server, video, "dicom_syntax_unsupported")


def test_32_windows(server: Whole) -> None:
    for window in ({"WindowWidth": 0}, {"WindowWidth": -5}, {"WindowCenter": [1, 2, 3], "WindowWidth": 9}):
        found = taken(server, dicom_bytes(WIDE, **{"WindowCenter": 40, **window}))
        assert found["codes"] == {"window_invalid"} and found["windows"][0]["name"] == "automatic"
    refused(server, dicom_bytes(WIDE, RescaleSlope=0, RescaleIntercept=1), "dicom_bad_rescale")
    assert "rescale_incomplete" in taken(server, dicom_bytes(WIDE, RescaleSlope=2))["codes"]
    name = taken(server, dicom_bytes(WIDE))["id"]
    for query in ("center=nan&width=5", "center=1&width=0", "center=1", "frame=-1", f"frame={MARK}", "frame=7"):
        named(lambda headers, q=query: server.send("GET", f"/v1/uploads/{name}/image?{q}", headers=headers), 422)
        answer = server.ask(asked(f"upload:{name}?{query}"))
        assert answer.status_code in (400, 422), query


COLOUR = ("SC_rgb_rle.dcm", "examples_palette.dcm", "examples_ybr_color.dcm", "SC_ybr_full_422_uncompressed.dcm")


@pytest.mark.parametrize("name", COLOUR)
def test_33_colours_of_every_kind(server: Whole, name: str) -> None:
    try:
        data = bundled(name)
    except AssertionError:
        pytest.skip(f"this pydicom carries no {name}")
    taken(server, data)


def test_33_inverted_signed_and_padded(server: Whole) -> None:
    """Both ends by hand: MONOCHROME1 shows the lowest value white; padding is black."""

    def shown(**attributes: Any) -> np.ndarray:
        values = np.array([[-100, 0], [100, 300]], np.int16)
        found = taken(server, dicom_bytes(values, WindowCenter=100, WindowWidth=400, **attributes))
        data = server.send("GET", f"/v1/uploads/{found['id']}/image").content
        return np.asarray(Image.open(io.BytesIO(data)).convert("L"))

    plain, inverted = shown(), shown(PhotometricInterpretation="MONOCHROME1")
    assert plain[0, 0] < plain[0, 1] < plain[1, 0] < plain[1, 1]
    assert (inverted == 255 - plain).all()
    assert shown(PixelPaddingValue=-100)[0, 0] == 0


@pytest.mark.parametrize("name", ["test-SR.dcm", "reportsi.dcm", "rtplan.dcm", "waveform_ecg.dcm"])
def test_34_no_picture_inside(server: Whole, name: str) -> None:
    refused(server, bundled(name), "no_image_in_dicom")


def test_35_dicomdir(server: Whole) -> None:
    refused(server, bundled("DICOMDIR"), "dicom_directory")


@pytest.mark.parametrize("charset", ["ISO_IR 192", "ISO_IR 127"])
def test_36_tags_are_shown_to_nobody(server: Whole, charset: str) -> None:
    dataset = dicom_dataset(GREY, SpecificCharacterSet=charset, PatientName=f"أحمد^{MARK}", PatientID=MARK)
    data = dicom_bytes(dataset)
    assert MARK.encode() in data
    found = taken(server, data)
    kept = (server.folder / "uploads" / found["id"]).read_bytes()
    assert MARK.encode() not in kept and "أحمد".encode() not in kept and "أحمد".encode("iso8859_6") not in kept
    asked_for = server.ask(asked(f"upload:{found['id']}", "Who is the patient?")).text
    assert MARK not in asked_for and "أحمد" not in asked_for


def test_37_a_name_in_the_pixels(server: Whole, tmp_path: Path) -> None:
    data = dicom_bytes(GREY, BurnedInAnnotation="YES")
    assert "may_contain_identity" in taken(server, data)["codes"]
    answer = server.ask(asked(uri(data)))
    assert any("identity" in notice["en"] and "هوية" in notice["ar"] for notice in answer.json()["bimedix2"]["notices"])
    with whole(tmp_path, strict_images=True) as strict:
        named(lambda headers: strict.upload(data, headers=headers), 422, "image_may_contain_identity")
        named(lambda headers: strict.ask(asked(uri(data)), headers=headers), 422, "image_may_contain_identity")
