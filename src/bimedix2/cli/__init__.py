"""The ``bimedix2`` command. Importing this room imports no model, image or table library."""

from __future__ import annotations

__all__ = ["main"]


def main() -> None:
    """Entry point of the ``bimedix2`` command."""
    from .app import app

    app()
