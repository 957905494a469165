"""The facts hold what was asked for, break no hard constraint, and survive failing services."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from mangaassist.domain.catalog import Product, Series
from mangaassist.domain.errors import DependencyUnavailableError
from mangaassist.domain.intents import Intent
from mangaassist.domain.store import Order
from mangaassist.serving.dialogue.reader import DialogueReader
from mangaassist.serving.facts.assembler import FactsAssembler
from tests.support.conversations import Conversation, Played, decided
from tests.support.demo_store import DemoStore, demo_store


class BrokenOrders:
    """An order service that is down."""

    async def orders_of(self, customer_id: str, *, limit: int = 10) -> Sequence[Order]:
        raise DependencyUnavailableError("orders are down")

    async def order(self, order_id: str, *, customer_id: str) -> Order:
        raise DependencyUnavailableError("orders are down")


class SmallCatalog:
    """A catalogue of hand-made series."""

    def __init__(self, series: Sequence[Series], products: Sequence[Product]) -> None:
        self._series, self._products = tuple(series), tuple(products)

    def series(self, series_id: str) -> Series | None:
        return next((one for one in self._series if one.series_id == series_id), None)

    def all_series(self) -> Sequence[Series]:
        return self._series

    def products_of(self, series_id: str) -> Sequence[Product]:
        return [one for one in self._products if one.series_id == series_id]

    def product(self, product_id: str) -> Product | None:
        return next((one for one in self._products if one.product_id == product_id), None)


def _store_of(series: Sequence[Series], products: Sequence[Product]) -> DemoStore:
    catalog = SmallCatalog(series, products)
    services = replace(demo_store().services, catalog=catalog)
    return replace(
        demo_store(), reader=DialogueReader(catalog), services=services, assembler=FactsAssembler(services)
    )


def _product(series_id: str, *, price_usd: float | None = 9.99, volume: int = 1) -> Product:
    return Product(
        product_id=f"{series_id}-{volume}",
        series_id=series_id,
        title=f"{series_id}, Vol. {volume}",
        kind="single",
        format="paperback",
        volume=volume,
        price_usd=price_usd,
        stock=3,
    )


async def _ask(
    text: str, intent: Intent, *, customer_id: str | None = None, store: DemoStore | None = None
) -> Played:
    return await Conversation(store or demo_store(), customer_id=customer_id).say(text, decided(intent))


async def test_an_unrated_series_is_never_offered_for_a_child() -> None:
    series = [
        Series(series_id="unrated", title="Unrated Tale", genres=("comedy",)),
        Series(series_id="gentle", title="Gentle Tale", genres=("comedy",), age_rating="all"),
        Series(series_id="grown", title="Grown Tale", genres=("comedy",), age_rating="16+"),
    ]
    store = _store_of(series, [_product(one.series_id) for one in series])
    played = await _ask("a comedy for a 7 year old", Intent.RECOMMENDATION, store=store)
    assert [item.series.series_id for item in played.facts.candidates] == ["gentle"]


async def test_a_childs_age_is_not_given_up_when_nothing_else_fits() -> None:
    series = [Series(series_id="grown", title="Grown Tale", genres=("comedy",), age_rating="16+")]
    store = _store_of(series, [_product("grown")])
    played = await _ask("a comedy for a 7 year old", Intent.RECOMMENDATION, store=store)
    assert played.facts.candidates == ()


@pytest.mark.parametrize(("customer_id", "text"), [(None, "dark fantasy manga"), (None, "like vagabond")])
async def test_guests_are_offered_adult_series_only_when_they_ask(customer_id: str | None, text: str) -> None:
    played = await _ask(text, Intent.RECOMMENDATION, customer_id=customer_id)
    assert played.facts.candidates
    assert all(item.series.age_rating != "18+" for item in played.facts.candidates)
    asked = await _ask("mature horror for adults", Intent.RECOMMENDATION)
    assert any(item.series.age_rating == "18+" for item in asked.facts.candidates)


async def test_a_wish_that_cannot_be_met_is_named_and_one_is_given_up_at_a_time() -> None:
    series = [
        Series(series_id="calm", title="Calm Tale", genres=("comedy",), moods=("cozy",), age_rating="all")
    ]
    store = _store_of(series, [_product("calm", price_usd=15.0)])
    played = await _ask("a cozy comedy under $5", Intent.RECOMMENDATION, store=store)
    assert [item.series.series_id for item in played.facts.candidates] == ["calm"]
    assert played.facts.relaxed == ("the budget of $5",)


async def test_exclusions_hold_for_every_candidate() -> None:
    played = await _ask("horror but no gore and no high school", Intent.RECOMMENDATION)
    themes = {theme for item in played.facts.candidates for theme in item.series.themes}
    assert played.facts.candidates
    assert not themes & {"gore", "body horror", "high school"}


async def test_reasons_are_drawn_from_the_facts() -> None:
    played = await _ask("something like Vinland Saga", Intent.RECOMMENDATION)
    model = demo_store().catalog.series("vinland-saga")
    assert model is not None
    for item in played.facts.candidates:
        assert 1 <= len(item.reasons) <= 3
        if item.reasons[0].startswith("shares the"):
            assert model.title in item.reasons[0]
        for theme in set(item.series.themes) & set(model.themes):
            assert theme in model.themes


async def test_prices_unknown_to_the_store_stay_unknown() -> None:
    series = [Series(series_id="calm", title="Calm Tale", genres=("comedy",), age_rating="all")]
    store = _store_of(series, [_product("calm", price_usd=None)])
    played = await _ask("how much is Calm Tale?", Intent.PRODUCT_QUESTION, store=store)
    assert played.facts.subjects[0].products[0].price_usd is None


async def test_the_volume_asked_for_is_the_first_offer() -> None:
    played = await _ask("is naruto vol 7 in stock", Intent.PRODUCT_QUESTION)
    first = played.facts.subjects[0].products[0]
    assert (first.volume, first.kind, first.language) == (7, "single", "en")


async def test_an_order_is_found_by_its_id_only_for_its_owner() -> None:
    text = "where is 114-5550101-2000001"
    own = await _ask(text, Intent.ORDER_TRACKING, customer_id="cust-aiko")
    other = await _ask(text, Intent.ORDER_TRACKING, customer_id="cust-tomas")
    guest = await _ask(text, Intent.ORDER_TRACKING)
    assert [order.order_id for order in own.facts.orders] == ["114-5550101-2000001"]
    assert other.facts.orders == guest.facts.orders == ()
    assert (other.facts.signed_in, guest.facts.signed_in) == (True, False)


async def test_my_order_of_a_title_is_the_one_that_holds_it() -> None:
    played = await _ask("where is my monster order", Intent.ORDER_TRACKING, customer_id="cust-aiko")
    assert played.facts.orders
    assert all(any("Monster" in item.title for item in order.items) for order in played.facts.orders)


async def test_a_failing_order_service_is_named_and_does_not_fail_the_turn() -> None:
    services = replace(demo_store().services, orders=BrokenOrders())
    store = replace(demo_store(), services=services, assembler=FactsAssembler(services))
    played = await _ask("where is my order", Intent.ORDER_TRACKING, customer_id="cust-aiko", store=store)
    assert played.facts.service_errors == ("orders",)
    assert played.facts.orders == ()


async def test_expired_promotions_appear_only_when_named() -> None:
    general = await _ask("any deals right now?", Intent.PROMOTION)
    named = await _ask("does SPRING26 still work?", Intent.PROMOTION)
    assert general.facts.promotions
    assert general.facts.expired_promotions == ()
    assert [one.code for one in named.facts.expired_promotions] == ["SPRING26"]


async def test_a_promotion_is_ranked_by_what_is_asked() -> None:
    played = await _ask("is there a sale on box sets", Intent.PROMOTION)
    assert played.facts.promotions[0].code == "AUTUMNBOX"


async def test_a_title_the_store_does_not_know_brings_no_guesses() -> None:
    played = await _ask("do you have Foobar Chronicles?", Intent.PRODUCT_QUESTION)
    assert played.facts.reading.unknown_title == "Foobar Chronicles"
    assert (played.facts.subjects, played.facts.candidates) == ((), ())


async def test_what_was_shown_in_this_talk_is_not_offered_again() -> None:
    conversation = Conversation(demo_store())
    first = await conversation.say("recommend a sports manga", decided(Intent.RECOMMENDATION))
    shown = {item.series.series_id for item in first.facts.candidates[:3]}
    second = await conversation.say("anything else?", decided(Intent.CHITCHAT, 0.4))
    assert second.facts.candidates
    assert not shown & {item.series.series_id for item in second.facts.candidates}
