"""Assembles the typed facts of one answer from the store's services."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from mangaassist.domain.catalog import Series
from mangaassist.domain.chat import Identity
from mangaassist.domain.dialogue import Constraints, Reading
from mangaassist.domain.errors import DependencyError, NotFoundError
from mangaassist.domain.grounding import AnswerFacts, Passage, SeriesFacts
from mangaassist.domain.intents import Intent, IntentDecision
from mangaassist.domain.retrieval import Chunk, RetrievalResult
from mangaassist.domain.store import Customer, Order, Promotion
from mangaassist.ports.store_services import Catalog, CustomerDirectory, OrderService, PromotionService
from mangaassist.serving.dialogue.merging import has_taste
from mangaassist.serving.facts.candidates import CandidateFinder, CandidateRequest, Candidates
from mangaassist.serving.facts.offers import numbered_bundles, offers_asked_for
from mangaassist.serving.facts.orders import OrderChooser
from mangaassist.serving.facts.promotions import PromotionChooser
from mangaassist.serving.retrieval.chunking import passage_text

MAX_SUBJECTS: Final = 5
ORDERS_LOOKED_AT: Final = 25
ADULT_AGE: Final = 18
_WITH_ORDERS: Final = frozenset({Intent.ORDER_TRACKING, Intent.RETURN_REQUEST})
_WITH_PROFILE: Final = frozenset(
    {Intent.PROMOTION, Intent.RECOMMENDATION, Intent.ORDER_TRACKING, Intent.RETURN_REQUEST, Intent.CHITCHAT}
)
_SHOPPING: Final = frozenset({Intent.RECOMMENDATION, Intent.PRODUCT_QUESTION})


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreServices:
    """The services that facts come from."""

    catalog: Catalog
    promotions: PromotionService
    orders: OrderService
    customers: CustomerDirectory


class FactsAssembler:
    """Builds `AnswerFacts`; a failing service is named in `service_errors` and never fails the turn."""

    def __init__(self, services: StoreServices) -> None:
        self._services = services
        self._candidates = CandidateFinder(services.catalog)
        self._orders = OrderChooser()
        self._promotions = PromotionChooser()

    async def assemble(
        self,
        reading: Reading,
        decision: IntentDecision,
        retrieval: RetrievalResult | None,
        identity: Identity,
        now: datetime,
    ) -> AnswerFacts:
        """Return everything that the answer to this message may state."""
        intent = decision.intent
        errors: list[str] = []
        customer = await self._customer(identity, intent, now, errors)
        orders = await self._orders_meant(reading, identity, intent, errors)
        constraints = self._constraints(reading, intent)
        reading = self._with_volumes_meant(reading, intent, constraints)
        subjects = self._subjects(reading, intent, constraints)
        found = self._candidates_for(reading, intent, retrieval, customer, subjects, now)
        current, expired = self._promotions_for(reading, intent, subjects, now, errors)
        return AnswerFacts(
            intent=intent,
            reading=reading,
            constraints=constraints,
            now=now,
            subjects=subjects,
            candidates=found.items,
            passages=passages_of(
                [scored.chunk for scored in retrieval.chunks], [scored.score for scored in retrieval.chunks]
            )
            if retrieval
            else (),
            promotions=current,
            expired_promotions=expired,
            orders=orders,
            customer=customer,
            signed_in=identity.customer_id is not None,
            relaxed=found.relaxed,
            service_errors=tuple(errors),
        )

    async def _customer(
        self, identity: Identity, intent: Intent, now: datetime, errors: list[str]
    ) -> Customer | None:
        if identity.customer_id is None or intent not in _WITH_PROFILE:
            return None
        try:
            return await self._services.customers.profile(identity.customer_id)
        except DependencyError:
            errors.append("profile")
            return None

    async def _orders_meant(
        self, reading: Reading, identity: Identity, intent: Intent, errors: list[str]
    ) -> tuple[Order, ...]:
        customer_id = identity.customer_id
        if customer_id is None or not (intent in _WITH_ORDERS or reading.order_ids):
            return ()
        service = self._services.orders
        try:
            if not reading.order_ids:
                orders = await service.orders_of(customer_id, limit=ORDERS_LOOKED_AT)
                return self._orders.choose(orders, reading, intent)
            found = []
            for order_id in reading.order_ids:
                try:
                    found.append(await service.order(order_id, customer_id=customer_id))
                except NotFoundError:
                    continue  # not there, or someone else's: the answer says that it cannot be found
            return tuple(found)
        except DependencyError:
            errors.append("orders")
            return ()

    def _constraints(self, reading: Reading, intent: Intent) -> Constraints:
        if intent is Intent.RECOMMENDATION:
            return reading.state.constraints
        stated = reading.stated
        products = reading.state.focus_products
        narrowed = reading.volumes or stated.kind or stated.format or stated.language
        if intent is not Intent.PRODUCT_QUESTION or not reading.follow_up or narrowed or not products:
            return stated
        product = self._services.catalog.product(products[0])
        if product is None or (
            product.kind == "single" and product.language == "en" and product.format == "paperback"
        ):
            return stated
        return replace(stated, kind=product.kind, format=product.format, language=product.language)

    def _with_volumes_meant(self, reading: Reading, intent: Intent, constraints: Constraints) -> Reading:
        """Carry the volume in focus over; a number beside "deluxe" or "box set" counts those instead."""
        volume = reading.state.focus_volume
        if intent is not Intent.PRODUCT_QUESTION or volume is None:
            return reading
        numbers = reading.volumes or (volume,)
        if constraints.kind in ("box_set", "deluxe", "omnibus"):
            products = [
                one for id_ in reading.state.focus_series for one in self._services.catalog.products_of(id_)
            ]
            bundles = numbered_bundles(products, constraints.kind, numbers)
            if bundles:
                ids = tuple(one.product_id for one in bundles)
                return replace(reading, volumes=(), product_ids=(*reading.product_ids, *ids))
        return replace(reading, volumes=numbers)

    def _subjects(
        self, reading: Reading, intent: Intent, constraints: Constraints
    ) -> tuple[SeriesFacts, ...]:
        if intent is Intent.PRODUCT_QUESTION:
            ids = reading.state.focus_series
        elif intent is Intent.RECOMMENDATION:
            ids = (*reading.mentioned_series, *constraints.like_series)
        else:
            ids = reading.mentioned_series
        series = [one for one in map(self._services.catalog.series, dict.fromkeys(ids)) if one is not None]
        return tuple(self._facts_of(one, reading, constraints) for one in series[:MAX_SUBJECTS])

    def _facts_of(self, series: Series, reading: Reading, constraints: Constraints) -> SeriesFacts:
        products = offers_asked_for(
            self._services.catalog.products_of(series.series_id),
            replace(constraints, max_price_usd=None, min_price_usd=None, in_stock=None),
            volumes=reading.volumes,
            product_ids=(*reading.product_ids, *reading.state.focus_products),
        )
        return SeriesFacts(series=series, products=products)

    def _candidates_for(
        self,
        reading: Reading,
        intent: Intent,
        retrieval: RetrievalResult | None,
        customer: Customer | None,
        subjects: Sequence[SeriesFacts],
        now: datetime,
    ) -> Candidates:
        if intent not in _SHOPPING or ("compare" in reading.aspects and len(subjects) > 1):
            return Candidates()
        if intent is Intent.PRODUCT_QUESTION and (subjects or reading.unknown_title is not None):
            return Candidates()
        constraints = reading.state.constraints
        if intent is Intent.PRODUCT_QUESTION:
            stated = reading.stated
            constraints = Constraints(authors=stated.authors, genres=stated.genres, themes=stated.themes)
        elif reading.mentioned_series:
            # "would I like X?" puts X on the table as a subject, never as a new suggestion
            constraints = replace(
                constraints, not_series=(*constraints.not_series, *reading.mentioned_series)
            )
        return self._candidates.find(
            CandidateRequest(
                constraints=constraints,
                retrieved=_series_scores(retrieval),
                shown=reading.state.shown_series if reading.follow_up else (),
                favourites=customer.favourite_series if customer else (),
                adult_allowed=_adult_allowed(reading, customer, now),
                cheapest_first="cheapest" in reading.aspects and "comparative" not in reading.cues,
                only_retrieved=intent is Intent.PRODUCT_QUESTION and not has_taste(constraints),
            )
        )

    def _promotions_for(
        self,
        reading: Reading,
        intent: Intent,
        subjects: Sequence[SeriesFacts],
        now: datetime,
        errors: list[str],
    ) -> tuple[tuple[Promotion, ...], tuple[Promotion, ...]]:
        if intent not in (Intent.PROMOTION, Intent.PRODUCT_QUESTION, Intent.CHECKOUT_HELP):
            return (), ()
        asked = intent is Intent.PROMOTION
        series = [item.series for item in subjects]
        try:
            current = self._services.promotions.current(now)
            past = self._services.promotions.promotions() if asked or intent is Intent.CHECKOUT_HELP else ()
        except DependencyError:
            errors.append("promotions")
            return (), ()
        text = reading.resolved_text if asked else reading.text
        return (
            self._promotions.current(current, text, series, only_relevant=not asked),
            self._promotions.expired(past, text, now),
        )


def _adult_allowed(reading: Reading, customer: Customer | None, now: datetime) -> bool:
    """Tell whether 18+ series may be suggested: asked for, or the customer is known to be of age."""
    age = reading.state.constraints.reader_age
    if age is not None:
        return age >= ADULT_AGE
    if "mature" in reading.cues:
        return True
    return (
        customer is not None
        and customer.birth_year is not None
        and now.year - customer.birth_year > ADULT_AGE
    )


def _series_scores(retrieval: RetrievalResult | None) -> dict[str, float]:
    """Return the retrieved series with a score from 1 (best rank) towards 0."""
    if retrieval is None:
        return {}
    refs = [scored.chunk.ref for scored in retrieval.chunks if scored.chunk.kind == "series"]
    return {ref: 1.0 - place / (len(refs) + 1) for place, ref in enumerate(dict.fromkeys(refs))}


def passages_of(chunks: Sequence[Chunk], scores: Sequence[float]) -> tuple[Passage, ...]:
    """Return the articles and promotions among retrieved chunks as they may be quoted."""
    return tuple(
        Passage(
            chunk_id=chunk.chunk_id,
            kind=chunk.kind,
            ref=chunk.ref,
            title=chunk.title,
            text=passage_text(chunk),
            score=score,
        )
        for chunk, score in zip(chunks, scores, strict=True)
        if chunk.kind not in ("series", "product")
    )
