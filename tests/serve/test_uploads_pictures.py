"""Uploads give back exactly what the decoder gives the model, and what a canvas needs to window it."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from upload_app import pixels_of, send, upload_client

warnings.simplefilter("ignore", UserWarning)
from image_builders import CANARY, bundled, dicom_bytes, dicom_dataset, save, sequence, sixteen_bit_png  # noqa: E402
from pydicom.data import get_testdata_files  # noqa: E402

from bimedix2.errors import ImageError  # noqa: E402
from bimedix2.images import ImageDecoder  # noqa: E402
from bimedix2.serve.uploads.errors import STATUS  # noqa: E402

SMALL = np.arange(16, dtype=np.uint8).reshape(4, 4)
PHANTOM = np.array([[-1000, -500], [0, 1000]], dtype=np.int16)


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    with upload_client(tmp_path_factory.mktemp("server") / "data") as found:
        yield found


@pytest.fixture(scope="module")
def decoder():
    with ImageDecoder() as found:
        yield found


def kept(client, answer) -> bytes:
    return (client.app.state.uploads.store.folder / answer["id"]).read_bytes()


BUNDLED = sorted(Path(path).name for path in get_testdata_files("*.dcm") if Path(path).is_file())


@pytest.mark.parametrize("name", BUNDLED)
def test_every_bundled_file_is_shown_as_the_model_sees_it(client, decoder, name):
    data = bundled(name)
    answer = send(client, data)
    try:
        expected = decoder.decode_bytes(data)
    except ImageError as error:
        assert answer.json()["error"]["code"] == error.code
        assert answer.status_code == STATUS.get(error.code, 422)
        return
    shown = pixels_of(client.get(f"/v1/uploads/{answer.json()['id']}/image"))
    assert (shown == expected.pixels).all()
    last = {"frame": expected.frames - 1}
    shown = pixels_of(client.get(f"/v1/uploads/{answer.json()['id']}/image", params=last))
    assert (shown == decoder.decode_bytes(data, **last).pixels).all()


def test_answer_to_an_upload(client):
    answer = send(client, bundled("CT_small.dcm"), "thorax.dcm").json()
    assert answer["kind"] == "dicom" and answer["format"] == "dicom" and answer["modality"] == "ct"
    assert (answer["width"], answer["height"], answer["frames"]) == (128, 128, 1)
    assert [w["name"] for w in answer["windows"]][:2] == ["automatic", "lung"]
    assert {(w["center"], w["width"]) for w in answer["windows"]} >= {(-600, 1500), (40, 400), (400, 1800), (40, 80)}
    assert all(w["name_ar"] for w in answer["windows"])
    assert answer["warnings"][0]["code"] == "window_from_percentiles"
    assert answer["warnings"][0]["en"] != answer["warnings"][0]["ar"]
    assert answer["expires"] > 0 and answer["name"] == "thorax.dcm"
    again = client.get(f"/v1/uploads/{answer['id']}").json()
    assert again == {key: value for key, value in answer.items() if key != "name"}


def test_window_of_the_caller(client):
    name = send(client, dicom_bytes(PHANTOM)).json()["id"]
    shown = pixels_of(client.get(f"/v1/uploads/{name}/image", params={"center": 0, "width": 2001}))
    # PS3.3 C.11.2.1.2.1: ((x - (c - 0.5)) / (w - 1) + 0.5) * 255, worked out by hand.
    assert shown[..., 0].tolist() == [[0, 64], [128, 255]]


def windowed(codes, headers, centre, width):
    """What a canvas computes from ``pixels``: LINEAR of PS3.3 C.11.2.1.2.1."""
    values = float(headers["x-min"]) + codes * float(headers["x-step"])
    shown = np.clip(((values - (centre - 0.5)) / (width - 1) + 0.5) * 255, 0, 255)
    shown = 255 - shown if headers["x-invert"] == "1" else shown
    if "x-padding" in headers:
        shown[codes == int(headers["x-padding"])] = 0
    return np.floor(shown + 0.5).astype(np.uint8)


def values_of(response):
    assert response.status_code == 200, response.text
    shape = (int(response.headers["x-rows"]), int(response.headers["x-columns"]))
    return np.frombuffer(response.content, "<u2").reshape(shape)


@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small.dcm", "J2K_pixelrep_mismatch.dcm", "examples_overlay.dcm"])
def test_canvas_and_server_window_alike(client, name):
    name = send(client, bundled(name)).json()["id"]
    response = client.get(f"/v1/uploads/{name}/pixels")
    codes = values_of(response)
    for centre, width in ((40, 400), (-600, 1500), (300, 801)):
        view = pixels_of(client.get(f"/v1/uploads/{name}/image", params={"center": centre, "width": width}))
        assert (windowed(codes, response.headers, centre, width) == view[..., 0]).all()


def test_values_are_hounsfield_units(client):
    data = dicom_bytes(PHANTOM, RescaleSlope=2, RescaleIntercept=-24)
    response = client.get(f"/v1/uploads/{send(client, data).json()['id']}/pixels")
    values = float(response.headers["x-min"]) + values_of(response) * float(response.headers["x-step"])
    assert values.tolist() == [[-2024, -1024], [-24, 1976]]
    assert float(response.headers["x-max"]) == 1976 and response.headers["x-step"] == "1.0"


def test_monochrome1_and_padding(client):
    stored = np.array([[-2000, 0], [500, 1000]], dtype=np.int16)
    data = dicom_bytes(stored, PhotometricInterpretation="MONOCHROME1", PixelPaddingValue=-2000, Modality="DX")
    name = send(client, data).json()["id"]
    response = client.get(f"/v1/uploads/{name}/pixels")
    assert response.headers["x-invert"] == "1" and response.headers["x-padding"] == "65535"
    assert float(response.headers["x-min"]) == 0 and values_of(response).tolist() == [[65535, 0], [500, 1000]]
    view = pixels_of(client.get(f"/v1/uploads/{name}/image", params={"center": 500, "width": 1001}))
    assert (windowed(values_of(response), response.headers, 500, 1001) == view[..., 0]).all()
    assert view[0, 0, 0] == 0 and view[0, 1, 0] > view[1, 1, 0]


def test_slopes_that_do_not_fit_in_whole_numbers(client):
    data = dicom_bytes(np.array([[0, 1], [2, 40_000]], np.uint16), RescaleSlope=2.5, RescaleIntercept=0.25)
    response = client.get(f"/v1/uploads/{send(client, data).json()['id']}/pixels")
    values = float(response.headers["x-min"]) + values_of(response) * float(response.headers["x-step"])
    assert np.abs(values - [[0.25, 2.75], [5.25, 100_000.25]]).max() <= float(response.headers["x-step"]) / 2


def test_sixteen_bit_png_keeps_its_depth(client, decoder):
    values = (np.arange(64).reshape(8, 8) * 60 + 7).astype(np.uint16)
    data = sixteen_bit_png(values)
    answer = send(client, data, "x.png").json()
    assert answer["kind"] == "image" and answer["grey"] and answer["windows"][0]["name"] == "automatic"
    response = client.get(f"/v1/uploads/{answer['id']}/pixels")
    assert (float(response.headers["x-min"]) + values_of(response) == values).all()
    for window in (None, (2000.0, 500.0)):
        params = {} if window is None else {"center": window[0], "width": window[1]}
        shown = pixels_of(client.get(f"/v1/uploads/{answer['id']}/image", params=params))
        assert (shown == decoder.decode_bytes(data, window=window).pixels).all()


def test_pixels_that_are_not_square_keep_one_geometry(client):
    data = dicom_bytes(np.tile(np.arange(40, dtype=np.int16), (30, 1)), PixelSpacing=[1.0, 0.5])
    name = send(client, data).json()["id"]
    view = pixels_of(client.get(f"/v1/uploads/{name}/image"))
    assert values_of(client.get(f"/v1/uploads/{name}/pixels")).shape == view.shape[:2] == (60, 40)


@pytest.mark.parametrize("name", ["SC_rgb_rle.dcm", "examples_palette.dcm"])
def test_colour_has_no_grey_values(client, name):
    answer = send(client, bundled(name)).json()
    refused = client.get(f"/v1/uploads/{answer['id']}/pixels")
    assert refused.status_code == 422 and refused.json()["error"]["code"] == "image_not_grey"
    assert answer["windows"] == [] and not answer["grey"]


def test_windows_of_the_file_and_their_names(client):
    data = dicom_bytes(
        PHANTOM,
        WindowCenter=[40, 300, 35],
        WindowWidth=[400, 2000, 80],
        WindowCenterWidthExplanation=["Weichteil SOFT", "BONE", f"for {CANARY}"],
    )
    answer = send(client, data).json()
    assert [w["name"] for w in answer["windows"]][:3] == ["soft tissue", "bone", "file 3"]
    assert CANARY not in str(answer)
    assert CANARY.encode() not in kept(client, answer)


@pytest.mark.parametrize(("value", "side"), [("L", "L"), ("R", "R"), ("LEFT JOHN", None), ("", None)])
def test_laterality_is_one_of_four_letters(client, value, side):
    assert send(client, dicom_bytes(PHANTOM, ImageLaterality=value)).json()["laterality"] == side


def test_frames_with_windows_of_their_own(client):
    frames = np.stack([PHANTOM, PHANTOM + 7])
    groups = [
        sequence(
            FrameVOILUTSequence=sequence(WindowCenter=centre, WindowWidth=200),
            FrameAnatomySequence=sequence(FrameLaterality="R"),
            FrameContentSequence=sequence(FrameComments=CANARY),
        )[0]
        for centre in (10, 90)
    ]
    ds = dicom_dataset(frames, NumberOfFrames=2)
    ds.PerFrameFunctionalGroupsSequence = groups
    answer = send(client, dicom_bytes(ds)).json()
    assert answer["frames"] == 2 and answer["laterality"] == "R" and answer["windows"][0]["center"] == 10
    first, second = (
        client.get(f"/v1/uploads/{answer['id']}/pixels", params={"frame": n}).headers["x-min"] for n in (0, 1)
    )
    assert (float(first), float(second)) == (-1000, -993)
    missing = client.get(f"/v1/uploads/{answer['id']}/image", params={"frame": 2})
    assert missing.status_code == 422 and missing.json()["error"]["code"] == "image_frame_not_found"
    assert CANARY.encode() not in kept(client, answer)


def test_nothing_about_the_patient_is_kept(client):
    ds = dicom_dataset(PHANTOM, InstitutionName=CANARY, StudyDate="20230501", AccessionNumber=CANARY)
    ds.add_new(0x00091001, "LO", CANARY)
    data = b"MZ" + dicom_bytes(ds)[2:] + b"\xfc\xff\xfc\xff" + CANARY.encode()
    answer = send(client, data, f"{CANARY}.dcm")
    assert answer.status_code == 200
    on_disk = kept(client, answer.json())
    assert CANARY.encode() not in on_disk and b"20230501" not in on_disk and not on_disk.startswith(b"MZ")
    assert b"1.2.3.4" not in on_disk
    everything = b"".join(path.read_bytes() for path in client.app.state.uploads.store.folder.parent.glob("server*"))
    assert CANARY.encode() not in everything


def test_a_jpeg_is_kept_as_our_png_and_its_tail_is_gone(client, decoder):
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    exif[0x010E] = CANARY
    picture = Image.fromarray(np.random.default_rng(1).integers(0, 255, (20, 30, 3), np.uint8))
    data = save(picture, "JPEG", exif=exif, quality=90) + b"PK\x03\x04" + CANARY.encode()
    answer = send(client, data, "a.png").json()  # the label is not believed
    assert answer["format"] == "jpeg" and (answer["width"], answer["height"]) == (20, 30)
    assert kept(client, answer).startswith(b"\x89PNG") and CANARY.encode() not in kept(client, answer)
    shown = pixels_of(client.get(f"/v1/uploads/{answer['id']}/image"))
    assert (shown == decoder.decode_bytes(data).pixels).all()


def test_a_photograph_whose_png_is_larger_than_any_upload_may_be(tmp_path):
    from bimedix2.images import DecodeLimits
    from bimedix2.serve.settings import Limits

    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (400, 400, 3), np.uint8))
    data = save(noise, "JPEG", quality=40)
    limits = Limits(image=DecodeLimits(max_bytes=100_000, max_pixels=200_000))
    assert len(data) < 100_000
    with upload_client(tmp_path / "data", limits=limits) as client:
        name = send(client, data).json()["id"]
        assert pixels_of(client.get(f"/v1/uploads/{name}/image")).shape == (400, 400, 3)
        assert len(client.get(f"/v1/uploads/{name}/image").content) > 100_000


def test_files_are_private(client):
    answer = send(client, save(Image.new("L", (9, 9)), "PNG")).json()
    folder = client.app.state.uploads.store.folder
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / answer["id"]).stat().st_mode & 0o777 == 0o600
    response = client.get(f"/v1/uploads/{answer['id']}/image")
    assert response.headers["cache-control"] == "private, no-store"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert Image.open(io.BytesIO(response.content)).mode == "L"
