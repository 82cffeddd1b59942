"""The translation step: translate, check, criticise, send back, until it is good enough or goes to an expert.

After BiMediX v1 (Pieri et al. 2024, section on semi-automatic translation): a model translates, a model scores the
translation against the source from 0 to 100, low scores go back with the critique a bounded number of times, and
medical staff see the lowest scorers and a random sample of the others. Its threshold and number of rounds were not
published; ours are settings.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any

import msgspec

from bimedix2.data.llm.prompts import Message, Prompt, Prompts
from bimedix2.data.llm.step import Answered, Ask, By, Expected, Job, PassedOver, require_derivatives
from bimedix2.records import Language, Record

from .checks import NoCheck, TranslationCheck
from .glossary import Glossary
from .outcome import Finisher, Log, passes
from .parts import Parts
from .replies import NAMES, Critique, Draft, Translation, rank, shape_problems
from .settings import TranslateSettings

_REVIEW_BYTES = 4096  # a critique of 1,024 tokens
_NONE: dict[Language, str] = {"en": "(none)", "ar": "(لا شيء)"}


class Translate:
    """Translates records into the other language.

    Args:
        settings: thresholds and sizes.
        prompts: where prompts come from.
        glossary: terms to use.
        check: deterministic checks; what fails them goes back once with the findings.
    """

    name = "translate"

    def __init__(
        self,
        settings: TranslateSettings,
        prompts: Prompts | None = None,
        glossary: Glossary | None = None,
        check: TranslationCheck | None = None,
    ) -> None:
        self.settings, self.glossary, self.check = settings, glossary or Glossary(), check or NoCheck()
        self.target: Language = settings.target
        self.source: Language = "en" if settings.target == "ar" else "ar"
        self.language: Language = settings.prompt_language or self.source
        found = prompts or Prompts()
        self._prompts = {name: found.get(name, self.language) for name in ("translate", "critique", "revise")}
        self._finisher = Finisher(settings, self._prompts, self.glossary.fingerprint, self.language)

    @property
    def roles(self) -> tuple[By, ...]:
        """The translator, and the critic if there is one."""
        return ("writer", "critic") if self.settings.critique else ("writer",)

    @property
    def fingerprint(self) -> str:
        """Changes with settings, prompts, glossary and checks."""
        prompts = "|".join(prompt.label for prompt in self._prompts.values())
        settings = msgspec.json.encode(self.settings).decode()
        return f"{settings}|{prompts}|{self.glossary.fingerprint}|{self.check.fingerprint}"

    def job(self, record: Record, variant: int) -> Job:
        """Translate one record; see :class:`~bimedix2.data.llm.step.Step`."""
        parts = self._parts(record)
        log: Log = []
        draft = yield from self._drafted(parts, log)
        best = draft
        if self.settings.critique:
            best = yield from self._criticised(parts, draft, log)
        return self._finisher.outcome(parts, best, log, variant)

    def expected(self, record: Record) -> list[Expected]:
        """Translation and critique, and what every round adds."""
        parts = self._parts(record)
        size = sum(len(text.encode()) for texts in parts.texts for text in texts)
        written = _likely_tokens(size)
        first = _bytes(self._translate(parts).messages)
        most = self.settings.max_tokens
        calls = [Expected("writer", first, written, most, sure=True)]
        for number in range(self.settings.rounds + 1 if self.settings.critique else 0):
            if number:
                calls.append(Expected("writer", first + 2 * size + _REVIEW_BYTES, written, most, sure=False))
            calls.append(Expected("critic", first + 2 * size, 80, 1024, sure=number == 0))
        return calls

    def _parts(self, record: Record) -> Parts:
        if not any(turn.language == self.source and turn.text.strip() for turn in record.turns):
            raise PassedOver("other_language")
        if not self.settings.allow_no_derivatives:
            require_derivatives(record)
        return Parts(record, self.source)

    def _drafted(self, parts: Parts, log: Log) -> Generator[Ask[Any], Answered, Draft]:
        """A first translation; one that fails the checks goes back once with what they found."""
        if not parts.texts:
            return Draft([], [])
        first = yield self._translate(parts)
        log.append(("translate", first))
        draft = self._checked(parts, first.value)
        if draft.faults:
            lines = [fault.text(self.language) for fault in draft.faults]
            second = yield self._revise(parts, draft, lines, "recheck")
            log.append(("recheck", second))
            again = self._checked(parts, second.value)
            draft = again if len(again.faults) <= len(draft.faults) else draft
        return draft

    def _criticised(self, parts: Parts, draft: Draft, log: Log) -> Generator[Ask[Any], Answered, Draft]:
        """The best of the draft and its revisions, by score."""
        best: Draft | None = None
        for number in range(self.settings.rounds + 1):
            if not draft.turns:
                return draft
            judged = yield self._critique(parts, draft, f"critique{number}")
            log.append((f"critique{number}", judged))
            draft = draft._replace(critique=judged.value)
            if best is None or rank(draft) > rank(best):
                best = draft
            if passes(draft, self.settings) or number == self.settings.rounds:
                break
            # The critique of the best one goes back, not that of a revision that made things worse.
            critique = best.critique
            assert critique is not None
            lines = critique.lines() + [fault.text(self.language) for fault in best.faults]
            revised = yield self._revise(parts, best, lines, f"revise{number + 1}")
            log.append((f"revise{number + 1}", revised))
            draft = self._checked(parts, revised.value)
            if draft.turns == best.turns:  # the translator stands by it; its score is known
                break
        assert best is not None
        return best

    def _translate(self, parts: Parts) -> Ask[Translation]:
        messages = self._messages("translate", parts, material=_json(parts.texts))
        return self._ask("translate", self._prompts["translate"], messages, Translation, self._shape(parts))

    def _revise(self, parts: Parts, draft: Draft, lines: Sequence[str], stage: str) -> Ask[Translation]:
        review = "\n".join(f"- {line}" for line in lines) or _NONE[self.language]
        given = {"source": _json(parts.texts), "translation": _json(draft.turns), "review": review}
        messages = self._messages("revise", parts, **given)
        return self._ask(stage, self._prompts["revise"], messages, Translation, self._shape(parts))

    def _critique(self, parts: Parts, draft: Draft, stage: str) -> Ask[Critique]:
        given = {"source": _json(parts.texts), "translation": _json(draft.turns)}
        messages = self._messages("critique", parts, **given)
        return Ask(
            stage, self._prompts["critique"], messages, Critique, max_tokens=1024, expected_tokens=80, by="critic"
        )

    def _ask(
        self,
        stage: str,
        prompt: Prompt,
        messages: tuple[Message, ...],
        reply: type[Translation],
        problems: Callable[[Translation], Sequence[str]],
    ) -> Ask[Translation]:
        likely = _likely_tokens(len(messages[-1]["content"].encode()) // 4)
        return Ask(stage, prompt, messages, reply, problems, self.settings.max_tokens, likely)

    def _messages(self, name: str, parts: Parts, **given: str) -> tuple[Message, ...]:
        names = NAMES[self.language]
        terms = self.glossary.find((text for texts in parts.texts for text in texts), self.source)
        pairs = [(term.en, term.ar) if self.source == "en" else (term.ar, term.en) for term in terms]
        listed = "\n".join(f"{source} = {target}" for source, target in pairs) or _NONE[self.language]
        languages = {"source_language": names[self.source], "target_language": names[self.target]}
        return self._prompts[name].messages(glossary=listed, **languages, **given)

    def _shape(self, parts: Parts) -> Callable[[Translation], Sequence[str]]:
        wanted = parts.texts
        return lambda found: shape_problems(wanted, found.turns, self.target, self.language)

    def _checked(self, parts: Parts, translation: Translation) -> Draft:
        pairs = zip(
            (text for texts in parts.texts for text in texts),
            (text for texts in translation.turns for text in texts),
            strict=True,
        )
        faults = [fault for source, target in pairs for fault in self.check(source, target, self.source)]
        return Draft(translation.turns, faults)


def _json(texts: list[list[str]]) -> str:
    return msgspec.json.encode({"turns": texts}).decode()


def _bytes(messages: Sequence[Message]) -> int:
    return sum(len(message["content"].encode()) for message in messages)


def _likely_tokens(size: int) -> int:
    """Tokens of a translation of so many bytes: English about a token for 4 bytes, Arabic as many again."""
    return 16 + size // 2
