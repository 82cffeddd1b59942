"""``python -m bimedix2.cli`` is the same as ``bimedix2``."""

from . import main

main()
