"""Words of a message with their places, compared without case, accents or punctuation."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Final

MAX_READ_CHARS: Final = 2_000

_ASCII_FORM: Final = {
    "ß": "s", "æ": "a", "ø": "o", "ð": "d", "þ": "t", "ł": "l", "đ": "d", "ı": "i",
    "‘": "'", "’": "'", "ʼ": "'", "`": "'", "´": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"',
    "–": "-", "—": "-", "−": "-", "×": "x", "☆": " ", "★": " ", "♥": " ",
}  # fmt: skip


def fold(text: str) -> str:
    """Return `text` in lower case without accents, every character in its old place."""
    if text.isascii():
        return text.lower()
    return "".join(_fold_character(character) for character in text)


def _fold_character(character: str) -> str:
    if character < "\x80":
        return character.lower()
    replacement = _ASCII_FORM.get(character)
    if replacement is not None:
        return replacement
    for decomposed in unicodedata.normalize("NFKD", character):
        if not unicodedata.combining(decomposed):
            lowered = decomposed.lower()
            return lowered if len(lowered) == 1 else character
    return character


@dataclass(frozen=True, slots=True)
class Token:
    """One word: its comparable form and where it stands (`end` exclusive)."""

    norm: str
    start: int
    end: int
    possessive: bool = False


class Tokenizer:
    """Splits folded text into words; an apostrophe inside a word is dropped, `&` reads as "and"."""

    def __init__(self) -> None:
        self._word = re.compile(r"[^\W_]+(?:'[^\W_]+)*|&")

    def tokens(self, folded: str) -> list[Token]:
        """Return the words of a folded text in order."""
        found = []
        for match in self._word.finditer(folded):
            raw = match.group()
            norm = "and" if raw == "&" else raw.replace("'", "")
            found.append(Token(norm, match.start(), match.end(), raw.endswith("'s")))
        return found

    def words(self, text: str) -> tuple[str, ...]:
        """Return the comparable words of any text."""
        return tuple(token.norm for token in self.tokens(fold(text)))
