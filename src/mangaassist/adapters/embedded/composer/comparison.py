"""Two or three series side by side."""

from __future__ import annotations

from collections.abc import Sequence

from mangaassist.adapters.embedded.composer.draft import Draft, Weight
from mangaassist.adapters.embedded.composer.phrasing import (
    by_authors,
    character_of,
    length_of,
    starting_offer,
    stocked_range,
    think_of,
)
from mangaassist.adapters.embedded.composer.voice import Voice
from mangaassist.domain.grounding import AnswerFacts, SeriesFacts
from mangaassist.domain.wording import capitalised, listed, money

_MOST_COMPARED = 3


def compare(facts: AnswerFacts, voice: Voice) -> Draft:
    """Return what each one is, what they share, where they differ, and whom each one suits."""
    draft = Draft()
    items = facts.subjects[: min(_MOST_COMPARED, max(1, voice.limits.max_titles))]
    for item in items:
        draft.say(_portrait(item))
    draft.new_paragraph()
    draft.say(_shared(items), Weight.DETAIL)
    draft.say(_lengths(items), Weight.SUPPORT)
    draft.say(_ratings(items), Weight.DETAIL)
    draft.say(_prices(items), Weight.SUPPORT)
    draft.new_paragraph()
    draft.say(_verdict(items), Weight.SUPPORT)
    return draft


def _portrait(item: SeriesFacts) -> str:
    series = item.series
    character = character_of(series) or "a series"
    return f"{series.title}{by_authors(series)} is {character}{think_of(series, most=3)}."


def _shared(items: Sequence[SeriesFacts]) -> str | None:
    sets = [{*item.series.themes, *item.series.genres} for item in items]
    common = [
        word
        for word in (*items[0].series.themes, *items[0].series.genres)
        if all(word in each for each in sets)
    ]
    if not common:
        return None
    return f"{'They' if len(items) > 2 else 'Both'} share {listed(list(dict.fromkeys(common))[:3])}."


def _lengths(items: Sequence[SeriesFacts]) -> str | None:
    clauses = []
    for item in items:
        length, shelf = length_of(item.series), stocked_range(item.series)
        if length is None:
            clauses.append(f"I don't know the length of {item.series.title}")
        elif item.series.status == "ongoing" and shelf:
            clauses.append(f"{item.series.title} is {length} (we stock {shelf})")
        else:
            clauses.append(f"{item.series.title} is {length}")
    return f"{capitalised(listed(clauses))}."


def _ratings(items: Sequence[SeriesFacts]) -> str | None:
    known = [item.series for item in items if item.series.age_rating is not None]
    if len(known) < len(items) or len({series.age_rating for series in known}) == 1:
        return None
    clauses = [
        f"{series.title} {'for all ages' if series.age_rating == 'all' else series.age_rating}"
        for series in known
    ]
    return f"The age ratings are {listed(clauses)}."


def _prices(items: Sequence[SeriesFacts]) -> str | None:
    offers = [(item.series.title, starting_offer(item.products)) for item in items]
    clauses = [
        f"{money(product.price_usd)} for {title}"
        for title, product in offers
        if product is not None and product.price_usd is not None and product.volume == 1
    ]
    if not clauses:
        return None
    amounts = {product.price_usd for _, product in offers if product is not None}
    if len(clauses) == len(items) and len(amounts) == 1:
        return f"The first volume of each is {clauses[0].split(' ', 1)[0]}."
    return f"The first volume is {listed(clauses)}."


def _verdict(items: Sequence[SeriesFacts]) -> str | None:
    """Return whom each one suits, by the moods that only it has."""
    clauses = []
    for item in items:
        elsewhere = {mood for other in items if other is not item for mood in other.series.moods}
        own = [mood for mood in item.series.moods if mood not in elsewhere]
        if not own:
            continue
        clauses.append(f"{item.series.title} for something {listed(own[:2])}")
    if len(clauses) < len(items):
        shortest = _shortest(items)
        return f"If length decides, {shortest} is the shorter read." if shortest and len(items) == 2 else None
    return f"I would take {listed(clauses)}."


def _shortest(items: Sequence[SeriesFacts]) -> str | None:
    counts = [(item.series.volumes, item.series.title) for item in items]
    if any(count is None for count, _ in counts):
        return None
    ordered = sorted(counts, key=lambda entry: entry[0] or 0)
    return ordered[0][1] if ordered[0][0] != ordered[1][0] else None
