"""What a step is: a pure function from a record, over questions to a model and its replies, to new records.

A step is written as a generator. It yields an :class:`Ask`, is sent the :class:`Answered` reply and returns an
:class:`Outcome`. It reads no clock, no file and no random number, so a run that was cut short can play it again from
the stored replies and ends up exactly where it was.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, NamedTuple, Protocol, TypeVar

import msgspec

from bimedix2.records.schema import Record

from .prompts import Message, Prompt

By = Literal["writer", "critic"]
Reply = TypeVar("Reply", bound=msgspec.Struct)


def _no_problems(_: Any) -> Sequence[str]:
    return ()


@dataclass(frozen=True)
class Ask(Generic[Reply]):
    """One question to a model.

    Attributes:
        stage: where in the step this is, such as ``translate`` or ``critique1``.
        prompt: the file that the question came from.
        messages: what is sent.
        reply: type that the reply must have as JSON.
        problems: what is wrong with a reply of the right type, in the language of the prompt; told to the model.
        max_tokens: longest reply; doubled once where the reply is cut.
        expected_tokens: likely length of the reply, for estimates alone.
        by: which of the two models answers.
    """

    stage: str
    prompt: Prompt
    messages: tuple[Message, ...]
    reply: type[Reply]
    problems: Callable[[Reply], Sequence[str]] = _no_problems
    max_tokens: int = 2048
    expected_tokens: int = 256
    by: By = "writer"


class Answered(NamedTuple):
    """A reply that was accepted.

    Attributes:
        value: the reply, of the type asked for.
        model: the name that the server answered under.
        key: of the stored reply in the ledger.
        date: UTC day on which it came, as ``2026-11-24``.
    """

    value: Any
    model: str
    key: str
    date: str


class ReviewItem(msgspec.Struct, frozen=True, kw_only=True):
    """A new record that an expert should look at, and why.

    Attributes:
        record: the record in question.
        reason: ``low_score``, ``failed_checks`` or ``audit``.
        score: of the model's critique, 0-100; ``None`` without one.
        notes: what the critique or the checks found, one a line.
    """

    record: Record
    reason: str
    score: int | None = None
    notes: tuple[str, ...] = ()


class Outcome(NamedTuple):
    """What became of a record."""

    records: tuple[Record, ...] = ()
    review: tuple[ReviewItem, ...] = ()


class Expected(NamedTuple):
    """One call that a record will, or may, take; for estimates.

    Attributes:
        by: which model.
        prompt_bytes: UTF-8 bytes of the messages.
        tokens: likely length of the reply.
        max_tokens: longest reply.
        sure: made for every record, not only after a poor reply.
    """

    by: By
    prompt_bytes: int
    tokens: int
    max_tokens: int
    sure: bool


Job = Generator[Ask[Any], Answered, Outcome]


class Step(Protocol):
    """A step of the data engine that asks a model."""

    @property
    def name(self) -> str:
        """Name of the step."""
        ...

    @property
    def fingerprint(self) -> str:
        """Text that changes whenever outcomes may: settings, prompts, word lists."""
        ...

    @property
    def roles(self) -> tuple[By, ...]:
        """The models that it asks."""
        ...

    def job(self, record: Record, variant: int) -> Job:
        """The work on one record.

        Raises:
            PassedOver: the step is not for this record.
            Parked: the record cannot be used, now and later.
        """
        ...

    def expected(self, record: Record) -> list[Expected]:
        """Calls of one record, none of them repeated."""
        ...


class PassedOver(Exception):  # noqa: N818 -- no fault: the step is for other records
    """The record is not for this step, such as a caption for one that works on questions."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Parked(Exception):  # noqa: N818 -- ends one record, not the run
    """The record goes into quarantine and is not asked about again.

    Attributes:
        reason: stable name, such as ``refused``.
        detail, detail_ar: what was found.
        stage: of the question that failed.
        reply: start of the reply in question.
    """

    def __init__(self, reason: str, detail: str, detail_ar: str, *, stage: str = "", reply: str = "") -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail, self.detail_ar = reason, detail, detail_ar
        self.stage, self.reply = stage, reply


_NO_DERIVATIVES = re.compile(r"\bnd\b|\bno[ -]?deriv", re.IGNORECASE)


def forbids_derivatives(licence: str) -> bool:
    """Whether a licence rules out translations and rewriting.

    >>> forbids_derivatives("CC-BY-NC-ND-4.0"), forbids_derivatives("CC-BY-4.0")
    (True, False)
    """
    return _NO_DERIVATIVES.search(licence.replace("_", "-")) is not None


def require_derivatives(record: Record) -> None:
    """Park a record whose licence does not allow what a step would make of it.

    Raises:
        Parked: the licence forbids derivatives.
    """
    if forbids_derivatives(record.licence):
        raise Parked(
            "licence_no_derivatives",
            f"the licence of {record.source} ({record.licence}) allows no derivatives; with permission, add "
            "--allow-no-derivatives",
            f"رخصة {record.source} ({record.licence}) لا تسمح بأعمال مشتقة؛ إن كان لديك إذن فأضف "
            "--allow-no-derivatives",
        )
