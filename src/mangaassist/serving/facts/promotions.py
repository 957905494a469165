"""Which promotions a message is about."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final

from mangaassist.domain.catalog import Series
from mangaassist.domain.store import Promotion

MAX_PROMOTIONS: Final = 6
_COMMON: Final = frozenset(
    [
        "off",
        "the",
        "a",
        "an",
        "for",
        "of",
        "your",
        "and",
        "to",
        "with",
        "on",
        "in",
        "from",
        "first",
        "sale",
        "discount",
        "deal",
        "deals",
        "code",
        "coupon",
        "free",
        "delivery",
        "series",
        "more",
        "volumes",
        "volume",
        "manga",
        "edition",
        "editions",
        "points",
        "double",
        "save",
    ]
)


class PromotionChooser:
    """Ranks promotions by what the message and its series have in common with them."""

    def __init__(self) -> None:
        self._words = re.compile(r"[a-z0-9]+")

    def current(
        self, promotions: Sequence[Promotion], text: str, series: Sequence[Series], *, only_relevant: bool
    ) -> tuple[Promotion, ...]:
        """Return current promotions, the most relevant first; all kinds of them when asked in general."""
        words = set(self._words.findall(text.casefold()))
        scored = [(self._relevance(one, words, series), one) for one in promotions]
        # of equally relevant ones the one that ends first: shoppers want to know what they may miss
        best = sorted(
            scored,
            key=lambda entry: (-entry[0], entry[1].ends_at is None, entry[1].ends_at or entry[1].starts_at),
        )
        chosen = [one for score, one in best if score > 0 or not only_relevant]
        return tuple(chosen[: 2 if only_relevant else MAX_PROMOTIONS])

    def expired(self, promotions: Sequence[Promotion], text: str, now: datetime) -> tuple[Promotion, ...]:
        """Return past promotions that the text names by code or by at least two words of their title."""
        words = set(self._words.findall(text.casefold()))
        found = []
        for one in promotions:
            if one.ends_at is None or one.ends_at > now:
                continue
            title = set(self._words.findall(one.title.casefold())) - _COMMON
            if self._has_code(one, words) or len(title & words) >= 2:
                found.append(one)
        return tuple(sorted(found, key=lambda one: one.ends_at or now, reverse=True)[:2])

    def _relevance(self, promotion: Promotion, words: Collection[str], series: Sequence[Series]) -> float:
        if self._has_code(promotion, words):
            return 10.0
        score = 0.0
        ids = {one.series_id for one in series}
        genres = {genre for one in series for genre in one.genres}
        score += 3.0 * bool(ids & set(promotion.applies_to_series))
        score += 1.0 * bool(genres & set(promotion.applies_to_genres))
        title = set(self._words.findall(promotion.title.casefold())) - _COMMON
        score += 1.5 * len(title & set(words))
        for genre in promotion.applies_to_genres:
            score += 2.0 * (genre in words)
        for kind in promotion.applies_to_kinds:
            score += 2.0 * all(part in words or f"{part}s" in words for part in kind.split("_"))
        return score

    @staticmethod
    def _has_code(promotion: Promotion, words: Collection[str]) -> bool:
        return promotion.code is not None and promotion.code.casefold() in words
