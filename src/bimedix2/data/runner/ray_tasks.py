"""Ray tasks: on this machine, or on the cluster that ``RAY_ADDRESS`` names.

Tasks and not Ray Data: the batches come one by one from a file and go back into one in their order, so its planner has
nothing to plan, and its blocks would be a second form of the records.
"""

from __future__ import annotations

import os
import pickle
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from bimedix2.errors import BiMediX2Error, ConfigError

from .jobs import AHEAD, Batch, Job, Result, cores, numbered, work, worker_lost

_STORE_BYTES = 256 << 20  # shared memory for batches on their way; Ray would take a third of the machine's
_functions: dict[str, Callable[[Any], Any]] = {}


class RayRunner:
    """Starts Ray, or joins a running one; leaving the block ends what was started.

    Args:
        workers: tasks at once; 0 takes all cores of this machine, or of the cluster.

    Raises:
        ConfigError: Ray is not installed.
    """

    def __init__(self, workers: int = 0) -> None:
        # Ray reports its use to its makers unless told not to.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # its notice on GPUs
        self._ray, self._mine = _library(), False
        if not self._ray.is_initialized():
            self._start(workers)
        self.workers = workers or int(self._ray.cluster_resources().get("CPU", 1))

    def _start(self, workers: int) -> None:
        options: dict[str, Any] = {"log_to_driver": False, "logging_level": "error"}
        if not os.environ.get("RAY_ADDRESS"):
            options |= {"address": "local", "num_cpus": workers or cores(), "include_dashboard": False}
            options |= {"object_store_memory": _STORE_BYTES}
        self._ray.init(**options)
        self._mine = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._mine:
            self._ray.shutdown()

    def map_batches(self, make: Callable[[], Callable[[Batch], Result]], batches: Iterable[Batch]) -> Iterator[Result]:
        """See ``Runner``. A task whose process died is tried again three times, for it changes nothing outside."""
        packed, key = self._ray.put(pickle.dumps(make)), uuid4().hex
        remote = self._ray.remote(num_cpus=1, max_retries=3)(_task)
        waiting: deque[tuple[Job, Any]] = deque()
        for job in numbered(batches):
            waiting.append((job, remote.remote(packed, key, job)))
            if len(waiting) > AHEAD * self.workers:
                yield self._result(*waiting.popleft())
        while waiting:
            yield self._result(*waiting.popleft())

    def _result(self, job: Job, reference: Any) -> Any:
        try:
            found = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            raise worker_lost(job) from error
        if isinstance(found, BiMediX2Error):
            raise found
        return found


def _library() -> Any:
    try:
        import ray
    except ImportError as error:
        raise ConfigError(
            "--runner ray needs Ray, which is not installed: pip install 'bimedix2[ray]'. Or use --runner local.",
            "يحتاج --runner ray إلى Ray وهو غير مثبت: pip install 'bimedix2[ray]'. أو استعمل --runner local.",
        ) from error
    return ray


def _task(packed: bytes, key: str, job: Job) -> Any:
    """In a worker of Ray: the result, or the error, which Ray would wrap in one of its own."""
    if key not in _functions:
        _functions.clear()
        _functions[key] = pickle.loads(packed)()  # noqa: S301 - packed by this program
    try:
        return work(_functions[key], job)
    except BiMediX2Error as error:
        return error
