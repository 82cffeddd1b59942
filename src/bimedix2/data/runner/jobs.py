"""What runners share: the protocol, numbered batches, errors that name their batch."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from types import TracebackType
from typing import Any, Literal, NamedTuple, Protocol, Self, TypeVar

from bimedix2.errors import BiMediX2Error, DataError

RunnerName = Literal["local", "ray"]
Batch = TypeVar("Batch", bound=Sequence[Any])
Result = TypeVar("Result")
Item = TypeVar("Item")
AHEAD = 2  # batches a worker that are under way at once: one at work, one waiting


class Runner(Protocol):
    """Applies a function to batches; a context manager.

    Attributes:
        workers: processes.
    """

    workers: int

    def map_batches(self, make: Callable[[], Callable[[Batch], Result]], batches: Iterable[Batch]) -> Iterator[Result]:
        """Results in the order of the batches, at most ``2 * workers + 1`` of which are in memory at once.

        Args:
            make: called once in every process; must be a function of a module, or a ``partial`` of one.
            batches: sequences that can be pickled.

        Raises:
            BiMediX2Error: of the function, as it was; or ``DataError``: ``batch_failed``: it raised something else;
                ``worker_lost``: a process died. Both name the batch.
        """

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Job(NamedTuple):
    """A batch with its number and the place of its first item, both from 1."""

    number: int
    first: int
    batch: Any

    @property
    def place(self) -> tuple[str, str]:
        """Where it is, in English and Arabic."""
        last = self.first + len(self.batch) - 1
        return (
            f"batch {self.number} (items {self.first:,} to {last:,})",
            f"الدفعة {self.number} (العناصر {self.first:,} إلى {last:,})",
        )


def batched(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Lists of ``size`` items; the last may be shorter."""
    rows = iter(items)
    while batch := list(islice(rows, size)):
        yield batch


def numbered(batches: Iterable[Sequence[Any]]) -> Iterator[Job]:
    """Batches as jobs."""
    first = 1
    for number, batch in enumerate(batches, start=1):
        yield Job(number, first, batch)
        first += len(batch)


def work(function: Callable[[Any], Any], job: Job) -> Any:
    """The result for one batch.

    Raises:
        BiMediX2Error: only this, for others may not survive the way to another process.
    """
    english, arabic = job.place
    try:
        return function(job.batch)
    except BiMediX2Error as error:
        error.add_note(english)
        raise
    except Exception as error:  # whatever it is, the batch must be named
        # The kind and the line of code, not the text: it may quote a record.
        where, frame = "", error.__traceback__
        while frame is not None:
            where, frame = f"{frame.tb_frame.f_code.co_filename}:{frame.tb_lineno}", frame.tb_next
        raise DataError(
            f"{english[0].upper()}{english[1:]} failed: {type(error).__name__} at {where}. Nothing was written; report "
            "this with the row that causes it.",
            f"فشلت {arabic}: {type(error).__name__} في {where}. لم يكتب شيء؛ أبلغ عن ذلك مع الصف المسبب.",
            code="batch_failed",
        ) from error


def worker_lost(job: Job) -> DataError:
    """A process died at work: the system may have taken it for its memory."""
    english, arabic = job.place
    return DataError(
        f"A worker process died at or before {english}, perhaps for lack of memory. Nothing was written; run again "
        "with fewer --workers.",
        f"توقفت عملية عاملة عند {arabic} أو قبلها، ربما لنقص الذاكرة. لم يكتب شيء؛ أعد التشغيل مع --workers أقل.",
        code="worker_lost",
    )


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def with_batches(
    runner: Runner, make: Callable[[], Callable[[Batch], Result]], batches: Iterable[Batch]
) -> Iterator[tuple[Batch, Result]]:
    """Each batch with its result; batches wait here, so that none has to come back from another process."""
    waiting: deque[Batch] = deque()

    def coming() -> Iterator[Batch]:
        for batch in batches:
            waiting.append(batch)
            yield batch

    for result in runner.map_batches(make, coming()):
        yield waiting.popleft(), result
