"""Rows 17 to 37 of the table of bad inputs through the whole server: as an upload and inside a chat, in both languages."""

from __future__ import annotations

import io
import os
import struct
import sys
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from api_server import asked, uri
from bad_answers import MARK, Whole, named, whole
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "images"))
warnings.simplefilter("ignore", UserWarning)
from image_builders import (  # noqa: E402
    bundled,
    dicom_bytes,
    dicom_dataset,
    dicom_file,
    encapsulated,
    explicit,
    nested_sequences,
    png_chunk,
    save,
    sixteen_bit_png,
    zeros_png,
)

GREY = np.arange(64, dtype=np.uint8).reshape(8, 8)
WIDE = np.arange(64, dtype=np.int16).reshape(8, 8)
PNG, JPEG = save(Image.fromarray(GREY), "PNG"), save(Image.new("RGB", (32, 24), "red"), "JPEG")
CODES = {
    "image_unreadable": 422, "image_too_large": 422, "image_strip": 422, "dicom_too_deep": 422, "dicom_bad_rescale": 422,
    "unsupported_image_type": 415, "dicom_syntax_unsupported": 415, "no_image_in_dicom": 415, "dicom_directory": 415,
    "dicom_expands_too_much": 413,
}  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    with whole(tmp_path_factory.mktemp("server")) as found:
        yield found


def refused(server: Whole, data: bytes, *codes: str, name: str = f"{MARK}.dcm") -> None:
    """Both ways in give the same named answer."""
    code = codes[0]
    if len(codes) > 1:  # garbage may break off at one place or another
        code = server.upload(data, name).json()["error"]["code"]
        assert code in codes
    named(lambda headers: server.upload(data, name, headers), CODES[code], code)
    if data:
        error = named(lambda headers: server.ask(asked(uri(data)), headers=headers), CODES[code], code)
        assert error["param"] == "messages[0].content[1].image_url"


def taken(server: Whole, data: bytes, name: str = "scan.dcm") -> dict[str, Any]:
    """Both ways in take the picture; the answer to the upload, with the codes of the warnings."""
    answer = server.upload(data, name)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    shown = server.send("GET", f"/v1/uploads/{found['id']}/image")
    assert (shown.status_code, shown.headers["content-type"]) == (200, "image/png")
    chat = server.ask(asked(f"upload:{found['id']}"))
    assert chat.status_code == 200 and f"{found['width']}×{found['height']}" in chat.text
    assert server.ask(asked(uri(data))).status_code == 200
    assert MARK not in answer.text + chat.text
    return {**found, "codes": {warning["code"] for warning in found["warnings"]}}


def crc_changed(data: bytes) -> bytes:
    return data[:29] + bytes([data[29] ^ 1]) + data[30:]


def test_17_the_label_is_not_believed(server: Whole) -> None:
    assert taken(server, JPEG, "x.png")["format"] == "jpeg"
    assert server.ask(asked(uri(JPEG, "image/webp"))).status_code == 200


