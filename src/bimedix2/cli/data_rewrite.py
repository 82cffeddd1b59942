"""``bimedix2 data rewrite``: dialogues, full answers, questions and explanations by a language model."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from . import _llm as o


class Kind(StrEnum):
    """What records become; the same names as ``bimedix2.data.rewrite.KINDS``."""

    dialogue = "dialogue"
    expand = "expand"
    vqa = "vqa"
    explain = "explain"


@o.on_a_server
def rewrite(
    kind: Annotated[
        Kind,
        typer.Argument(
            help="dialogue: caption to conversation; expand: short answer to full answer; vqa: questions from captions "
            "and conversations; explain: an explanation under the answer of a multiple-choice question."
        ),
    ],
    records: o.Inputs,
    llm: o.LlmOptions,
    exchanges: Annotated[int, typer.Option(help="dialogue: questions.", min=2, max=20)] = 4,
    items: Annotated[int, typer.Option(help="vqa: questions a text.", min=1, max=20)] = 5,
    sentences: Annotated[int, typer.Option(help="explain: sentences.", min=1, max=20)] = 3,
    short_words: Annotated[int, typer.Option(help="expand: most words of a short answer.", min=1)] = 6,
    variants: Annotated[int, typer.Option(help="Outcomes a row; needs --temperature above 0.", min=1, max=32)] = 1,
    max_tokens: o.MaxTokens = 2048,
) -> None:
    """Rewrite records with a language model behind an OpenAI-compatible server, in each record's own language.

    Stops and resumes without paying twice: run the same command again.

    إعادة صياغة السجلات بنموذج لغوي، كل سجل بلغته. يستأنف الأمر نفسه ما انقطع دون دفع مكرر.
    """
    from bimedix2.data.llm.prompts import Prompts
    from bimedix2.data.rewrite import KINDS, RewriteSettings

    prompts = Prompts(llm.prompts)
    settings = RewriteSettings(
        exchanges=exchanges,
        items=items,
        sentences=sentences,
        short_words=short_words,
        allow_no_derivatives=llm.allow_no_derivatives,
        max_tokens=max_tokens,
    )
    step = KINDS[kind.value](settings, prompts)
    o.perform(llm.task(step, records, {"writer": llm.server()}, prompts, llm.settings(variants)), llm)
