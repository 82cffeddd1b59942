"""Fixtures shared by every test."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def data_root() -> Path:
    """Folder of the public data sets: ``BIMEDIX2_DATA``, or ``shared/data`` beside the checkout."""
    root = Path(os.environ.get("BIMEDIX2_DATA", REPOSITORY.parent / "shared" / "data"))
    if not root.is_dir():
        pytest.skip(f"public data sets not found at {root}; set BIMEDIX2_DATA to their folder")
    return root
