"""Chat templates as plain data: no Jinja, nothing from a checkpoint is executed."""

from __future__ import annotations

from dataclasses import dataclass

from bimedix2.text.chat._errors import chat_error

LLAVA_SYSTEM = (
    "A chat between a curious user and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the user's questions."
)


@dataclass(frozen=True)
class ChatTemplate:
    """How turns become one string.

    A header is a tuple of parts. A part that is listed in ``specials`` is one token, put in by its id;
    any other part is fixed text that is tokenised. Content is trimmed at both ends, as the model families'
    own templates do, because a leading line break would merge with the header's.

    Attributes:
        name: registry name; stored in a checkpoint's ``bimedix2.json``.
        bos: names of the beginning-of-sequence token; the first one that the tokenizer has is used, once.
        system: header of the system turn; ``None`` folds its text into the first user turn.
        user: header of a user turn.
        assistant: header of an assistant turn.
        close: end of a turn; supervised after assistant content.
        after_close: fixed text after ``close``; never supervised.
        specials: the parts above that are single tokens.
        stops: tokens that end generation; those the tokenizer lacks are left out.
        image_suffix: fixed text after each image.
        system_joint: fixed text between folded system text and what follows.
        default_system: system text of a conversation that has none; ``None`` for no system text.
        captions: the projector stage's form: images then caption, questions and system text dropped.
    """

    name: str
    bos: tuple[str, ...]
    system: tuple[str, ...] | None
    user: tuple[str, ...]
    assistant: tuple[str, ...]
    close: str
    after_close: str
    specials: frozenset[str]
    stops: tuple[str, ...]
    image_suffix: str = "\n"
    system_joint: str = "\n\n"
    default_system: str | None = None
    captions: bool = False


def _llama3_header(role: str) -> tuple[str, ...]:
    return ("<|start_header_id|>", role, "<|end_header_id|>", "\n\n")


# The form in which LLaVA++ trained on Llama 3 (and BiMediX2 with it): LLaVA's system sentence and Llama 3's
# header tokens. Its code adds a second BOS by accident; one is what the model family expects.
LLAMA3 = ChatTemplate(
    name="llama3",
    bos=("<|begin_of_text|>",),
    system=_llama3_header("system"),
    user=_llama3_header("user"),
    assistant=_llama3_header("assistant"),
    close="<|eot_id|>",
    after_close="",
    specials=frozenset({"<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"}),
    stops=("<|eot_id|>", "<|eom_id|>", "<|end_of_text|>"),
    default_system=LLAVA_SYSTEM,
)

PHI3 = ChatTemplate(
    name="phi3",
    bos=("<s>",),
    system=("<|system|>", "\n"),
    user=("<|user|>", "\n"),
    assistant=("<|assistant|>", "\n"),
    close="<|end|>",
    after_close="\n",
    specials=frozenset({"<|system|>", "<|user|>", "<|assistant|>", "<|end|>"}),
    stops=("<|end|>", "<|endoftext|>", "</s>"),
)

GEMMA = ChatTemplate(
    name="gemma",
    bos=("<bos>",),
    system=None,
    user=("<start_of_turn>", "user\n"),
    assistant=("<start_of_turn>", "model\n"),
    close="<end_of_turn>",
    after_close="\n",
    specials=frozenset({"<start_of_turn>", "<end_of_turn>"}),
    stops=("<end_of_turn>", "<eos>"),
)

# LLaVA's form for aligning the projector: image, caption, line break.
PLAIN = ChatTemplate(
    name="plain",
    bos=("<|begin_of_text|>", "<bos>", "<s>"),
    system=None,
    user=(),
    assistant=(),
    close="\n",
    after_close="",
    specials=frozenset(),
    stops=("<|end_of_text|>", "<eos>", "</s>"),
    image_suffix="",
    captions=True,
)

_REGISTRY: dict[str, ChatTemplate] = {t.name: t for t in (LLAMA3, PHI3, GEMMA, PLAIN)}


def template_names() -> tuple[str, ...]:
    """Names that :func:`get_template` knows."""
    return tuple(_REGISTRY)


def get_template(name: str) -> ChatTemplate:
    """The template called ``name``.

    Raises:
        ChatError: ``unknown_template``.
    """
    if name not in _REGISTRY:
        raise chat_error("unknown_template", name=name, known=", ".join(_REGISTRY))
    return _REGISTRY[name]
