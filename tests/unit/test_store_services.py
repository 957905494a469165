"""The pack's services: look-ups, privacy of orders, imports behind the pack."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from mangaassist.adapters.embedded.store_services import (
    PackCatalog,
    PackCustomerDirectory,
    PackOrderService,
    PackPolicyLibrary,
    PackPromotionService,
)
from mangaassist.domain.catalog import Product, Series
from mangaassist.domain.errors import NotFoundError
from mangaassist.domain.store_rows import (
    article_from_row,
    customer_from_row,
    order_from_row,
    promotion_from_row,
)
from tests.support.store_packs import article_row, customer_row, order_row, promotion_row


class FixedImports:
    """Imported series as a test sets them."""

    def __init__(self) -> None:
        self.published: Sequence[Series] = ()
        self.revision: str | None = None

    def version(self) -> str | None:
        return self.revision

    def read(self) -> Sequence[Series]:
        return self.published


def monster(**changes: object) -> Series:
    fields: dict[str, object] = {
        "series_id": "monster",
        "title": "Monster",
        "authors": ("Naoki Urasawa",),
        "first_year": 1994,
        "volumes": 18,
        "status": "finished",
    }
    return Series(**{**fields, **changes})  # type: ignore[arg-type]  # test data


def product(product_id: str, **changes: object) -> Product:
    fields: dict[str, object] = {
        "product_id": product_id,
        "series_id": "monster",
        "title": product_id,
        "kind": "single",
        "format": "paperback",
    }
    return Product(**{**fields, **changes})  # type: ignore[arg-type]  # test data


def test_products_come_by_kind_then_english_then_volume() -> None:
    shelf = [
        product("digital", kind="digital", format="ebook", volume=1),
        product("japanese", volume=1, language="ja"),
        product("second", volume=2),
        product("later omnibus", kind="omnibus", covers=(3, 4)),
        product("first omnibus", kind="omnibus", covers=(1, 2)),
        product("first", volume=1),
    ]
    catalog = PackCatalog([monster()], shelf)
    assert [one.product_id for one in catalog.products_of("monster")] == [
        "first", "second", "japanese", "first omnibus", "later omnibus", "digital",
    ]  # fmt: skip
    assert catalog.product("second") is shelf[2]
    assert catalog.product("nothing") is None
    assert catalog.products_of("nothing") == ()


def test_an_import_appears_after_refresh_behind_the_pack_and_tells_its_listeners() -> None:
    imports = FixedImports()
    catalog = PackCatalog([monster()], [], imported=imports)
    heard: list[int] = []
    catalog.subscribe(lambda: heard.append(len(catalog.all_series())))
    imports.published = [monster(series_id="m7", title="Pluto", first_year=2003)]
    assert catalog.refresh() is False
    imports.revision = "one"
    assert catalog.series("m7") is None
    assert catalog.refresh() is True
    assert [series.series_id for series in catalog.all_series()] == ["monster", "m7"]
    assert heard == [2]
    assert catalog.refresh() is False


def test_an_import_of_a_pack_series_only_lends_titles() -> None:
    imports = FixedImports()
    imports.revision = "one"
    imports.published = [monster(series_id="m5", title="MONSTER", alt_titles=("Monsuta",), volumes=9)]
    catalog = PackCatalog([monster()], [], imported=imports)
    (only,) = catalog.all_series()
    assert (only.series_id, only.volumes, only.alt_titles) == ("monster", 18, ("Monsuta",))
    assert catalog.series("m5") is only


async def test_someone_elses_order_looks_like_none() -> None:
    mine = order_from_row(order_row())
    theirs = order_from_row(order_row("114-5550101-2000002", customer_id="cust-ben"))
    service = PackOrderService([mine, theirs])
    assert await service.order(mine.order_id, customer_id="cust-aiko") is mine
    with pytest.raises(NotFoundError) as refused:
        await service.order(theirs.order_id, customer_id="cust-aiko")
    with pytest.raises(NotFoundError) as absent:
        await service.order("114-5550101-2000003", customer_id="cust-aiko")
    assert str(refused.value).replace("2000002", "2000003") == str(absent.value)


async def test_orders_come_newest_first_up_to_the_limit() -> None:
    rows = [order_row(f"114-5550101-200000{day}", placed_at=f"2026-11-0{day}T00:00:00Z") for day in (1, 3, 2)]
    service = PackOrderService([order_from_row(row) for row in rows])
    orders = await service.orders_of("cust-aiko", limit=2)
    assert [order.placed_at.day for order in orders] == [3, 2]
    assert await service.orders_of("cust-nobody") == ()


async def test_profiles_articles_and_promotions_are_found_by_id() -> None:
    customer = customer_from_row(customer_row())
    directory = PackCustomerDirectory([customer])
    assert await directory.profile("cust-aiko") is customer
    assert await directory.profile("cust-ben") is None
    assert directory.customers() == (customer,)
    article = article_from_row(article_row())
    library = PackPolicyLibrary([article])
    assert (library.article("returns"), library.article("x")) == (article, None)
    assert library.articles() == (article,)
    promotion = promotion_from_row(promotion_row())
    service = PackPromotionService([promotion])
    assert service.promotions() == (promotion,)
    assert service.current(datetime(2026, 3, 31, 23, 59, tzinfo=UTC)) == (promotion,)
    assert service.current(datetime(2026, 4, 1, tzinfo=UTC)) == ()
