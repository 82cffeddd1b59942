"""``bimedix2 data translate``: records into the other language, with a glossary, checks and a critique loop."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import _llm as o

if TYPE_CHECKING:
    from bimedix2.data.llm.settings import Server
    from bimedix2.data.llm.step import By
    from bimedix2.data.translate.glossary import Glossary
    from bimedix2.records import Language


class Target(StrEnum):
    """Language to translate into."""

    ar = "ar"
    en = "en"


class PromptLang(StrEnum):
    """Language of the instructions; ``source`` is that of the records."""

    source = "source"
    en = "en"
    ar = "ar"


_LANGUAGE: dict[PromptLang, Language | None] = {PromptLang.source: None, PromptLang.en: "en", PromptLang.ar: "ar"}


@o.on_a_server
def translate(
    records: o.Inputs,
    llm: o.LlmOptions,
    to: Annotated[Target, typer.Option(help="Language to translate into; records in the other one are taken.")] = (
        Target.ar
    ),
    glossary: Annotated[
        list[Path] | None, typer.Option(help="CSV with the columns en and ar; may be repeated, the first counts.")
    ] = None,
    tico19: Annotated[Path | None, typer.Option(help="Folder of TICO-19, for its terms.")] = None,
    checks: Annotated[bool, typer.Option(help="Send a translation that fails the checks back once.")] = True,
    critique: Annotated[bool, typer.Option(help="Have a model score translations and send low ones back.")] = True,
    threshold: Annotated[int, typer.Option(help="Score of 100 from which one passes.", min=0, max=100)] = 85,
    rounds: Annotated[int, typer.Option(help="Times that a translation may go back.", min=0, max=10)] = 2,
    audit_share: Annotated[float, typer.Option(help="Part of the others for experts to see.", min=0, max=1)] = 0.05,
    keep_low: Annotated[bool, typer.Option("--keep-low", help="Put those that do not pass among the records.")] = False,
    with_originals: Annotated[bool, typer.Option("--with-originals", help="Put each original before its own.")] = False,
    critic_model: Annotated[str, typer.Option(help="Model that scores; --model if not given.")] = "",
    critic_endpoint: Annotated[str, typer.Option(help="Its server; --endpoint if not given.")] = "",
    critic_key_env: Annotated[str, typer.Option(help="Its key's variable; --api-key-env if not given.")] = "",
    prompt_lang: Annotated[PromptLang, typer.Option(help="Language of the instructions.")] = PromptLang.source,
    max_tokens: o.MaxTokens = 4096,
) -> None:
    """Translate records with a language model behind an OpenAI-compatible server.

    A model translates, a model scores from 0 to 100, low scores go back with the critique, and what stays low goes to
    review.jsonl with a random sample of the others. Stops and resumes without paying twice: run the same command again.

    ترجمة السجلات بنموذج لغوي مع مسرد وفحوص وحلقة نقد. يستأنف الأمر نفسه ما انقطع دون دفع مكرر.
    """
    from dataclasses import replace

    from bimedix2.data.llm.prompts import Prompts
    from bimedix2.data.translate.checks import find_check
    from bimedix2.data.translate.settings import TranslateSettings
    from bimedix2.data.translate.step import Translate

    critic = replace(
        llm,
        endpoint=critic_endpoint or llm.endpoint,
        model=critic_model or llm.model,
        api_key_env=critic_key_env or llm.api_key_env,
    )
    settings = TranslateSettings(
        target=to.value,
        threshold=threshold,
        rounds=rounds,
        critique=critique,
        audit_share=audit_share,
        keep_low=keep_low,
        with_originals=with_originals,
        prompt_language=_LANGUAGE[prompt_lang],
        allow_no_derivatives=llm.allow_no_derivatives,
        max_tokens=max_tokens,
        seed=llm.seed,
    )
    prompts = Prompts(llm.prompts)
    step = Translate(settings, prompts, _glossary(glossary or [], tico19), find_check(wanted=checks))
    servers: dict[By, Server] = {"writer": llm.server(), "critic": critic.server()}
    o.perform(llm.task(step, records, servers, prompts, llm.settings()), llm)


def _glossary(tables: list[Path], tico19: Path | None) -> Glossary:
    from bimedix2.data.translate.glossary import Glossary, read_terms, read_tico19

    terms = [term for path in tables for term in read_terms(path)]
    return Glossary(terms + (read_tico19(tico19) if tico19 else []))
