"""The typed facts that one answer may state; nothing else is known to the generator."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from mangaassist.domain.catalog import Product, Series
from mangaassist.domain.dialogue import Constraints, Reading
from mangaassist.domain.intents import Intent
from mangaassist.domain.store import Customer, Order, Promotion


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesFacts:
    """A series with the offers that matter for this question, cheapest first.

    `reasons` are matched facts in plain words ("shares the vikings theme with Berserk"), strongest
    first, empty when the series was asked for by name.
    """

    series: Series
    products: tuple[Product, ...] = ()
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A retrieved article or promotion text."""

    chunk_id: str
    kind: str
    ref: str
    title: str
    text: str
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerFacts:
    """Everything an answer may be built from.

    `subjects` are the series asked about by name or reference, `candidates` the ones that may be
    recommended (best first), `relaxed` names constraints that had to be dropped because nothing
    matched all of them.
    """

    intent: Intent
    reading: Reading
    constraints: Constraints
    now: datetime
    subjects: tuple[SeriesFacts, ...] = ()
    candidates: tuple[SeriesFacts, ...] = ()
    passages: tuple[Passage, ...] = ()
    promotions: tuple[Promotion, ...] = ()
    expired_promotions: tuple[Promotion, ...] = ()
    orders: tuple[Order, ...] = ()
    customer: Customer | None = None
    signed_in: bool = False
    relaxed: tuple[str, ...] = ()
    service_errors: tuple[str, ...] = ()
