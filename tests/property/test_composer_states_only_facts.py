"""Whatever the facts, the composer adds no number, price, date, title or id to them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, get_args

from hypothesis import given, settings
from hypothesis import strategies as st

from mangaassist.adapters.embedded.composer.model import compose
from mangaassist.domain.catalog import AgeRating, Product, ProductFormat, ProductKind, Series, SeriesStatus
from mangaassist.domain.dialogue import Aspect, Constraints, DialogueState, Reading
from mangaassist.domain.generation import AnswerLimits
from mangaassist.domain.grounding import AnswerFacts, Passage, SeriesFacts
from mangaassist.domain.intents import Intent
from mangaassist.domain.store import Customer, Order, OrderItem, OrderState, Promotion
from mangaassist.domain.wording import last_day, money, round_money

_NUMBER = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?")
_NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
_words = st.text("abcdefg", min_size=1, max_size=8)
_phrases = st.lists(_words, min_size=1, max_size=4).map(" ".join)
_prices = st.none() | st.integers(1, 20_000).map(lambda cents: cents / 100)
_dates = st.dates(date(2005, 1, 1), date(2028, 12, 31))
_times = st.integers(0, 1400).map(lambda days: datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=days))


def _some(strategy: st.SearchStrategy[str], *, most: int = 3) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(strategy, max_size=most).map(tuple)


@st.composite
def _series(draw: st.DrawFn) -> SeriesFacts:
    number = draw(st.integers(100, 999))
    series = Series(
        series_id=f"s{number}",
        title=f"Qz{number} {draw(_words)}",
        authors=draw(_some(_phrases, most=2)),
        demographic=draw(st.sampled_from(["seinen", "kids", None])),
        genres=draw(_some(st.sampled_from(["drama", "comedy", "romance", "horror", "sports"]))),
        themes=draw(_some(_phrases)),
        moods=draw(_some(st.sampled_from(["dark", "funny", "cozy", "grim"]))),
        first_year=draw(st.none() | st.integers(1950, 2026)),
        status=draw(st.sampled_from([*get_args(SeriesStatus), None])),
        volumes=draw(st.none() | st.integers(1, 99)),
        stocked_volumes=draw(st.none() | st.integers(0, 40)),
        age_rating=draw(st.sampled_from([*get_args(AgeRating), None])),
        anime=draw(st.sampled_from([True, False, None])),
        description=draw(st.none() | _phrases.map(lambda text: f"{text.capitalize()}.")),
    )
    products = tuple(
        Product(
            product_id=draw(st.integers(10**9, 10**10 - 1)).__str__(),
            series_id=series.series_id,
            title=f"{series.title}, Vol. {volume}",
            kind=draw(st.sampled_from(get_args(ProductKind))),
            format=draw(st.sampled_from(get_args(ProductFormat))),
            language=draw(st.sampled_from(["en", "ja"])),
            volume=volume,
            price_usd=draw(_prices),
            stock=draw(st.none() | st.integers(0, 60)),
            release_date=draw(st.none() | _dates),
        )
        for volume in draw(st.lists(st.integers(1, 60), max_size=3))
    )
    reasons = draw(
        _some(st.sampled_from(["is dark", "shares the war theme with It", "starts at a price"]), most=2)
    )
    return SeriesFacts(series=series, products=products, reasons=reasons)


@st.composite
def _order(draw: st.DrawFn) -> Order:
    items = tuple(
        OrderItem(
            title=f"{draw(_words)}, Vol. {volume}",
            series_id="x",
            kind="single",
            quantity=draw(st.integers(1, 12)),
            price_usd=9.99,
            volume=volume,
        )
        for volume in draw(st.lists(st.integers(1, 60), max_size=5))
    )
    return Order(
        order_id=f"114-{draw(st.integers(1_000_000, 9_999_999))}-2000001",
        customer_id="c",
        state=draw(st.sampled_from(get_args(OrderState))),
        placed_at=_NOW,
        updated_at=_NOW,
        items=items,
        total_usd=draw(st.integers(1, 99_999)) / 100,
        shipping_usd=3.99,
        carrier=draw(st.none() | _words),
        tracking_number=draw(st.none() | st.integers(1000, 9999).map(str)),
        estimated_delivery=draw(st.none() | _dates),
        delivered_at=draw(st.none() | _times),
        refund_usd=draw(_prices),
        status_note=draw(st.none() | _phrases),
    )


@st.composite
def _promotion(draw: st.DrawFn) -> Promotion:
    return Promotion(
        promotion_id="p",
        title=draw(_phrases),
        body=f"{draw(_phrases)}. One code per order.",
        kind="percent",
        starts_at=draw(_times),
        ends_at=draw(st.none() | _times),
        code=draw(st.none() | st.integers(10, 99).map(lambda number: f"CODE{number}")),
        min_order_usd=draw(st.none() | st.integers(1, 200)),
        members_only=draw(st.booleans()),
    )


_passages = st.builds(
    Passage,
    chunk_id=st.just("c"),
    kind=st.sampled_from(["faq", "policy"]),
    ref=st.just("r"),
    title=_phrases,
    text=st.lists(
        st.sampled_from(
            [
                "You have 30 days from the day of delivery.",
                "It costs $4.99.",
                "Yes.",
                "They leave by 2 p.m. Monday.",
            ]
        )
        | _phrases.map(lambda text: f"{text.capitalize()}."),
        max_size=6,
    ).map(" ".join),
    score=st.just(1.0),
)


@st.composite
def _facts(draw: st.DrawFn) -> AnswerFacts:
    text = draw(
        st.sampled_from(["is it finished", "any points?", "does the code CODE42 work", "how much"]) | _phrases
    )
    constraints = Constraints(
        genres=draw(_some(st.sampled_from(["drama", "horror"]))),
        exclude_moods=draw(_some(st.sampled_from(["dark", "grim"]), most=1)),
        max_price_usd=draw(st.none() | st.integers(1, 100)),
        reader_age=draw(st.none() | st.integers(3, 99)),
        max_volumes=draw(st.none() | st.integers(1, 30)),
        kind=draw(st.sampled_from(["single", "digital", None])),
        anime=draw(st.sampled_from([True, None])),
        year_from=draw(st.none() | st.integers(1960, 2026)),
    )
    return AnswerFacts(
        intent=draw(st.sampled_from(list(Intent))),
        reading=Reading(
            text=text,
            resolved_text=text,
            follow_up=draw(st.booleans()),
            state=DialogueState(turn_count=draw(st.integers(0, 9))),
            aspects=tuple(draw(st.lists(st.sampled_from(get_args(Aspect)), max_size=4, unique=True))),
            volumes=tuple(draw(st.lists(st.integers(1, 60), max_size=2))),
            order_ids=draw(_some(st.just("114-1234567-2000001"), most=1)),
            unknown_title=draw(st.none() | _phrases),
        ),
        constraints=constraints,
        now=_NOW,
        subjects=tuple(draw(st.lists(_series(), max_size=3))),
        candidates=tuple(draw(st.lists(_series(), max_size=4))),
        passages=tuple(draw(st.lists(_passages, max_size=3))),
        promotions=tuple(draw(st.lists(_promotion(), max_size=4))),
        expired_promotions=tuple(draw(st.lists(_promotion(), max_size=2))),
        orders=tuple(draw(st.lists(_order(), max_size=4))),
        customer=draw(
            st.none()
            | st.builds(
                Customer,
                customer_id=st.just("c"),
                name=_phrases,
                email=st.just("c@example.com"),
                member=st.booleans(),
                points=st.integers(0, 9_999),
            )
        ),
        signed_in=draw(st.booleans()),
        relaxed=draw(_some(_phrases, most=2)),
        service_errors=draw(_some(st.just("orders"), most=1)),
    )


_limits = st.builds(
    AnswerLimits,
    max_titles=st.integers(1, 4),
    max_words=st.integers(5, 160),
    tone=st.sampled_from(["warm", "plain", "brief", "apologetic"]),
)


def _values(record: object) -> Iterator[Any]:
    if is_dataclass(record):
        for field in fields(record):
            yield from _values(getattr(record, field.name))
    elif isinstance(record, tuple):
        for part in record:
            yield from _values(part)
    else:
        yield record


def _numbers_in(facts: AnswerFacts) -> set[str]:
    """Return every number that the facts hold, in each way it may be written."""
    written = ["1"]  # a shelf begins with volume 1
    for value in _values(facts):
        if isinstance(value, date):
            for each in (value, value + timedelta(days=30)):
                written += [str(each.day), str(each.year)]
            if isinstance(value, datetime):
                written += [str(last_day(value).day), str(last_day(value).year)]
        elif isinstance(value, int | float) and not isinstance(value, bool):
            written += [money(value), round_money(value), str(value), f"{value:,}"]
        elif isinstance(value, str):
            written.append(value)
    return {number for text in written for number in _NUMBER.findall(text)}


@settings(max_examples=80, deadline=None)
@given(facts=_facts(), limits=_limits)
def test_every_number_of_an_answer_is_in_its_facts(facts: AnswerFacts, limits: AnswerLimits) -> None:
    text = compose(facts, limits)

    assert set(_NUMBER.findall(text.rstrip("…"))) <= _numbers_in(facts)


@settings(max_examples=50, deadline=None)
@given(facts=_facts(), limits=_limits)
def test_an_answer_keeps_to_its_limits_and_is_the_same_every_time(
    facts: AnswerFacts, limits: AnswerLimits
) -> None:
    text = compose(facts, limits)

    titles = {item.series.title for item in facts.candidates if item.series.title in text}
    asked = {item.series.title for item in facts.subjects}
    assert text.strip()
    assert len(text.split()) <= limits.max_words
    assert len(titles - asked) <= limits.max_titles
    assert text == compose(facts, limits)
    assert "None" not in text


@settings(max_examples=30, deadline=None)
@given(item=_series(), aspect=st.sampled_from(["price", "cheapest", "product_id", "stock"]))
def test_a_price_that_is_unknown_is_never_named(item: SeriesFacts, aspect: Aspect) -> None:
    reading = Reading(text="q", resolved_text="q", follow_up=False, state=DialogueState(), aspects=(aspect,))
    priceless = SeriesFacts(
        series=item.series,
        products=tuple(
            Product(
                product_id=product.product_id,
                series_id=product.series_id,
                title=product.title,
                kind=product.kind,
                format=product.format,
            )
            for product in item.products
        ),
    )
    facts = AnswerFacts(
        intent=Intent.PRODUCT_QUESTION,
        reading=reading,
        constraints=Constraints(),
        now=_NOW,
        subjects=(priceless,),
    )

    assert "$" not in compose(facts, AnswerLimits())
