"""The message made self-contained: references replaced by titles, the running request added."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from mangaassist.domain.dialogue import Constraints, Reading
from mangaassist.domain.intents import Intent
from mangaassist.serving.dialogue.text import fold


class TextResolver:
    """Writes the text that retrieval and generation see; `title_of` names a series."""

    def __init__(self, title_of: Callable[[str], str | None]) -> None:
        self._title_of = title_of
        self._reference = re.compile(
            r"\b(?:(?:the|this|that) (?:first|second|third|fourth|fifth|last|other|cheap(?:er|est)"
            r"|short(?:er|est)|long(?:er|est)|1st|2nd|3rd)"
            r"(?: (?:one|title|series|manga))?|(?:this|that)(?: (?:one|book|manga|volume|series|title))|both|"
            r"those(?: (?:two|three))?|these|them|they|it|this|that)(?=[\s?.!,;']|$)(?!')"
        )

    def with_titles(self, text: str, series_ids: Sequence[str]) -> str:
        """Return the text with its first reference ("it", "the second one") replaced by titles."""
        titles = " and ".join(title for one in series_ids if (title := self._title_of(one)))
        match = self._reference.search(fold(text)) if titles else None
        if match is None:
            return text
        return text[: match.start()] + titles + text[match.end() :]

    def complete(self, reading: Reading, *, intent: Intent, previous_text: str | None) -> str:
        """Return the message readable without its conversation; its references are replaced already."""
        if not reading.follow_up:
            return reading.resolved_text
        if intent is Intent.PRODUCT_QUESTION:
            return self._about_products(reading)
        if intent is Intent.RECOMMENDATION:
            wish = self.describe(reading.state.constraints)
            return f"{reading.resolved_text} ({wish})" if wish else reading.resolved_text
        return f"{previous_text} {reading.text}" if previous_text else reading.resolved_text

    def describe(self, constraints: Constraints) -> str:
        """Return the constraints in a few words, for a search."""
        words = [*constraints.moods, *constraints.genres, *constraints.themes]
        if constraints.demographic:
            words.append(constraints.demographic)
        parts = [" ".join((*words, "manga"))] if words else []
        liked = [title for one in constraints.like_series if (title := self._title_of(one))]
        if liked:
            parts.append("like " + " and ".join(liked))
        if constraints.authors:
            parts.append("by " + " and ".join(constraints.authors))
        if constraints.reader_age is not None:
            parts.append(f"for age {constraints.reader_age}")
        if constraints.max_price_usd is not None:
            parts.append(f"up to ${constraints.max_price_usd:g}")
        if constraints.max_volumes is not None:
            parts.append(f"at most {constraints.max_volumes} volumes")
        if constraints.status:
            parts.append(constraints.status)
        unwanted = (*constraints.exclude_genres, *constraints.exclude_themes, *constraints.exclude_moods)
        if unwanted:
            parts.append("not " + ", ".join(unwanted))
        return ", ".join(parts)

    def _about_products(self, reading: Reading) -> str:
        text = reading.resolved_text
        named = [title for one in reading.state.focus_series if (title := self._title_of(one))]
        if not named:
            return text
        volume = reading.state.focus_volume
        told = f" volume {volume}" if volume is not None and str(volume) not in text else ""
        lowered = fold(text)
        if all(fold(title) in lowered for title in named):
            return f"{text} ({named[0]}{told})" if told and len(named) == 1 else text
        return f"{' and '.join(named)}{told}: {text}"
