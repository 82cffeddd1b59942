"""Who is asking."""

from __future__ import annotations

from dataclasses import dataclass

LOCAL = "local"


@dataclass(frozen=True, slots=True)
class Principal:
    """Whoever a request belongs to; uploads and conversations are found by ``owner`` alone.

    Attributes:
        owner: stable id: ``local`` on a loopback server without keys, a key's id, or a person's of the sign-in.
        scopes: of ``chat`` and ``admin``.
        name: shown to the person; never logged.
    """

    owner: str
    scopes: frozenset[str]
    name: str = ""


LOCAL_PRINCIPAL = Principal(LOCAL, frozenset({"chat", "admin"}))
