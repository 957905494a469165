"""Facts for the composer, built from the store pack's own texts with prices and stock written by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from mangaassist.adapters.embedded.store_pack import load_store_pack
from mangaassist.domain.catalog import Product, ProductFormat, ProductKind, Series
from mangaassist.domain.dialogue import Aspect, Constraints, DialogueState, Reading
from mangaassist.domain.grounding import AnswerFacts, Passage, SeriesFacts
from mangaassist.domain.intents import Intent
from mangaassist.domain.store import Article, Customer, Order, Promotion
from mangaassist.domain.store_pack import StorePack
from mangaassist.serving.retrieval.chunking import chunk_of_article

STORE = Path(__file__).parents[2] / "stores" / "jp-manga"
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
_FORMATS: Mapping[ProductKind, ProductFormat] = {
    "single": "paperback",
    "omnibus": "paperback",
    "deluxe": "hardcover",
    "box_set": "box_set",
    "digital": "ebook",
}


@lru_cache
def pack() -> StorePack:
    """The store pack, read once."""
    return load_store_pack(STORE)


def series(series_id: str, **changes: Any) -> Series:
    """One series of the pack, with some facts changed."""
    found = next(one for one in pack().series.records if one.series_id == series_id)
    return replace(found, **changes)


def volume(number: int, price_usd: float | None, stock: int | None, **changes: Any) -> Product:
    """A single volume in English print."""
    return offer("single", price_usd, stock, volume=number, **changes)


def offer(kind: ProductKind, price_usd: float | None, stock: int | None, **changes: Any) -> Product:
    """A product of a kind; `item` gives it its series."""
    fields: dict[str, Any] = {
        "product_id": f"97800000{changes.get('volume') or 0:02d}",
        "title": "",
        "format": _FORMATS[kind],
        "release_date": date(2015, 3, 17),
        **changes,
    }
    return Product(series_id="", kind=kind, price_usd=price_usd, stock=stock, **fields)


def item(series_id: str, *products: Product, reasons: tuple[str, ...] = (), **changes: Any) -> SeriesFacts:
    """A series of the pack with the offers written by hand."""
    found = series(series_id, **changes)
    named = tuple(
        replace(one, series_id=series_id, title=one.title or f"{found.title}, Vol. {one.volume}")
        for one in products
    )
    return SeriesFacts(series=found, products=named, reasons=reasons)


def passages(*article_ids: str) -> tuple[Passage, ...]:
    """Articles as retrieval returns them, best first."""
    by_id: dict[str, Article] = {one.article_id: one for one in pack().articles.records}
    chunks = [chunk_of_article(by_id[article_id]) for article_id in article_ids]
    return tuple(
        Passage(
            chunk_id=chunk.chunk_id,
            kind=chunk.kind,
            ref=chunk.ref,
            title=chunk.title,
            text=chunk.text,
            score=1.0 / rank,
        )
        for rank, chunk in enumerate(chunks, start=1)
    )


def promotions(*promotion_ids: str) -> tuple[Promotion, ...]:
    """Promotions of the pack, in this order."""
    by_id = {one.promotion_id: one for one in pack().promotions.records}
    return tuple(by_id[promotion_id] for promotion_id in promotion_ids)


def order(order_id: str) -> Order:
    """One order of the pack."""
    return next(one for one in pack().orders.records if one.order_id == order_id)


def customer(customer_id: str) -> Customer:
    """One demo customer of the pack."""
    return next(one for one in pack().customers.records if one.customer_id == customer_id)


def facts(
    intent: Intent,
    text: str,
    *,
    aspects: tuple[Aspect, ...] = (),
    volumes: tuple[int, ...] = (),
    follow_up: bool = False,
    unknown_title: str | None = None,
    order_ids: tuple[str, ...] = (),
    resolved: str | None = None,
    wishes: Constraints | None = None,
    turn: int = 0,
    **rest: Any,
) -> AnswerFacts:
    """Facts of one message; everything not given is empty."""
    constraints = wishes or Constraints()
    reading = Reading(
        text=text,
        resolved_text=resolved or text,
        follow_up=follow_up,
        state=DialogueState(constraints=constraints, turn_count=turn),
        aspects=aspects,
        volumes=volumes,
        unknown_title=unknown_title,
        order_ids=order_ids,
        stated=constraints,
    )
    return AnswerFacts(intent=intent, reading=reading, constraints=constraints, now=NOW, **rest)
