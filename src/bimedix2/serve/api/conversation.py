"""From a chat request to a job's parts: turns, pictures to load, language, settings."""

from __future__ import annotations

from dataclasses import dataclass

from bimedix2.inference.config import GenerationConfig
from bimedix2.records.schema import Language, Turn
from bimedix2.serve.api.schema import ChatRequest, ImagePart, Message, TextPart, invalid
from bimedix2.serve.engines.protocol import EngineInfo
from bimedix2.serve.errors import ServeError
from bimedix2.serve.safety.emergency import TEXT
from bimedix2.serve.settings import Limits
from bimedix2.text import language_of

DEFAULT_TOKENS = 512
_FIXED = tuple(text + "\n\n" for texts in TEXT.values() for text in texts.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request that has been checked.

    Attributes:
        turns: their images index into ``urls``.
        urls: (address, place in the request) of every picture.
        question: the last message's words.
        language: of the answer.
        characters: of all messages.
        adapter: name, or ``None``.
    """

    turns: tuple[Turn, ...]
    urls: tuple[tuple[str, str], ...]
    question: str
    language: Language
    characters: int
    config: GenerationConfig
    adapter: str | None


def understand(request: ChatRequest, info: EngineInfo, limits: Limits) -> Asked:
    """Check what the schema cannot.

    Raises:
        ServeError: 422 for a value out of range, 404 for an unknown model or adapter, 413 for too much text.
    """
    adapter = _adapter(request, info)
    if len(request.messages) > limits.messages:
        raise invalid(
            "messages",
            f"a conversation has at most {limits.messages} messages",
            f"لا تتجاوز المحادثة {limits.messages} رسالة",
            code="too_many_messages",
        )
    turns, urls = _turns(request.messages, limits)
    question = turns[-1].text
    chosen = request.language
    return Asked(
        turns=turns,
        urls=urls,
        question=question,
        language=language_of(question, _spoken(turns[:-1])) if chosen == "auto" else chosen,
        characters=sum(len(turn.text) for turn in turns),
        config=_config(request, limits),
        adapter=adapter,
    )


def _adapter(request: ChatRequest, info: EngineInfo) -> str | None:
    """The adapter of the field or of a model name such as ``nano:chest``, which plain OpenAI clients can send."""
    model, named = request.model, ""
    if model is not None and model != info.model and model.startswith(f"{info.model}:"):
        named = model[len(info.model) + 1 :]
        model = info.model if named else model
    if model is not None and model != info.model:
        raise ServeError(
            "There is no such model here. GET /v1/models lists those that there are.",
            "لا يوجد نموذج بهذا الاسم هنا. يعرض GET /v1/models النماذج المتاحة.",
            code="model_not_found",
            status=404,
            param="model",
        )
    adapter = request.adapter or named or None
    if adapter is not None and adapter not in info.adapters:
        raise ServeError(
            "There is no such adapter. GET /v1/models lists those that there are.",
            "لا يوجد مكيف بهذا الاسم. يعرض GET /v1/models الأسماء المتاحة.",
            code="adapter_not_found",
            status=404,
            param="adapter",
        )
    return adapter


def _turns(messages: list[Message], limits: Limits) -> tuple[tuple[Turn, ...], tuple[tuple[str, str], ...]]:
    turns: list[Turn] = []
    urls: list[tuple[str, str]] = []
    left = limits.characters
    for index, message in enumerate(messages):
        first = len(urls)
        text = _read(message, index, urls)
        left -= len(text)
        if left < 0:
            raise _too_long(limits.characters)
        role = "system" if message.role == "developer" else message.role
        if role != "user" and len(urls) > first:
            raise invalid(
                f"messages[{index}].content", "only the user's messages hold pictures", "الصور في رسائل المستخدم فقط"
            )
        if len(urls) > limits.images:
            raise invalid(
                f"messages[{index}].content",
                f"a request has at most {limits.images} pictures",
                f"لا يتجاوز الطلب {limits.images} صور",
                code="too_many_images",
            )
        if role == "assistant":
            text = _without_fixed(text)
        _place(
            turns, Turn(role=role, text=text, language=language_of(text), images=tuple(range(first, len(urls)))), index
        )
    _check_end(turns, len(messages) - 1)
    return tuple(turns), tuple(urls)


def _read(message: Message, index: int, urls: list[tuple[str, str]]) -> str:
    """The message's words; its pictures are added to ``urls``."""
    if isinstance(message.content, str):
        return message.content
    words: list[str] = []
    for place, part in enumerate(message.content):
        if isinstance(part, TextPart):
            words.append(part.text)
        elif isinstance(part, ImagePart):
            urls.append((part.image_url.url, f"messages[{index}].content[{place}].image_url"))
    return "\n".join(words)


def _place(turns: list[Turn], turn: Turn, index: int) -> None:
    """Add a turn; system messages stand at the start alone, several of them become one."""
    if turn.role == "system" and turns:
        if any(earlier.role != "system" for earlier in turns):
            raise invalid(
                f"messages[{index}].role", "system messages come first", "رسائل النظام تأتي أولا", code="bad_turn_order"
            )
        text = f"{turns[0].text}\n\n{turn.text}"
        turns[0] = Turn(role="system", text=text, language=language_of(text))
    else:
        turns.append(turn)


def _check_end(turns: list[Turn], last: int) -> None:
    if turns[-1].role != "user":
        raise invalid(
            f"messages[{last}].role",
            "the last message is the user's",
            "الرسالة الأخيرة رسالة المستخدم",
            code="bad_turn_order",
        )
    if not turns[-1].text.strip() and not turns[-1].images:
        raise invalid(f"messages[{last}].content", "it is empty", "المحتوى فارغ", code="empty_message")


def _without_fixed(text: str) -> str:
    """An earlier answer without the emergency text in front of it, which is not the model's own."""
    return next((text[len(fixed) :] for fixed in _FIXED if text.startswith(fixed)), text)


def _spoken(turns: tuple[Turn, ...]) -> Language:
    """Language of a conversation so far, for a question such as "12 × 8?"."""
    return next((turn.language for turn in reversed(turns) if turn.role == "user" and turn.text.strip()), "en")


def _config(request: ChatRequest, limits: Limits) -> GenerationConfig:
    if request.logprobs:
        raise invalid("logprobs", "log-probabilities are not given", "لا تعطى الاحتمالات اللوغاريتمية")
    field = "max_tokens" if request.max_completion_tokens is None else "max_completion_tokens"
    wanted = request.max_completion_tokens or request.max_tokens
    if wanted is not None and wanted > limits.max_tokens:
        raise invalid(field, f"at most {limits.max_tokens} tokens", f"الحد الأقصى {limits.max_tokens} رمزا")
    plain = GenerationConfig()
    return GenerationConfig(
        max_new_tokens=wanted or min(DEFAULT_TOKENS, limits.max_tokens),
        temperature=plain.temperature if request.temperature is None else request.temperature,
        top_p=plain.top_p if request.top_p is None else max(request.top_p, 1e-6),
        repetition_penalty=request.repetition_penalty or plain.repetition_penalty,
        stop=_stops(request, limits),
        seed=request.seed or 0,
    )


def _stops(request: ChatRequest, limits: Limits) -> tuple[str, ...]:
    stops = [request.stop] if isinstance(request.stop, str) else request.stop or []
    if len(stops) > limits.stops or any(not 1 <= len(stop) <= limits.stop_characters for stop in stops):
        raise invalid(
            "stop",
            f"at most {limits.stops} strings of 1 to {limits.stop_characters} characters",
            f"{limits.stops} سلاسل على الأكثر، طول كل منها من 1 إلى {limits.stop_characters}",
        )
    return tuple(stops)


def _too_long(most: int) -> ServeError:
    return ServeError(
        f"The conversation is longer than {most} characters. Start a new one, or shorten the text.",
        f"المحادثة أطول من {most} محرف. ابدأ محادثة جديدة أو اختصر النص.",
        code="text_too_long",
        status=413,
        param="messages",
    )
