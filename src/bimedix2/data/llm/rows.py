"""Rows: their keys, and what is written of them when they are decided."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from bimedix2.endpoint.completion import read_completion
from bimedix2.errors import BiMediX2Error
from bimedix2.records import Record

from .ledger import Ledger, Row, StoredReply, digest
from .replies import Cut, Faulty, Refused, Verdict, judge
from .settings import RunSettings, Server
from .step import Ask, By, Outcome, Parked, Step

DONE = frozenset({"accepted", "passed_over", "tombstone"})


class JobKeys:
    """Which rows are decided, under the same step, settings, prompts and models.

    Args:
        step: what is done.
        servers: the models that it asks.
        settings: how it is run.
    """

    def __init__(self, step: Step, servers: Mapping[By, Server], settings: RunSettings) -> None:
        models = "|".join(servers[role].fingerprint for role in step.roles)
        self._common = f"{step.name}|{step.fingerprint}|{models}|{settings.repairs}"
        self._retry = settings.retry

    def of(self, record: Record, variant: int) -> tuple[str, str]:
        """Keys of a row and of the work on it."""
        return f"{record.id}#{variant}", digest(self._common, msgspec.json.encode(record), str(variant))

    def is_done(self, ledger: Ledger, row_key: str, job_key: str) -> bool:
        """Whether a row needs no more work."""
        known = ledger.row(row_key)
        if known is None or known.job_key != job_key or known.state not in DONE:
            return False
        return known.state != "tombstone" or not ("all" in self._retry or known.reason in self._retry)


def judge_stored(stored: StoredReply, ask: Ask[Any]) -> Verdict:
    """Whether a stored reply can be used."""
    completion = read_completion(stored.body)
    return Faulty("") if completion is None else judge(completion, ask)


def text_of(stored: StoredReply) -> str:
    """Words of a stored reply."""
    completion = read_completion(stored.body)
    return "" if completion is None else completion.text


def parked_by(verdict: Verdict, ask: Ask[Any]) -> Parked:
    """The reason why a row is given up, should this be its last reply."""
    if isinstance(verdict, Refused):
        return Parked(verdict.reason, verdict.detail, f"امتنع النموذج: {verdict.detail}", stage=ask.stage)
    if isinstance(verdict, Cut):
        detail = f"the reply is longer than {2 * ask.max_tokens} tokens; raise --max-tokens"
        detail_ar = f"الرد أطول من {2 * ask.max_tokens} رمزا؛ ارفع --max-tokens"
        return Parked("length", detail, detail_ar, stage=ask.stage)
    problem = verdict.problem if isinstance(verdict, Faulty) else ""
    return Parked("schema", problem, f"الرد لا يطابق الصيغة المطلوبة: {problem}", stage=ask.stage)


def tombstone(row: Row, record: Record, parked: Parked) -> Row:
    """A row that is given up, with all that a reader of the quarantine needs."""
    return msgspec.structs.replace(
        row, state="tombstone", reason=parked.reason, detail=parked.detail, detail_ar=parked.detail_ar,
        stage=parked.stage, reply=parked.reply, record=msgspec.json.encode(record),
    )  # fmt: skip


def left_open(row: Row, error: BiMediX2Error) -> Row:
    """A row that the next run takes up again."""
    return msgspec.structs.replace(row, reason=error.code, detail=error.message, detail_ar=error.message_ar)


def accepted(row: Row, outcome: Outcome) -> Row:
    """A row with what was made of it."""
    outputs = b"".join(msgspec.json.encode(record) + b"\n" for record in outcome.records)
    review = b"".join(msgspec.json.encode(item) + b"\n" for item in outcome.review)
    return msgspec.structs.replace(row, state="accepted", outputs=outputs, review=review)
