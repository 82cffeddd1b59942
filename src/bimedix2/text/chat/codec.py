"""A fast tokenizer seen as what chat encoding needs: ids, offsets, and which ids text must never produce."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal
from weakref import WeakKeyDictionary

from bimedix2.text.chat._errors import chat_error
from bimedix2.text.chat.template import ChatTemplate

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from bimedix2.text.chat.proof import Proof

# Tokens that steer a model, whatever the tokenizer calls them: converted tokenizers may hold these as
# non-special added tokens or as plain vocabulary that merges can reach.
_CONTROL = re.compile(
    r"<\|[^|<>\s]{1,64}\|>|<unused_?\d+>|<(?:start|end)_of_[a-z_]+>|\[multimodal\]|\[/?INST\]|<</?SYS>>"
    r"|</?(?:s|pad|bos|eos|mask|image|img|video|audio|im_start|im_end|im_patch)>"
)
_Kind = Literal["free", "spelled", "forbidden"]
_BYTE = re.compile(r"<0x[0-9A-Fa-f]{2}>")


class Codec:
    """What chat encoding asks of a tokenizer. Get one through :func:`codec_for`.

    Attributes:
        backend: the ``tokenizers.Tokenizer`` underneath.
        end: the id that a token added later would get; once it is taken, a new codec is made.
        proofs: outcomes of the segment-wise proof, by template.
    """

    def __init__(self, backend: Tokenizer) -> None:
        self.backend = backend
        self._unk: str | None = getattr(backend.model, "unk_token", None)
        added = backend.get_added_tokens_decoder()
        # Asking for the size with added tokens takes 0.2 ms for a vocabulary of 262,144; this takes 0.1 us.
        self.end = max([backend.get_vocab_size(with_added_tokens=False) - 1, *added]) + 1
        self._at_end = backend.id_to_token(self.end)
        self._special = {index for index, token in added.items() if token.special}
        self._added = {index for index, token in added.items() if token.special or token.content.strip()}
        self.proofs: dict[ChatTemplate, Proof] = {}
        self._control: dict[int, bool] = {}
        self._kinds: dict[int, _Kind] = {}
        self._trusted: dict[str, list[int]] = {}

    def is_current(self) -> bool:
        """Whether no token was added since this codec was made."""
        return self.backend.id_to_token(self.end) == self._at_end

    def token_id(self, token: str, template: ChatTemplate) -> int:
        """Id of a template's token.

        Raises:
            ChatError: ``template_mismatch`` when the tokenizer lacks it.
        """
        index = self.backend.token_to_id(token)
        if index is None:
            raise chat_error("template_mismatch", token=token, name=template.name)
        return index

    def bos(self, template: ChatTemplate) -> str:
        """Name of the beginning-of-sequence token for ``template``."""
        for name in template.bos:
            if self.backend.token_to_id(name) is not None:
                return name
        raise chat_error("template_mismatch", token=template.bos[0], name=template.name)

    def encode(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """Ids and character offsets of ``text``; nothing is added, and token names in it are parsed."""
        encoding = self.backend.encode(text, add_special_tokens=False)
        return encoding.ids, encoding.offsets

    def encode_trusted(self, text: str) -> list[int]:
        """Ids of fixed template text, remembered because there are few of them."""
        if text not in self._trusted:
            self._trusted[text] = self.encode(text)[0]
        return self._trusted[text]

    def is_control(self, index: int) -> bool:
        """Whether a token steers the model and has no place in shown text."""
        known = self._control.get(index)
        if known is None:
            name = self.backend.id_to_token(index) or ""
            known = index in self._special or _CONTROL.fullmatch(name) is not None
            self._control[index] = known
        return known

    def is_unsafe(self, index: int, covered: str) -> bool:
        """Whether content that reads ``covered`` must not become token ``index``.

        An unknown-token or byte token is honest for a character that the vocabulary lacks, and a forgery when
        the text spells out its name.
        """
        kind = self._kinds.get(index)
        if kind is None:
            kind = self._kinds[index] = self._kind_of(index)
        if kind == "spelled":
            return covered.strip() == self.backend.id_to_token(index)
        return kind == "forbidden"

    def _kind_of(self, index: int) -> _Kind:
        name = self.backend.id_to_token(index) or ""
        # GPT-2 style vocabularies use one control token for unknown, beginning and end: it stays forbidden.
        unknown = name == self._unk and _CONTROL.fullmatch(name) is None
        if unknown or _BYTE.fullmatch(name):
            return "spelled"
        return "forbidden" if index in self._added or self.is_control(index) else "free"

    @contextmanager
    def parsing_specials(self) -> Iterator[None]:
        """Make sure that token names in the string are parsed, whatever an earlier caller switched off."""
        before = self.backend.encode_special_tokens
        if before:
            self.backend.encode_special_tokens = False
        try:
            yield
        finally:
            if before:
                self.backend.encode_special_tokens = before


_CODECS: WeakKeyDictionary[Tokenizer, Codec] = WeakKeyDictionary()


def codec_for(tokenizer: Any) -> Codec:
    """The codec of a transformers fast tokenizer or a bare ``tokenizers.Tokenizer``.

    Raises:
        ChatError: ``bad_tokenizer`` for anything else.
    """
    backend = getattr(tokenizer, "backend_tokenizer", tokenizer)
    if not hasattr(backend, "get_added_tokens_decoder"):
        raise chat_error("bad_tokenizer", why=f"{type(tokenizer).__name__} gives no character offsets")
    codec = _CODECS.get(backend)
    if codec is None or not codec.is_current():
        codec = _CODECS[backend] = Codec(backend)
    return codec


def stop_token_ids(tokenizer: Any, template: ChatTemplate) -> tuple[int, ...]:
    """Ids that end an answer: the template's stop tokens which the tokenizer has."""
    backend = codec_for(tokenizer).backend
    found = (backend.token_to_id(name) for name in template.stops)
    return tuple(index for index in found if index is not None)
