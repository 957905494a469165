"""The texts that an answer may rest on: question, chunks, and its facts put into words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from mangaassist.domain.catalog import Product, Series
from mangaassist.domain.grounding import AnswerFacts, SeriesFacts
from mangaassist.domain.store import Order
from mangaassist.domain.wording import day, money
from mangaassist.serving.guardrails.context import GuardrailContext

MAX_OFFERS: Final = 6
"""Offers of a series put into words; whether prices and stock are right is checked by value, not by word."""


def source_texts(context: GuardrailContext) -> Iterator[tuple[str, str]]:
    """Yield (id, text) of everything that an answer may rest on."""
    yield "question", context.question
    for chunk in context.chunks:
        yield chunk.chunk_id, f"{chunk.title}\n{chunk.text}"
    facts = context.facts
    if facts is None:
        return
    if facts.reading.resolved_text != context.question:
        yield "question", facts.reading.resolved_text
    chunks = {chunk.chunk_id for chunk in context.chunks}
    for passage in facts.passages:
        if passage.chunk_id not in chunks:
            yield passage.chunk_id, f"{passage.title}\n{passage.text}"
    yield from _series_texts(facts)
    for order in facts.orders:
        yield order.order_id, _order_text(order)
    for promotion in (*facts.promotions, *facts.expired_promotions):
        ends = f"It ends on {day(promotion.ends_at)}." if promotion.ends_at else ""
        yield promotion.promotion_id, f"{promotion.title}. {promotion.body} {promotion.code or ''} {ends}"
    if facts.customer is not None:
        yield "customer", f"{facts.customer.name.split(' ')[0]} has {facts.customer.points} points."


def _series_texts(facts: AnswerFacts) -> Iterator[tuple[str, str]]:
    for item in (*facts.subjects, *facts.candidates):
        yield item.series.series_id, _series_text(item.series)
        offers = _offers_text(item)
        if offers:
            yield f"{item.series.series_id}:offers", offers


def _series_text(series: Series) -> str:
    length = f"{series.volumes} volumes." if series.volumes else ""
    shelf = f"Volumes 1 to {series.stocked_volumes} in stock here." if series.stocked_volumes else ""
    year = f"It began in {series.first_year}." if series.first_year else ""
    anime = {True: "There is an anime.", False: "There is no anime.", None: ""}[series.anime]
    words = ", ".join((*series.genres, *series.themes, *series.moods))
    editions = "; ".join(edition.name for edition in series.editions)
    return (
        f"{series.title} by {', '.join(series.authors)}. It is {words}, {series.demographic or ''}. "
        f"It is {series.status or '-'}, {length} {shelf} {year} It is rated {series.age_rating or '-'}. "
        f"{anime} {editions}\n{series.description or ''}"
    )


def _offers_text(item: SeriesFacts) -> str:
    return "\n".join((*item.reasons, *(_offer_text(product) for product in item.products[:MAX_OFFERS])))


def _offer_text(product: Product) -> str:
    price = money(product.price_usd) if product.price_usd is not None else "of unknown price"
    stock = {True: "in stock", False: "out of stock", None: "of unknown stock"}[product.in_stock]
    released = f"on sale from {day(product.release_date)}" if product.release_date else ""
    volume = f"volume {product.volume}" if product.volume is not None else ""
    return f"{product.title}, {volume} {product.kind} {product.format}, is {price} and {stock} {released}."


def _order_text(order: Order) -> str:
    items = ", ".join(f"{item.quantity} {item.title} {money(item.price_usd)}" for item in order.items)
    dates = " ".join(
        f"{name} {day(value)}."
        for name, value in (
            ("Placed", order.placed_at),
            ("Estimated delivery", order.estimated_delivery),
            ("Delivered", order.delivered_at),
        )
        if value is not None
    )
    return (
        f"Order {order.order_id} is {order.state.replace('_', ' ')}: {items}. "
        f"Total {money(order.total_usd)}. {dates} {order.carrier or ''} {order.tracking_number or ''} "
        f"{order.status_note or ''} {order.return_reason or ''}"
    )
