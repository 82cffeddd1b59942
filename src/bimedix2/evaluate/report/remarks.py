"""What to know of how a run was made: why it ended early, what a server was asked, and how a judge fared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bimedix2.evaluate.controls import MODEL

from .content import shown_reason, task_title
from .published import Bilingual

Row = Mapping[str, Any]


def remarks(results: Row) -> list[Bilingual]:
    """Lines in both languages; none for a local model that was asked everything and needs no judge."""
    return [shown_reason(*line) for line in _lines(results)]


def _lines(results: Row) -> Iterator[tuple[str, str]]:
    stopped = results.get("stopped")
    if stopped is not None:
        yield f"Ended early: {stopped['en']}", f"انتهى قبل تمامه: {stopped['ar']}"
    usage = results.get("usage")
    if usage is not None:
        yield _usage(usage)
    for row in results["rows"]:
        if row["condition"] == MODEL and row.get("judge"):
            yield from _judge(row)


def _usage(usage: Row) -> tuple[str, str]:
    """What the whole folder took of a server, tokens as it counts them."""
    counts = (usage["requests"], usage["prompt_tokens"], usage["completion_tokens"])
    english = "Server: {:,} requests, {:,} prompt and {:,} reply tokens".format(*counts)
    arabic = "الخادم: {:,} طلبا، و{:,} رمزا في الأسئلة و{:,} في الإجابات".format(*counts)
    if usage["cost"]:
        english, arabic = f"{english}, cost {usage['cost']:.2f}", f"{arabic}، والتكلفة {usage['cost']:.2f}"
    return english, arabic


def _judge(row: Row) -> Iterator[tuple[str, str]]:
    """The judge, its verdicts, those without a score, the agreement of both orders, and oddities of the data."""
    judge, title = row["judge"], task_title(row["task"])
    name = str(judge.get("model", "?"))
    counts = (judge["verdicts"], judge["unparsed_verdicts"], judge["missing"])
    english = "judge {}, {:,} verdicts, {:,} without a score, {:,} items still to judge".format(name, *counts)
    arabic = "المحكم {}، {:,} حكما، منها {:,} بلا درجة، وبقي {:,} عنصرا".format(name, *counts)
    agreement = judge.get("order_agreement")
    if agreement is not None:
        english += f", both orders name one winner in {agreement:.1%}"
        arabic += f"، ويتفق الترتيبان على الفائز في {agreement:.1%}"
    where = f"{row['language']}, {row['mode']}"
    yield f"{title['en']} ({where}): {english}", f"{title['ar']} ({where}): {arabic}"
    for note in judge.get("notes", []):
        yield f"{title['en']} ({where}): {note['en']}", f"{title['ar']} ({where}): {note['ar']}"
