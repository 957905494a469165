"""When two questions are the same text."""

from __future__ import annotations

import unicodedata
from typing import Final

_MEANINGFUL_PUNCTUATION: Final = frozenset("%#&@*")
_NUMBER_PUNCTUATION: Final = frozenset(".,:/-")


def normalised_question(text: str) -> str:
    """Return the question without its case, spacing and punctuation.

    Signs that change what is asked stay: currency, `%`, `#`, emoji, and those inside numbers (`1.5`).
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    kept = []
    for at, character in enumerate(folded):
        if character in "'’":
            continue
        kept.append(character if _belongs(folded, at) else " ")
    return " ".join("".join(kept).split())


def _belongs(text: str, at: int) -> bool:
    """Whether the character says something: letters, digits, marks and symbols do."""
    character = text[at]
    if character.isalnum() or character in _MEANINGFUL_PUNCTUATION:
        return True
    if character in _NUMBER_PUNCTUATION:
        return 0 < at < len(text) - 1 and text[at - 1].isdigit() and text[at + 1].isdigit()
    return unicodedata.category(character)[0] in "MS"
