"""Pure functions over batches of records, on this machine's cores or on Ray: in order, in bounded memory.

A step gives a function that makes its work function (``make``, called once in every process, so that word lists and
encoders are loaded once) and an iterable of batches. The size of a batch must not depend on the number of workers: then
every runner gives the same results, and files of the same bytes. Whoever writes them does so whole or not at all, so
that a run may be killed at any moment.
"""

from __future__ import annotations

from .jobs import Runner, RunnerName, batched, cores, with_batches
from .local import LocalRunner

__all__ = ["LocalRunner", "Runner", "RunnerName", "batched", "cores", "open_runner", "with_batches"]


def open_runner(name: RunnerName = "local", workers: int = 0) -> Runner:
    """A runner, to be used in a ``with`` block.

    Args:
        name: ``local`` or ``ray``.
        workers: processes; 0 takes all cores, 1 works in this process.

    Raises:
        ConfigError: ``ray`` is not installed.
    """
    if name == "local":
        return LocalRunner(workers)
    from .ray_tasks import RayRunner

    return RayRunner(workers)
