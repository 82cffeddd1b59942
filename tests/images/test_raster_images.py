"""PNG, JPEG and WebP: every mode to upright RGB, hostile files to named errors (rows 17 to 24)."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
from image_builders import png_chunk, save, sixteen_bit_png, zeros_png
from PIL import Image

from bimedix2.images.sniff import webp_size

RED_LEFT = np.zeros((8, 16, 3), np.uint8)
RED_LEFT[:, :8, 0] = 255


@pytest.mark.parametrize(
    ("kind", "options"),
    [("PNG", {}), ("JPEG", {"quality": 95, "subsampling": 0}), ("WEBP", {"lossless": True})],
)
def test_formats(decoder, kind, options):
    image = decoder.decode_bytes(save(Image.fromarray(RED_LEFT), kind, **options))
    assert image.format == kind.lower()
    assert np.abs(image.pixels.astype(int) - RED_LEFT).max() <= (0 if kind != "JPEG" else 8)
    assert image.modality is None and image.window is None and image.frames == 1 and image.warnings == ()
    assert image.size == (16, 8)


def test_label_is_never_trusted(decoder, tmp_path):
    path = tmp_path / "picture.png"
    path.write_bytes(save(Image.fromarray(RED_LEFT), "JPEG"))
    assert decoder.decode(path).format == "jpeg"


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_exif_orientation(decoder, orientation, kind):
    # EXIF 2.32, 4.6.4: where row 0 and column 0 of the stored picture belong in the shown one.
    shown = np.zeros((16, 24, 3), np.uint8)
    shown[:8, :12] = (255, 255, 255)
    shown[8:, 12:] = (120, 120, 120)
    undo = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a),
        7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
        8: lambda a: np.rot90(a, -1),
    }
    stored = Image.fromarray(np.ascontiguousarray(undo[orientation](shown)))
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = save(stored, kind, exif=exif, **({"lossless": True} if kind == "WEBP" else {"quality": 100}))
    assert np.abs(decoder.decode_bytes(data).pixels.astype(int) - shown).max() < 12


def test_damaged_exif_keeps_the_pixels(decoder):
    data = save(Image.fromarray(RED_LEFT), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x02\xff\xff\xff\xff")
    assert decoder.decode_bytes(data).pixels.shape == RED_LEFT.shape


def test_cmyk(decoder):
    data = save(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG")
    assert np.abs(decoder.decode_bytes(data).pixels.astype(int) - (255, 0, 0)).max() < 8


def test_transparency_shows_black(decoder):
    # 200 × 128 / 255 = 100.4 over black.
    rgba = decoder.decode_bytes(save(Image.new("RGBA", (4, 4), (200, 0, 200, 128)), "PNG"))
    assert (rgba.pixels == (100, 0, 100)).all()
    grey = decoder.decode_bytes(save(Image.new("LA", (4, 4), (200, 0)), "PNG"))
    assert (grey.pixels == 0).all()
    palette = Image.new("P", (4, 4), 1)
    palette.putpalette([9, 9, 9, 50, 60, 70])
    assert (decoder.decode_bytes(save(palette, "PNG")).pixels == (50, 60, 70)).all()
    assert (decoder.decode_bytes(save(palette, "PNG", transparency=1)).pixels == 0).all()


def test_one_bit_and_one_pixel(decoder):
    assert (decoder.decode_bytes(save(Image.new("1", (9, 9), 1), "PNG")).pixels == 255).all()
    single = decoder.decode_bytes(save(Image.new("RGB", (1, 1), (1, 2, 3)), "PNG"))
    assert single.pixels.tolist() == [[[1, 2, 3]]]


@pytest.mark.parametrize("value", [0, 255])
def test_all_black_and_all_white(decoder, value):
    assert (decoder.decode_bytes(save(Image.new("L", (30, 30), value), "PNG")).pixels == value).all()
    sixteen = sixteen_bit_png(np.full((30, 30), value * 257))
    assert (decoder.decode_bytes(sixteen).pixels == value).all()


def test_sixteen_bit_grey_is_scaled_between_percentiles(decoder):
    # 0…9999, each once: rank 100 of 10,000 is the value 99, rank 9,900 the value 9899.
    values = np.arange(10000).reshape(100, 100)
    image = decoder.decode_bytes(sixteen_bit_png(values))
    assert image.window == (4999.0, 9800.0)
    expected = np.floor(np.clip((values - 4999) / 9800 + 0.5, 0, 1) * 255 + 0.5)
    assert (image.pixels == expected[:, :, None]).all()
    assert image.warning_codes() == ("sixteen_bit_scaled",)


def test_sixteen_bit_grey_takes_the_callers_window(decoder):
    # PS3.3 C.11.2.1.2.1 with c=1000, w=401: 800 -> ((800-999.5)/400 + 0.5)*255 = 0.32 -> 0; 1000 -> 127.8.
    values = np.array([[0, 799], [1000, 1200]])
    image = decoder.decode_bytes(sixteen_bit_png(values), window=(1000, 401))
    assert image.pixels[:, :, 0].tolist() == [[0, 0], [128, 255]]
    assert image.warnings == ()


def test_animations_give_the_first_frame_and_say_so(decoder):
    frames = [Image.new("RGB", (8, 8), (40 * n, 0, 0)) for n in range(1, 4)]
    for kind, options in (("PNG", {}), ("WEBP", {"lossless": True})):
        data = save(frames[0], kind, save_all=True, append_images=frames[1:], **options)
        image = decoder.decode_bytes(data)
        assert (image.pixels == (40, 0, 0)).all()
        assert image.warning_codes() == ("animation_first_frame",)


def damaged() -> dict[str, bytes]:
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    png, jpeg = save(Image.fromarray(noise), "PNG"), save(Image.fromarray(noise), "JPEG")
    flipped = bytearray(png)
    flipped[-20] ^= 1  # inside the checksum of the pixel chunk
    header = bytearray(png)
    header[29] ^= 1  # checksum of the header chunk
    return {
        "empty": b"",
        "one byte": b"\x89",
        "signature only": png[:8],
        "cut png": png[: len(png) // 2],
        "cut jpeg": jpeg[: len(jpeg) // 2],
        "cut webp": save(Image.fromarray(noise), "WEBP")[:60],
        "pixel checksum": bytes(flipped),
        "header checksum": bytes(header),
        "jpeg of noise": b"\xff\xd8\xff" + noise.tobytes(),
        "webp of noise": b"RIFF\x10\0\0\0WEBP" + noise.tobytes(),
        "zero size": b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", bytes(8) + b"\x08\0\0\0\0"),
    }


@pytest.mark.parametrize("name", damaged())
def test_damaged_files(code_of, name):
    assert code_of(damaged()[name]) == "image_unreadable"


def test_bombs_are_refused_by_their_header(code_of):
    bomb = zeros_png(20_000, 20_000)
    assert len(bomb) < 100_000
    assert code_of(bomb) == "image_too_large"
    assert code_of(zeros_png(12_800, 12_800)) == "image_too_large"


def test_webp_bomb_is_refused_before_the_canvas_exists(code_of):
    data = bytearray(save(Image.new("RGBA", (8, 8), (1, 2, 3, 4)), "WEBP", exif=b"Exif\0\0"))
    assert data[12:16] == b"VP8X" and webp_size(bytes(data)) == (8, 8)
    data[24:30] = (16383).to_bytes(3, "little") * 2
    assert code_of(bytes(data)) == "image_too_large"


@pytest.mark.parametrize("options", [{}, {"lossless": True}, {"exif": b"Exif\0\0"}])
def test_webp_size_in_every_variant(options):
    assert webp_size(save(Image.new("RGB", (33, 77)), "WEBP", **options)) == (33, 77)


@pytest.mark.parametrize("size", [(1, 20_000), (20_000, 1), (100, 3_300)])
def test_strips(code_of, size):
    assert code_of(zeros_png(*size)) == "image_strip"


def foreign() -> dict[str, bytes]:
    picture = Image.fromarray(RED_LEFT)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as content:
        content.writestr("word/document.xml", "<x/>" * 10)
    return {
        "gif": save(picture, "GIF"),
        "tiff": save(picture, "TIFF"),
        "bmp": save(picture, "BMP"),
        "tga 23169²": bytes([0, 0, 2]) + bytes(9) + (23169).to_bytes(2, "little") * 2 + b"\x18\0",
        "jpeg 2000": save(picture, "JPEG2000"),
        "svg": b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        "html": b"<!doctype html><img src=x onerror=alert(1)>",
        "pdf": save(picture, "PDF"),
        "zip": archive.getvalue(),
        "eps": save(picture, "EPS"),
        "wmf": b"\xd7\xcd\xc6\x9a" + bytes(60),
        "hdf5": b"\x89HDF\r\n\x1a\n" + bytes(500),
        "elf": b"\x7fELF" + bytes(500),
        "noise": np.random.default_rng(1).bytes(5000),
    }


@pytest.mark.parametrize("name", foreign())
def test_foreign_types(decoder, code_of, tmp_path, name):
    assert code_of(foreign()[name]) == "unsupported_image_type"


def test_polyglot_loses_its_tail(decoder):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as content:
        content.writestr("evil.class", "EVIL" * 100)
    plain = save(Image.fromarray(RED_LEFT), "JPEG")
    both = decoder.decode_bytes(plain + archive.getvalue())
    assert both.sha256 == decoder.decode_bytes(plain).sha256
    assert b"EVIL" not in both.pixels.tobytes()


def test_frames_and_windows_that_do_not_apply(code_of):
    data = save(Image.fromarray(RED_LEFT), "PNG")
    assert code_of(data, frame=1) == "image_frame_not_found"
    assert code_of(data, window=(40, 400)) == "image_bad_window"
