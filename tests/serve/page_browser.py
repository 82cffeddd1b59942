"""The page in a real Chromium before a real server: opening it, keys, asking, waiting."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from api_server import Running

sys.path.append(str(Path(__file__).resolve().parents[1] / "evaluate"))
import chromium

KEYS = {"Escape": 27, "Enter": 13, "Tab": 9, "ArrowUp": 38, "ArrowDown": 40, "ArrowLeft": 37, "ArrowRight": 39}


def browser_program() -> str:
    program = chromium.find()
    if program is None:
        pytest.skip(f"no browser: none of {', '.join(chromium.NAMES)} is installed")
    return program


def wait(browser: chromium.Browser, condition: str) -> None:
    """Until an expression is true; fails after a minute, for other work may hold the machine up."""
    end = time.monotonic() + 60
    while not browser.run(condition):
        assert time.monotonic() < end, condition
        time.sleep(0.03)


def enter(
    browser: chromium.Browser, server: Running, language: str = "en", *, accept: bool = True, **settings: Any
) -> None:
    """Open the page with given settings, and accept the notice if wanted."""
    browser.open(f"{server.url}/health")
    chosen = json.dumps({"language": language, "theme": "light", **settings})
    browser.run(f"localStorage.clear(); sessionStorage.clear(); localStorage.setItem('bimedix2-settings', {chosen!r})")
    browser.open(f"{server.url}/")
    wait(browser, "document.getElementById('gate').open")
    if accept:
        browser.run("document.getElementById('gate-yes').click()")
        wait(browser, "document.body.dataset.ready === 'yes'")


def press(browser: chromium.Browser, key: str, modifiers: int = 0, code: str = "") -> None:
    """A key; modifiers are 1 Alt, 2 Ctrl, 8 Shift."""
    text = {"text": key} if len(key) == 1 and not modifiers else {"text": "\r"} if key == "Enter" else {}
    for kind, extra in (("keyDown", text), ("keyUp", {})):
        browser.call(
            "Input.dispatchKeyEvent", type=kind, key=key, code=code or key, modifiers=modifiers,
            windowsVirtualKeyCode=KEYS.get(key, 0), **extra,
        )  # fmt: skip


def ask(browser: chromium.Browser, text: str, *, finish: bool = True) -> None:
    before = browser.run("document.querySelectorAll('.answer').length")
    browser.run(
        f"(() => {{ const q = document.getElementById('question'); q.value = {json.dumps(text)};"
        "q.dispatchEvent(new Event('input')); document.getElementById('composer').requestSubmit(); })()"
    )
    wait(browser, f"document.querySelectorAll('.answer').length > {before}")
    if finish:
        wait(browser, "document.getElementById('send').dataset.t === 'send'")


def attach(browser: chromium.Browser, *paths: Path) -> None:
    """Choose files as a person would, and wait until they are uploaded."""
    found = browser.call("Runtime.evaluate", expression="document.getElementById('files')")["result"]["objectId"]
    browser.call("DOM.setFileInputFiles", files=[str(path) for path in paths], objectId=found)
    wait(browser, f"document.querySelectorAll('#tray .thumb img').length === {len(paths)}")


def module(browser: chromium.Browser, name: str, expression: str) -> Any:
    """Value of an expression in which ``m`` is one of the page's modules."""
    base = "document.querySelector('script[type=module]').src"
    return browser.run(f"import(new URL('{name}', {base})).then((m) => {expression})")


def size(browser: chromium.Browser, width: int, height: int = 800) -> None:
    browser.call(
        "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
    )


def drag(browser: chromium.Browser, start: tuple[float, float], way: tuple[int, int]) -> None:
    """Press the mouse, move it in four steps and let go; places are CSS pixels."""
    mouse: dict[str, Any] = {"button": "left", "buttons": 1, "clickCount": 1}
    browser.call("Input.dispatchMouseEvent", type="mousePressed", x=start[0], y=start[1], **mouse)
    for part in (0.25, 0.5, 0.75, 1):
        place = {"x": start[0] + way[0] * part, "y": start[1] + way[1] * part}
        browser.call("Input.dispatchMouseEvent", type="mouseMoved", **place, **mouse)
    browser.call("Input.dispatchMouseEvent", type="mouseReleased", **place, **mouse)


def dicom_file(path: Path, frames: int = 1) -> Path:
    """A CT slice: a ramp of -200 to 304 in 64 rows; every further frame starts 50 higher."""
    import numpy as np
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = CTImageStorage, generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID, data.SOPInstanceUID, data.Modality = CTImageStorage, meta.MediaStorageSOPInstanceUID, "CT"
    data.Rows, data.Columns, data.SamplesPerPixel, data.PhotometricInterpretation = 64, 64, 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 16, 15, 1
    data.RescaleSlope, data.RescaleIntercept, data.WindowCenter, data.WindowWidth = "1", "-200", "40", "400"
    ramp = np.tile(np.arange(0, 512, 8, dtype=np.int16), (64, 1))
    data.PixelData = b"".join((ramp + 50 * frame).tobytes() for frame in range(frames))
    if frames > 1:
        data.NumberOfFrames = frames
    data.save_as(path, enforce_file_format=True)
    return path
