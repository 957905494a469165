"""The store's services over the records of a pack, all in memory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, get_args

from mangaassist.domain.catalog import Product, ProductKind, Series
from mangaassist.domain.catalog_import import merge_imports
from mangaassist.domain.errors import NotFoundError
from mangaassist.domain.store import Article, Customer, Order, Promotion

_KIND_ORDER = {kind: position for position, kind in enumerate(get_args(ProductKind))}


class ImportedSeriesSource(Protocol):
    """Where imported series are published."""

    def version(self) -> str | None:
        """Identity of what is published now, cheap to ask; None when nothing is."""
        ...

    def read(self) -> Sequence[Series]:
        """Return the published series; blocking."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedImports:
    """Imported series that are not published yet, for building the index that will publish them."""

    imported: tuple[Series, ...]

    def version(self) -> str | None:
        """A fixed name: prepared series do not change."""
        return "prepared" if self.imported else None

    def read(self) -> Sequence[Series]:
        """Return the series."""
        return self.imported


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shelf:
    """One consistent state of the catalogue; replaced as a whole."""

    imported_version: str | None
    series: tuple[Series, ...]
    by_id: Mapping[str, Series]
    same_as: Mapping[str, str]


class PackCatalog:
    """The pack's catalogue with the imported series behind it.

    Calls are look-ups in memory and see one whole state; `refresh`, called now and then from a thread, takes
    up a newer import.
    """

    def __init__(
        self,
        series: Sequence[Series],
        products: Sequence[Product],
        *,
        imported: ImportedSeriesSource | None = None,
    ) -> None:
        self._pack_series = tuple(series)
        self._products = {product.product_id: product for product in products}
        self._products_of = _by_series(products)
        self._imported = imported
        self._listeners: list[Callable[[], None]] = []
        self._shelf = self._read_shelf(None if imported is None else imported.version())

    @property
    def same_as(self) -> Mapping[str, str]:
        """Imported ids that are series of the pack, and which."""
        return self._shelf.same_as

    def series(self, series_id: str) -> Series | None:
        """Return one series, or None; an imported id that is a pack series gives that one."""
        shelf = self._shelf
        found = shelf.by_id.get(series_id)
        return shelf.by_id.get(shelf.same_as.get(series_id, "")) if found is None else found

    def all_series(self) -> Sequence[Series]:
        """Return every series, the pack's first."""
        return self._shelf.series

    def products_of(self, series_id: str) -> Sequence[Product]:
        """Return the products of a series ordered by kind, English first, then volume."""
        return self._products_of.get(series_id, ())

    def product(self, product_id: str) -> Product | None:
        """Return one product, or None."""
        return self._products.get(product_id)

    def subscribe(self, listener: Callable[[], None]) -> None:
        """Call `listener` after every refresh that changed the catalogue."""
        self._listeners.append(listener)

    def refresh(self) -> bool:
        """Take up a newer import, if there is one; blocking when there is."""
        if self._imported is None:
            return False
        version = self._imported.version()
        if version == self._shelf.imported_version:
            return False
        self._shelf = self._read_shelf(version)
        for listener in self._listeners:
            listener()
        return True

    def _read_shelf(self, version: str | None) -> _Shelf:
        imported = self._imported.read() if self._imported is not None and version is not None else ()
        merged = merge_imports(self._pack_series, imported)
        return _Shelf(
            imported_version=version,
            series=merged.series,
            by_id={series.series_id: series for series in merged.series},
            same_as=merged.same_as,
        )


class PackPolicyLibrary:
    """The pack's articles."""

    def __init__(self, articles: Sequence[Article]) -> None:
        self._articles = tuple(articles)
        self._by_id = {article.article_id: article for article in articles}

    def articles(self) -> Sequence[Article]:
        """Return every article."""
        return self._articles

    def article(self, article_id: str) -> Article | None:
        """Return one article, or None."""
        return self._by_id.get(article_id)


class PackPromotionService:
    """The pack's promotions."""

    def __init__(self, promotions: Sequence[Promotion]) -> None:
        self._promotions = tuple(promotions)

    def promotions(self) -> Sequence[Promotion]:
        """Return every promotion, current or not."""
        return self._promotions

    def current(self, now: datetime) -> Sequence[Promotion]:
        """Return the promotions valid at `now`."""
        return tuple(promotion for promotion in self._promotions if promotion.is_current(now))


class PackOrderService:
    """The demo customers' orders."""

    def __init__(self, orders: Sequence[Order]) -> None:
        self._by_id = {order.order_id: order for order in orders}
        grouped: dict[str, list[Order]] = defaultdict(list)
        for order in sorted(orders, key=lambda order: (order.placed_at, order.order_id), reverse=True):
            grouped[order.customer_id].append(order)
        self._by_customer = {customer_id: tuple(group) for customer_id, group in grouped.items()}

    async def orders_of(self, customer_id: str, *, limit: int = 10) -> Sequence[Order]:
        """Return the customer's orders, newest first."""
        return self._by_customer.get(customer_id, ())[:limit]

    async def order(self, order_id: str, *, customer_id: str) -> Order:
        """Return one order; someone else's looks exactly like one that does not exist."""
        order = self._by_id.get(order_id)
        if order is None or order.customer_id != customer_id:
            raise NotFoundError(f"customer {customer_id!r} has no order {order_id!r}")
        return order


class PackCustomerDirectory:
    """The demo customers."""

    def __init__(self, customers: Sequence[Customer]) -> None:
        self._by_id = {customer.customer_id: customer for customer in customers}

    async def profile(self, customer_id: str) -> Customer | None:
        """Return the profile, or None."""
        return self._by_id.get(customer_id)

    def customers(self) -> Sequence[Customer]:
        """Return every customer, for the demo sign-in."""
        return tuple(self._by_id.values())


def _by_series(products: Sequence[Product]) -> dict[str, tuple[Product, ...]]:
    grouped: dict[str, list[Product]] = defaultdict(list)
    for product in products:
        grouped[product.series_id].append(product)
    return {series_id: tuple(sorted(group, key=_shelf_order)) for series_id, group in grouped.items()}


def _shelf_order(product: Product) -> tuple[int, bool, float, str]:
    first = product.volume if product.covers is None else product.covers[0]
    return (
        _KIND_ORDER[product.kind],
        product.language != "en",
        float("inf") if first is None else first,
        product.title,
    )
