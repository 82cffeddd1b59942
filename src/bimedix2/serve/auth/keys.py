"""API keys: 256 random bits, shown once and stored as their SHA-256.

A slow password hash would add nothing: nobody guesses 256 random bits, and every request is checked.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import sqlite3
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from bimedix2.errors import ConfigError
from bimedix2.serve.auth.clock import SYSTEM_CLOCK, Clock
from bimedix2.serve.principal import Principal
from bimedix2.serve.store.failures import storage

SCOPES = frozenset({"chat", "admin"})
PREFIX = "bmx2-"
_SHOWN = len(PREFIX) + 6
_NAME_CHARACTERS = 100

_SCHEMA = """
CREATE TABLE IF NOT EXISTS keys (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    prefix TEXT NOT NULL,
    hash BLOB NOT NULL UNIQUE,
    scopes TEXT NOT NULL,
    created REAL NOT NULL,
    expires REAL,
    revoked REAL,
    tokens_per_day INTEGER,
    images_per_day INTEGER
);
"""


class Tables(Protocol):
    """What a store needs of ``store.database.Database``."""

    def create(self, schema: str) -> None:
        """Run ``CREATE … IF NOT EXISTS``."""

    def write(self) -> AbstractContextManager[sqlite3.Connection]:
        """One transaction."""

    def read(self) -> sqlite3.Connection:
        """A connection for SELECT."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """What is known of a key; never the key itself.

    Attributes:
        id: names the key in logs, audit lines and commands, such as ``key_3f9a…``.
        prefix: first characters of the key, so that its holder can tell which one it is.
        created, expires, revoked: seconds since 1970; ``None`` where it never happens or has not happened.
        tokens_per_day, images_per_day: the key's own quota; ``None`` takes the server's, 0 sets no bound.
    """

    id: str
    name: str
    prefix: str
    scopes: frozenset[str]
    created: float
    expires: float | None = None
    revoked: float | None = None
    tokens_per_day: int | None = None
    images_per_day: int | None = None

    def active(self, now: float) -> bool:
        """Whether it opens the server at ``now``, in seconds since 1970."""
        return self.revoked is None and (self.expires is None or now < self.expires)

    def principal(self) -> Principal:
        """Its holder."""
        return Principal(self.id, self.scopes, self.name)


class KeyStore:
    """The table of keys.

    Args:
        database: the server's, or one opened beside a running server.
        clock: for expiry.
    """

    def __init__(self, database: Tables, clock: Clock = SYSTEM_CLOCK) -> None:
        self._database, self._clock = database, clock
        database.create(_SCHEMA)

    def create(
        self,
        name: str,
        *,
        scopes: Iterable[str] = ("chat",),
        days: float | None = None,
        tokens_per_day: int | None = None,
        images_per_day: int | None = None,
    ) -> tuple[str, Key]:
        """Make a key.

        Args:
            name: for whom or what; shown in lists, never logged.
            scopes: of ``chat`` and ``admin``.
            days: until it expires; ``None`` for never.
            tokens_per_day, images_per_day: its own quota.

        Returns:
            The key, which cannot be had again, and what is kept of it.

        Raises:
            ConfigError: ``bad_key``: an unknown scope, an empty or long name, a negative number.
        """
        wanted = frozenset(scopes)
        _check(name, wanted, (days, tokens_per_day, images_per_day))
        secret = PREFIX + secrets.token_urlsafe(32)
        now = self._clock.wall()
        key = Key(
            id="key_" + secrets.token_hex(8),
            name=name.strip(),
            prefix=secret[:_SHOWN],
            scopes=wanted,
            created=now,
            expires=None if days is None else now + days * 86_400,
            tokens_per_day=tokens_per_day,
            images_per_day=images_per_day,
        )
        values = (key.id, key.name, key.prefix, _hash(secret), " ".join(sorted(wanted)), now, key.expires)
        with storage(), self._database.write() as connection:
            connection.execute(
                "INSERT INTO keys (id, name, prefix, hash, scopes, created, expires, tokens_per_day, images_per_day)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (*values, tokens_per_day, images_per_day),
            )
        return secret, key

    def find(self, secret: str) -> Key | None:
        """The active key that ``secret`` is, else ``None``.

        Unknown, expired and revoked keys take the same steps: one hash, one look-up, one comparison.
        """
        wanted = _hash(secret)
        with storage():
            row = self._database.read().execute("SELECT * FROM keys WHERE hash = ?", (wanted,)).fetchone()
        key = _NOBODY if row is None else _key(row)
        same = hmac.compare_digest(_NO_HASH if row is None else row["hash"], wanted)
        active = key.active(self._clock.wall())
        return key if same and active else None

    def get(self, key_id: str) -> Key | None:
        """A key by its id, whether active or not."""
        with storage():
            row = self._database.read().execute("SELECT * FROM keys WHERE id = ?", (key_id,)).fetchone()
        return None if row is None else _key(row)

    def all(self) -> list[Key]:
        """Every key, oldest first."""
        with storage():
            return [_key(row) for row in self._database.read().execute("SELECT * FROM keys ORDER BY created, id")]

    def any(self) -> bool:
        """Whether a key was ever made: a server whose last key was revoked does not open to everybody."""
        with storage():
            return self._database.read().execute("SELECT 1 FROM keys LIMIT 1").fetchone() is not None

    def revoke(self, name: str) -> Key:
        """End a key now.

        Args:
            name: its id or its visible prefix.

        Raises:
            ConfigError: ``unknown_key``: no key, or more than one, goes by it.
        """
        with storage(), self._database.write() as connection:
            rows = connection.execute("SELECT id FROM keys WHERE id = ? OR prefix = ?", (name, name)).fetchall()
            if len(rows) != 1:
                raise ConfigError(
                    f"{len(rows)} keys go by {name!r}. Give the id that `bimedix2 keys list` shows.",
                    f"عدد المفاتيح المطابقة {len(rows)}. اكتب المعرف الذي يظهره الأمر `bimedix2 keys list`.",
                    code="unknown_key",
                )
            connection.execute(
                "UPDATE keys SET revoked = ? WHERE id = ? AND revoked IS NULL", (self._clock.wall(), rows[0]["id"])
            )
            return _key(connection.execute("SELECT * FROM keys WHERE id = ?", (rows[0]["id"],)).fetchone())


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


_NO_HASH = bytes(32)
_NOBODY = Key(id="", name="", prefix="", scopes=frozenset(), created=0.0, expires=0.0)


def _key(row: sqlite3.Row) -> Key:
    names = ("id", "name", "prefix", "created", "expires", "revoked", "tokens_per_day", "images_per_day")
    return Key(scopes=frozenset(row["scopes"].split()), **{name: row[name] for name in names})


def _check(name: str, scopes: frozenset[str], numbers: tuple[float | None, ...]) -> None:
    if not scopes or not scopes <= SCOPES:
        raise ConfigError(
            f"A key's scopes are of {', '.join(sorted(SCOPES))}.", "نطاقات المفتاح هي chat وadmin فقط.", code="bad_key"
        )
    if not name.strip() or len(name) > _NAME_CHARACTERS or not name.isprintable():
        raise ConfigError(
            f"Give the key a name of 1 to {_NAME_CHARACTERS} printable characters.",
            f"أعط المفتاح اسما من 1 إلى {_NAME_CHARACTERS} حرف قابل للطباعة.",
            code="bad_key",
        )
    if any(number is not None and number < 0 for number in numbers):
        raise ConfigError(
            "Days and quotas of a key cannot be negative.",
            "لا يمكن أن تكون أيام المفتاح أو حصصه سالبة.",
            code="bad_key",
        )
