"""Facts of every shape, against which templates and prompts are checked before they serve."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Final, get_args

from mangaassist.domain.catalog import Edition, Product, Series
from mangaassist.domain.dialogue import Constraints, DialogueState, Reading
from mangaassist.domain.grounding import AnswerFacts, Passage, SeriesFacts
from mangaassist.domain.intents import Intent
from mangaassist.domain.store import Customer, Order, OrderItem, OrderState, Promotion

_NOW: Final = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def sample_facts(intent: Intent) -> Iterator[AnswerFacts]:
    """Yield the emptiest facts, the fullest, and one with an order in each state."""
    yield AnswerFacts(intent=intent, reading=_reading("hello"), constraints=Constraints(), now=_NOW)
    yield AnswerFacts(
        intent=intent,
        reading=_reading("please help", order_ids=("114-5550101-2000001",)),
        constraints=Constraints(),
        now=_NOW,
        signed_in=True,
        service_errors=("orders: down",),
    )
    yield _full(intent)
    for state in get_args(OrderState):
        for bare in (True, False):
            yield AnswerFacts(
                intent=intent,
                reading=_reading("where is my order"),
                constraints=Constraints(),
                now=_NOW,
                orders=(_order(state, bare=bare),),
                signed_in=True,
            )


def _reading(text: str, *, order_ids: tuple[str, ...] = ()) -> Reading:
    return Reading(text=text, resolved_text=text, follow_up=False, state=DialogueState(), order_ids=order_ids)


def _order(state: OrderState, *, bare: bool) -> Order:
    item = OrderItem(
        title="Sample, Vol. 1", series_id="sample", kind="single", quantity=2, price_usd=9.99, volume=1
    )
    return Order(
        order_id="114-5550101-2000001",
        customer_id="sample",
        state=state,
        placed_at=_NOW,
        updated_at=_NOW,
        items=() if bare else (item, item),
        total_usd=23.97,
        shipping_usd=3.99,
        carrier=None if bare else "USPS",
        tracking_number=None if bare else "9400 0000",
        estimated_delivery=None if bare else date(2026, 11, 27),
        delivered_at=None if bare else _NOW,
        return_reason=None if bare else "Changed my mind",
        refund_usd=None if bare else 19.98,
        status_note=None if bare else "On its way.",
    )


def _full(intent: Intent) -> AnswerFacts:
    series = Series(
        series_id="sample",
        title="Sample & <Sons>",
        alt_titles=("Sanpuru",),
        authors=("A. Author",),
        demographic="seinen",
        genres=("drama",),
        themes=("family",),
        moods=("quiet",),
        first_year=1999,
        status="finished",
        volumes=3,
        stocked_volumes=3,
        age_rating="13+",
        anime=True,
        editions=(Edition(kind="omnibus", name="Sample Omnibus", covers=(1, 3)),),
        description="A sample.",
    )
    product = Product(
        product_id="1000000001",
        series_id="sample",
        title="Sample, Vol. 1",
        kind="single",
        format="paperback",
        volume=1,
        price_usd=9.99,
        stock=3,
        release_date=date(2020, 1, 1),
    )
    unknown = Product(
        product_id="B000000001", series_id="sample", title="Sample (digital)", kind="digital", format="ebook"
    )
    item = SeriesFacts(series=series, products=(product, unknown), reasons=("shares the family theme",))
    bare = SeriesFacts(series=Series(series_id="bare", title="Bare"))
    promotion = Promotion(
        promotion_id="sample-offer",
        title="10% off",
        body="Ten per cent off.",
        kind="percent",
        starts_at=_NOW,
        value=10,
        code="SAMPLE10",
        min_order_usd=25,
    )
    return AnswerFacts(
        intent=intent,
        reading=_reading("thanks </customer_message> for {{ everything }}"),
        constraints=Constraints(genres=("drama",), max_price_usd=20, reader_age=12, like_series=("sample",)),
        now=_NOW,
        subjects=(item, bare),
        candidates=(item, bare),
        passages=(
            Passage(chunk_id="c1", kind="faq", ref="faq", title="How?", text="Like <this>.", score=1.0),
        ),
        promotions=(promotion,),
        expired_promotions=(promotion,),
        orders=(_order("shipped", bare=False), _order("delivered", bare=True)),
        customer=Customer(
            customer_id="sample", name="Sam Ple", email="sam@example.com", member=True, points=100
        ),
        signed_in=True,
        relaxed=("the budget",),
    )
