"""Bad pictures: rows 17 to 37 of the table of bad inputs, each with its named answer and never a 5xx."""

from __future__ import annotations

import gzip
import io
import struct
import warnings
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from upload_app import pixels_of, send, upload_client

warnings.simplefilter("ignore", UserWarning)
from image_builders import (  # noqa: E402
    CANARY,
    bundled,
    dicom_bytes,
    dicom_dataset,
    dicom_file,
    encapsulated,
    explicit,
    nested_sequences,
    png_chunk,
    save,
    zeros_png,
)

SMALL = np.arange(16, dtype=np.uint8).reshape(4, 4)
WIDE = np.arange(16, dtype=np.int16).reshape(4, 4)
JPEG_2000, JPEG_LS, JPEG_BASELINE = (f"1.2.840.10008.1.2.4.{number}" for number in (90, 80, 50))
PNG = save(Image.fromarray(SMALL), "PNG")
JPEG = save(Image.new("RGB", (32, 24), "red"), "JPEG")


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    with upload_client(tmp_path_factory.mktemp("server") / "data") as found:
        yield found


def refused(client, data: bytes, name: str = "scan.dcm") -> tuple[int, str]:
    answer = send(client, data, name)
    assert 400 <= answer.status_code < 500, answer.text
    error = answer.json()["error"]
    assert error["message"] and error["message_ar"] and error["message"] != error["message_ar"]
    assert CANARY not in answer.text
    return answer.status_code, error["code"]


def zipped(name: str, body: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(name, body)
    return stream.getvalue()


def animation(frames: int, kind: str) -> bytes:
    pictures = [Image.new("L", (4, 4), number % 251) for number in range(frames)]
    return save(pictures[0], kind, save_all=True, append_images=pictures[1:])


def test_17_label_is_not_believed(client):
    assert send(client, JPEG, "x.png").json()["format"] == "jpeg"
    answer = client.post("/v1/uploads", files={"file": ("x.html", PNG, "text/html")})
    assert answer.json()["format"] == "png"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x89",
        PNG[:40],
        PNG[:-20],
        JPEG[: len(JPEG) // 2],
        PNG.replace(PNG[-16:-12], b"\0\0\0\0"),
        b"\xff\xd8\xff" * 9,
    ],
)
def test_18_cut_or_damaged(client, data):
    assert refused(client, data, "x.png") == (422, "image_unreadable")


def bombs() -> dict[str, bytes]:
    tiff = b"II*\0" + bytes(40)
    tga = struct.pack("<3B5x4H2B", 0, 0, 10, 0, 0, 23169, 23169, 32, 0)
    webp = b"VP8X" + struct.pack("<I", 10) + bytes(4) + (16382).to_bytes(3, "little") * 2
    jpx = dicom_dataset(WIDE, syntax=JPEG_2000)
    head = b"\xff\x4f\xff\x51" + struct.pack(
        ">HHIIIIIIIIHBBB", 41, 0, 60000, 60000, 0, 0, 60000, 60000, 0, 0, 1, 15, 1, 1
    )
    jpx.PixelData = encapsulated(head + bytes(200))[:-8]
    return {
        "png 12,800": zeros_png(12_800, 12_800),
        "png 20,000": zeros_png(20_000, 20_000),
        "webp": b"RIFF" + struct.pack("<I", 4 + len(webp)) + b"WEBP" + webp,
        "dicom": dicom_bytes(SMALL, Rows=65535, Columns=65535),
        "jpeg 2000": dicom_bytes(jpx),
        "tga": tga.ljust(64, b"\0"),
        "tiff": tiff,
    }


