"""Addresses of pictures that are none, and pictures that are damaged, huge or something else."""

from __future__ import annotations

import base64
import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from api_server import Running, asked, encoded, error_of, png, refused, running, uri
from PIL import Image

from bimedix2.images.types import MIB, DecodeLimits
from bimedix2.serve.engines.echo import EchoEngine
from bimedix2.serve.settings import Limits


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    limits = Limits(body_bytes=2 * MIB, image=DecodeLimits(max_bytes=MIB))
    with running(tmp_path_factory.mktemp("data"), EchoEngine(), limits=limits) as found:
        yield found


def user(content: Any = "x") -> dict[str, Any]:
    return {"role": "user", "content": content}


def test_pictures_stand_in_the_users_messages_and_not_too_many(server: Running) -> None:
    picture = {"type": "image_url", "image_url": {"url": uri(png(8, 8))}}
    for role in ("system", "assistant"):
        refused(server.chat(messages=[{"role": role, "content": [picture]}, user()]), 422)
    refused(server.chat([picture] * 5), 422, "too_many_images")
    refused(server.chat(messages=[user([picture] * 3)] * 2), 422, "too_many_images")
    assert server.chat([picture] * 4).status_code == 200


REMOTE = (
    "http://169.254.169.254/latest/meta-data", "http://127.0.0.1:{port}/x.png", "http://[::1]:{port}/x.png",
    "http://0x7f000001:{port}/", "http://2130706433:{port}/", "https://localhost:{port}/x.png",
    "HTTP://127.0.0.1:{port}/", " http://127.0.0.1:{port}/", "file:///etc/passwd", "gopher://127.0.0.1:{port}/",
    "ftp://127.0.0.1:{port}/x.png", "C:\\x.png", "javascript:alert(1)",
)  # fmt: skip


def test_no_address_is_ever_fetched(server: Running) -> None:
    visits = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.2)
        ended = threading.Event()

        def listen() -> None:
            while not ended.is_set():
                with contextlib.suppress(TimeoutError):
                    visits.append(listener.accept())

        thread = threading.Thread(target=listen)
        thread.start()
        port = listener.getsockname()[1]
        try:
            for address in REMOTE:
                found = server.chat(asked(address.format(port=port)), headers={"accept-language": "ar"})
                refused(found, 400, "remote_images_disabled", "messages[0].content[1].image_url")
                assert error_of(found)["message"].startswith("لا يجلب")
            time.sleep(0.5)
        finally:
            ended.set()
            thread.join()
    assert visits == []


DATA = base64.b64encode(png(8, 8)).decode()


@pytest.mark.parametrize(
    "address",
    [
        "/etc/passwd", "../x.png", "x.png", "data:", "data:,", "data:text/html;base64,AAAA",
        "data:image/svg+xml;base64,AAAA", f"data:image/png,{DATA}", f"data:image/png;base64;x,{DATA}",
        "data:image/png;base64,", "data:image/png;base64,A", "data:image/png;base64,AAA", "data:image/png;base64,!!!!",
        f"data:image/png;base64,{DATA[:20]} {DATA[20:]}", f"data:image/png;base64,{DATA[:20]}\n{DATA[20:]}",
        f"data:image/png;base64,{DATA.rstrip('=')}A", "data:image/png;base64,-_-_", f"data:image/png;base64,{DATA}é",
        "upload:", "upload:../../x", "upload:a?frame=x", "upload:a?center=1", "upload:a?frame=0&frame=1",
    ],
)  # fmt: skip
def test_an_address_that_is_no_picture_is_400(server: Running, address: str) -> None:
    refused(server.chat(asked(address)), 400)


def test_the_declared_type_is_not_believed(server: Running) -> None:
    jpeg = encoded(Image.new("RGB", (20, 10)), "JPEG")
    found = server.chat(asked(uri(jpeg, "image/png")))
    assert "Pictures: 20×10." in found.json()["choices"][0]["message"]["content"]


def broken() -> dict[str, bytes]:
    whole = png(64, 64)
    crc = bytearray(whole)
    crc[29] ^= 1  # of the header
    jpeg = encoded(Image.effect_noise((64, 64), 90).convert("RGB"), "JPEG")
    return {"one byte": b"\x89", "cut PNG": whole[: len(whole) // 2], "wrong CRC": bytes(crc), "cut JPEG": jpeg[:200]}


@pytest.mark.parametrize("name", ["one byte", "cut PNG", "wrong CRC", "cut JPEG"])
def test_damaged_pictures_are_422(server: Running, name: str) -> None:
    refused(server.chat(asked(uri(broken()[name]))), 422, "image_unreadable")


def test_bombs_are_422_and_other_files_415(server: Running) -> None:
    bomb = encoded(Image.new("1", (12_800, 12_800)), "PNG")
    assert len(bomb) < 40_000
    refused(server.chat(asked(uri(bomb))), 422, "image_too_large")
    refused(server.chat(asked(uri(bytes(MIB + 10)))), 422, "image_too_large")
    tga = bytes([0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0]) + (23_169).to_bytes(2, "little") * 2 + bytes([24, 0])
    pdf, tiff = b"%PDF-1.7\n" + b"0" * 100, encoded(Image.new("L", (9, 9)), "TIFF")
    gif = encoded(Image.new("L", (9, 9)), "GIF")
    for data in (tga, pdf, tiff, gif, b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"PK\x03\x04" + bytes(100)):
        refused(server.chat(asked(uri(data))), 415, "unsupported_image_type")


def test_an_animation_gives_its_first_frame_and_says_so(server: Running) -> None:
    frames = [Image.new("RGB", (16, 16), (shade, 0, 0)) for shade in range(40)]
    apng = encoded(frames[0], "PNG", save_all=True, append_images=frames[1:])
    found = server.chat(asked(uri(apng))).json()
    assert any("animation" in notice["en"] for notice in found["bimedix2"]["notices"])
