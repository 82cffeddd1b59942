"""Asking a loaded model: one question, a stream, a batch or a conversation."""

from .config import GenerationConfig

__all__ = ["GenerationConfig"]
