"""Check ``glossary``: the user's terms are translated as the glossary says."""

from __future__ import annotations

import re
from functools import lru_cache

from .finding import Context, Finding, sides
from .word_lists import arabic_words, english_words

NAME = "glossary"


@lru_cache(maxsize=4096)
def _patterns(term: str, forms: tuple[str, ...]) -> tuple[re.Pattern[str], re.Pattern[str]]:
    # Words of a phrase take their own articles and endings: الأمراض المعدية for أمراض معدية.
    arabic = "|".join(
        r"\s+".join(arabic_words([word], endings=True) for word in form.split()) for form in forms if form.split()
    )
    return re.compile(english_words([term, f"{term}s"])), re.compile(arabic)


def check_glossary(source: str, translation: str, context: Context) -> list[Finding]:
    """English terms of the glossary whose Arabic forms are all missing."""
    if not context.glossary.terms:
        return []
    pair = sides(source, translation, context)
    found = []
    for term, forms in context.glossary.terms.items():
        if term not in pair.english.text:  # quick look before the pattern
            continue
        english, arabic = _patterns(term, forms)
        spans = [match.span() for match in english.finditer(pair.english.text)]
        if spans and not arabic.search(pair.arabic.text):
            wanted = " / ".join(forms)
            texts = f"The glossary translates '{term}' as {wanted}.", f"ترجمة «{term}» في المسرد: {wanted}."
            found.append(pair.finding(NAME, "error", texts, spans))
    return found