@pytest.mark.parametrize(
    "data", [b"", b"\x89", PNG[:40], PNG[:-20], JPEG[: len(JPEG) // 2], crc_changed(PNG), b"\xff\xd8\xff" * 9],
    ids=["empty", "one byte", "head", "no end", "half a JPEG", "checksum", "markers"],
)  # fmt: skip
def test_18_cut_or_damaged(server: Whole, data: bytes) -> None:
    refused(server, data, "image_unreadable")


def jpeg_2000(size: int) -> bytes:
    head = b"\xff\x4f\xff\x51" + struct.pack(">HHIIIIIIIIHBBB", 41, 0, size, size, 0, 0, size, size, 0, 0, 1, 15, 1, 1)
    found = dicom_dataset(WIDE, syntax="1.2.840.10008.1.2.4.90")
    found.PixelData = encapsulated(head + bytes(200))[:-8]
    return dicom_bytes(found)


def family_kib() -> int:
    """Resident memory of this process and its children, in KiB."""
    found = {int(entry.name): entry for entry in Path("/proc").iterdir() if entry.name.isdecimal()}
    total = 0
    for number, entry in found.items():
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            if number == os.getpid() or int(fields[1]) == os.getpid():
                total += int(fields[21]) * os.sysconf("SC_PAGE_SIZE") // 1024
        except OSError:
            continue
    return total


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="Linux tells the resident memory")
def test_19_bombs(server: Whole) -> None:
    tga = struct.pack("<3B5x4H2B", 0, 0, 10, 0, 0, 23169, 23169, 32, 0)
    webp = b"VP8X" + struct.pack("<I", 10) + bytes(4) + (16382).to_bytes(3, "little") * 2
    taken(server, PNG, "x.png")  # everything is loaded before the measurement
    before = family_kib()
    refused(server, zeros_png(12_800, 12_800), "image_too_large")
    refused(server, zeros_png(20_000, 20_000), "image_too_large")
    refused(server, b"RIFF" + struct.pack("<I", 4 + len(webp)) + b"WEBP" + webp, "image_too_large")
    refused(server, tga.ljust(64, b"\0"), "unsupported_image_type")
    refused(server, b"II*\0" + bytes(40), "unsupported_image_type")
    refused(server, jpeg_2000(60_000), "image_unreadable", "image_too_large")
    assert family_kib() - before < 100 * 1024


def test_20_animations(server: Whole) -> None:
    pictures = [Image.new("L", (4, 4), number % 251) for number in range(300)]
    apng, gif, tiff = (save(pictures[0], kind, save_all=True, append_images=pictures[1:]) for kind in ("PNG", "GIF", "TIFF"))
    assert taken(server, apng, "x.png")["codes"] == {"animation_first_frame"}
    refused(server, gif, "unsupported_image_type")
    refused(server, tiff, "unsupported_image_type")


def test_21_odd_pictures(server: Whole) -> None:
    for mode in ("1", "L", "LA", "P", "RGBA", "I;16"):
        found = taken(server, save(Image.new(mode, (5, 3)), "PNG"), "x.png")
        assert (found["width"], found["height"]) == (5, 3)
    taken(server, save(Image.new("L", (1, 1), 255), "PNG"), "x.png")
    taken(server, save(Image.new("CMYK", (9, 9)), "JPEG"), "x.jpg")
    taken(server, sixteen_bit_png(np.arange(64).reshape(8, 8) * 900), "x.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    turned = taken(server, save(Image.new("RGB", (20, 10)), "JPEG", exif=exif), "x.jpg")
    assert (turned["width"], turned["height"]) == (10, 20)
    refused(server, save(Image.new("L", (1, 20_000)), "PNG"), "image_strip")


FOREIGN = {
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
    "pdf": b"%PDF-1.7\n1 0 obj<<>>endobj\n%%EOF",
    "zip": b"PK\x03\x04" + bytes(200),
    "html": b"<!doctype html><script>alert(1)</script>",
    "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    "wmf": b"\xd7\xcd\xc6\x9a" + bytes(60),
    "hdf5": b"\x89HDF\r\n\x1a\n" + bytes(60),
    "noise": np.random.default_rng(5).bytes(4000),
    "pickle": b"\x80\x04\x95" + bytes(60),
}


@pytest.mark.parametrize("kind", ["svg", "pdf", "zip", "html"])
def test_22_documents(server: Whole, kind: str) -> None:
    refused(server, FOREIGN[kind], "unsupported_image_type", name="x.png")


def test_22_polyglots_lose_their_tail(server: Whole) -> None:
    tail = b"PK\x03\x04" + MARK.encode() + b"<script>"
    for data in (JPEG + tail, PNG + tail, PNG[:33] + png_chunk(b"tEXt", b"Comment\0" + tail) + PNG[33:]):
        found = taken(server, data, "x.jpg")
        kept = (server.folder / "uploads" / found["id"]).read_bytes()
        assert MARK.encode() not in kept + server.send("GET", f"/v1/uploads/{found['id']}/image").content


@pytest.mark.parametrize("kind", ["eps", "wmf", "hdf5"])
def test_23_formats_that_start_other_programs(server: Whole, kind: str) -> None:
    refused(server, FOREIGN[kind], "unsupported_image_type", name="x.png")


@pytest.mark.parametrize(
    ("name", "shown"),
    [("../../x.dcm", "x.dcm"), ("CON", "CON"), ("a\u202egnp.exe", "agnp.exe"), ("ملف ١.png", "ملف ١.png"),
     ("<img src=x onerror=alert(1)>", "<img src=x onerror=alert(1)>"), ("x" * 4000, "x" * 80 + "…")],
    ids=["path", "device", "override", "arabic", "markup", "long"],
)  # fmt: skip
def test_24_names(server: Whole, name: str, shown: str) -> None:
    before = {path for path in server.folder.rglob("*")}
    body = b'--b\r\nContent-Disposition: form-data; name="file"; filename="%s"\r\n\r\n%s\r\n--b--\r\n' % (name.encode(), PNG)
    headers = {"content-type": "multipart/form-data; boundary=b"}
    answer = server.send("POST", "/v1/uploads", content=body, headers=headers)
    assert answer.status_code == 200
    assert len(answer.json()["name"]) <= 81 and (len(name) > 80 or answer.json()["name"] == shown)
    new = {path.name for path in server.folder.rglob("*") if path.parent.name == "uploads"} - {path.name for path in before}
    assert new == {answer.json()["id"]}


def test_25_dicom_without_its_mark(server: Whole) -> None:
    whole_file = dicom_bytes(GREY)
    refused(server, whole_file[132:], "unsupported_image_type")
    refused(server, FOREIGN["noise"], "unsupported_image_type")
    refused(server, FOREIGN["pickle"], "unsupported_image_type")


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
