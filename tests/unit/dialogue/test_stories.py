"""Conversations keep products, constraints and topic; corrections replace; new topics do not inherit."""

from __future__ import annotations

import pytest

from mangaassist.domain.intents import Intent
from tests.support.conversations import Conversation, Played, decided
from tests.support.demo_store import demo_store
from tests.unit.dialogue.stories import GUESSES, STORIES, T

UNSURE, SURE = 0.5, 0.95
CONSTRAINTS = {
    "genres": "genres", "themes": "themes", "moods": "moods", "exclude_genres": "exclude_genres",
    "exclude_moods": "exclude_moods", "like": "like_series", "age": "reader_age", "status": "status",
    "anime": "anime", "format": "format", "max_price": "max_price_usd", "min_price": "min_price_usd",
    "max_volumes": "max_volumes", "min_volumes": "min_volumes",
}  # fmt: skip


def _page_of(turns: list[T]) -> tuple[str | None, str | None]:
    """Return product and series of the page a story starts on: "@berserk-2" is volume 2 of Berserk."""
    wanted = next((turn.asin for turn in turns if turn.asin), None)
    if wanted is None:
        return None, None
    series_id, volume = wanted.removeprefix("@").rsplit("-", 1)
    products = demo_store().catalog.products_of(series_id)
    return next(one.product_id for one in products if one.volume == int(volume)), series_id


def _seen(played: Played, key: str) -> object:
    """Return the part of an outcome that an expectation names."""
    reading, facts, constraints = played.reading, played.facts, played.reading.state.constraints
    products = facts.subjects[0].products if facts.subjects else ()
    offered = {item.series.series_id for item in facts.candidates}
    views: dict[str, object] = {
        "intent": played.decision.intent,
        "topic": reading.state.topic,
        "focus": reading.state.focus_series,
        "aspects": reading.state.aspects,
        "mentioned": reading.mentioned_series,
        "ordinal": reading.ordinal,
        "volumes": facts.reading.volumes,
        "no_volume": not facts.reading.volumes,
        "unknown": reading.unknown_title,
        "resolved": reading.resolved_text,
        "order": reading.state.focus_order_id,
        "asked_format": facts.constraints.format,
        "product": (products[0].kind, products[0].volume) if products else None,
        "product_kind": products[0].kind if products else None,
        "product_title": products[0].title if products else "",
        "offered": offered,
        "has_max_price": constraints.max_price_usd is not None,
        "has_year_from": constraints.year_from is not None,
        "years": (constraints.year_from, constraints.year_to),
        "refused": constraints.not_series,
        "not_offered": offered,
    }
    return getattr(constraints, CONSTRAINTS[key]) if key in CONSTRAINTS else views[key]


def _holds(key: str, expected: object, seen: object) -> bool:
    if key == "product_title":
        return str(expected) in str(seen)
    if not isinstance(expected, str) or isinstance(expected, Intent) or not isinstance(seen, tuple | set):
        return seen == expected
    words = set(expected.replace("slice of life", "slice_of_life").split())
    if key == "not_offered":
        return bool(seen) and not words & set(seen)
    if key in ("offered", "aspects"):
        return words <= set(seen)
    return words == set(seen)


@pytest.mark.parametrize("name", STORIES)
async def test_story_is_understood_turn_by_turn(name: str) -> None:
    turns = STORIES[name]
    asin, page_series = _page_of(turns)
    conversation = Conversation(demo_store(), customer_id="cust-aiko", asin=asin)
    for turn in turns:
        confidence = SURE if turn.guess.isupper() else UNSURE
        decision = decided(GUESSES[turn.guess.lower()], confidence)
        played = await conversation.say(turn.text, decision, shown=turn.shown)
        for key, expected in turn.expected.items():
            wanted = page_series if expected == "@page" else expected
            seen = _seen(played, key)
            assert _holds(key, wanted, seen), (
                f"{turn.text!r}: {key} is {seen!r}, not {wanted!r}; {played.reading}"
            )


def test_there_are_at_least_sixty_multi_turn_stories() -> None:
    assert sum(len(turns) > 1 for turns in STORIES.values()) >= 60
