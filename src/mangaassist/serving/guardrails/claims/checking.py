"""Typed claims of an answer, each bound to what it is said of and held against what is known of that."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from mangaassist.domain.catalog import Product
from mangaassist.domain.guardrails import ClaimCheck, ClaimKind
from mangaassist.domain.intents import Intent
from mangaassist.ports.store_services import Catalog
from mangaassist.serving.guardrails.claims.knowledge import (
    DateRole,
    Knowledge,
    KnowledgeReader,
    KnownSeries,
    SourceValues,
    Topic,
)
from mangaassist.serving.guardrails.claims.sentences import sentence_spans
from mangaassist.serving.guardrails.claims.titles import Mention, TitleIndex, mentions_of
from mangaassist.serving.guardrails.claims.values import Value, values_in
from mangaassist.serving.guardrails.context import GuardrailContext

FEW_COPIES: Final = 10
"""The most copies that may be called few."""

_ABOUT_ORDERS: Final = frozenset({Intent.ORDER_TRACKING, Intent.RETURN_REQUEST})
_NOT_A_CLAIM: Final = re.compile(
    r"(?i)\b(?:if|when|once|whether|until|unless|as soon as|can't|cannot|can not"
    r"|don't know|let me know|would|shall i)\b"
)
_LIMIT: Final = re.compile(
    r"(?i)\b(?:under|below|than|up to|at most|at least|within|over|above|around|about|between|from|to"
    r"|budget of|your|for|with|and|maximum|minimum|more than)\s*$"
)
_ROLES: Final[tuple[tuple[DateRole, re.Pattern[str]], ...]] = (
    (
        "due",
        re.compile(r"(?i)\b(?:reach|arrive by|arrive on|expect|due|new date|deliver(?:y|ed) by|estimated)\b"),
    ),
    ("delivered", re.compile(r"(?i)\b(?:arrived|delivered)\b")),
    ("placed", re.compile(r"(?i)\b(?:placed|ordered)\b")),
    ("ends", re.compile(r"(?i)\b(?:until|ends?|ended|expires?|last day|through)\b")),
    ("starts", re.compile(r"(?i)\b(?:starts?|began|begins?)\b")),
)
_ON_THE_SHELF: Final = re.compile(r"(?i)\bwe stock\s*$")
_NEGATED: Final = re.compile(r"(?i)(?:n't|n’t|\bnot|\bno longer|\bnever)(?:\s\w+){0,2}\s*$")
_DIGITAL: Final = re.compile(r"e-?book|digital|kindle")
_FREE_COUNT: Final = re.compile(r"(?i)\b(?:first|next|last|these|those|all|other|another|per)\s*$")


@dataclass(frozen=True, slots=True)
class _Subjects:
    """What a sentence names, and the ones after it until another does."""

    series: tuple[KnownSeries, ...]
    topics: tuple[Topic, ...]


@dataclass(slots=True)
class _Scope:
    """What the values of a sentence are said of: series or topics, and the volume or edition named last."""

    series: tuple[KnownSeries, ...]
    sources: tuple[SourceValues, ...]
    asked: SourceValues
    says_digital: bool = False
    says_japanese: bool = False
    product: Product | None = None
    volumes: tuple[int, ...] = ()
    edition: str | None = None
    names_editions: bool = False
    covering: Product | None = None
    """The edition whose volumes are listed in brackets behind its name."""

    def products(self) -> list[Product]:
        """Return the products that a value may belong to; a name that fits none narrows nothing."""
        if self.product is not None:
            return [self.product]
        fitting = [product for known in self.series for product in known.products]
        if self.volumes:
            named = [
                product for product in fitting if any(_holds(product, volume) for volume in self.volumes)
            ]
            fitting = named or fitting
        if self.edition is not None:
            named = [product for product in fitting if self.edition in (product.kind, product.format)]
            fitting = named or fitting
        elif not self.names_editions and not self.says_digital:
            # "volume 1" alone is the book itself
            fitting = [product for product in fitting if product.kind == "single"] or fitting
        if not self.says_digital:
            fitting = [product for product in fitting if product.kind != "digital"] or fitting
        if not self.says_japanese:
            fitting = [product for product in fitting if product.language != "ja"] or fitting
        return fitting


@dataclass(frozen=True, slots=True)
class _Before:
    """What stands before a value: in its sentence, and since the last title."""

    sentence: str
    since_title: str


class ClaimChecker:
    """Checks the typed claims of answers. The stages of one answer share one reading of it."""

    def __init__(self, catalog: Catalog) -> None:
        self._reader = KnowledgeReader(catalog)
        self._titles = TitleIndex(catalog)
        self._titles.find("")  # built now, not during the first request
        self._last: tuple[str, GuardrailContext, tuple[ClaimCheck, ...]] | None = None

    def check(self, text: str, context: GuardrailContext) -> tuple[ClaimCheck, ...]:
        """Return every typed claim of the text in order, supported or not."""
        if self._last is not None and self._last[0] == text and self._last[1] is context:
            return self._last[2]
        knowledge = self._reader.read(context, mentioned=self._titles.find(text))
        claims = tuple(_Reading(text, context, knowledge, self._reader).claims())
        self._last = (text, context, claims)
        return claims


class _Reading:
    """One pass over one answer."""

    def __init__(
        self, text: str, context: GuardrailContext, knowledge: Knowledge, reader: KnowledgeReader
    ) -> None:
        self._text = text
        self._context = context
        self._knowledge = knowledge
        self._descriptions = [
            known.series.description for known in knowledge.series if known.series.description
        ]
        self._reader = reader
        self._today = context.facts.now.date() if context.facts else None

    def claims(self) -> Iterator[ClaimCheck]:
        """Yield the claims, sentence by sentence."""
        text = self._text
        mentions = mentions_of(text, self._knowledge.series, self._knowledge.topics)
        values = [
            value
            for value in values_in(text)
            if value.kind == "reference"
            or all(value.end <= mention.start or mention.end <= value.start for mention in mentions)
        ]
        carried = _Subjects((), ())
        for start, end in sentence_spans(text, [(mention.start, mention.end) for mention in mentions]):
            if self._is_description(text[start:end]):
                continue
            named = [mention for mention in mentions if start <= mention.start < end]
            carried = self._subjects(named) or carried
            scope = self._scope(carried, named, text[start:end])
            inside = [value for value in values if start <= value.start < end]
            yield from self._walk(scope, sorted([*named, *inside], key=lambda item: item.start), start)

    def _subjects(self, named: Sequence[Mention]) -> _Subjects | None:
        """Return what a sentence speaks of; of series, not the ones whose taste was only asked for."""
        if not named:
            return None
        series = {one.series.series.series_id: one.series for one in named if one.series is not None}
        facts = self._context.facts
        liked = facts.constraints.like_series if facts is not None and facts.candidates else ()
        offered = [item for series_id, item in series.items() if series_id not in liked]
        topics = {id(one.topic): one.topic for one in named if one.topic is not None}
        return _Subjects(tuple(offered or series.values()), tuple(topics.values()))

    def _scope(self, subjects: _Subjects, named: Sequence[Mention], sentence: str) -> _Scope:
        knowledge = self._knowledge
        topics = subjects.topics or knowledge.topics
        of_order = any(topic.kind == "order" for topic in subjects.topics)
        series = () if of_order else subjects.series
        known = series or (() if subjects.topics else knowledge.series)
        # a sentence that names its order or promotion speaks of that; the ones after it may go on elsewhere
        passages = () if subjects.topics and named else (knowledge.shared,)
        lowered = sentence.casefold()
        return _Scope(
            series=series,
            sources=(*passages, *(one.values for one in topics), *(one.values for one in known)),
            asked=knowledge.asked,
            says_digital=_DIGITAL.search(lowered) is not None,
            says_japanese="japanese" in lowered,
            names_editions=any(map(_names_edition, named)),
        )

    def _is_description(self, sentence: str) -> bool:
        stripped = sentence.strip()
        return any(stripped in description for description in self._descriptions)

    def _walk(self, scope: _Scope, items: Sequence[Mention | Value], start: int) -> Iterator[ClaimCheck]:
        named_until = start
        sentence_series = scope.series
        for place, item in enumerate(items):
            if isinstance(item, Mention):
                named_until = item.end
                if item.series in sentence_series:
                    scope.series = (item.series,)
                if item.product is not None:
                    scope.product, scope.volumes, scope.edition = item.product, (), None
                continue
            if item.kind == "volumes" and isinstance(item.value, tuple):
                scope.covering = (
                    scope.product if self._text[named_until : item.start].strip() == "(" else None
                )
                scope.product, scope.volumes, scope.edition = None, item.value, None
            elif item.kind == "edition":
                scope.product, scope.edition = None, str(item.value)
                continue
            check = _CHECKS.get(item.kind)
            before = _Before(self._text[start : item.start], self._text[named_until : item.start])
            following = items[place + 1] if place + 1 < len(items) else None
            if isinstance(following, Mention) and following.series in sentence_series:
                between = self._text[item.end : following.start]
                if between.strip().casefold() in ("for", "of"):
                    scope.series, scope.product = (following.series,), following.product
            found = check(self, item, scope, before) if check else None
            if found is not None:
                yield found

    def _claim(
        self,
        value: Value,
        kind: ClaimKind,
        *,
        wrong: str | None,
        evidence: str | None,
        source: str | None = None,
    ) -> ClaimCheck:
        return ClaimCheck(
            text=self._text[value.start : value.end],
            start=value.start,
            end=value.end,
            kind=kind,
            support=0.0 if wrong else 1.0,
            evidence=evidence,
            source_id=source,
            reason=wrong,
        )

    def _amount(self, value: Value, scope: _Scope, before: _Before) -> ClaimCheck | None:
        products = scope.products()
        if not products and not self._knowledge.complete:
            return None
        stated = value.value
        for product in products:
            if product.price_usd is not None and round(product.price_usd * 100) == stated:
                return self._claim(
                    value, "price", wrong=None, evidence=_offer(product), source=product.product_id
                )
        if stated in scope.asked.cents and (_LIMIT.search(before.sentence) or not products):
            return self._claim(value, "price", wrong=None, evidence="as asked")
        if any(stated in source.cents for source in scope.sources) or stated in _sums(
            products, scope.volumes
        ):
            return self._claim(value, "price", wrong=None, evidence=None)
        if not scope.series and stated in self._all_cents():
            return self._claim(value, "price", wrong=None, evidence=None)
        evidence = "; ".join(_offer(product) for product in products[:3]) or None
        return self._claim(
            value, "price", wrong="wrong_price" if products else "unsupported_price", evidence=evidence
        )

    def _all_cents(self) -> set[int]:
        return {
            round(product.price_usd * 100)
            for known in self._knowledge.series
            for product in known.products
            if product.price_usd is not None
        }

    def _product_id(self, value: Value, scope: _Scope, before: _Before) -> ClaimCheck:
        stated = str(value.value)
        product = self._reader.product(stated)
        if any(
            stated in source.ids or stated in source.references for source in (*scope.sources, scope.asked)
        ):
            return self._claim(value, "product_id", wrong=None, evidence=None)
        if product is None:
            wrong = "bad_check_digit" if value.bad_check_digit else "unknown_product_id"
            meant = scope.products()
            return self._claim(value, "product_id", wrong=wrong, evidence=_offer(meant[0]) if meant else None)
        ours = {known.series.series_id for known in scope.series}
        other = bool(ours) and product.series_id not in ours
        other = other or (
            bool(scope.volumes) and not any(_holds(product, volume) for volume in scope.volumes)
        )
        return self._claim(
            value,
            "product_id",
            wrong="other_product" if other else None,
            evidence=f"{stated} is {product.title}",
            source=stated,
        )

    def _volumes(self, value: Value, scope: _Scope, before: _Before) -> ClaimCheck | None:
        if not isinstance(value.value, tuple) or not (scope.series or self._knowledge.complete):
            return None
        stated: tuple[int, ...] = value.value
        if len(stated) > 2 and stated == tuple(range(stated[0], stated[-1] + 1)):
            stated = (stated[0], stated[-1])  # a range is what its ends are
        if scope.covering is not None and scope.covering.covers is not None:
            right = (value.value[0], value.value[-1]) == scope.covering.covers
            evidence = f"{scope.covering.title}: volumes {scope.covering.covers}"
            return self._claim(value, "volume", wrong=None if right else "wrong_volume", evidence=evidence)
        if scope.series and _ON_THE_SHELF.search(before.sentence):
            shelves = {known.series.stocked_volumes for known in scope.series}
            wrong_end = value.value[-1] not in shelves
            evidence = f"stocked: {', '.join(map(str, shelves))}"
            return self._claim(
                value, "volume", wrong="wrong_volume" if wrong_end else None, evidence=evidence
            )
        allowed = {number for source in (*scope.sources, scope.asked) for number in source.volumes}
        for known in scope.series:
            for product in known.products:
                allowed.update(_volumes_in(product))
            if scope.names_editions:
                allowed.update(number for edition in known.series.editions for number in edition.covers or ())
        if len(value.value) > 1:
            allowed.add(1)  # a shelf begins with volume 1
        wrong = [number for number in stated if number not in allowed]
        held = ", ".join(str(number) for number in sorted(allowed)[:12])
        return self._claim(
            value,
            "volume",
            wrong="wrong_volume" if wrong else None,
            evidence=f"known volumes: {held or 'none'}",
        )

    def _count(self, value: Value, scope: _Scope, before: _Before) -> ClaimCheck | None:
        if not scope.series or _FREE_COUNT.search(before.sentence):
            return None
        known = {count for source in scope.sources for count in source.counts}
        if _LIMIT.search(before.sentence):
            known |= scope.asked.counts
        listed = ", ".join(str(count) for item in scope.series if (count := item.series.volumes))
        return self._claim(
            value,
            "count",
            wrong=None if value.value in known else "wrong_count",
            evidence=f"volumes: {listed or 'unknown'}",
        )

    def _date(self, value: Value, scope: _Scope, before: _Before) -> ClaimCheck | None:
        stated = value.value
        if not isinstance(stated, tuple) or not self._knowledge.complete:
            return None
        role = _role(before.sentence)
        right = any(source.has_date(stated, role) for source in (*scope.sources, scope.asked))
        return self._claim(value, "date", wrong=None if right else "unsupported_date", evidence=None)

    def _year(self, value: Value, scope: _Scope, before: _Before) -> ClaimCheck | None:
        if not (scope.series or self._knowledge.complete):
            return None
        allowed = {year for source in (*scope.sources, scope.asked) for year in source.years}
        decade = self._text[value.start : value.end].endswith("s")
        right = (
            any(year // 10 == int(str(value.value)) // 10 for year in allowed)
            if decade
            else value.value in allowed
        )
        return self._claim(value, "year", wrong=None if right else "wrong_year", evidence=None)

    def _rating(self, value: Value, scope: _Scope, before: _Before) -> ClaimCheck | None:
        if not scope.series:
            return None
        ratings = {rating for source in (*scope.sources, scope.asked) for rating in source.ratings}
        listed = ", ".join(sorted(ratings))
        return self._claim(
            value,
            "number",
            wrong=None if value.value in ratings else "wrong_rating",
            evidence=f"rated {listed or 'nothing known'}",
        )

    def _percent(self, value: Value, scope: _Scope, before: _Before) -> ClaimCheck | None:
        if not self._knowledge.complete or value.value == 100.0:
            return None
        right = any(value.value in source.percents for source in (*scope.sources, scope.asked))
        return self._claim(value, "number", wrong=None if right else "unsupported_percent", evidence=None)

    def _reference(self, value: Value, scope: _Scope, before: _Before) -> ClaimCheck | None:
        if not self._knowledge.complete:
            return None
        right = any(value.value in source.references for source in (*scope.sources, scope.asked))
        return self._claim(value, "number", wrong=None if right else "unknown_reference", evidence=None)

    def _stock(self, value: Value, scope: _Scope, before: _Before) -> ClaimCheck | None:
        if not scope.series or self._context.intent in _ABOUT_ORDERS or _NOT_A_CLAIM.search(before.sentence):
            return None
        stated = value.value
        if stated == "in" and _NEGATED.search(before.since_title):
            stated = "out"
        products = scope.products()
        wanted: list[list[Product]] = [products]
        if len(scope.volumes) > 1 and scope.product is None:
            wanted = [[one for one in products if _holds(one, volume)] for volume in scope.volumes]
        right = all(
            any(_fits(product, stated, self._today) for product in group) for group in wanted if group
        )
        evidence = "; ".join(_shelf(product, self._today) for product in products[:3])
        return self._claim(
            value,
            "stock",
            wrong=None if right and products else "wrong_stock",
            evidence=evidence or "no offer is known",
            source=products[0].product_id if products else None,
        )


_Check = Callable[[_Reading, Value, _Scope, _Before], ClaimCheck | None]
_CHECKS: Final[dict[str, _Check]] = {
    "amount": _Reading._amount,
    "product_id": _Reading._product_id,
    "volumes": _Reading._volumes,
    "count": _Reading._count,
    "date": _Reading._date,
    "year": _Reading._year,
    "rating": _Reading._rating,
    "percent": _Reading._percent,
    "reference": _Reading._reference,
    "stock": _Reading._stock,
}


def _role(before: str) -> DateRole | None:
    """Return what a date is the date of, by the cue that stands nearest before it."""
    found = [(match.end(), role) for role, cue in _ROLES for match in cue.finditer(before)]
    return max(found, default=(0, None), key=lambda entry: entry[0])[1]


def _names_edition(mention: Mention) -> bool:
    bundle = mention.product is not None and mention.product.kind not in ("single", "digital")
    return mention.edition or bundle


def _holds(product: Product, volume: int) -> bool:
    return volume in _volumes_in(product)


def _volumes_in(product: Product) -> tuple[int, ...]:
    if product.volume is not None:
        return (product.volume,)
    return () if product.covers is None else tuple(range(product.covers[0], product.covers[1] + 1))


def _sums(products: Sequence[Product], volumes: tuple[int, ...]) -> set[int]:
    """Return what several volumes cost together, edition by edition."""
    if len(volumes) < 2:
        return set()
    totals: dict[tuple[str, str], int] = {}
    for product in products:
        if product.price_usd is not None and product.volume in volumes:
            key = (product.kind, product.language)
            totals[key] = totals.get(key, 0) + round(product.price_usd * 100)
    return set(totals.values())


def _fits(product: Product, stated: object, today: date | None) -> bool:
    coming = today is not None and product.release_date is not None and product.release_date > today
    if stated == "preorder":
        return coming
    if coming:
        return False
    if stated in ("out", "backorder"):
        return product.in_stock is False
    if stated == "in":
        return product.in_stock is True
    if product.stock is None:
        return False
    if stated == "few":
        return 0 < product.stock <= FEW_COPIES
    return product.stock == (1 if stated == "last" else stated)


def _offer(product: Product) -> str:
    price = "price unknown" if product.price_usd is None else f"${product.price_usd:,.2f}"
    return f"{product.title} ({product.kind}, {product.product_id}): {price}"


def _shelf(product: Product, today: date | None) -> str:
    if today is not None and product.release_date is not None and product.release_date > today:
        state = f"comes out on {product.release_date:%Y-%m-%d}"
    elif product.kind == "digital":
        state = "digital"
    else:
        state = "stock unknown" if product.stock is None else f"{product.stock} in stock"
    return f"{product.title}: {state}"
