"""An answer in the making: weighted sentences in paragraphs, fitted to the declared limits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum


class Weight(IntEnum):
    """How much an answer needs a sentence; the lightest go first when words run out."""

    PLEASANTRY = 1
    DETAIL = 2
    SUPPORT = 3
    ANSWER = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One or two sentences that stand or fall together, and the paragraph they belong to."""

    text: str
    weight: Weight
    paragraph: int


class Draft:
    """Collects sentences in reading order."""

    def __init__(self) -> None:
        self._lines: list[Line] = []
        self._paragraph = 0

    def __bool__(self) -> bool:
        return bool(self._lines)

    def say(self, text: str | None, weight: Weight = Weight.ANSWER) -> None:
        """Add a sentence; nothing happens for None or blank text."""
        if text and text.strip():
            self._lines.append(Line(text=text.strip(), weight=weight, paragraph=self._paragraph))

    def say_all(self, texts: Iterable[str | None], weight: Weight = Weight.ANSWER) -> None:
        """Add several sentences of the same weight."""
        for text in texts:
            self.say(text, weight)

    def new_paragraph(self) -> None:
        """Start the next sentence in a paragraph of its own."""
        self._paragraph += 1

    def fitted(self, *, max_words: int, lightest: Weight = Weight.PLEASANTRY) -> str:
        """Return the text with sentences below `lightest` left out, in at most `max_words` words."""
        lines = [line for line in self._lines if line.weight >= lightest] or list(self._lines)
        while len(lines) > 1 and _words_of(lines) > max_words:
            dropped = min(reversed(lines), key=lambda line: line.weight)
            lines = [line for line in lines if line is not dropped]
        text = "\n\n".join(_paragraphs(lines))
        return text if len(text.split()) <= max_words else cut(text, max_words)


def cut(text: str, max_words: int) -> str:
    """Return the first words of a text that cannot be shortened by whole sentences."""
    return " ".join(text.split()[: max(1, max_words)]).rstrip(",;:") + "…"


def _words_of(lines: list[Line]) -> int:
    return sum(len(line.text.split()) for line in lines)


def _paragraphs(lines: list[Line]) -> Iterator[str]:
    for number in dict.fromkeys(line.paragraph for line in lines):
        yield " ".join(line.text for line in lines if line.paragraph == number)
