"""What "it", "the second one", "those" and "this book" stand for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mangaassist.domain.catalog import Product, Series
from mangaassist.domain.dialogue import DialogueState
from mangaassist.ports.store_services import Catalog
from mangaassist.serving.dialogue.references import Direction, Pick, References


@dataclass(frozen=True, slots=True, kw_only=True)
class Referents:
    """The series a message points at without naming them, and the volume where the page shows one."""

    series_ids: tuple[str, ...] = ()
    volume: int | None = None
    product_ids: tuple[str, ...] = ()


def find_referents(
    references: References, state: DialogueState, page: Product | None, catalog: Catalog
) -> Referents:
    """Resolve a message's references; nothing is guessed when there is nothing to point at."""
    listed, focus = state.listed_series, state.focus_series
    cues = references.cues
    if references.ordinals:
        places = [number - 1 if number > 0 else len(listed) - 1 for number in references.ordinals]
        chosen = tuple(dict.fromkeys(listed[place] for place in places if 0 <= place < len(listed)))
        if chosen:
            return Referents(series_ids=chosen)
    if references.pick is not None:
        chosen = _picked(references.pick, state, catalog)
        if chosen:
            return Referents(series_ids=chosen)
    if page is not None and "page" in cues:
        return Referents(series_ids=(page.series_id,), volume=page.volume, product_ids=(page.product_id,))
    if "plural" in cues and (len(focus) > 1 or listed):
        return Referents(series_ids=focus if len(focus) > 1 else listed)
    if "pronoun" in cues or "page" in cues:
        if focus or listed:
            return Referents(series_ids=focus or listed[:1])
        if page is not None:
            return Referents(series_ids=(page.series_id,), volume=page.volume, product_ids=(page.product_id,))
    return Referents()


def _picked(pick: Pick, state: DialogueState, catalog: Catalog) -> tuple[str, ...]:
    pool = state.focus_series if len(state.focus_series) > 1 else state.listed_series
    if len(pool) < 2:
        return ()
    if pick == "other":
        return tuple(one for one in pool if one not in state.focus_series)[:1] or pool[1:2]
    known = [(value, one) for one in pool if (value := _measure(pick, one, catalog)) is not None]
    if not known:
        return ()
    largest = pick in ("priciest", "longest", "newest")
    best = max(value for value, _ in known) if largest else min(value for value, _ in known)
    return tuple(one for value, one in known if value == best)[:1]


def _measure(pick: Pick, series_id: str, catalog: Catalog) -> float | None:
    series = catalog.series(series_id)
    if series is None:
        return None
    if pick in ("cheapest", "priciest"):
        return entry_price_usd(series_id, catalog)
    return volume_count(series) if pick in ("shortest", "longest") else series.first_year


def volume_count(series: Series) -> int | None:
    """Return how long a series is: its volumes when finished, else at least those on sale."""
    return series.volumes if series.volumes is not None else series.stocked_volumes


def entry_price_usd(series_id: str, catalog: Catalog) -> float | None:
    """Return what starting a series costs: the cheapest English single volume in print, else anything."""
    prices = [
        (product.kind != "single", product.language != "en", product.price_usd)
        for product in catalog.products_of(series_id)
        if product.price_usd is not None
    ]
    return min(prices)[2] if prices else None


def bound_for(direction: Direction, against: Sequence[str], catalog: Catalog) -> tuple[str, float] | None:
    """Turn "cheaper", "shorter", ... than the series in `against` into a constraint field and value."""
    series = [one for one in map(catalog.series, against) if one is not None]
    if direction in ("cheaper", "dearer"):
        prices = [price for one in series if (price := entry_price_usd(one.series_id, catalog)) is not None]
        if not prices:
            return None
        if direction == "cheaper":
            return "max_price_usd", round(min(prices) - 0.01, 2)
        return "min_price_usd", round(max(prices) + 0.01, 2)
    measure: Callable[[Series], int | None] = (
        volume_count if direction in ("shorter", "longer") else (lambda one: one.first_year)
    )
    values = [value for one in series if (value := measure(one)) is not None]
    if not values:
        return None
    if direction == "shorter":
        return "max_volumes", max(1, min(values) - 1)
    if direction == "longer":
        return "min_volumes", max(values) + 1
    return ("year_from", max(values) + 1) if direction == "newer" else ("year_to", min(values) - 1)
