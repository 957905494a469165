"""What is in an order, in words."""

from __future__ import annotations

from itertools import groupby
from typing import Final

from mangaassist.domain.store import Order, OrderItem
from mangaassist.domain.wording import in_words, listed

_SHOWN: Final = 3


def contents(order: Order) -> str:
    """Return what is in it, volumes of a series together: `Monster, volumes 3 and 4; two copies of Akira`."""
    named = [_together(list(items)) for _, items in groupby(order.items, key=_series_of)]
    shown, rest = named[:_SHOWN], len(named) - _SHOWN
    if rest > 0:
        shown.append(f"{in_words(rest)} more {'title' if rest == 1 else 'titles'}")
    return "; ".join(shown) if any("," in name for name in shown) else listed(shown)


def _series_of(item: OrderItem) -> str:
    """Return what volumes of a series share; any other line stands for itself."""
    return _stem(item) or f"{item.title}|{item.quantity}"


def _stem(item: OrderItem) -> str | None:
    ending = f", Vol. {item.volume}"
    plain = item.volume is not None and item.quantity == 1 and item.title.endswith(ending)
    return item.title.removesuffix(ending) if plain else None


def _together(items: list[OrderItem]) -> str:
    stem = _stem(items[0])
    if stem is None:
        one = items[0]
        return one.title if one.quantity == 1 else f"{in_words(one.quantity)} copies of {one.title}"
    volumes = [str(item.volume) for item in items]
    return f"{stem}, {'volume' if len(volumes) == 1 else 'volumes'} {listed(volumes)}"
