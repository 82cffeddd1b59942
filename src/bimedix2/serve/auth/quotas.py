"""Tokens and images that one owner has used today, kept across restarts.

A quota starts anew when the date in UTC goes forward. A clock that goes back neither gives quota back nor locks
anybody out: what was used stays used, and the new date becomes the one that the next midnight is counted from.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from bimedix2.serve.auth.clock import DAY, Clock
from bimedix2.serve.auth.errors import QuotaError
from bimedix2.serve.auth.keys import Tables
from bimedix2.serve.store.failures import storage

_SCHEMA = """
CREATE TABLE IF NOT EXISTS usage (
    owner TEXT PRIMARY KEY,
    day INTEGER NOT NULL,
    tokens INTEGER NOT NULL,
    images INTEGER NOT NULL
);
"""
# A clock that is corrected back and forth around midnight must not renew a quota twice.
_RENEWED_AT_MOST_EVERY = 3600.0


@dataclass(frozen=True, slots=True)
class Spend:
    """Tokens (prompt and answer) and images."""

    tokens: int = 0
    images: int = 0


class Quotas:
    """The table of what was used, and what is under way on top of it.

    Args:
        database: the server's.
        clock: wall for the date, steady for how long ago a quota was renewed.
    """

    def __init__(self, database: Tables, clock: Clock) -> None:
        self._database, self._clock = database, clock
        self._held: dict[str, Spend] = {}
        self._unwritten: dict[str, Spend] = {}
        self._charging = threading.Lock()
        self._renewed: dict[str, float] = {}
        database.create(_SCHEMA)

    def used(self, owner: str) -> Spend:
        """What ``owner`` has used today."""
        day = int(self._clock.wall() // DAY)
        with storage():
            row = self._database.read().execute("SELECT * FROM usage WHERE owner = ?", (owner,)).fetchone()
        if row is not None and day < row["day"]:
            self._count_from(owner, day)
        if row is None or (day > row["day"] and self._may_renew(owner)):
            return Spend()
        return Spend(row["tokens"], row["images"])

    def hold(self, owner: str, wanted: Spend, bound: Spend) -> None:
        """Set ``wanted`` aside until ``release``, so that answers under way at once cannot pass the bound together.

        Args:
            owner: whose quota.
            wanted: at most what the answer will take.
            bound: the day's quota; 0 sets no bound.

        Raises:
            QuotaError: the rest of the day's quota is less than ``wanted``, or nothing.
        """
        used, held = self.used(owner), _sum(self._held.get(owner), self._unwritten.get(owner))
        if bound.tokens and used.tokens + held.tokens + max(wanted.tokens, 1) > bound.tokens:
            raise QuotaError("tokens", self._until_midnight())
        if bound.images and wanted.images and used.images + held.images + wanted.images > bound.images:
            raise QuotaError("images", self._until_midnight())
        self._held[owner] = _sum(self._held.get(owner), wanted)

    def release(self, owner: str, wanted: Spend) -> None:
        """Undo ``hold``."""
        held = self._held.get(owner, Spend())
        rest = Spend(held.tokens - wanted.tokens, held.images - wanted.images)
        if rest == Spend():
            self._held.pop(owner, None)
        else:
            self._held[owner] = rest

    def charge(self, owner: str, spent: Spend) -> None:
        """Add what an answer took.

        Raises:
            StorageError: it cannot be written; it counts all the same, and the next charge writes it too.
        """
        with self._charging:
            whole = _sum(self._unwritten.pop(owner, None), spent)
            try:
                self._write(owner, whole)
            except BaseException:
                self._unwritten[owner] = whole
                raise

    def _write(self, owner: str, spent: Spend) -> None:
        day = int(self._clock.wall() // DAY)
        with storage(), _quick(self._database), self._database.write() as connection:
            row = connection.execute("SELECT day FROM usage WHERE owner = ?", (owner,)).fetchone()
            renew = row is not None and day > row["day"] and self._may_renew(owner)
            connection.execute(
                "INSERT INTO usage VALUES (:owner, :day, :tokens, :images)"
                " ON CONFLICT (owner) DO UPDATE SET day = :day,"
                " tokens = :tokens + CASE WHEN :renew THEN 0 ELSE tokens END,"
                " images = :images + CASE WHEN :renew THEN 0 ELSE images END",
                {"owner": owner, "day": day, "tokens": spent.tokens, "images": spent.images, "renew": renew},
            )
        if renew:
            self._renewed[owner] = self._clock.steady()

    def _count_from(self, owner: str, day: int) -> None:
        """Without this, a clock that once ran years ahead would keep a used-up quota used up for years."""
        with storage(), self._database.write() as connection:
            connection.execute("UPDATE usage SET day = ? WHERE owner = ? AND day > ?", (day, owner, day))

    def _may_renew(self, owner: str) -> bool:
        last = self._renewed.get(owner)
        return last is None or self._clock.steady() - last >= _RENEWED_AT_MOST_EVERY

    def _until_midnight(self) -> float:
        return DAY - self._clock.wall() % DAY


def _sum(*found: Spend | None) -> Spend:
    known = [one for one in found if one is not None]
    return Spend(sum(one.tokens for one in known), sum(one.images for one in known))


@contextmanager
def _quick(database: Tables) -> Iterator[None]:
    """Do not wait for the disk: a power failure may lose the last charges, a crash of the process does not."""
    connection = database.read()
    connection.execute("PRAGMA synchronous=NORMAL")
    try:
        yield
    finally:
        connection.execute("PRAGMA synchronous=FULL")
