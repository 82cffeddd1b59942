"""Fixtures shared by every test."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

REPOSITORY = Path(__file__).resolve().parents[1]

# Generated examples are the same in every run, so that a run says something about the change and not about luck.
# HYPOTHESIS_PROFILE=search looks for new ones.
settings.register_profile("fixed", derandomize=True, deadline=None)
settings.register_profile("search", max_examples=1000, deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))


@pytest.fixture(scope="session")
def data_root() -> Path:
    """Folder of the public data sets: ``BIMEDIX2_DATA``, or ``shared/data`` beside the checkout."""
    root = Path(os.environ.get("BIMEDIX2_DATA", REPOSITORY.parent / "shared" / "data"))
    if not root.is_dir():
        pytest.skip(f"public data sets not found at {root}; set BIMEDIX2_DATA to their folder")
    return root
