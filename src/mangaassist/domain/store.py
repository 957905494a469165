"""The store's other records: articles, promotions, customers, orders."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

OrderState = Literal[
    "placed", "paid", "preparing", "backordered", "preorder", "shipped", "out_for_delivery",
    "delivered", "delayed", "lost", "cancelled", "return_requested", "return_in_transit",
    "returned", "refunded", "partially_refunded", "payment_failed",
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Article:
    """A policy or FAQ text of the store."""

    article_id: str
    kind: Literal["faq", "policy"]
    title: str
    questions: tuple[str, ...]
    body: str
    topics: tuple[str, ...] = ()
    effective_from: date | None = None
    updated_at: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """A deal; valid from `starts_at` until before `ends_at` (None: open end)."""

    promotion_id: str
    title: str
    body: str
    kind: Literal["percent", "amount", "points", "bundle", "shipping"]
    starts_at: datetime
    ends_at: datetime | None = None
    value: float | None = None
    code: str | None = None
    min_order_usd: float | None = None
    applies_to_kinds: tuple[str, ...] = ()
    applies_to_genres: tuple[str, ...] = ()
    applies_to_series: tuple[str, ...] = ()
    members_only: bool = False
    stackable: bool = False

    def is_current(self, now: datetime) -> bool:
        """Whether the promotion is valid at `now`."""
        return self.starts_at <= now and (self.ends_at is None or now < self.ends_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    """A signed-in shopper's profile."""

    customer_id: str
    name: str
    email: str
    member: bool = False
    points: int = 0
    birth_year: int | None = None
    locale: str = "en-US"
    favourite_series: tuple[str, ...] = ()
    address_city: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderItem:
    """One line of an order."""

    title: str
    series_id: str
    kind: str
    quantity: int
    price_usd: float
    volume: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An order and where it stands."""

    order_id: str
    customer_id: str
    state: OrderState
    placed_at: datetime
    updated_at: datetime
    items: tuple[OrderItem, ...]
    total_usd: float
    shipping_usd: float
    carrier: str | None = None
    tracking_number: str | None = None
    estimated_delivery: date | None = None
    delivered_at: datetime | None = None
    return_reason: str | None = None
    refund_usd: float | None = None
    status_note: str | None = None
