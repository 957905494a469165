"""What a conversation is about: constraints, products in focus, topic; and one message's reading."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from mangaassist.domain.intents import Intent

Aspect = Literal[
    "price", "stock", "volumes", "author", "status", "format", "release_date", "age_rating",
    "anime", "summary", "editions", "genre", "language", "year", "similar", "compare",
    "reading_order", "cheapest", "product_id",
]  # fmt: skip


Cue = Literal[
    "pronoun", "ordinal", "plural", "page", "elliptical", "comparative", "correction", "refusal",
    "another", "compare", "request", "new_topic", "back_to_topic", "general", "mature",
    "other_reader", "own_reading",
]  # fmt: skip
"""How a message leans on the conversation, or breaks with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraints:
    """What the shopper asked for; empty means no constraint.

    `reader_age` is the age of the person the book is for; `exclude_*` are things not wanted;
    `like_series` are series whose taste is asked for, `not_series` ones already read or refused.
    """

    genres: tuple[str, ...] = ()
    themes: tuple[str, ...] = ()
    moods: tuple[str, ...] = ()
    exclude_genres: tuple[str, ...] = ()
    exclude_themes: tuple[str, ...] = ()
    exclude_moods: tuple[str, ...] = ()
    demographic: str | None = None
    max_price_usd: float | None = None
    min_price_usd: float | None = None
    reader_age: int | None = None
    status: str | None = None
    max_volumes: int | None = None
    min_volumes: int | None = None
    kind: str | None = None
    format: str | None = None
    language: str | None = None
    anime: bool | None = None
    in_stock: bool | None = None
    year_from: int | None = None
    year_to: int | None = None
    authors: tuple[str, ...] = ()
    like_series: tuple[str, ...] = ()
    not_series: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DialogueState:
    """What is carried from turn to turn; stored with the session as JSON.

    `listed_series` are the series of the last answer in the order they were shown (so that "the
    second one" has a meaning), `focus_series` the one or few the talk is about.
    """

    topic: Intent | None = None
    constraints: Constraints = field(default_factory=Constraints)
    listed_series: tuple[str, ...] = ()
    focus_series: tuple[str, ...] = ()
    focus_volume: int | None = None
    focus_products: tuple[str, ...] = ()
    focus_order_id: str | None = None
    aspects: tuple[Aspect, ...] = ()
    shown_series: tuple[str, ...] = ()
    turn_count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One message understood in its conversation.

    `resolved_text` is the message with references replaced ("is it finished?" → "is Monster
    finished?"): what retrieval and generation see. `state` is the state after this message (before
    the answer); `follow_up` tells that it leans on earlier turns. `stated` holds what this very
    message asks for, `withdrawn` the genres, themes and moods it takes back ("forget the horror").
    """

    text: str
    resolved_text: str
    follow_up: bool
    state: DialogueState
    mentioned_series: tuple[str, ...] = ()
    aspects: tuple[Aspect, ...] = ()
    volumes: tuple[int, ...] = ()
    order_ids: tuple[str, ...] = ()
    product_ids: tuple[str, ...] = ()
    ordinal: int | None = None
    unknown_title: str | None = None
    stated: Constraints = field(default_factory=Constraints)
    withdrawn: tuple[str, ...] = ()
    cues: tuple[Cue, ...] = ()
