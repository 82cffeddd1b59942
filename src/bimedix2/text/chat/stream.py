"""Text out of tokens, one token at a time, never half a character."""

from __future__ import annotations

import codecs
import json
import unicodedata
from collections.abc import Iterable
from typing import Any

from bimedix2.text.chat._errors import chat_error
from bimedix2.text.chat.codec import codec_for

# A longer run of combining marks is no word of any language; it is let go so that memory stays bounded.
_LONGEST_CLUSTER = 32


def _byte_table() -> dict[str, int]:
    """Byte-level BPE's printable stand-in for each byte (the table of GPT-2)."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    table = {chr(byte): byte for byte in printable}
    return table | {chr(256 + index): byte for index, byte in enumerate(others)}


_BYTES = _byte_table()


class StreamDecoder:
    """Incremental detokeniser for byte-level BPE and SentencePiece-like tokenizers.

    Each token is turned into bytes, which is all that a tokenizer's own decoder does with it, and an
    incremental UTF-8 decoder keeps the bytes of an unfinished character. So every token costs the same, and
    U+FFFD appears only for bytes that can no longer become a character.

    The last Arabic letter is kept back until the next token shows whether a combining mark (fatha, shadda …)
    follows, so a letter and its marks always come out together. Other scripts are not delayed.

    Args:
        tokenizer: transformers fast tokenizer or ``tokenizers.Tokenizer``.
        skip_control: leave control tokens out.
        whole_clusters: keep the last Arabic letter back as described.

    Raises:
        ChatError: ``bad_tokenizer`` for a decoder of another kind.
    """

    def __init__(self, tokenizer: Any, *, skip_control: bool = True, whole_clusters: bool = True) -> None:
        self._codec = codec_for(tokenizer)
        self._skip_control = skip_control
        self._whole_clusters = whole_clusters
        self._read_decoder(self._codec.backend.decoder)
        self._utf8 = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._held = ""

    def push(self, token_id: int) -> str:
        """The text that is certain after one more token; often empty, never half a character."""
        if self._skip_control and self._codec.is_control(token_id):
            return ""
        return self._release(self._utf8.decode(self._token_bytes(token_id)))

    def flush(self) -> str:
        """What is left. Bytes that are no complete character come out as U+FFFD. The decoder is then new."""
        rest = self._held + self._stripped(self._utf8.decode(b"", final=True))
        self._held, self._strip = "", self._strip_first
        self._utf8.reset()
        return rest

    def _read_decoder(self, decoder: Any) -> None:
        state: dict[str, Any] = {"type": "none"} if decoder is None else json.loads(decoder.__getstate__())
        steps: list[dict[str, Any]] = state["decoders"] if state["type"] == "Sequence" else [state]
        kinds = {step["type"] for step in steps}
        self._byte_level = "ByteLevel" in kinds
        if not self._byte_level and not kinds & {"ByteFallback", "Metaspace", "Replace"}:
            raise chat_error("bad_tokenizer", why=f"its decoder is of kind {state['type']}")
        self._replace = [pair for step in steps if (pair := _replacement(step))]
        self._strip_first = sum(map(_stripped_spaces, steps))
        self._strip = self._strip_first

    def _token_bytes(self, token_id: int) -> bytes:
        token = self._codec.backend.id_to_token(token_id)
        if token is None:
            return b""
        if self._byte_level:
            if all(char in _BYTES for char in token):
                return bytes(_BYTES[char] for char in token)
            return token.encode()
        if len(token) == 6 and token.startswith("<0x") and token.endswith(">"):
            return bytes([int(token[3:5], 16)])
        for old, new in self._replace:
            token = token.replace(old, new)
        return token.encode()

    def _stripped(self, text: str) -> str:
        """SentencePiece puts a space before the first word; its decoder takes it away again."""
        while self._strip and text:
            if text[0] != " ":
                self._strip = 0
                break
            text, self._strip = text[1:], self._strip - 1
        return text

    def _release(self, text: str) -> str:
        text = self._held + self._stripped(text)
        keep = _open_cluster(text) if self._whole_clusters else 0
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]


def _replacement(step: dict[str, Any]) -> tuple[str, str] | None:
    if step["type"] == "Metaspace":
        return step["replacement"], " "
    if step["type"] == "Replace" and "String" in step["pattern"]:
        return step["pattern"]["String"], step["content"]
    return None


def _stripped_spaces(step: dict[str, Any]) -> int:
    if step["type"] == "Strip" and step["content"] == " ":
        return int(step["start"])
    return int(step["type"] == "Metaspace" and step.get("prepend_scheme", "always") != "never")


def _open_cluster(text: str) -> int:
    """Length of the Arabic letter and marks at the end of ``text`` that another mark could still join."""
    for length in range(1, min(len(text), _LONGEST_CLUSTER) + 1):
        char = text[-length]
        if not unicodedata.combining(char):
            return length if unicodedata.bidirectional(char) == "AL" else 0
    return 0


class StopFilter:
    """Ends a stream of text at the first stop string that is complete, and never shows part of one.

    The outcome does not depend on how the text is divided into pushes.

    Args:
        stops: stop strings; empty ones are ignored.
    """

    def __init__(self, stops: Iterable[str]) -> None:
        self._stops = tuple(dict.fromkeys(stop for stop in stops if stop))
        self._held = ""
        self.stopped = False

    def push(self, text: str) -> tuple[str, bool]:
        """Take more text.

        Returns:
            The text that is certainly before any stop string, and whether a stop string was reached.
        """
        if self.stopped:
            return "", True
        text = self._held + text
        found = [(at + len(stop), at) for stop in self._stops if (at := text.find(stop)) >= 0]
        if found:
            self.stopped, self._held = True, ""
            return text[: min(found)[1]], True
        keep = max((_overlap(text, stop) for stop in self._stops), default=0)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep], False

    def flush(self) -> str:
        """Text that was held back and turned out not to be a stop string."""
        rest, self._held = self._held, ""
        return rest


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of ``text`` that is a beginning of ``stop``."""
    for length in range(min(len(stop) - 1, len(text)), 0, -1):
        if text.endswith(stop[:length]):
            return length
    return 0
