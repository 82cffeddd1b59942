"""Rewriting: captions to dialogues, short answers to full ones, questions from captions, explanations of choices."""

from __future__ import annotations

from ._common import Rewrite, RewriteSettings
from .dialogue import Dialogue
from .expand import Expand
from .explain import Explain
from .vqa import WriteVqa

__all__ = ["KINDS", "Rewrite", "RewriteSettings"]

KINDS: dict[str, type[Rewrite]] = {kind.name: kind for kind in (Dialogue, Expand, WriteVqa, Explain)}
