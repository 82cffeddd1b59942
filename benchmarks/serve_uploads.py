"""How long an upload takes: a 3-megapixel PNG and a 2,048 x 2,048 DICOM of 16 bits, over HTTP to a running server.

The baseline is what a small script would do with the same bytes in its own process and without any limit: Pillow, or
pydicom and a min-max window.

    python benchmarks/serve_uploads.py --out benchmarks/results/serve_uploads.json
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import shlex
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pydicom
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian, generate_uid

from serve_gateway import free_port, start

WARM = 3


def smooth_noise(height: int, width: int, top: float) -> np.ndarray:
    """A picture that compresses about as a film does: slow changes and some noise, 0 to ``top``."""
    draw = np.random.default_rng(0)
    small = Image.fromarray(draw.uniform(0, 1, (24, 32)).astype(np.float32))
    slow = np.asarray(small.resize((width, height), Image.Resampling.BICUBIC))
    return np.clip(slow + draw.normal(0, 0.01, (height, width)), 0, 1) * top


def png() -> bytes:
    """2,000 x 1,500 pixels in colour."""
    stream = io.BytesIO()
    channels = [smooth_noise(1500, 2000, top) for top in (255, 240, 200)]
    Image.fromarray(np.stack(channels, axis=-1).astype(np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def dicom() -> bytes:
    """A computed radiograph of 2,048 x 2,048 samples of 16 bits, not compressed."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID = ComputedRadiographyImageStorage, ExplicitVRLittleEndian
    meta.MediaStorageSOPInstanceUID = generate_uid()
    found = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    found.SOPClassUID, found.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    found.Modality, found.PhotometricInterpretation, found.SamplesPerPixel = "CR", "MONOCHROME2", 1
    found.Rows = found.Columns = 2048
    found.BitsAllocated, found.BitsStored, found.HighBit, found.PixelRepresentation = 16, 14, 13, 0
    found.PixelData = smooth_noise(2048, 2048, 2**14 - 1).astype("<u2").tobytes()
    stream = io.BytesIO()
    found.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def plain_png(data: bytes) -> None:
    """Pillow in this process."""
    with Image.open(io.BytesIO(data)) as picture:
        picture.convert("RGB").save(io.BytesIO(), "PNG", compress_level=1)


def plain_dicom(data: bytes) -> None:
    """pydicom in this process, min-max."""
    values = pydicom.dcmread(io.BytesIO(data)).pixel_array.astype(np.float32)
    low, high = float(values.min()), float(values.max())
    picture = Image.fromarray(((values - low) * (255 / (high - low))).astype(np.uint8))
    picture.save(io.BytesIO(), "PNG", compress_level=1)


def seconds(work: Callable[[], object], count: int) -> list[float]:
    """Of each call."""
    found = []
    for number in range(count + WARM):
        started = time.perf_counter()
        work()
        if number >= WARM:
            found.append(time.perf_counter() - started)
    return found


def figures(times: list[float]) -> dict[str, float]:
    """Median and 95 % point in milliseconds."""
    cuts = statistics.quantiles(times, n=20, method="inclusive")
    return {"p50_ms": round(cuts[9] * 1000, 1), "p95_ms": round(cuts[18] * 1000, 1)}


def sent(url: str, name: str, data: bytes) -> None:
    """Upload once, over a connection of its own."""
    with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
        answer = client.post("/v1/uploads", files={"file": (name, data)})
        answer.raise_for_status()


def measure(url: str, count: int, clients: int) -> list[dict[str, Any]]:
    """Every file, ours beside the plain script."""
    rows: list[dict[str, Any]] = []
    for name, data, plain in (("3 MP PNG", png(), plain_png), ("2k x 2k DICOM", dicom(), plain_dicom)):
        size = round(len(data) / 1e6, 1)
        alone = seconds(lambda data=data, plain=plain: plain(data), count)  # type: ignore[misc]
        rows.append({"file": name, "megabytes": size, "by": "plain script", "clients": 1, **figures(alone)})
        for together in (1, clients):
            with ThreadPoolExecutor(together) as threads:
                work = [threads.submit(seconds, lambda data=data: sent(url, "file", data), count // together)  # type: ignore[misc]
                        for _ in range(together)]  # fmt: skip
                times = [one for each in work for one in each.result()]
            rows.append({"file": name, "megabytes": size, "by": "ours", "clients": together, **figures(times)})
        for row in rows[-3:]:
            print(row, flush=True)
    return rows


def cpu_name() -> str:
    """As Linux tells it, or else the architecture."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--uploads", type=int, default=40, help="of each file")
    parser.add_argument("--clients", type=int, default=4, help="at once, in the second round")
    arguments = parser.parse_args()
    before, scratch, port = os.getloadavg(), Path("runs"), free_port()
    scratch.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        process = start("ours", folder, port)
        try:
            rows = measure(f"http://127.0.0.1:{port}", arguments.uploads, arguments.clients)
        finally:
            process.terminate()
            process.wait(30)
    result = {
        "command": shlex.join(["python", *sys.argv]),
        "date": time.strftime("%Y-%m-%d"),
        "machine": {"cpu": cpu_name(), "cores": os.cpu_count(), "load_before": before},
        "versions": {"python": platform.python_version(), **{n: version(n) for n in ("pillow", "pydicom", "fastapi")}},
        "rows": rows,
    }
    if arguments.out:
        arguments.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
