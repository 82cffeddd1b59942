"""What a run would cost, before anything is sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from bimedix2.records import Record

from .caller import TOKENS_PER_BYTE
from .settings import Server
from .step import By, Expected, Parked, PassedOver, Step


class Estimate(msgspec.Struct, kw_only=True):
    """Requests, tokens and cost of the rows that are still to be done.

    Attributes:
        rows: records that the step would work on.
        done: of them, decided before.
        passed_over, parked: records that need no request.
        requests: least and most; the most has every round of the step, but no repair.
        prompt_tokens, completion_tokens: least and most. The least takes likely lengths; the most takes every UTF-8
            byte of a prompt as a token and every reply as long as allowed, as the budget does.
        cost: least and most, in the currency of the prices; ``None`` where a model has none.
        tokens_per_byte: of prompts, for the least.
        measured: that figure comes from replies of this workspace.
    """

    rows: int = 0
    done: int = 0
    passed_over: int = 0
    parked: int = 0
    requests: tuple[int, int] = (0, 0)
    prompt_tokens: tuple[int, int] = (0, 0)
    completion_tokens: tuple[int, int] = (0, 0)
    cost: tuple[float, float] | None = (0.0, 0.0)
    tokens_per_byte: float = TOKENS_PER_BYTE
    measured: bool = False


def estimate(
    step: Step,
    records: Iterable[tuple[Record, bool]],
    servers: Mapping[By, Server],
    *,
    variants: int = 1,
    tokens_per_byte: float | None = None,
) -> Estimate:
    """Add up what records would take.

    Args:
        records: each with whether it is decided already.
        servers: the models, for their prices.
        tokens_per_byte: measured; ``None`` takes :data:`TOKENS_PER_BYTE`.
    """
    found = Estimate(tokens_per_byte=tokens_per_byte or TOKENS_PER_BYTE, measured=tokens_per_byte is not None)
    if any(servers[role].price is None for role in step.roles):
        found.cost = None
    for record, done in records:
        found.rows += 1
        found.done += done
        if done:
            continue
        try:
            next(step.job(record, 0))
        except PassedOver:
            found.passed_over += 1
        except Parked:
            found.parked += 1
        except StopIteration:  # done without a question
            continue
        else:
            for call in step.expected(record):
                _add(found, call, servers[call.by], variants)
    return found


def _add(found: Estimate, call: Expected, server: Server, variants: int) -> None:
    read, written = round(call.prompt_bytes * found.tokens_per_byte), call.tokens
    least, most = (variants if call.sure else 0), variants
    found.requests = _sum(found.requests, least, most)
    found.prompt_tokens = _sum(found.prompt_tokens, least * read, most * call.prompt_bytes)
    found.completion_tokens = _sum(found.completion_tokens, least * written, most * call.max_tokens)
    if found.cost is not None and server.price is not None:
        low, high = found.cost
        price = server.price
        found.cost = (
            low + least * price.of(read, written),
            high + most * price.of(call.prompt_bytes, call.max_tokens),
        )


def _sum(pair: tuple[int, int], least: int, most: int) -> tuple[int, int]:
    return pair[0] + least, pair[1] + most
