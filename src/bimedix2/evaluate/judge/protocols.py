"""What a judge is asked about one reply, as messages: the protocols of LLaVA-Med, BiMed-MBench and UPHILL, and ours.

``original`` keeps what the protocols do: the reference always comes first, the sentences about a figure are printed
as a Python list, and Arabic items are judged by English instructions. ``fixed`` asks in both orders, in the item's
language, with plain text.
"""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

from bimedix2.evaluate.schema import Mode, Sample
from bimedix2.records.schema import Language

from .wording import Wording

Messages = list[dict[str, str]]
REFERENCE_FIRST, MODEL_FIRST = "fixed/reference_first", "fixed/model_first"
ORIGINAL, FIXED = "original", "fixed"
_PLACE = re.compile(r"\{(claim|reply)\}")


class JudgeQuestion(NamedTuple):
    """One question to a judge.

    Attributes:
        name: which of a protocol's questions it is.
        messages: as chat endpoints take them.
    """

    name: str
    messages: Messages


class Figure(NamedTuple):
    """What stands for the image: its label, caption, and the sentences of the article that mention it."""

    label: str
    caption: str
    mentions: list[Any]


def figure_context(label: str, caption: str, mentions: list[Any]) -> str:
    """A figure as ``Sample.context``."""
    return json.dumps({"label": label, "caption": caption, "mentions": mentions}, ensure_ascii=False)


def figure_of(context: str) -> Figure:
    """The figure in ``Sample.context``; a text that is no such object is a caption."""
    try:
        parts = json.loads(context)
        return Figure(str(parts["label"]), str(parts["caption"]), list(parts["mentions"]))
    except (ValueError, TypeError, KeyError, RecursionError):
        return Figure("", context, [])


def mention_texts(mentions: list[Any]) -> list[str]:
    """The sentences as plain text, whether they come as text, tokens or objects with ``tokens``.

    >>> mention_texts([{"tokens": "No mass is seen .", "entities": []}, "See figure 1."])
    ['No mass is seen .', 'See figure 1.']
    """
    texts = [item.get("tokens", "") if isinstance(item, dict) else item for item in mentions]
    joined = [" ".join(map(str, text)) if isinstance(text, list) else str(text).strip() for text in texts]
    return [text for text in joined if text]


def comparison_questions(sample: Sample, reply: str, mode: Mode, texts: Wording) -> list[JudgeQuestion]:
    """The model's answer beside the reference: one question in ``original``, one an order in ``fixed``."""
    reference = sample.reference
    if mode == ORIGINAL:
        return [JudgeQuestion(ORIGINAL, _original(sample, reference, reply, texts))]
    return [
        JudgeQuestion(REFERENCE_FIRST, _fixed(sample, reference, reply, texts)),
        JudgeQuestion(MODEL_FIRST, _fixed(sample, reply, reference, texts)),
    ]


def _original(sample: Sample, first: str, second: str, texts: Wording) -> Messages:
    label, caption, mentions = figure_of(sample.context)
    content = (
        f"[Context]\nFigure Caption:\n{label}: {caption}\n\nFigure Context:\n\t- {mentions}\n\n"
        f"[Question]\n{sample.question}\n\n"
        f"[Assistant 1]\n{first}\n\n[End of Assistant 1]\n\n[Assistant 2]\n{second}\n\n[End of Assistant 2]\n\n"
        f"[System]\n{texts[f'comparison_original_{sample.language}']}\n\n"
    )
    return _messages(texts["comparison_system"], content)


_HEADS: dict[Language, tuple[str, str, str, str, str]] = {
    "en": ("Figure", "Text about the figure", "Question", "Assistant", "End of Assistant"),
    "ar": ("الصورة", "نص عن الصورة", "السؤال", "المساعد", "نهاية المساعد"),
}


def _fixed(sample: Sample, first: str, second: str, texts: Wording) -> Messages:
    label, caption, mentions = figure_of(sample.context)
    figure, about, question, who, end = _HEADS[sample.language]
    parts = [f"[{figure}]\n{label}: {caption}" if label else f"[{figure}]\n{caption}"]
    sentences = mention_texts(mentions)
    if sentences:
        parts.append(f"[{about}]\n" + "\n".join(f"- {sentence}" for sentence in sentences))
    parts.append(f"[{question}]\n{sample.question}")
    parts += [f"[{who} {i}]\n{text}\n[{end} {i}]" for i, text in enumerate((first, second), 1)]
    parts.append(texts[f"comparison_fixed_{sample.language}"])
    return _messages(texts[f"comparison_fixed_system_{sample.language}"], "\n\n".join(parts))


def entailment_question(sample: Sample, reply: str, mode: Mode, texts: Wording) -> JudgeQuestion:
    """Whether a reply agrees with the claim in ``Sample.context``; the judge never learns if the claim is true."""
    part = ORIGINAL if mode == ORIGINAL else FIXED
    suffix = "" if mode == ORIGINAL else f"_{sample.language}"
    # Not str.format: claims and replies may hold braces.
    given = {"claim": sample.context, "reply": reply}
    content = _PLACE.sub(lambda place: given[place[1]], texts[f"entailment_{part}_user{suffix}"])
    return JudgeQuestion(part, _messages(texts[f"entailment_{part}_system{suffix}"], content))


def _messages(system: str, content: str) -> Messages:
    return [{"role": "system", "content": system}, {"role": "user", "content": content}]
