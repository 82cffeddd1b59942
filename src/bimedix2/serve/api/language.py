"""Which language a client reads."""

from __future__ import annotations

from functools import lru_cache

from bimedix2.records.schema import Language


@lru_cache(maxsize=256)
def accepted_language(header: str) -> Language:
    """``"ar"`` where an ``Accept-Language`` header prefers Arabic to English, else ``"en"`` (RFC 9110, 12.5.4).

    >>> accepted_language("ar-EG,ar;q=0.9,en;q=0.8"), accepted_language("fr, en;q=0.2, ar;q=0.1")
    ('ar', 'en')
    """
    best: dict[str, float] = {}
    for part in header[:500].split(","):
        tag, _, parameters = part.strip().partition(";")
        language = tag.strip().lower().partition("-")[0]
        if language in ("ar", "en"):
            best[language] = max(best.get(language, 0.0), _quality(parameters))
    return "ar" if best.get("ar", 0.0) > best.get("en", 0.0) else _first(header, best)


def _first(header: str, best: dict[str, float]) -> Language:
    """Of two that are liked as well, the one that comes first."""
    if best.get("ar", 0.0) == best.get("en", 0.0) > 0.0:
        lowered = header.lower()
        return "ar" if lowered.find("ar") < lowered.find("en") else "en"
    return "en"


def _quality(parameters: str) -> float:
    name, _, value = parameters.strip().partition("=")
    if name.strip().lower() != "q":
        return 1.0
    try:
        return min(1.0, max(0.0, float(value)))
    except ValueError:
        return 0.0
