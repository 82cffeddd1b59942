"""The child process: limits, recovery, isolation, and answers that an honest child would not send."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from image_builders import bundled, dicom_bytes, save, zeros_png
from PIL import Image

import bimedix2
from bimedix2.errors import ImageError
from bimedix2.images import DecodeLimits, ImageDecoder, load_image, load_image_bytes, load_images
from bimedix2.images.messages import ERRORS, NOTICES, clean_name, image_error, image_notice
from bimedix2.images.protocol import ProtocolError, check_answer

linux = pytest.mark.skipif(sys.platform != "linux", reason="address-space limits are enforced on Linux only")
GOOD = save(Image.new("RGB", (8, 8), (10, 20, 30)), "PNG")
SOURCE = str(Path(bimedix2.__file__).parents[1])


def test_one_child_serves_many_and_places_hold_errors(tmp_path):
    (tmp_path / "a.png").write_bytes(GOOD)
    (tmp_path / "b.png").write_bytes(b"not a picture at all")
    (tmp_path / "c.dcm").write_bytes(bundled("MR_small.dcm"))
    reference = SimpleNamespace(path="c.dcm", frame=0, window=(600.0, 1600.0))
    found = load_images(["a.png", "b.png", reference, tmp_path / "none"], root=tmp_path, on_error="return")
    assert found[0].format == "png" and found[2].modality == "mri"
    assert [error.code for error in (found[1], found[3])] == ["unsupported_image_type", "image_not_found"]
    with pytest.raises(ImageError, match=r"b\.png: this type of file"):
        load_images(["a.png", "b.png"], root=tmp_path)


def test_child_is_kept_between_images_and_replaced_after_death(decoder):
    decoder.decode_bytes(GOOD)
    first = decoder._child.process
    decoder.decode_bytes(GOOD)
    assert decoder._child.process is first
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    assert (decoder.decode_bytes(GOOD).pixels == (10, 20, 30)).all()
    assert decoder._child.process is not first


def test_time_limit_and_recovery():
    with ImageDecoder(DecodeLimits(max_seconds=0.3)) as decoder:
        decoder.warm()
        os.kill(decoder._child.process.pid, signal.SIGSTOP)  # a decoder that hangs
        began = time.monotonic()
        with pytest.raises(ImageError) as caught:
            decoder.decode_bytes(GOOD)
        assert caught.value.code == "image_decode_timeout" and time.monotonic() - began < 3
        decoder.limits = DecodeLimits()
        assert decoder.decode_bytes(GOOD).size == (8, 8)


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (signal.SIGSEGV, "image_decoder_crashed"),
        (signal.SIGXCPU, "image_decode_timeout"),
        (signal.SIGKILL, "image_too_large"),
    ],
)
def test_death_in_the_middle_of_an_image_is_named(number, code):
    with ImageDecoder() as decoder:
        decoder.warm()
        child = decoder._child.process
        os.kill(child.pid, signal.SIGSTOP)  # the request goes into the pipe and is not answered
        later = threading.Timer(0.1, lambda: (os.kill(child.pid, number), os.kill(child.pid, signal.SIGCONT)))
        later.start()
        with pytest.raises(ImageError) as caught:
            decoder.decode_bytes(GOOD)
        later.join()
        assert caught.value.code == code
        assert decoder.decode_bytes(GOOD).size == (8, 8)


@linux
def test_memory_limit_and_recovery(decoder):
    big = zeros_png(4900, 4900)
    with ImageDecoder(DecodeLimits(max_memory=8 << 20)) as narrow:
        with pytest.raises(ImageError) as caught:
            narrow.decode_bytes(big)
        assert caught.value.code == "image_too_large"
        assert narrow.decode_bytes(GOOD).size == (8, 8)
        with pytest.raises(ImageError) as caught:
            narrow.decode_bytes(GOOD + bytes(16 << 20))  # the bytes alone are too much
        assert caught.value.code == "image_too_large"
        assert narrow.decode_bytes(GOOD).size == (8, 8)


@linux
def test_bomb_costs_the_parent_little(tmp_path):
    bomb = tmp_path / "bomb.png"
    bomb.write_bytes(zeros_png(20_000, 20_000))
    code = (
        "import resource, sys; from bimedix2.images import load_image\n"
        "from bimedix2.errors import ImageError\n"
        "peak = lambda who: resource.getrusage(who).ru_maxrss\n"
        "before = peak(resource.RUSAGE_SELF)\n"
        "try: load_image(sys.argv[1])\n"
        "except ImageError as error: print(error.code, peak(resource.RUSAGE_SELF) - before,"
        " peak(resource.RUSAGE_CHILDREN))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(bomb)],
        env={**os.environ, "PYTHONPATH": SOURCE},
        capture_output=True,
        text=True,
        check=True,
    )
    name, parent, child = done.stdout.split()
    assert name == "image_too_large" and int(parent) < 100 * 1024 and int(child) < 150 * 1024


def test_sizes(tmp_path):
    with pytest.raises(ImageError) as caught:
        load_image_bytes(GOOD, limits=DecodeLimits(max_bytes=10))
    assert caught.value.code == "image_too_large"
    assert load_image_bytes(GOOD, limits=DecodeLimits(max_pixels=64)).size == (8, 8)
    with pytest.raises(ImageError):
        load_image_bytes(GOOD, limits=DecodeLimits(max_side=7))
    with pytest.raises(ValueError, match="max_pixels"):
        DecodeLimits(max_pixels=0)


@pytest.mark.parametrize("name", ["none.png", "a\0b.png", "x" * 4000, "../../none.dcm"])
def test_paths_that_are_no_file(tmp_path, name):
    with pytest.raises(ImageError) as caught:
        load_image(f"{tmp_path}/{name}")
    assert caught.value.code == "image_not_found"


def test_folders_pipes_and_devices(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    for path in (tmp_path, tmp_path / "pipe.png", "/dev/zero"):
        with pytest.raises(ImageError) as caught:
            load_image(path)
        assert caught.value.code == "image_not_found"


def test_names_in_messages_are_cleaned(tmp_path):
    assert clean_name("a\u202egnp.exe\x1b[31m\n") == "agnp.exe[31m"
    assert len(clean_name("x" * 4000)) == 121
    with pytest.raises(ImageError) as caught:
        load_image(tmp_path / "\u202eevil.png")
    assert "\u202e" not in caught.value.message + caught.value.message_ar


@pytest.mark.parametrize("window", [(40, 0), (40, -1), (float("nan"), 1), (1, float("inf")), (1, 2, 3), ("a", "b")])
def test_callers_window_must_make_sense(decoder, window):
    with pytest.raises(ImageError) as caught:
        decoder.decode_bytes(bundled("MR_small.dcm"), window=window)
    assert caught.value.code == "image_bad_window"


def test_child_imports_no_heavy_library_and_inherits_no_secret(monkeypatch):
    monkeypatch.setenv("SECRET_TOKEN", "hush")
    code = f"import sys; sys.path.insert(0, {SOURCE!r}); import bimedix2.images.worker, bimedix2.images.dicom; "
    code += "print(*sorted({'torch', 'transformers', 'scipy', 'pandas'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
    with ImageDecoder() as decoder:
        decoder.warm()
        environment = Path(f"/proc/{decoder._child.process.pid}/environ")
        if environment.exists():
            assert b"hush" not in environment.read_bytes()


def test_importing_the_room_is_free():
    code = "import sys, bimedix2.images; print(*({'numpy', 'PIL', 'pydicom', 'torch'} & set(sys.modules)))"
    environment = {**os.environ, "PYTHONPATH": SOURCE}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_decoder_survives_fork_and_pickle(decoder):
    decoder.decode_bytes(GOOD)
    assert pickle.loads(pickle.dumps(decoder)).limits == decoder.limits
    ours = decoder._child.process.pid
    decoder._child.owner += 1  # what a forked process sees
    assert decoder.decode_bytes(GOOD).size == (8, 8)
    assert decoder._child.process.pid != ours
    os.kill(ours, signal.SIGKILL)


ANSWER = {"height": 2, "width": 3, "frame": 0, "frames": 1, "modality": None, "notices": [], "window": None}


@pytest.mark.parametrize(
    "change",
    [
        {"height": 3},
        {"height": -2, "width": -3},
        {"height": 2.0},
        {"modality": "CANARY^PATIENT"},
        {"notices": ["CANARY^PATIENT"]},
        {"notices": None},
        {"window": [1]},
        {"window": [1, float("nan")]},
        {"error": "made_up"},
        {"error": "image_strip"},  # an error brings no pixels
        {"frame": None},
    ],
)
def test_answers_of_a_dishonest_child(change):
    check_answer(ANSWER, 18, DecodeLimits())
    with pytest.raises(ProtocolError):
        check_answer({**ANSWER, **change}, 18, DecodeLimits())
    with pytest.raises(ProtocolError):
        check_answer({**ANSWER, "height": 10**6, "width": 10**6}, 3 * 10**12, DecodeLimits())


def test_every_message_is_bilingual_and_documented():
    page = Path(SOURCE).parent.joinpath("docs", "images.md").read_text(encoding="utf-8")
    for code in ERRORS:
        error = image_error(code, "x.png")
        assert error.code == code and f"`{code}`" in page
        assert any("\u0600" <= letter <= "\u06ff" for letter in error.in_language("ar"))
        assert error.in_language("en").startswith("x.png: ")
    for code in NOTICES:
        notice = pickle.loads(pickle.dumps(image_notice(code)))
        assert notice.code == code and f"`{code}`" in page and isinstance(notice, str)
        assert any("\u0600" <= letter <= "\u06ff" for letter in notice.in_language("ar"))


def test_pixels_are_read_only_and_hashed(decoder):
    image = decoder.decode_bytes(dicom_bytes(np.zeros((4, 4), np.uint8)))
    other = decoder.decode_bytes(dicom_bytes(np.zeros((2, 8), np.uint8)))
    assert not image.pixels.flags.writeable
    assert image.sha256 != other.sha256
