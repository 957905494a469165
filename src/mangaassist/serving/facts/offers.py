"""Which products of a series matter for a question."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from mangaassist.domain.catalog import Product
from mangaassist.domain.dialogue import Constraints

MAX_OFFERS: Final = 8


def fits(product: Product, wanted: Constraints) -> bool:
    """Tell whether a product is of the kind, format, language, stock and price asked for."""
    if wanted.kind is not None and product.kind != wanted.kind:
        return False
    if wanted.format is not None and product.format != wanted.format:
        return False
    if product.language != (wanted.language or "en"):
        return False
    if wanted.in_stock and product.in_stock is not True:
        return False
    price = product.price_usd
    if wanted.max_price_usd is not None and (price is None or price > wanted.max_price_usd):
        return False
    return wanted.min_price_usd is None or (price is not None and price >= wanted.min_price_usd)


def in_start_order(products: Sequence[Product]) -> tuple[Product, ...]:
    """Return the products, the one to begin with first."""
    return tuple(sorted(products, key=_start_order))


def offers_to_begin_with(ordered: Sequence[Product], wanted: Constraints) -> tuple[Product, ...]:
    """Return at most two offers of different kinds that meet every wish; `ordered` is `in_start_order`."""
    first: Product | None = None
    for one in ordered:
        if (first is None or one.kind != first.kind) and fits(one, wanted):
            if first is not None:
                return (first, one)
            first = one
    return () if first is None else (first,)


def offers_asked_for(
    products: Sequence[Product], wanted: Constraints, *, volumes: Sequence[int], product_ids: Sequence[str]
) -> tuple[Product, ...]:
    """Return the offers that answer a question: the volumes named, else one of every edition.

    What is asked for comes first, then the one to begin with, the rest cheapest first; alternatives stay
    in, so that an answer can say what there is instead.
    """
    by_id = [one for one in products if one.product_id in product_ids]
    if volumes:
        pool = [one for one in products if _holds(one, volumes)]
        pool = [one for one in pool if one.language == (wanted.language or "en")] or pool
        ordered = sorted(
            pool, key=lambda one: (not fits(one, wanted), one.volume is None, *_price_order(one))
        )
        return _first_of([*by_id, *ordered])
    samples: dict[tuple[str, str, str], Product] = {}
    for one in sorted(products, key=_start_order):
        samples.setdefault((one.kind, one.format, one.language), one)
    asked = [one for one in products if _special(wanted) and fits(one, wanted)]
    english = [one for one in products if one.language == "en" and one.price_usd is not None]
    cheapest = sorted(english, key=_price_order)[:1]
    rest = sorted((*samples.values(), *cheapest), key=_price_order)
    start = sorted(english, key=_start_order)[:1]
    return _first_of([*by_id, *sorted(asked, key=_start_order), *start, *rest])


def numbered_bundles(products: Sequence[Product], kind: str, numbers: Sequence[int]) -> tuple[Product, ...]:
    """Return the box sets, deluxe or omnibus books that carry a number in their name: "Deluxe Volume 3"."""
    return tuple(
        one
        for one in products
        if one.kind == kind
        and any(re.search(rf"\b{number}(?=\D*$)", one.title.split(": ")[0]) for number in numbers)
    )


def _special(wanted: Constraints) -> bool:
    return bool(wanted.kind or wanted.format or wanted.language)


def _holds(product: Product, volumes: Sequence[int]) -> bool:
    if product.volume is not None and product.kind in ("single", "digital"):
        return product.volume in volumes
    if product.volume in volumes and product.volume is not None:
        return True
    covers = product.covers
    return covers is not None and any(covers[0] <= volume <= covers[1] for volume in volumes)


def _start_order(product: Product) -> tuple[object, ...]:
    """Order of what to begin with: English singles in print from volume 1, what can be sent now first."""
    return (
        product.language != "en",
        product.kind != "single",
        product.volume is None,
        product.volume or 0,
        product.in_stock is not True,
        *_price_order(product),
    )


def _price_order(product: Product) -> tuple[float, str]:
    price = product.price_usd
    return (price if price is not None else float("inf"), product.product_id)


def _first_of(products: Sequence[Product]) -> tuple[Product, ...]:
    return tuple({one.product_id: one for one in products}.values())[:MAX_OFFERS]
