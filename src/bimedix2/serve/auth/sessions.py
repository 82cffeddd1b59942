"""Sessions of people who signed in: kept on the server, known to the browser by a random cookie alone."""

from __future__ import annotations

import hashlib
import secrets

from bimedix2.serve.auth.clock import Clock
from bimedix2.serve.auth.keys import SCOPES, Tables
from bimedix2.serve.principal import Principal
from bimedix2.serve.store.failures import storage

_SCHEMA = """
CREATE TABLE IF NOT EXISTS sessions (
    hash BLOB PRIMARY KEY,
    owner TEXT NOT NULL,
    name TEXT NOT NULL,
    scopes TEXT NOT NULL,
    expires REAL NOT NULL
);
"""


class Sessions:
    """The table of sessions.

    Args:
        database: the server's.
        clock: for expiry.
    """

    def __init__(self, database: Tables, clock: Clock) -> None:
        self._database, self._clock = database, clock
        database.create(_SCHEMA)

    def open(self, principal: Principal, seconds: float) -> str:
        """A new session of ``principal``; the value for its cookie, of which only the SHA-256 is kept."""
        token, now = secrets.token_urlsafe(32), self._clock.wall()
        scopes = " ".join(sorted(principal.scopes & SCOPES))
        with storage(), self._database.write() as connection:
            connection.execute("DELETE FROM sessions WHERE expires <= ?", (now,))
            connection.execute(
                "INSERT INTO sessions VALUES (?, ?, ?, ?, ?)",
                (_hash(token), principal.owner, principal.name, scopes, now + seconds),
            )
        return token

    def find(self, token: str) -> Principal | None:
        """Whose session it is, or ``None`` where there is none or it has expired."""
        with storage():
            row = self._database.read().execute("SELECT * FROM sessions WHERE hash = ?", (_hash(token),)).fetchone()
        if row is None or row["expires"] <= self._clock.wall():
            return None
        return Principal(row["owner"], frozenset(row["scopes"].split()), row["name"])

    def end(self, token: str) -> None:
        """End one session."""
        with storage(), self._database.write() as connection:
            connection.execute("DELETE FROM sessions WHERE hash = ?", (_hash(token),))


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
