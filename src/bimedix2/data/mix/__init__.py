"""Record files to one training mix: targets by cell, a seed, and the checks that keep test items out."""

from .run import run_mix
from .settings import CellCounts, MixReport, MixSettings, report_path

__all__ = ["CellCounts", "MixReport", "MixSettings", "report_path", "run_mix"]
