"""What a licence forbids, as far as its name says it."""

from __future__ import annotations

import re
from typing import NamedTuple

_NON_COMMERCIAL = re.compile(r"\bnc\b|non-?\s?commercial|credentialed|research use", re.IGNORECASE)
_NO_DERIVATIVES = re.compile(r"\bnd\b|no[- ]derivatives?", re.IGNORECASE)
_SHARE_ALIKE = re.compile(r"\bsa\b|share-?\s?alike", re.IGNORECASE)
_KNOWN = re.compile(r"\bcc0|\bcc[- ]by|\bmit\b|apache|public domain|\bbsd|\bodc|open-i|physionet", re.IGNORECASE)


class Terms(NamedTuple):
    """What to mind.

    Attributes:
        non_commercial, no_derivatives, share_alike: said by the name.
        unclear: the name is none that is known here: read the terms.
    """

    non_commercial: bool
    no_derivatives: bool
    share_alike: bool
    unclear: bool


def terms_of(licence: str) -> Terms:
    """The terms that a licence's name tells.

    >>> terms_of("CC-BY-NC-ND-4.0")[:3], terms_of("CC-BY-4.0")[:3], terms_of("unknown").unclear
    ((True, True, False), (False, False, False), True)
    """
    commercial, changed, alike = (
        bool(pattern.search(licence)) for pattern in (_NON_COMMERCIAL, _NO_DERIVATIVES, _SHARE_ALIKE)
    )
    known = commercial or changed or alike or bool(_KNOWN.search(licence))
    return Terms(commercial, changed, alike, unclear=not known)
