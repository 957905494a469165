"""The store's services that answers are made from."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from mangaassist.domain.catalog import Product, Series
from mangaassist.domain.store import Article, Customer, Order, Promotion


class Catalog(Protocol):
    """Series and products with live prices and stock. In memory or cached: calls do not block."""

    def series(self, series_id: str) -> Series | None:
        """Return one series, or None."""
        ...

    def all_series(self) -> Sequence[Series]:
        """Return every series, pack order first, imports after."""
        ...

    def products_of(self, series_id: str) -> Sequence[Product]:
        """Return the products of a series ordered by kind, then volume."""
        ...

    def product(self, product_id: str) -> Product | None:
        """Return one product by ASIN or ISBN-10, or None."""
        ...


class PolicyLibrary(Protocol):
    """The store's articles."""

    def articles(self) -> Sequence[Article]:
        """Return every article."""
        ...

    def article(self, article_id: str) -> Article | None:
        """Return one article, or None."""
        ...


class PromotionService(Protocol):
    """Current and past deals."""

    def promotions(self) -> Sequence[Promotion]:
        """Return every promotion, current or not."""
        ...

    def current(self, now: datetime) -> Sequence[Promotion]:
        """Return the promotions valid at `now`."""
        ...


class OrderService(Protocol):
    """Orders of customers. Every method answers only for the given customer."""

    async def orders_of(self, customer_id: str, *, limit: int = 10) -> Sequence[Order]:
        """Return the customer's orders, newest first."""
        ...

    async def order(self, order_id: str, *, customer_id: str) -> Order:
        """Return one order, or raise `NotFoundError` also when it belongs to someone else."""
        ...


class CustomerDirectory(Protocol):
    """Profiles of signed-in customers."""

    async def profile(self, customer_id: str) -> Customer | None:
        """Return the profile, or None."""
        ...