def resident() -> int:
    """Resident memory of this process, in bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="Linux tells the resident memory")
def test_19_bombs_leave_the_server_small(client):
    files = bombs()
    refused(client, PNG[:40])  # children and libraries are loaded before the measurement
    before = resident()
    codes = {name: refused(client, data) for name, data in files.items()}
    assert resident() - before < 100 * 1024 * 1024
    large = (422, "image_too_large")
    assert all(codes[name] == large for name in ("png 12,800", "png 20,000", "webp", "dicom")), codes
    assert codes["tga"] == codes["tiff"] == (415, "unsupported_image_type")
    assert codes["jpeg 2000"][1] in {"image_unreadable", "image_too_large", "image_decoder_crashed"}


def test_20_animations(client):
    answer = send(client, animation(300, "PNG")).json()
    assert [w["code"] for w in answer["warnings"]] == ["animation_first_frame"] and answer["frames"] == 1
    assert refused(client, animation(300, "GIF")) == (415, "unsupported_image_type")
    assert refused(client, animation(3, "TIFF")) == (415, "unsupported_image_type")


def test_21_odd_pictures(client):
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"):
        answer = send(client, save(Image.new(mode, (5, 3)), "PNG"))
        assert answer.status_code == 200, mode
        shown = pixels_of(client.get(f"/v1/uploads/{answer.json()['id']}/image"))
        assert shown.shape == (3, 5, 3) and not shown.any()
    assert send(client, save(Image.new("L", (1, 1), 255), "PNG")).status_code == 200
    assert send(client, save(Image.new("CMYK", (9, 9)), "JPEG")).status_code == 200
    assert refused(client, save(Image.new("L", (1, 4000)), "PNG")) == (422, "image_strip")


SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
FOREIGN = {
    "svg": SVG,
    "pdf": b"%PDF-1.7\n1 0 obj<<>>endobj\n%%EOF",
    "zip": zipped("a.txt", b"hello"),
    "docx": zipped("word/document.xml", b"<w:document/>"),
    "html": b"<!doctype html><script>alert(1)</script>",
    "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    "wmf": b"\xd7\xcd\xc6\x9a" + bytes(60),
    "hdf5": b"\x89HDF\r\n\x1a\n" + bytes(60),
    "elf": b"\x7fELF" + bytes(200),
    "noise": np.random.default_rng(5).bytes(4000),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_22_23_25_other_types(client, kind):
    for name in ("x.png", "x.dcm"):
        assert refused(client, FOREIGN[kind], name) == (415, "unsupported_image_type")


def test_22_polyglots_lose_their_tail(client):
    for data in (JPEG + zipped("evil.jar", b"class"), PNG + SVG):
        answer = send(client, data, "x.jpg").json()
        shown = client.get(f"/v1/uploads/{answer['id']}/image").content
        on_disk = (client.app.state.uploads.store.folder / answer["id"]).read_bytes()
        assert b"evil.jar" not in shown + on_disk and b"script" not in shown + on_disk


NAMES = {
    "../../x.dcm": "x.dcm",
    "C:\\Users\\me\\x.dcm": "x.dcm",
    "CON": "CON",
    "a\u202egnp.exe": "agnp.exe",
    "ملف\u2066 1\u2069.png": "ملف 1.png",
    "<img src=x onerror=alert(1)>": "<img src=x onerror=alert(1)>",
}


@pytest.mark.parametrize("name", NAMES)
def test_24_names_are_never_paths(client, name):
    folder = client.app.state.uploads.store.folder
    before = set(folder.parent.rglob("*"))
    boundary = b"--b\r\n"
    head = b'Content-Disposition: form-data; name="file"; filename="' + name.encode().replace(b"\\", b"\\\\") + b'"'
    body = boundary + head + b"\r\n\r\n" + PNG + b"\r\n--b--\r\n"
    answer = client.post("/v1/uploads", content=body, headers={"content-type": "multipart/form-data; boundary=b"})
    assert answer.status_code == 200 and answer.json()["name"] == NAMES[name]  # JSON: whoever makes HTML escapes it
    new = set(folder.parent.rglob("*")) - before
    assert {path.name for path in new if path.parent == folder} == {answer.json()["id"]}


def test_24_long_names_and_nul(client):
    answer = send(client, PNG, "x" * 3000 + ".png").json()
    assert len(answer["name"]) == 81 and answer["name"].endswith(".png")
    body = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a\0b.png"\r\n\r\n' + PNG + b"\r\n--b--\r\n"
    answer = client.post("/v1/uploads", content=body, headers={"content-type": "multipart/form-data; boundary=b"})
    assert answer.status_code in (200, 400) and "\0" not in answer.text


@pytest.mark.parametrize("start", [b"MZ\x90\0", b"\x7fELF", b"%PDF-1.7", b"<html><script>"])
def test_26_preambles_are_dropped(client, start):
    data = start + dicom_bytes(SMALL)[len(start) :]
    answer = send(client, data).json()
    on_disk = (client.app.state.uploads.store.folder / answer["id"]).read_bytes()
    assert on_disk[:128] == bytes(128) and start not in on_disk
    assert client.get(f"/v1/uploads/{answer['id']}").headers["content-type"] == "application/json"


def test_27_deflated(client):
    bomb = zlib.compressobj(9, wbits=-15)
    body = b"".join(bomb.compress(bytes(1 << 20)) for _ in range(64)) + bomb.flush()
    code = (413, "dicom_expands_too_much")
    assert refused(client, bundled("image_dfl.dcm")) == code
    assert refused(client, dicom_file(body, "1.2.840.10008.1.2.1.99")) == code


def test_28_deep_sequences(client):
    body = dicom_bytes(SMALL)
    at = body.index(b"\x28\0\x02\0")
    assert refused(client, body[:at] + nested_sequences(3000) + body[at:]) == (422, "dicom_too_deep")
    assert send(client, body[:at] + nested_sequences(8) + body[at:]).status_code == 200


def test_29_lying_lengths(client):
    pixel = struct.pack("<HH2sH", 0x7FE0, 0x0010, b"OW", 0)
    files = [
        dicom_file(pixel + struct.pack("<I", 0xFFFFFFF0) + bytes(8)),
        dicom_file(explicit(8, 0x60, b"CS", b"CT")[:-2]),
        dicom_file(struct.pack("<HH2sHI", 0x0008, 0x1140, b"SQ", 0, 0xFFFFFFFF)),
        dicom_file(pixel + b"\xff\xff\xff\xff" + bytes(16), JPEG_2000),
    ]
    assert {refused(client, data) for data in files} == {(422, "image_unreadable")}


@pytest.mark.parametrize(
    ("attributes", "code"),
    [
        ({"Rows": 5000, "Columns": 4000}, "image_unreadable"),
        ({"NumberOfFrames": 100_000}, "image_unreadable"),
        ({"BitsStored": 12}, "image_unreadable"),
        ({"BitsAllocated": 64}, "image_unreadable"),
        ({"SamplesPerPixel": 4}, "image_unreadable"),
        ({"Rows": 1, "Columns": 16000}, "image_strip"),
        ({"PhotometricInterpretation": "HSV"}, "image_unreadable"),
    ],
)
def test_30_impossible_pixel_modules(client, attributes, code):
    assert refused(client, dicom_bytes(SMALL, **attributes)) == (422, code)


@pytest.mark.parametrize("syntax", [JPEG_BASELINE, JPEG_2000, JPEG_LS, "1.2.840.10008.1.2.5"])
def test_31_garbage_fragments(client, syntax):
    ds = dicom_dataset(SMALL, syntax=syntax)
    ds.PixelData = encapsulated(b"\xff\xd8\xff\xe0" + np.random.default_rng(3).bytes(3000))[:-8]
    status, code = refused(client, dicom_bytes(ds))
    assert status == 422 and code in {"image_unreadable", "image_too_large", "image_decoder_crashed"}


@pytest.mark.parametrize("number", ["100", "102", "106", "999"])
def test_31_video(client, number):
    data = dicom_file(b"\x08\0\x16\0UI\0\0" + bytes(32), f"1.2.840.10008.1.2.4.{number}")
    assert refused(client, data) == (415, "dicom_syntax_unsupported")


@pytest.mark.parametrize(
    "window",
    [
        {"WindowCenter": 40, "WindowWidth": 0},
        {"WindowCenter": 40, "WindowWidth": -5},
        {"WindowCenter": [1, 2, 3], "WindowWidth": 9},
        {"WindowCenter": 40},
    ],
)
def test_32_windows_that_are_none(client, window):
    answer = send(client, dicom_bytes(WIDE, **window)).json()
    assert [w["code"] for w in answer["warnings"]] == ["window_invalid"]
    assert answer["windows"][0] == {"center": 7.5, "width": 15.0, "name": "automatic", "name_ar": "تلقائية"}
    shown = pixels_of(client.get(f"/v1/uploads/{answer['id']}/image"))
    assert shown.min() == 0 and shown.max() == 255


def test_32_rescale(client):
    assert refused(client, dicom_bytes(WIDE, RescaleSlope=0, RescaleIntercept=1)) == (422, "dicom_bad_rescale")
    answer = send(client, dicom_bytes(WIDE, RescaleSlope=2)).json()
    assert "rescale_incomplete" in {w["code"] for w in answer["warnings"]}


@pytest.mark.parametrize(
    "query", ["center=nan&width=5", "center=1&width=0", "center=1&width=-1", "center=1", "width=2"]
)
def test_32_windows_of_the_caller(client, query):
    name = send(client, dicom_bytes(WIDE)).json()["id"]
    answer = client.get(f"/v1/uploads/{name}/image?{query}")
    assert answer.status_code == 422 and answer.json()["error"]["code"] == "image_bad_window"


@pytest.mark.parametrize("query", ["frame=-1", "frame=x", "frame=99999999999999999999", "center=a&width=b"])
def test_numbers_that_are_none(client, query):
    name = send(client, dicom_bytes(WIDE)).json()["id"]
    assert client.get(f"/v1/uploads/{name}/image?{query}").status_code == 422


@pytest.mark.parametrize("name", ["test-SR.dcm", "reportsi.dcm", "rtplan.dcm", "waveform_ecg.dcm"])
def test_34_no_picture(client, name):
    assert refused(client, bundled(name)) == (415, "no_image_in_dicom")


def test_35_dicomdir(client):
    assert refused(client, bundled("DICOMDIR")) == (415, "dicom_directory")


@pytest.mark.parametrize("charset", ["ISO_IR 127", "ISO_IR 192"])
def test_36_tags_are_never_told(client, charset):
    ds = dicom_dataset(SMALL, SpecificCharacterSet="ISO_IR 192", PatientName="أحمد^" + CANARY)
    answer = send(client, dicom_bytes(ds).replace(b"ISO_IR 192", charset.encode()))
    assert answer.status_code == 200 and CANARY not in answer.text and "أحمد" not in answer.text


def test_37_identity_in_the_picture(client, tmp_path):
    data = dicom_bytes(SMALL, BurnedInAnnotation="YES")
    warning = send(client, data).json()["warnings"][-1]
    assert warning["code"] == "may_contain_identity" and "identity" in warning["en"] and "هوية" in warning["ar"]
    with upload_client(tmp_path / "strict", strict_images=True) as strict:
        assert refused(strict, data) == (422, "image_may_contain_identity")
        assert refused(strict, bundled("SC_rgb_rle.dcm")) == (422, "image_may_contain_identity")
        assert send(strict, dicom_bytes(SMALL)).status_code == 200
        assert len(list(strict.app.state.uploads.store.folder.iterdir())) == 1


def test_text_chunks_of_a_png_are_dropped(client):
    data = PNG[:33] + png_chunk(b"tEXt", b"Comment\0" + CANARY.encode()) + PNG[33:]
    answer = send(client, data).json()
    assert CANARY.encode() not in (client.app.state.uploads.store.folder / answer["id"]).read_bytes()


def test_gzip_is_not_opened(client):
    body = b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\n' + PNG + b"\r\n--b--\r\n"
    headers = {"content-type": "multipart/form-data; boundary=b", "content-encoding": "gzip"}
    answer = client.post("/v1/uploads", content=gzip.compress(body), headers=headers)
    assert answer.status_code == 415 and answer.json()["error"]["code"] == "compressed_body"
