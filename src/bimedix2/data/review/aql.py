"""Double sampling plans by lot size and acceptable quality level (AQL), as in the tables of ISO 2859-1's ancestor.

Source: MIL-STD-105E (1989, public domain), table I (general level II), tables II-A and III-A (normal inspection),
the tables that ANSI/ASQ Z1.4 keeps and ISO 2859-1 grew out of. Acceptance numbers are constant along the diagonals
of the master table, so the diagonals are stored and not the cells.
"""

from __future__ import annotations

from bimedix2.errors import ConfigError

from .acceptance import SamplingPlan

LEVELS = (0.010, 0.015, 0.025, 0.040, 0.065, 0.10, 0.15, 0.25, 0.40, 0.65, 1.0, 1.5, 2.5, 4.0, 6.5, 10.0)
"""AQLs in defective rows per hundred."""

_LETTERS = "ABCDEFGHJKLMNPQR"
_LARGEST_LOT = (8, 15, 25, 50, 90, 150, 280, 500, 1200, 3200, 10_000, 35_000, 150_000, 500_000)
_SINGLE = (2, 3, 5, 8, 13, 20, 32, 50, 80, 125, 200, 315, 500, 800, 1250, 2000)
_DOUBLE = (0, 2, 3, 5, 8, 13, 20, 32, 50, 80, 125, 200, 315, 500, 800, 1250)
# Diagonal (letter's index + AQL's index) -> accept and reject after the first sample, accept after both.
_DIAGONAL = {
    17: (0, 2, 1),
    18: (0, 3, 3),
    19: (1, 4, 4),
    20: (2, 5, 6),
    21: (3, 7, 8),
    22: (5, 9, 12),
    23: (7, 11, 18),
    24: (11, 16, 26),
}
_ZERO, _ARROW_UP, _ARROW_DOWN, _ONE = 14, 15, 16, 17


def code_letter(lot: int) -> str:
    """Sample size code letter of a lot, general inspection level II."""
    return _LETTERS[sum(lot > size for size in _LARGEST_LOT)]


def double_plan(lot: int, aql: float) -> SamplingPlan:
    """The double plan for normal inspection; the single one with acceptance number 0 where the table says so.

    Args:
        lot: rows.
        aql: one of :data:`LEVELS`, in per cent.

    Raises:
        ConfigError: another AQL.
    """
    if aql not in LEVELS:
        known = ", ".join(f"{level:g}" for level in LEVELS)
        raise ConfigError(
            f"aql {aql:g} is not in the table. Use one of {known}.",
            f"القيمة {aql:g} للحقل aql ليست في الجدول. استخدم إحدى: {known}.",
        )
    column, letter = LEVELS.index(aql), _LETTERS.index(code_letter(lot))
    diagonal = letter + column
    if diagonal < _ZERO:
        letter = _ZERO - column
    elif diagonal == _ARROW_UP:
        letter = letter - 1 if letter else _ONE - column  # nothing is above the first letter
    elif diagonal == _ARROW_DOWN:
        letter += 1
    elif diagonal > max(_DIAGONAL):
        letter = max(_DIAGONAL) - column
    diagonal = letter + column
    if diagonal == _ZERO:
        return SamplingPlan(_SINGLE[letter], 0, 1)
    accept1, reject1, accept2 = _DIAGONAL[diagonal]
    return SamplingPlan(_DOUBLE[letter], accept1, reject1, _DOUBLE[letter], accept2)
