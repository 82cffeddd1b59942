"""Asking for an answer in a language other than the question's."""

from __future__ import annotations

from bimedix2.records.schema import Language

# Added to the question when its language is not the one wanted; nano was trained on these very sentences.
ASK_FOR: dict[Language, str] = {"en": "أجب بالإنجليزية.", "ar": "Answer in Arabic."}
