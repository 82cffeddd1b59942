"""Chat templates, label masks, and text in and out of tokenizers, safe against injected control tokens."""

from bimedix2.text.chat._errors import ChatError
from bimedix2.text.chat.codec import stop_token_ids
from bimedix2.text.chat.encode import IGNORED, Encoded, Span, encode_conversation
from bimedix2.text.chat.fit import Fitted, fit_to_length
from bimedix2.text.chat.proof import Proof, prove_segmentwise
from bimedix2.text.chat.stream import StopFilter, StreamDecoder
from bimedix2.text.chat.template import ChatTemplate, get_template, template_names

__all__ = [
    "IGNORED",
    "ChatError",
    "ChatTemplate",
    "Encoded",
    "Fitted",
    "Proof",
    "Span",
    "StopFilter",
    "StreamDecoder",
    "encode_conversation",
    "fit_to_length",
    "get_template",
    "prove_segmentwise",
    "stop_token_ids",
    "template_names",
]
