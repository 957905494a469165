"""Sentences of a text with their offsets."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

_END: Final = re.compile(r"(?<=[.!?…])[\"”’)]*\s+(?=[\"“‘(]?[A-Z0-9$])|\n+")
_ABBREVIATION: Final = re.compile(r"(?:\b[ap]\.m|\b(?:Vol|No|St|Mr|Mrs|Ms|Dr|vs|e\.g|i\.e|U\.S|approx))\.$")


def sentence_spans(text: str, whole: Sequence[tuple[int, int]] = ()) -> Iterator[tuple[int, int]]:
    """Yield start and end of every sentence; abbreviations and the spans `whole` do not end one."""
    start = 0
    for match in _END.finditer(text):
        if text[match.start()] != "\n" and _ABBREVIATION.search(text, start, match.start()):
            continue
        at = match.start()
        if any(first < at < last or (at == last and text[last - 1] in "!?") for first, last in whole):
            continue
        if text[start : match.start()].strip():
            yield start, match.start()
        start = match.end()
    if text[start:].strip():
        yield start, len(text)
