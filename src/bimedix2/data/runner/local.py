"""All cores of this machine, through ``concurrent.futures``."""

from __future__ import annotations

import multiprocessing as mp
import os
import pickle
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import chain, islice
from multiprocessing.connection import wait
from types import TracebackType
from typing import Any, Self

from .jobs import AHEAD, Batch, Job, Result, cores, numbered, work, worker_lost

_FEW = 3  # batches under which processes do not pay: each loads what the work needs
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class LocalRunner:
    """Processes on this machine; one worker, or an input of one or two batches, works in this process.

    Args:
        workers: processes; 0 takes all cores.
    """

    def __init__(self, workers: int = 0) -> None:
        self.workers = workers or cores()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def map_batches(self, make: Callable[[], Callable[[Batch], Result]], batches: Iterable[Batch]) -> Iterator[Result]:
        """See ``Runner``."""
        jobs = numbered(batches)
        if self.workers > 1:
            head = list(islice(jobs, _FEW))
            jobs = chain(head, jobs)
            if len(head) == _FEW:
                yield from self._in_processes(make, jobs)
                return
        function = None
        for job in jobs:
            function = function or make()
            yield work(function, job)

    def _in_processes(self, make: Callable[[], Callable[[Any], Result]], jobs: Iterable[Job]) -> Iterator[Result]:
        # No plain fork: a child would hold the locks of this process, and threads do not survive it.
        method = "forkserver" if "forkserver" in mp.get_all_start_methods() else "spawn"
        pool = ProcessPoolExecutor(
            self.workers, mp_context=mp.get_context(method), initializer=_begin, initargs=(pickle.dumps(make),)
        )
        waiting: deque[tuple[Job, Future[Result]]] = deque()
        try:
            for job in jobs:
                waiting.append((job, _submitted(pool, job)))
                while waiting and (len(waiting) > AHEAD * self.workers or waiting[0][1].done()):
                    yield _result(*waiting.popleft())
            while waiting:
                yield _result(*waiting.popleft())
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _submitted(pool: ProcessPoolExecutor, job: Job) -> Future[Any]:
    try:
        return pool.submit(_in_worker, job)
    except BrokenProcessPool as error:
        raise worker_lost(job) from error


def _result(job: Job, future: Future[Result]) -> Result:
    try:
        return future.result()
    except BrokenProcessPool as error:
        raise worker_lost(job) from error


_packed = b""
_function: Callable[[Any], Any] | None = None


def _begin(packed: bytes) -> None:
    """Start of a worker: its work is unpacked with the first batch, after the number of threads is set."""
    global _packed
    _packed = packed
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is interrupted too, and ends the workers
    for name in _THREADS:
        os.environ.setdefault(name, "1")
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A parent that was killed leaves its workers waiting for ever: they hold the other end of their own pipe."""
    parent = mp.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _in_worker(job: Job) -> Any:
    global _function
    if _function is None:
        _function = pickle.loads(_packed)()  # noqa: S301 - packed by this program
    return work(_function, job)
