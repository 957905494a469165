"""Overlapping windows of one to three sentences, none much longer than a paragraph, and the whole text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

LONGEST: Final = 360
"""Characters of a window; what the encoder reads in a few milliseconds."""
SHORTEST_SENTENCE: Final = 12
SENTENCES_TOGETHER: Final = 3
MOST_SENTENCES: Final = 200

_END: Final = re.compile(r"[.!?;:]+[\"')\]]*\s+|[。！？…]+|\n+|\s\|\s")


@dataclass(frozen=True, slots=True)
class Windows:
    """`bounds` are where the sentences begin, then where the last one ends.

    `firsts` and `lasts` are each window's first sentence and the one after its last; the last window is
    the whole text.
    """

    bounds: tuple[int, ...]
    firsts: tuple[int, ...]
    lasts: tuple[int, ...]

    def span(self, window: int) -> tuple[int, int]:
        """Return the characters of a window."""
        return self.bounds[self.firsts[window]], self.bounds[self.lasts[window]]


def windows_of(text: str) -> Windows:
    """Return every sentence alone and joined with its followers while that stays short."""
    bounds = _bounds(text)
    count = len(bounds) - 1
    firsts, lasts = [], []
    for first in range(count):
        for last in range(first + 1, min(first + SENTENCES_TOGETHER, count) + 1):
            if last > first + 1 and bounds[last] - bounds[first] > LONGEST:
                break
            firsts.append(first)
            lasts.append(last)
    return Windows(tuple(bounds), (*firsts, 0), (*lasts, count))


def _bounds(text: str) -> list[int]:
    """Return the borders of sentences; one that is too long is cut at a space."""
    bounds = [0]
    for match in _END.finditer(text):
        end = match.end()
        if end - bounds[-1] >= SHORTEST_SENTENCE and len(text) - end >= SHORTEST_SENTENCE:
            _extend(bounds, end, text)
            if len(bounds) > MOST_SENTENCES:
                break
    _extend(bounds, len(text), text)
    return bounds if len(bounds) > 1 else [0, len(text)]


def _extend(bounds: list[int], end: int, text: str) -> None:
    while end - bounds[-1] > LONGEST and len(bounds) <= MOST_SENTENCES:
        start = bounds[-1]
        cut = text.rfind(" ", start + LONGEST // 2, start + LONGEST)
        bounds.append(cut + 1 if cut >= 0 else start + LONGEST)
    if end > bounds[-1]:
        bounds.append(end)
