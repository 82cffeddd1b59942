"""Checks of translations between English and Arabic: what was lost, changed, or left as it was.

``check_pair`` runs all on one pair, ``check_record`` on a translated record and its original.
"""

from __future__ import annotations

from .finding import Context, Finding
from .glossary import Glossary, read_glossary
from .pairs import CHECKS, CheckResult, PairRow, check_pair, check_pairs, check_record
from .scorers import Scorer, UseScorer, has_use, load_scorer

__all__ = [
    "CHECKS",
    "CheckResult",
    "Context",
    "Finding",
    "Glossary",
    "PairRow",
    "Scorer",
    "UseScorer",
    "check_pair",
    "check_pairs",
    "check_record",
    "has_use",
    "load_scorer",
    "read_glossary",
]
