"""A whole store pack, and what must hold between its records."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from types import MappingProxyType
from typing import Generic, Literal, NamedTuple, TypeVar

from mangaassist.domain.catalog import Product, Series
from mangaassist.domain.intents import Intent
from mangaassist.domain.product_ids import is_asin, is_isbn10
from mangaassist.domain.store import Article, Customer, Order, Promotion

__all__ = [
    "TARGET_COUNTS", "Place", "Problem", "StoreManifest", "StorePack", "Table", "Utterance",
    "check_pack", "check_utterances", "is_asin", "is_isbn10",
]  # fmt: skip

TARGET_COUNTS: Mapping[str, int] = MappingProxyType({"series": 400, "products": 4_000, "articles": 80})
UTTERANCE_MINIMUM = 250
OUT_OF_SCOPE_MINIMUM = 400

_AFTER_DELIVERY = frozenset(
    {"delivered", "return_requested", "return_in_transit", "returned", "refunded", "partially_refunded"}
)
_REFUNDABLE = frozenset({"cancelled", "lost", "returned", "refunded", "partially_refunded"})
_BEFORE_SHIPPING = frozenset({"placed", "paid", "preparing", "backordered", "preorder", "payment_failed"})
_PRICE_TOLERANCE_USD = 0.005

T = TypeVar("T")


class Place(NamedTuple):
    """Where a record stands: a file of the pack and its line, counted from 1."""

    path: str
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something wrong with a pack, precise enough to go and fix it."""

    path: str
    message: str
    line: int | None = None
    field: str | None = None
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        parts = [self.path, *(str(part) for part in (self.line, self.field) if part is not None)]
        return f"{':'.join(parts)}: {self.message}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Table(Generic[T]):
    """Records and, in the same order, the places they come from."""

    records: tuple[T, ...] = ()
    places: tuple[Place, ...] = ()

    def placed(self) -> Iterator[tuple[T, Place]]:
        """Yield every record with its place."""
        return zip(self.records, self.places, strict=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreManifest:
    """`store.yaml`: what the pack is, and which of its values are demonstration data."""

    name: str
    title: str
    schema_version: int
    currency: str
    locale: str
    timezone: str
    catalog_as_of: date
    synthetic: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StorePack:
    """Every record of a pack."""

    manifest: StoreManifest
    series: Table[Series]
    products: Table[Product]
    articles: Table[Article]
    promotions: Table[Promotion]
    customers: Table[Customer]
    orders: Table[Order]


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance:
    """A labelled training text."""

    text: str
    intent: str


def check_pack(pack: StorePack) -> list[Problem]:
    """Return what does not hold between the records of a pack whose rows are all valid."""
    series = {record.series_id: record for record in pack.series.records}
    customers = {record.customer_id for record in pack.customers.records}
    genres = {genre for record in pack.series.records for genre in record.genres}
    return [
        *_duplicates(pack.series, "series_id", lambda record: record.series_id),
        *_duplicates(pack.products, "product_id", lambda record: record.product_id),
        *_duplicates(pack.articles, "article_id", lambda record: record.article_id),
        *_duplicates(pack.promotions, "promotion_id", lambda record: record.promotion_id),
        *_duplicates(pack.customers, "customer_id", lambda record: record.customer_id),
        *_duplicates(pack.customers, "email", lambda record: record.email.lower()),
        *_duplicates(pack.orders, "order_id", lambda record: record.order_id),
        *_series_problems(pack.series, series),
        *_product_problems(pack.products, series, as_of=pack.manifest.catalog_as_of),
        *_release_order_problems(pack.products),
        *_promotion_problems(pack.promotions, series, genres),
        *_customer_problems(pack.customers, series),
        *_order_problems(pack.orders, series, customers),
    ]


def check_utterances(utterances: Table[Utterance]) -> list[Problem]:
    """Warn of thin intents; a text with two intents is an error, a repeated one a warning."""
    problems = []
    seen: dict[str, tuple[Utterance, Place]] = {}
    for utterance, place in utterances.placed():
        key = " ".join(utterance.text.casefold().split())
        first, first_place = seen.setdefault(key, (utterance, place))
        if first is utterance:
            continue
        where = f"already at {first_place.path}:{first_place.line}"
        if first.intent == utterance.intent:
            problems.append(_problem(place, "text", f"{utterance.text!r} is {where}", severity="warning"))
        else:
            problems.append(
                _problem(place, "intent", f"{utterance.text!r} is {where} with intent {first.intent!r}")
            )
    counts = Counter(utterance.intent for utterance in utterances.records)
    for intent in Intent:
        least = OUT_OF_SCOPE_MINIMUM if intent is Intent.OUT_OF_SCOPE else UTTERANCE_MINIMUM
        if counts[intent] < least:
            problems.append(
                Problem(
                    path="intents",
                    field=str(intent),
                    message=f"expected at least {least} utterances, got {counts[intent]}",
                    severity="warning",
                )
            )
    return problems


def _problem(
    place: Place, field: str, message: str, *, severity: Literal["error", "warning"] = "error"
) -> Problem:
    return Problem(path=place.path, line=place.line, field=field, message=message, severity=severity)


def _duplicates(table: Table[T], field: str, key: Callable[[T], str]) -> Iterator[Problem]:
    seen: dict[str, Place] = {}
    for record, place in table.placed():
        first = seen.setdefault(key(record), place)
        if first is not place:
            yield _problem(place, field, f"{key(record)!r} is already at {first.path}:{first.line}")


def _unknown_series(
    ids: Iterable[str], place: Place, field: str, series: Mapping[str, Series]
) -> Iterator[Problem]:
    for series_id in ids:
        if series_id not in series:
            yield _problem(place, field, f"expected the id of a series of the pack, got {series_id!r}")


def _series_problems(table: Table[Series], series: Mapping[str, Series]) -> Iterator[Problem]:
    for record, place in table.placed():
        yield from _unknown_series(record.similar, place, "similar", series)
        if record.series_id in record.similar:
            yield _problem(place, "similar", "expected other series, got the series itself")
        volumes = record.volumes
        if volumes is None:
            continue
        if record.status not in ("finished", "cancelled"):
            yield _problem(
                place,
                "volumes",
                f"expected null while the status is {record.status!r}: the final number is not known",
            )
        if record.stocked_volumes is not None and record.stocked_volumes > volumes:
            yield _problem(
                place, "stocked_volumes", f"expected at most {volumes}, got {record.stocked_volumes}"
            )
        for edition in record.editions:
            if edition.covers is not None and edition.covers[1] > volumes:
                yield _problem(
                    place,
                    "editions",
                    f"{edition.name!r} covers volume {edition.covers[1]} of a series of {volumes}",
                )


def _product_problems(
    table: Table[Product], series: Mapping[str, Series], *, as_of: date
) -> Iterator[Problem]:
    for record, place in table.placed():
        known = series.get(record.series_id)
        if known is None:
            yield from _unknown_series((record.series_id,), place, "series_id", series)
        elif record.volume is not None and known.volumes is not None and record.volume > known.volumes:
            yield _problem(
                place, "volume", f"expected at most {known.volumes} as the series has, got {record.volume}"
            )
        if record.kind == "single" and record.volume is None:
            yield _problem(place, "volume", "expected the volume of a single, got null")
        if record.kind == "digital" and record.stock is not None:
            yield _problem(place, "stock", "expected null: a digital edition has no copies to count")
        if (record.kind == "digital") != (record.format == "ebook"):
            yield _problem(place, "format", f"{record.format!r} does not go with kind {record.kind!r}")
        if record.stock and record.release_date is not None and record.release_date > as_of:
            yield _problem(
                place, "stock", f"expected 0 or null before the release on {record.release_date.isoformat()}"
            )


def _release_order_problems(table: Table[Product]) -> Iterator[Problem]:
    runs: dict[tuple[str, str, str], list[tuple[int, date, Place]]] = defaultdict(list)
    for record, place in table.placed():
        if record.volume is not None and record.release_date is not None:
            run = runs[record.series_id, record.kind, record.language]
            run.append((record.volume, record.release_date, place))
    for run in runs.values():
        run.sort(key=lambda entry: entry[0])
        for (volume, released, _), (next_volume, next_released, place) in pairwise(run):
            if next_released < released and next_volume > volume:
                yield _problem(
                    place,
                    "release_date",
                    f"volume {next_volume} is out on {next_released}, before volume {volume} on {released}",
                )


def _promotion_problems(
    table: Table[Promotion], series: Mapping[str, Series], genres: set[str]
) -> Iterator[Problem]:
    for record, place in table.placed():
        yield from _unknown_series(record.applies_to_series, place, "applies_to.series_ids", series)
        for genre in record.applies_to_genres:
            if genre not in genres:
                yield _problem(place, "applies_to.genres", f"no series has the genre {genre!r}")
        if record.ends_at is not None and record.ends_at <= record.starts_at:
            yield _problem(place, "ends_at", "expected a time after starts_at")
        if record.kind == "percent" and not 0 < (record.value or 0) <= 100:
            yield _problem(place, "value", f"expected a percentage above 0 and up to 100, got {record.value}")


def _customer_problems(table: Table[Customer], series: Mapping[str, Series]) -> Iterator[Problem]:
    for record, place in table.placed():
        yield from _unknown_series(record.favourite_series, place, "favourite_series", series)


def _order_problems(
    table: Table[Order], series: Mapping[str, Series], customers: set[str]
) -> Iterator[Problem]:
    for record, place in table.placed():
        if record.customer_id not in customers:
            yield _problem(
                place, "customer_id", f"expected a customer of the pack, got {record.customer_id!r}"
            )
        yield from _unknown_series((item.series_id for item in record.items), place, "items", series)
        yield from _order_time_problems(record, place)
        yield from _order_null_problems(record, place)
        expected = sum(item.price_usd * item.quantity for item in record.items) + record.shipping_usd
        if abs(expected - record.total_usd) > _PRICE_TOLERANCE_USD:
            yield _problem(
                place,
                "total_usd",
                f"items and shipping come to {expected:.2f}, the order says {record.total_usd:.2f}",
                severity="warning",
            )


def _order_time_problems(order: Order, place: Place) -> Iterator[Problem]:
    if order.updated_at < order.placed_at:
        yield _problem(place, "updated_at", "expected a time not before placed_at")
    if order.delivered_at is not None and not order.placed_at <= order.delivered_at <= order.updated_at:
        yield _problem(place, "delivered_at", "expected a time between placed_at and updated_at")


def _order_null_problems(order: Order, place: Place) -> Iterator[Problem]:
    if order.delivered_at is not None and order.state not in _AFTER_DELIVERY:
        yield _problem(place, "delivered_at", f"expected null in state {order.state!r}")
    if order.tracking_number is not None and order.state in _BEFORE_SHIPPING:
        yield _problem(place, "tracking_number", f"expected null in state {order.state!r}")
    if order.refund_usd is not None and order.state not in _REFUNDABLE:
        yield _problem(place, "refund_usd", f"expected null in state {order.state!r}")
    if order.refund_usd is not None and order.refund_usd > order.total_usd + _PRICE_TOLERANCE_USD:
        yield _problem(place, "refund_usd", f"expected at most the total {order.total_usd:.2f}")
