"""Why a series fits, in plain words drawn from its facts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from mangaassist.domain.catalog import Product, Series
from mangaassist.domain.dialogue import Constraints
from mangaassist.domain.wording import listed, money
from mangaassist.serving.facts.taste_index import theme_words

MAX_REASONS: Final = 3
_SHORT: Final = 8  # volumes up to which being finished is worth a reason of its own


def reasons_for(
    series: Series, liked: Sequence[Series], constraints: Constraints, *, offers: Sequence[Product]
) -> tuple[str, ...]:
    """Return up to three matched facts, strongest first, each a clause without its subject ("shares ...")."""
    reasons: list[str] = []
    for model in liked:
        reasons += _shared_with(series, model)
    reasons += _wanted(series, constraints)
    reasons += _practical(series, constraints, offers)
    if not reasons and series.moods and series.themes:
        reasons.append(f"is {listed(series.moods[:2])}, about {listed(series.themes[:2])}")
    return tuple(dict.fromkeys(reasons))[:MAX_REASONS]


def _shared_with(series: Series, model: Series) -> list[str]:
    authors = [author for author in series.authors if author in model.authors]
    themes = [theme for theme in series.themes if theme in model.themes]
    moods = [mood for mood in series.moods if mood in model.moods]
    genres = [genre for genre in series.genres if genre in model.genres]
    reasons = []
    if themes:
        word = "theme" if len(themes) == 1 else "themes"
        reasons.append(f"shares the {listed(themes[:2])} {word} with {model.title}")
    if authors:
        reasons.append(f"is also by {authors[0]}")
    if not themes and moods:
        reasons.append(f"shares the {listed(moods[:2])} mood of {model.title}")
    elif not themes and genres:
        reasons.append(f"shares the {genres[0]} side of {model.title}")
    return reasons


def _wanted(series: Series, constraints: Constraints) -> list[str]:
    reasons = []
    themes = []
    for wanted in constraints.themes:
        words = set(theme_words(wanted))
        themes += [theme for theme in series.themes if words <= set(theme_words(theme))][:1]
    if themes:
        reasons.append(f"is about {listed(list(dict.fromkeys(themes))[:2])}")
    moods = [mood for mood in constraints.moods if mood in series.moods]
    genres = [genre for genre in constraints.genres if genre in series.genres]
    if moods:
        reasons.append(f"is {listed(moods[:2])}")
    elif genres and not themes and series.themes:
        reasons.append(f"is {listed(genres[:2])} about {listed(series.themes[:2])}")
    authors = [author for author in constraints.authors if author in series.authors]
    if authors:
        reasons.append(f"is by {listed(authors)}")
    return reasons


def _practical(series: Series, constraints: Constraints, offers: Sequence[Product]) -> list[str]:
    reasons = []
    wants_length = constraints.max_volumes is not None or constraints.status == "finished"
    if (
        series.status == "finished"
        and series.volumes is not None
        and (wants_length or series.volumes <= _SHORT)
    ):
        count = "one volume" if series.volumes == 1 else f"{series.volumes} volumes"
        reasons.append(f"is finished in {count}")
    if constraints.reader_age is not None and constraints.reader_age < 18 and series.age_rating is not None:
        reasons.append(
            "is rated for all ages" if series.age_rating == "all" else f"is rated {series.age_rating}"
        )
    wants_price = constraints.max_price_usd is not None
    price = offers[0].price_usd if offers else None
    if wants_price and price is not None:
        reasons.append(f"starts at {money(price)}")
    return reasons
