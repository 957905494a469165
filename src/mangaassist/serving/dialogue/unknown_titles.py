"""A title that is asked for and that the store does not know."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

from mangaassist.serving.dialogue.text import Token
from mangaassist.serving.dialogue.words import EVERYDAY

_MAX_WORDS: Final = 8


class UnknownTitleDetector:
    """Finds what stands where a title would stand and holds a word that nobody else uses.

    `is_known` tells whether a word belongs to the catalogue or to ordinary language.
    """

    def __init__(self, is_known: Callable[[str], bool]) -> None:
        self._is_known = is_known
        self._asked = re.compile(
            r"(?:\b(?:do|did) (?:you|u|ya)(?: guys)?(?: still| also)? (?:have|carry|sell"
            r"|stock)(?: the)?(?: manga| series)?"
            r"|\bhave (?:you|u) got|\bgot|\blooking for|\bsearching for|\bprice of|\bhow much (?:is"
            r"|are|does)|\bwho (?:wrote|draws|drew)"
            r"|\bhow many volumes (?:does|has|are in|of|in)|\bread|\btell me about|\bwhat is|\blike"
            r"|\bsimilar to|\bis|\bwhen is|\bwhen does"
            r"|\bcopy of|\bvolumes? (?:\d+ )?of|\bstock of|\bmanga (?:called|named)|\bauthor of"
            r"|\bsell me|\bi meant|\bmeant)\s+(.+)"
        )
        self._title_end = re.compile(
            r"\b(?:in (?:stock|english|japanese|hardcover|paperback|print)|finished|complete[d]?|over"
            r"|available|vol(?:ume)?s?\b"
            r"|have|has|cost|come|coming|out|please|pls|but|for (?:my|a|an)|under|on sale|any good|box"
            r"|deluxe|omnibus|worth)\b|[?!.;,]|\d+\s*$"
        )

    def find(self, text: str, folded: str, tokens: Sequence[Token]) -> str | None:
        """Return the likely title as it was written, or None."""
        match = self._asked.search(folded)
        if match is None:
            return None
        start, stop = match.span(1)
        end = self._title_end.search(folded, start)
        if end is not None:
            stop = end.start()
        inside = [token for token in tokens if start <= token.start and token.end <= stop]
        content = [token for token in inside if token.norm not in EVERYDAY]
        if not content or len(inside) > _MAX_WORDS:
            return None
        strange = [token for token in content if len(token.norm) >= 4 and not self._is_known(token.norm)]
        if not strange:
            return None
        return text[content[0].start : content[-1].end].strip(" \"'*")
