"""Rows 17 to 24 of the table of bad inputs: pictures as an upload and inside a chat, refused in both languages."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from api_server import asked, uri
from bad_answers import MARK, Whole, whole
from bad_pictures import refused, taken
from image_builders import (
    dicom_bytes,
    dicom_dataset,
    encapsulated,
    png_chunk,
    save,
    sixteen_bit_png,
    zeros_png,
)
from PIL import Image

GREY = np.arange(64, dtype=np.uint8).reshape(8, 8)
WIDE = np.arange(64, dtype=np.int16).reshape(8, 8)
PNG, JPEG = save(Image.fromarray(GREY), "PNG"), save(Image.new("RGB", (32, 24), "red"), "JPEG")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    with whole(tmp_path_factory.mktemp("server")) as found:
        yield found


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
    apng, gif, tiff = (
        save(pictures[0], kind, save_all=True, append_images=pictures[1:]) for kind in ("PNG", "GIF", "TIFF")
    )
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
    before = set(server.folder.rglob("*"))
    body = b'--b\r\nContent-Disposition: form-data; name="file"; filename="%s"\r\n\r\n%s\r\n--b--\r\n' % (
        name.encode(),
        PNG,
    )
    headers = {"content-type": "multipart/form-data; boundary=b"}
    answer = server.send("POST", "/v1/uploads", content=body, headers=headers)
    assert answer.status_code == 200
    assert len(answer.json()["name"]) <= 81 and (len(name) > 80 or answer.json()["name"] == shown)
    new = {path.name for path in server.folder.rglob("*") if path.parent.name == "uploads"} - {
        path.name for path in before
    }
    assert new == {answer.json()["id"]}
