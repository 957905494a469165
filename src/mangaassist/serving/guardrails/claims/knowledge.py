"""What may be stated in one answer: the products it may speak of, and every value its sources contain."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import lru_cache
from typing import Literal

from mangaassist.domain.catalog import Product, Series
from mangaassist.domain.grounding import AnswerFacts
from mangaassist.domain.store import Order, Promotion
from mangaassist.domain.wording import last_day
from mangaassist.ports.store_services import Catalog
from mangaassist.serving.guardrails.claims.values import Value, values_in
from mangaassist.serving.guardrails.context import GuardrailContext

DateRole = Literal["placed", "due", "delivered", "starts", "ends"]
PartialDate = tuple[int | None, int, int | None]
"""Year, month, day; None for what is left out."""

RETURN_DAYS = 30
"""Days after a delivery that an answer may count on, as the return policy does."""

POINTS_USD_PER_HUNDRED = 5

_KNOWN_TEXTS = 4_096


@dataclass(slots=True)
class SourceValues:
    """The values of one source, or of several."""

    cents: set[int] = field(default_factory=set)
    dates: set[PartialDate] = field(default_factory=set)
    years: set[int] = field(default_factory=set)
    volumes: set[int] = field(default_factory=set)
    counts: set[int] = field(default_factory=set)
    ids: set[str] = field(default_factory=set)
    percents: set[float] = field(default_factory=set)
    ratings: set[str] = field(default_factory=set)
    references: set[str] = field(default_factory=set)
    dates_by_role: dict[DateRole, set[tuple[int, int, int]]] = field(default_factory=dict)

    def take(self, values: Iterable[Value]) -> None:
        """Add the values of a source text."""
        for value in values:
            found = value.value
            if value.kind == "amount" and isinstance(found, int):
                self.cents.add(found)
            elif value.kind == "date" and isinstance(found, tuple):
                self.dates.add(found)
                if found[0]:
                    self.years.add(found[0])
            elif value.kind == "year" and isinstance(found, int):
                self.years.add(found)
            elif value.kind == "volumes" and isinstance(found, tuple):
                self.volumes.update(found)
            elif value.kind == "count" and isinstance(found, int):
                self.counts.add(found)
            elif value.kind == "product_id":
                self.ids.add(str(found))
            elif value.kind == "percent" and isinstance(found, float):
                self.percents.add(found)
            elif value.kind == "rating":
                self.ratings.add(str(found))
            elif value.kind == "reference":
                self.references.add(str(found))

    def take_day(self, value: date | None, role: DateRole | None = None) -> None:
        """Add a date, and what it is the date of."""
        if value is None:
            return
        day = (value.year, value.month, value.day)
        self.dates.add(day)
        if role is not None:
            self.dates_by_role.setdefault(role, set()).add(day)

    def has_date(self, stated: PartialDate, role: DateRole | None = None) -> bool:
        """Whether a known date agrees in every part that both name.

        Where the date has a role and dates of that role are known, it has to be one of them.
        """
        typed = self.dates_by_role.get(role) if role is not None else None
        if not typed:
            return any(_agree(stated, known) for known in self.dates)
        told = self.dates - set().union(*self.dates_by_role.values())
        return any(_agree(stated, known) for known in (*typed, *told))


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownSeries:
    """A series, the products that an answer may speak of, and the values of what is told about it."""

    series: Series
    products: tuple[Product, ...]
    values: SourceValues


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """An order or a promotion: what it is called by, and the values that belong to it."""

    kind: Literal["order", "promotion"]
    names: tuple[str, ...]
    values: SourceValues


@dataclass(frozen=True, slots=True, kw_only=True)
class Knowledge:
    """Everything that the claims of one answer are held against.

    `shared` values may be said of anything: they stand in a passage or in the profile. `asked` ones stand in
    the question or are its limits: they may be repeated as such ("under $15").
    """

    series: tuple[KnownSeries, ...]
    topics: tuple[Topic, ...]
    shared: SourceValues
    asked: SourceValues
    complete: bool
    """Whether the sources of the answer are at hand; without them, only the catalogue decides."""


class KnowledgeReader:
    """Collects what one answer may state; values of source texts are read once and remembered."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._values_of = lru_cache(maxsize=_KNOWN_TEXTS)(lambda text: tuple(values_in(text)))

    def read(self, context: GuardrailContext, mentioned: Sequence[Series] = ()) -> Knowledge:
        """Return what is known; `mentioned` are series of the answer that its facts do not hold."""
        facts = context.facts
        shared, asked = SourceValues(), SourceValues()
        asked.take(self._values_of(context.question))
        promotions = {promotion.promotion_id for promotion in _promotions(facts)}
        for chunk in context.chunks:
            # what chunks of the catalogue and of known promotions say is in the facts, bound to its subject
            if facts is None or not (chunk.kind in ("series", "product") or chunk.ref in promotions):
                shared.take(self._values_of(f"{chunk.title}\n{chunk.text}"))
        if facts is not None:
            for passage in facts.passages:
                if passage.ref not in promotions:
                    shared.take(self._values_of(f"{passage.title}\n{passage.text}"))
            self._take_request(asked, shared, facts)
        known: dict[str, KnownSeries] = {}
        for item in (*facts.subjects, *facts.candidates) if facts else ():
            known.setdefault(item.series.series_id, self._known(item.series, item.products, item.reasons))
        for series in mentioned:
            if series.series_id not in known:
                known[series.series_id] = self._known(series, self._catalog.products_of(series.series_id), ())
        return Knowledge(
            series=tuple(known.values()),
            topics=tuple(self._topics(facts)) if facts else (),
            shared=shared,
            asked=asked,
            complete=facts is not None,
        )

    def product(self, product_id: str) -> Product | None:
        """Return the product of an id, or None."""
        return self._catalog.product(product_id)

    def _known(self, series: Series, products: Sequence[Product], reasons: tuple[str, ...]) -> KnownSeries:
        values = SourceValues()
        for text in (*reasons, series.description or ""):
            values.take(self._values_of(text))
        if series.first_year is not None:
            values.years.add(series.first_year)
        values.counts.update(count for count in (series.volumes, series.stocked_volumes) if count is not None)
        values.volumes.update(values.counts)
        if series.age_rating is not None:
            values.ratings.add(series.age_rating)
        for product in products:
            if product.release_date is not None:
                values.take_day(product.release_date)
        return KnownSeries(series=series, products=tuple(products), values=values)

    def _take_request(self, asked: SourceValues, shared: SourceValues, facts: AnswerFacts) -> None:
        asked.take(self._values_of(facts.reading.resolved_text))
        asked.volumes.update(facts.reading.volumes)
        asked.ids.update(facts.reading.product_ids)
        shared.take_day(facts.now.date())
        constraints = facts.constraints
        limits = (constraints.max_price_usd, constraints.min_price_usd)
        asked.cents.update(_cents(limit) for limit in limits if limit is not None)
        asked.years.update(year for year in (constraints.year_from, constraints.year_to) if year is not None)
        counts = (constraints.max_volumes, constraints.min_volumes)
        asked.counts.update(count for count in counts if count is not None)
        if facts.customer is not None:
            points = facts.customer.points
            shared.cents.update(
                _cents(worth * POINTS_USD_PER_HUNDRED) for worth in (points // 100, points / 100)
            )

    def _topics(self, facts: AnswerFacts) -> Iterator[Topic]:
        for order in facts.orders:
            values = SourceValues()
            values.take(self._values_of(f"{order.status_note or ''}\n{order.return_reason or ''}"))
            for item in order.items:
                values.take(self._values_of(item.title))
            _take_order(values, order)
            yield Topic(kind="order", names=(order.order_id,), values=values)
        for promotion in _promotions(facts):
            values = SourceValues()
            values.take(self._values_of(f"{promotion.title}\n{promotion.body}"))
            _take_promotion(values, promotion)
            names = (promotion.title, promotion.code) if promotion.code else (promotion.title,)
            yield Topic(kind="promotion", names=names, values=values)


def _promotions(facts: AnswerFacts | None) -> tuple[Promotion, ...]:
    return (*facts.promotions, *facts.expired_promotions) if facts else ()


def _take_promotion(values: SourceValues, promotion: Promotion) -> None:
    values.cents.update(_cents(amount) for amount in (promotion.value, promotion.min_order_usd) if amount)
    if promotion.value is not None:
        values.percents.add(float(promotion.value))
    values.take_day(promotion.starts_at.date(), "starts")
    if promotion.ends_at is not None:
        values.take_day(last_day(promotion.ends_at), "ends")


def _take_order(values: SourceValues, order: Order) -> None:
    values.cents.update(_cents(amount) for amount in (order.total_usd, order.shipping_usd))
    if order.refund_usd is not None:
        values.cents.add(_cents(order.refund_usd))
    values.counts.add(sum(item.quantity for item in order.items))
    values.references.update(_digits(number) for number in (order.order_id, order.tracking_number) if number)
    for item in order.items:
        values.cents.update((_cents(item.price_usd), _cents(item.price_usd * item.quantity)))
        values.counts.add(item.quantity)
        if item.volume is not None:
            values.volumes.add(item.volume)
    values.take_day(order.placed_at.date(), "placed")
    values.take_day(order.estimated_delivery, "due")
    if order.delivered_at is not None:
        values.take_day(order.delivered_at.date(), "delivered")
        values.take_day(order.delivered_at.date() + timedelta(days=RETURN_DAYS), "ends")


def _agree(stated: PartialDate, known: PartialDate) -> bool:
    """A stated day has to be known; years are left out on both sides."""
    same_year = stated[0] is None or known[0] is None or stated[0] == known[0]
    return same_year and stated[1] == known[1] and (stated[2] is None or stated[2] == known[2])


def _digits(number: str) -> str:
    return "".join(character for character in number if character.isdigit())


def _cents(amount_usd: float) -> int:
    return round(amount_usd * 100)
