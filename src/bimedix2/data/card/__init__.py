"""The data card: what a set is, where it comes from and what was done to it, in English and Arabic.

Nothing is claimed that the records or the steps' reports do not say; a missing step is said to be missing.
"""

from .run import write_card
from .settings import CardSettings

__all__ = ["CardSettings", "write_card"]
