"""Old things are deleted by a timer, and everything of one owner at once on request."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Protocol

from bimedix2.serve.auth.clock import SYSTEM_CLOCK, Clock
from bimedix2.serve.errors import ServeError

_LOG = logging.getLogger(__name__)
HOUR = 3600.0
_LONGEST_PAUSE = 600.0
# A clock that jumps ahead would make everything old at once; a wrong clock is usually put right within a day.
_JUMP = 2 * HOUR
_GRACE = 24 * HOUR


class Holder(Protocol):
    """A store of things that belong to somebody; both methods may run in a thread."""

    def purge(self, before: float) -> int:
        """Delete what was last used before ``before`` (seconds since 1970); how many things they were."""

    def forget(self, owner: str) -> int:
        """Delete everything of ``owner``, from the disk too; how many things they were."""


class Retention:
    """Deletes.

    Args:
        holders: stores by the name that answers use, such as ``conversations``.
        hours: since the last use; 0 deletes at the next sweep.
        clock: replaceable in tests.
    """

    def __init__(self, holders: Mapping[str, Holder], hours: float, clock: Clock = SYSTEM_CLOCK) -> None:
        self._holders, self._hours, self._clock = dict(holders), hours, clock
        self._seen = (clock.wall(), clock.steady())
        self._trust_from = 0.0

    @property
    def pause(self) -> float:
        """Seconds between sweeps."""
        return max(1.0, min(_LONGEST_PAUSE, self._hours * HOUR / 10))

    def sweep(self) -> dict[str, int]:
        """Delete what is old; how many things of each store.

        Nothing is deleted for a day after the wall clock has run ahead of the steady one.
        """
        if not self._clock_can_be_trusted():
            return {}
        before = self._clock.wall() - self._hours * HOUR
        return {name: holder.purge(before) for name, holder in self._holders.items()}

    def forget(self, owner: str) -> dict[str, int]:
        """Delete everything of ``owner`` now, a store that fails notwithstanding.

        Raises:
            ServeError: a store's; the others have been emptied.
        """
        deleted, failed = {}, None
        for name, holder in self._holders.items():
            try:
                deleted[name] = holder.forget(owner)
            except ServeError as error:
                failed = error
        if failed is not None:
            raise failed
        return deleted

    async def run(self) -> None:
        """Sweep until cancelled; a full disk now does not end the later sweeps."""
        while True:
            try:
                await asyncio.to_thread(self.sweep)
            except (ServeError, OSError) as error:
                _LOG.error("retention_failed", extra={"error": type(error).__name__})
            await asyncio.sleep(self.pause)

    def _clock_can_be_trusted(self) -> bool:
        wall, steady = self._clock.wall(), self._clock.steady()
        ahead = (wall - self._seen[0]) - (steady - self._seen[1])
        self._seen = (wall, steady)
        if ahead > _JUMP:
            self._trust_from = steady + _GRACE
            _LOG.warning("clock_jumped")
        elif ahead < -_JUMP:
            self._trust_from = 0.0
        return steady >= self._trust_from
