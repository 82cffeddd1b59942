"""Asking a loaded model: one question, a stream, a batch or a conversation."""

from .answer import Answer, Question, Stream, Timings, user_turn
from .config import GenerationConfig

__all__ = ["Answer", "GenerationConfig", "Question", "Stream", "Timings", "user_turn"]
